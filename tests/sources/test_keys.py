"""The servers that the user's own key may be sent to: a second server counts that it is never asked."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.__main__ import main
from lib.sources import SourceError, resolve_key
from lib.study import to_toml
from tests.support.cloud_kit import PLACE, study, walk
from tests.support.internet import Internet
from tests.support.wandb_server import KEY, WandbServer

LOGIN, ANY = "c" * 40, "d" * 40
LAB, PLAIN = "https://lab.example", "http://lab.example"


def log_in(**keys: str) -> None:
    """Write a netrc with these keys by host; that of `default` is for any host."""
    netrc = Path(os.environ["NETRC"])
    heads = {host: "default" if host == "default" else f"machine {host}" for host in keys}
    netrc.write_text("".join(f"{heads[host]}\n  login user\n  password {key}\n" for host, key in keys.items()))
    netrc.chmod(0o600)


def test_the_environments_key_belongs_to_wandbs_own_server(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", f" {KEY}\n")
    assert resolve_key("https://api.wandb.ai") == KEY
    assert resolve_key(LAB) is None
    assert resolve_key("https://api.wandb.ai/other") is None
    assert resolve_key("https://api.wandb.ai:8443") is None
    assert resolve_key("http://api.wandb.ai") is None


def test_the_environments_key_belongs_to_the_environments_server(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "https://LAB.example:443/")
    assert resolve_key(LAB) == KEY
    assert resolve_key("https://api.wandb.ai") is None


def test_a_login_belongs_to_its_host(monkeypatch):
    assert resolve_key(LAB) is None
    log_in(**{"lab.example": LOGIN})
    assert resolve_key(LAB) == LOGIN
    assert resolve_key("https://other.example") is None
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert resolve_key("https://api.wandb.ai") == KEY
    assert resolve_key(LAB) == LOGIN


def test_a_login_for_any_host_is_not_sent_to_a_server_that_only_the_study_names(monkeypatch):
    log_in(default=ANY)
    assert resolve_key(LAB) is None
    assert resolve_key("https://api.wandb.ai") == ANY
    monkeypatch.setenv("WANDB_BASE_URL", LAB)
    assert resolve_key(LAB) == ANY
    assert resolve_key("https://api.wandb.ai") is None


def test_no_key_goes_over_plain_http_but_to_this_machine(monkeypatch):
    log_in(**{"lab.example": LOGIN, "localhost:8080": LOGIN})
    assert resolve_key(PLAIN) is None
    assert resolve_key("http://localhost:8080") == LOGIN
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", PLAIN)
    assert resolve_key(PLAIN) is None
    assert resolve_key(PLAIN, PLAIN) == KEY


def test_a_trusted_server_gets_its_own_login_before_the_environments_key(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert resolve_key(LAB, LAB) == KEY
    assert resolve_key(PLAIN, LAB) is None
    assert resolve_key(LAB, "https://other.example") is None
    log_in(**{"lab.example": LOGIN})
    assert resolve_key(LAB, LAB) == LOGIN
    assert resolve_key(PLAIN, PLAIN) == LOGIN


def test_a_login_that_is_no_key_is_said():
    log_in(**{"lab.example": "short"})
    with pytest.raises(SourceError, match=f"The W&B login stored for {LAB} is not a key"):
        resolve_key(LAB)


# ---- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def other() -> Iterator[WandbServer]:
    """A server that only a study names."""
    with WandbServer() as server:
        server.add(PLACE, walk("a"))
        yield server


def command(tmp_path: Path, name: str, server: str, *options: str) -> int:
    """Run a command on a study of that server."""
    file = tmp_path / "study.toml"
    file.write_text(to_toml(study(server)))
    out = {"report": ["--out", str(tmp_path / "out"), "--formats", "csv"], "bundle": ["--out", str(tmp_path / "b.zip")]}
    return main([name, str(file), *out.get(name, []), *options])


@pytest.mark.server
@pytest.mark.parametrize("name", ["fetch", "report", "bundle"])
def test_a_server_that_only_the_study_names_is_asked_nothing_unless_it_is_trusted(
    name, other, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    for options in ([], ["--trust-server", "https://lab.example"], ["--trust-server", other.url.replace("1:", "2:")]):
        assert command(tmp_path, name, other.url, *options) == 2
        assert capsys.readouterr().err == (
            f"WANDB_API_KEY is not sent to {other.url}, which only the study names: if you trust that server, "
            f"add --trust-server {other.url}, or enter a key for it in the app.\n"
        )
    assert other.hits == []
    assert command(tmp_path, name, other.url, "--trust-server", f"{other.url.replace('http', 'HTTP')}/") == 0
    assert other.count("Runs") == 1


@pytest.mark.server
def test_the_environments_server_comes_before_the_one_of_the_study(other, tmp_path, monkeypatch):
    with WandbServer() as own:
        own.add(PLACE, walk("a"))
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", own.url)
        assert command(tmp_path, "fetch", other.url) == 0
        assert (own.count("Runs"), other.hits) == (1, [])


@pytest.mark.server
def test_a_login_is_not_sent_to_another_server_than_its_own(other, tmp_path, capsys):
    host = other.url.removeprefix("http://")
    log_in(**{"default": KEY, "api.wandb.ai": KEY, host.replace("127.0.0.1", "localhost"): KEY})
    assert command(tmp_path, "fetch", other.url) == 2
    assert capsys.readouterr().err.startswith(f"There is no W&B key for {other.url}: set WANDB_API_KEY")
    assert other.hits == []
    log_in(**{host: KEY})
    assert command(tmp_path, "fetch", other.url) == 0


@pytest.mark.server
@pytest.mark.parametrize("place", ["study", "environment", "login"])
def test_plain_http_to_another_machine_is_asked_nothing_unless_it_is_trusted(
    place, other, tmp_path, monkeypatch, capsys
):
    """The name is another machine's for whoever reads the address; here it is looked up to this one."""
    Internet(monkeypatch).names = {"lab.example": ["127.0.0.1"]}
    server = f"http://lab.example:{other.server_port}"
    if place == "login":
        log_in(**{f"lab.example:{other.server_port}": KEY})
    else:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
    if place == "environment":
        monkeypatch.setenv("WANDB_BASE_URL", server)
    assert command(tmp_path, "fetch", server) == 2
    error = capsys.readouterr().err
    why = "which only the study names" if place == "study" else "over plain http, where others can read it"
    assert f"is not sent to {server}" in error and why in error and error.count("\n") == 1
    assert other.hits == []
    assert command(tmp_path, "fetch", server, "--json", "--trust-server", server) == 0
    assert json.loads(capsys.readouterr().out)["source"]["server"] == server
