"""No command says or keeps a key or the signature of a URL: not in its output, its logs, the store or what it writes."""

import base64
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.__main__ import main
from lib.study import to_toml
from tests.support.cloud_kit import PLACE, study, walk
from tests.support.wandb_server import Fault, WandbServer

pytestmark = pytest.mark.server

Command = Callable[..., tuple[int, str]]

SECRET = "5ec2e7" * 6 + "abcd"
#: The key as a request carries it.
AUTHORIZATION = base64.b64encode(f"api:{SECRET}".encode()).decode()


@pytest.fixture
def command(capfd, caplog) -> Command:
    """Runs a command: its exit code, and all that it and its processes say, with every log record."""
    caplog.set_level(logging.DEBUG)

    def run(*arguments: str) -> tuple[int, str]:
        caplog.clear()
        code = main(arguments)
        return code, "".join((*capfd.readouterr(), caplog.text))

    return run


def contents(*folders: Path) -> dict[str, bytes]:
    """Every file by its path, those inside of archives too."""
    files = {str(file): file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()}
    for path in [path for path in files if path.endswith(".zip")]:
        with zipfile.ZipFile(path) as archive:
            files |= {f"{path}/{name}": archive.read(name) for name in archive.namelist()}
    return files


def test_the_key_and_the_signature_are_in_no_output_log_store_or_export(
    command, tmp_path, isolated_folders, monkeypatch
):
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    file = tmp_path / "study.toml"
    with WandbServer() as server:
        server.keys = {SECRET}
        server.add(PLACE, *(walk(name) for name in "abc"))
        server.faults = [
            Fault("refuse", "GET", "b", times=2),
            Fault("status", "GET", "c", times=2, status=503),
            Fault("reset", "GET", "a"),
        ]
        file.write_text(to_toml(study(server)))
        trust = ["--trust-server", server.url]
        results = [
            command("fetch", str(file), "--json", *trust),
            command("report", str(file), "--out", str(tmp_path / "out"), "--formats", "html,svg,csv,parquet", *trust),
            command("bundle", str(file), "--out", str(tmp_path / "bundle.zip"), *trust),
        ]
        assert [code for code, _ in results] == [1, 0, 0]
        server.keys = set()
        results.append(command("fetch", str(file), "--refresh", *trust))
        assert results[-1][0] == 2
    results.append(command("report", str(file), "--out", str(tmp_path / "again"), "--formats", "csv", *trust))
    assert results[-1][0] == 0
    assert all("DEBUG    urllib3" in sentence for _, sentence in results[:4])
    files = contents(tmp_path, isolated_folders)
    assert {Path(path).suffix for path in files} >= {".parquet", ".json", ".html", ".csv", ".svg", ".toml", ".zip"}
    for secret in (SECRET, AUTHORIZATION, server.signature):
        assert [sentence for _, sentence in results if secret in sentence] == []
        assert [path for path, content in files.items() if secret.encode() in content or secret in path] == []
    assert server.leaks == []


def test_the_key_of_a_login_is_in_no_output_log_or_store(command, tmp_path, isolated_folders, monkeypatch):
    netrc = tmp_path / "netrc"
    with WandbServer() as server:
        server.keys = {SECRET}
        server.add(PLACE, walk("a"))
        netrc.write_text(f"machine 127.0.0.1:{server.server_port}\n  login user\n  password {SECRET}\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        (tmp_path / "study.toml").write_text(to_toml(study(server)))
        code, text = command("fetch", str(tmp_path / "study.toml"), "--json", "--trust-server", server.url)
    assert code == 0 and "DEBUG    urllib3" in text
    files = contents(isolated_folders)
    assert any(path.endswith(".parquet") for path in files)
    for secret in (SECRET, AUTHORIZATION, server.signature):
        assert secret not in text
        assert [path for path, content in files.items() if secret.encode() in content or secret in path] == []
