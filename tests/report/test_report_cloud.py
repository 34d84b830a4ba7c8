"""The original notebook's study from the command line, against a W&B server: files, fallback, exit codes, secrets."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from lib.__main__ import main
from tests.support.app_kit import fill
from tests.support.wandb_server import KEY, Fault, WandbServer

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
FILES = {
    "claims.json",
    "combined_ablation.html",
    "humanoid_h1_balance_simple_v0_reward.html",
    "humanoid_h1_balance_simple_v0_loss.html",
    "acrobot_swingup_reward.html",
    "acrobot_swingup_loss.html",
    "curves.csv",
    "effects.csv",
    "effects_detail.csv",
    "runs.csv",
    "claims.md",
    "report.html",
}


class Result(NamedTuple):
    """A command's exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capfd):
    """Runs a command with a server and a key in the environment."""

    def run(*arguments: str, server: str, key: str = KEY) -> Result:
        monkeypatch.setenv("WANDB_BASE_URL", server)
        monkeypatch.setenv("WANDB_API_KEY", key)
        return Result(main(arguments), *capfd.readouterr())

    return run


@pytest.fixture
def server():
    with WandbServer() as running:
        fill(running)
        yield running


def test_report_of_the_notebooks_study_and_again_without_the_server(command, tmp_path, isolated_folders):
    with WandbServer() as running:
        fill(running)
        url = running.url
        done = command("report", "detach_encoder", "--out", str(tmp_path / "out"), server=url)
    assert done.code == 0, done.err
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    runs = pl.read_csv(tmp_path / "out" / "runs.csv")
    assert runs.group_by("task").len().sort("task").rows() == [
        ("acrobot-swingup", 3),
        ("humanoid_h1-balance_simple-v0", 3),
    ]
    assert runs["detach_step"].unique().sort().to_list() == [50_000, 500_000]
    assert runs["detach_source"].unique().to_list() == ["typed"]
    assert runs["arm"].unique().to_list() == ["detached"]
    effects = pl.read_csv(tmp_path / "out" / "effects.csv")
    assert effects.filter(pl.col("task") != "*")["design"].unique().to_list() == ["jump"]
    assert KEY not in done.out + done.err
    kept = [file for folder in (isolated_folders, tmp_path) for file in folder.rglob("*") if file.is_file()]
    assert [file for file in kept if KEY.encode() in file.read_bytes()] == []

    again = command("report", "detach_encoder", "--out", str(tmp_path / "again"), "--formats", "csv", server=url)
    assert again.code == 0, again.err
    assert "cannot be reached" in again.err
    assert "Using what is stored" in again.err
    for name in ("curves.csv", "runs.csv"):
        assert (tmp_path / "again" / name).read_text() == (tmp_path / "out" / name).read_text()


@pytest.mark.parametrize(
    ("key", "sentence"),
    [("", "There is no W&B key for"), ("b" * 40, "does not accept this key")],
)
def test_without_a_key_that_the_server_knows_there_is_one_line_and_exit_2(command, server, tmp_path, key, sentence):
    done = command("report", "detach_encoder", "--out", str(tmp_path / "out"), key=key, server=server.url)
    assert done.code == 2
    [line] = [line for line in done.err.splitlines() if not line.startswith("[")]
    assert sentence in line


def test_ctrl_c_ends_a_fetch_that_a_server_leaves_without_an_answer(server, isolated_folders):
    server.faults.append(Fault("silence", op="RunParquetHistory", run="8lsl2o4p-1"))
    environment = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
    arguments = [sys.executable, "-m", "lib", "fetch", "detach_encoder"]
    running = subprocess.Popen(arguments, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    lines = iter(running.stderr.readline, "")
    assert any(line.startswith("[5/6]") for line in lines)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=20)
    assert (running.returncode, errors) == (130, "Stopped; what had come is kept.\n")
    assert len([file for file in isolated_folders.rglob("*.parquet") if file.parent.name != "raw"]) == 5


def test_the_environments_key_is_not_sent_to_a_server_that_only_the_study_names(command, tmp_path, server):
    text = (ROOT / "studies" / "detach_encoder.toml").read_text()
    study = tmp_path / "study.toml"
    study.write_text(text.replace('kind = "wandb"', f'kind = "wandb"\nbase_url = "{server.url}"'))
    done = command("fetch", str(study), server="")
    assert done.code == 2
    assert done.err == (
        f"WANDB_API_KEY is not sent to {server.url}, which only the study names: if you trust that server, "
        f"add --trust-server {server.url}, or enter a key for it in the app.\n"
    )
    assert server.hits == []
