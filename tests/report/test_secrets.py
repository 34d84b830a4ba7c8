"""No command says or keeps a key or the signature of a URL: not in its output, its logs, the store or what it writes."""

import base64
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lib.study import to_toml
from tests.support.cloud_kit import PLACE, study, walk
from tests.support.wandb_server import Fault, WandbServer

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
SECRET = "5ec2e7" * 6 + "abcd"
WITH_LOGS = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
from lib.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def command(*arguments: str) -> tuple[int, str]:
    """The exit code of a command with every log record shown, and all that it says."""
    done = subprocess.run(
        [sys.executable, "-c", WITH_LOGS, *arguments], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def contents(*folders: Path) -> dict[str, bytes]:
    """Every file by its path, those inside of archives too."""
    files = {str(file): file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()}
    for path in [path for path in files if path.endswith(".zip")]:
        with zipfile.ZipFile(path) as archive:
            files |= {f"{path}/{name}": archive.read(name) for name in archive.namelist()}
    return files


@pytest.mark.parametrize("place", ["environment", "login"])
def test_the_key_and_the_signature_are_in_no_output_log_store_or_export(place, tmp_path, isolated_folders, monkeypatch):
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
        if place == "environment":
            monkeypatch.setenv("WANDB_API_KEY", SECRET)
        else:
            netrc = tmp_path / "login" / "netrc"
            netrc.parent.mkdir()
            netrc.write_text(f"machine 127.0.0.1:{server.server_port}\n  login user\n  password {SECRET}\n")
            netrc.chmod(0o600)
            monkeypatch.setenv("NETRC", str(netrc))
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
    assert all("DEBUG:urllib3" in said for _, said in results[:4])
    files = {path: content for path, content in contents(tmp_path, isolated_folders).items() if "/login/" not in path}
    assert {Path(path).suffix for path in files} >= {".parquet", ".json", ".html", ".csv", ".svg", ".toml", ".zip"}
    login = base64.b64encode(f"api:{SECRET}".encode()).decode()
    for secret in (SECRET, login, server.signature):
        assert [said for _, said in results if secret in said] == []
        assert [path for path, content in files.items() if secret.encode() in content or secret in path] == []
    assert server.leaks == []
