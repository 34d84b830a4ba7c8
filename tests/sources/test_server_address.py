"""The address of a server: its spellings are one, and what is none is one sentence that shows no secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.__main__ import main
from lib.sources import SourceError, server_address, server_of
from lib.sources.cloud.server_address import is_private_line
from lib.study import to_toml
from tests.support.cloud_kit import study


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://api.wandb.ai", "https://api.wandb.ai"),
        (" HTTPS://Api.WandB.ai:443/ ", "https://api.wandb.ai"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:443/", "http://localhost:443"),
        ("https://lab.example:/wandb/", "https://lab.example/wandb"),
        ("https://lab.example/Wandb", "https://lab.example/Wandb"),
        ("http://[0:0::0:1]:8080", "http://[::1]:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_spellings_of_one_server(text, address):
    assert server_address(text, "base_url") == address == server_address(address, "base_url")


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "api.wandb.ai", "https://", "https:///a", "ftp://a.example", "file:///etc/passwd", "javascript:alert(1)",
        "http://[::1", "http://::1]", "http://[x]", "http://[fe80::1%25lo]", "http://127.0.0.1:99999", "http://a:0",
        "http://a:b", "http://a:-1", "http://a b", "http://a\nb", "https://a.example\\b.example", "https://a..b",
        "https://" + "a" * 64, "https://a.example/" + "b" * 5000, "h" * 5000, "https://a.example/a b", "https://a/%2e",
        "https://a.example/<b>", "http://a.example:८०", "http://%31", "https://.", "https://a.example;b", "//a.example",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_one_short_sentence(text):
    with pytest.raises(SourceError) as raised:
        server_address(text, "base_url")
    message = str(raised.value)
    assert message.startswith("base_url '") and message.endswith("write it like https://api.wandb.ai.")
    assert len(message) < 200 and message.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "https://user:secret@a.example", "https://secret@a.example", "https://@secret.example", "https://a.example?secret",
        "https://a.example/#secret", "https://a.example\\@secret.example", "https://a.example/?key=secret", "@secret",
    ],
)  # fmt: skip
def test_an_address_with_more_than_a_server_is_refused_without_showing_it(text):
    with pytest.raises(SourceError, match="must not hold a name, a password, a query or a fragment") as raised:
        server_address(text, "base_url")
    assert "secret" not in str(raised.value)


@given(st.text(max_size=60) | st.text("htps:/[]@.:%\\a0?#", max_size=30).map("http://".__add__))
def test_any_text_is_an_address_that_stays_as_it_is_or_one_sentence(text):
    try:
        address = server_address(text, "base_url")
    except SourceError as error:
        assert str(error).isprintable()
    else:
        assert server_address(address, "base_url") == address


@pytest.mark.parametrize(
    ("server", "is_private"),
    [
        ("https://a.example", True),
        ("http://localhost:8080", True),
        ("http://127.0.0.1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]", True),
        ("http://a.example", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://10.0.0.1", False),
        ("http://2130706433", False),
        ("http://0.0.0.0", False),
    ],
)
def test_plain_http_is_private_to_this_machine_alone(server, is_private):
    assert is_private_line(server) == is_private


def test_the_address_comes_from_the_environment_then_the_study(monkeypatch):
    example = study("https://wandb.example.com/")
    assert server_of(example) == "https://wandb.example.com"
    assert server_of(study("")) == "https://api.wandb.ai"
    monkeypatch.setenv("WANDB_BASE_URL", "http://localhost:8080/")
    assert server_of(example) == "http://localhost:8080"
    monkeypatch.setenv("WANDB_BASE_URL", "file:///etc")
    with pytest.raises(SourceError, match=r"^WANDB_BASE_URL 'file:///etc' is not the address of a W&B server"):
        server_of(example)


@pytest.mark.parametrize("base_url", ["http://[::1", "http://127.0.0.1:99999", "https://a.example/?b"])
def test_a_study_file_with_such_an_address_ends_with_one_line(base_url, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    file = tmp_path / "study.toml"
    file.write_text(to_toml(study(base_url)))
    assert main(["fetch", str(file)]) == 2
    _, error = capsys.readouterr()
    assert error.startswith("base_url ") and error.count("\n") == 1


def test_a_server_to_trust_that_is_none_ends_with_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["fetch", "demo", "--trust-server", "http://[::1"])
    assert ended.value.code == 2
    _, error = capsys.readouterr()
    assert "--trust-server: the address 'http://[::1' is not the address of a W&B server" in error
    assert error.count("\n") == 1
