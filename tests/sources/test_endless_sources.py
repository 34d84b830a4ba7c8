"""Source paths that are pipes, devices or too large are refused at once: nobody waits for them."""

import os

import pytest

from lib.curves import read_baseline
from lib.curves.baseline_file import BaselineError, file_bytes
from lib.sources import SourceError, bundled_study, fetch, wandb_log
from lib.study import parse_study
from tests.support import wandb_files

HEAD = '[study]\nname = "s"\ntitle = "S"\n[source]\nkind = "offline"\npath = "{path}"\n'
REST = '[[metrics]]\nkey = "loss"\nfamily = "loss"\nexpect = "decrease"\n[[tasks]]\nname = "walk"\ntotal_steps = 10\n'


def study(path: object):
    return parse_study(HEAD.format(path=path) + REST)


@pytest.fixture
def folder(tmp_path):
    messages = [
        wandb_files.run_message("whole", {"task": "walk"}),
        wandb_files.row_message({"_step": 1, "loss": 1.0}, 1),
    ]
    wandb_files.write_run(tmp_path, messages, "whole")
    return tmp_path


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_source(path):
    with pytest.raises(SourceError, match="is not a folder"):
        fetch(study(path))
    with pytest.raises(SourceError, match="is not a file: name a regular file, not a folder, a pipe or a device"):
        bundled_study(study(path).source_path)


@pytest.mark.parametrize("path", ["x" * 5000, "a/" * 3000, "~nosuchuser", "~nosuchuser/wandb"])
def test_a_path_that_is_none_is_no_source(path):
    with pytest.raises(SourceError, match="is not a folder"):
        fetch(study(path))
    with pytest.raises(SourceError, match=r"There is no bundle|cannot be read \(File name too long\)"):
        bundled_study(study(path).source_path)


def test_a_store_that_cannot_be_named_is_told(folder, monkeypatch):
    monkeypatch.setenv("DETACH_STORE", "x" * 5000)
    with pytest.raises(SourceError, match="File name too long"):
        fetch(study(folder))


def test_a_store_of_nobody_is_a_folder_of_that_name(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("DETACH_STORE", "~nosuchuser/store")
    monkeypatch.chdir(tmp_path)
    assert [run.id for run in fetch(study(folder)).runs] == ["whole"]
    assert (tmp_path / "~nosuchuser/store").is_dir()


def test_a_pipe_among_the_files_is_a_problem_and_the_other_runs_come(folder):
    os.mkfifo(folder / "run-x.wandb")
    manifest = fetch(study(folder))
    assert [run.id for run in manifest.runs] == ["whole"]
    assert [problem.message for problem in manifest.problems] == [
        "run-x.wandb is not a file: name a regular file, not a folder, a pipe or a device."
    ]


def test_a_link_to_a_device_is_no_run(folder):
    (folder / "run-x.wandb").symlink_to("/dev/zero")
    assert "run-x.wandb is not a file" in fetch(study(folder)).problems[0].message


def test_a_file_beyond_its_bound_is_a_problem(folder):
    with (folder / "run-x.wandb").open("wb") as file:
        file.truncate(wandb_log.MAX_BYTES + 1)
    assert fetch(study(folder)).problems[0].message == "run-x.wandb is larger than 512 MB: it was not read."


def test_more_rows_than_a_run_has_are_refused(folder, monkeypatch):
    monkeypatch.setattr(wandb_log, "MAX_ROWS", 0)
    with pytest.raises(SourceError, match="holds more than 0 rows"):
        fetch(study(folder))


def test_a_baseline_that_is_a_pipe_or_endless_is_refused(tmp_path):
    os.mkfifo(tmp_path / "b.csv")
    with pytest.raises(BaselineError, match=r"^The baseline b.csv is not a file"):
        file_bytes(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"step,reward,seed\n" + b"1,1,1\n" * 1_000_100, "b.csv has more than 1,000,000 rows: thin it out."),
        (b"step,reward,seed\r" + b"1,1,1\r" * 1_000_100, "b.csv has more than 1,000,000 rows: thin it out."),
        (b",".join(b"c%d" % i for i in range(100_000)), "b.csv has more than 200 columns: keep step, reward and seed."),
        (b"step,reward,seed\n" + b"," * (4 << 20), "b.csv, line 2: it has 4,194,305 cells below a header of 3."),
    ],
)
def test_a_baseline_of_too_many_rows_or_columns_is_refused(content, message):
    with pytest.raises(BaselineError) as caught:
        read_baseline(content, "b.csv")
    assert str(caught.value) == message
