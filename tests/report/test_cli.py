"""The command line: what it writes, how it exits, and one line for whatever is wrong."""

import fcntl
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lib.__main__ import main
from lib.sources import fetch
from lib.study import load_study
from tests.support.cli_kit import said, study_file
from tests.support.frames import SMALL
from tests.support.wandb_files import REAL, row_message, run_message, write_run

ROOT = Path(__file__).parents[2]


def process(*arguments, **options):
    command = [sys.executable, "-m", "lib", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ, **options
    )


# ---- fetch ---------------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_fetch_of_the_demo_prints_its_manifest_and_nothing_else():
    running = process("fetch", "demo", "--json")
    out, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (0, "")
    tree = json.loads(out)
    assert (tree["study"], tree["schema_version"], len(tree["runs"]), tree["problems"]) == ("demo", 1, 32, [])
    assert fetch(load_study("demo")).to_json() + "\n" == out


def test_fetch_of_offline_runs_says_how_far_it_is(tmp_path, capsys):
    err = said(capsys, "fetch", study_file(tmp_path), code=0)
    assert err.splitlines() == [
        "[0/0] Looking for runs",
        "[1/3] Run inhbgymt",
        "[2/3] Run pyj9fsox",
        "[3/3] Run ykcu4nqs",
        "2 runs of small are stored.",
    ]


def test_a_partial_fetch_exits_with_1_and_keeps_what_came(tmp_path, capsys):
    write_run(tmp_path / "w", [run_message("r1", {"task": "acrobot-swingup"}), row_message({"_step": 1})])
    write_run(tmp_path / "w", [], "r2").write_bytes(b"x")
    assert main(["fetch", study_file(tmp_path, "w"), "--json"]) == 1
    out, err = capsys.readouterr()
    why = "run-r2.wandb is not a W&B run log (it does not start with ':W&B')."
    assert f"Warning: {why}\n" in err
    tree = json.loads(out)
    assert [run["id"] for run in tree["runs"]] == ["r1"]
    assert tree["problems"] == [{"message": why, "run_id": "", "task": ""}]


def test_refresh_reads_again(tmp_path, capsys, isolated_folders):
    study = study_file(tmp_path)
    assert main(["fetch", study]) == 0
    stored = {f: f.stat().st_mtime_ns for f in (isolated_folders / "store").rglob("*.parquet")}
    assert len(stored) == 2
    assert main(["fetch", study]) == 0
    assert {f: f.stat().st_mtime_ns for f in stored} == stored
    assert main(["fetch", study, "--refresh"]) == 0
    assert all(f.stat().st_mtime_ns > before for f, before in stored.items())


@pytest.mark.server
def test_a_reader_that_leaves_early_is_no_error():
    running = process("fetch", "demo", "--json")
    fcntl.fcntl(running.stdout, fcntl.F_SETPIPE_SZ, 4096)  # the whole manifest must not fit
    assert running.stdout.read(1) == "{"
    running.stdout.close()
    assert running.wait(timeout=120) == 141
    assert running.stderr.read() == ""


def test_output_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(["fetch", study_file(tmp_path), "--json"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "The output cannot be written (No space left on device): choose another place for it."


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "python -m lib: the following arguments are required: command (see python -m lib --help)"),
        (
            ["fetch"],
            "python -m lib fetch: the following arguments are required: STUDY (see python -m lib fetch --help)",
        ),
        (
            ["report", "demo"],
            "python -m lib report: the following arguments are required: --out (see python -m lib report --help)",
        ),
        (
            ["report", "demo", "--out", "x", "--formats", "html,gif"],
            "python -m lib report: argument --formats: 'html,gif' is not a list of formats: choose from html, png, svg, "
            "pdf, csv, parquet (see python -m lib report --help)",
        ),
        (
            ["report", "demo", "--out", "x", "--formats", ","],
            "python -m lib report: argument --formats: ',' is not a list of formats: choose from html, png, svg, pdf, "
            "csv, parquet (see python -m lib report --help)",
        ),
        (
            ["fetch", "demo", "--out", "x"],
            "python -m lib: unrecognized arguments: --out x (see python -m lib --help)",
        ),
    ],
)
def test_arguments_that_make_no_command(arguments, line, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err) == (2, "", line + "\n")


@pytest.mark.parametrize("arguments", [["fetch"], ["report", "--out", "OUT"], ["bundle", "--out", "OUT.zip"]])
def test_a_study_that_cannot_be_read_is_one_line_and_writes_nothing(tmp_path, capsys, arguments):
    arguments = [a.replace("OUT", str(tmp_path / "out")) for a in arguments]
    names = ", ".join(p.stem for p in sorted((ROOT / "studies").glob("*.toml"), key=lambda p: (p.stem != "demo", p)))
    assert said(capsys, *arguments, "nosuch", code=2) == (
        f"There is no study 'nosuch': give the path of a TOML file or one of: {names}.\n"
    )
    bad = tmp_path / "bad.toml"
    bad.write_text(SMALL.replace("100_000", '"x"'), encoding="utf-8")
    assert said(capsys, *arguments, str(bad), code=2) == (
        f'{bad}, task 1: total_steps must be a whole number, not "x".\n'
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.toml"]


@pytest.mark.server
def test_bad_input_of_a_process_is_one_line_without_a_traceback(tmp_path):
    running = process("report", study_file(tmp_path, "nowhere"), "--out", str(tmp_path / "out"))
    out, err = running.communicate(timeout=120)
    where = tmp_path / "nowhere"
    assert (running.returncode, out) == (2, "")
    assert err == f"{where} is not a folder: source.path must name one that holds wandb run directories.\n"


def test_sources_that_give_nothing(tmp_path, capsys):
    elsewhere = study_file(tmp_path, text=SMALL.replace("acrobot-swingup", "walker"))
    assert said(capsys, "fetch", elsewhere, code=2).splitlines()[-1] == (
        f"{REAL} gives no run: No run of task 'walker': check the task's name and sweep_id."
    )
    bundle = study_file(tmp_path, "x.zip", SMALL.replace("offline", "bundle"))
    assert said(capsys, "fetch", bundle, code=2) == f"There is no bundle at {tmp_path / 'x.zip'}.\n"


def test_no_key_is_one_line(capsys):
    err = said(capsys, "fetch", "detach_encoder", code=2)
    assert err.count("\n") == 1
    assert "WANDB_API_KEY" in err


def test_a_name_with_a_line_break_stays_one_line(capsys):
    assert said(capsys, "fetch", "a\nb", code=2).startswith("There is no study 'a b': give the path")


@pytest.mark.parametrize("command", ["report", "bundle"])
def test_an_output_that_cannot_be_written_is_seen_before_any_work(tmp_path, capsys, command):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    assert said(capsys, command, study_file(tmp_path), "--out", str(out), code=2) == (
        f"{out} cannot be written (Not a directory): choose another folder with --out.\n"
    )


def test_an_output_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file"
    assert said(capsys, "report", "demo", "--out", str(out), code=2) == (
        f"{out} cannot be written (File exists): choose another folder with --out.\n"
    )


# ---- bundle --------------------------------------------------------------------------------------------------------


def test_bundle_then_report_from_it(tmp_path, capsys):
    out = tmp_path / "made" / "small.zip"
    assert said(capsys, "bundle", study_file(tmp_path), "--out", str(out), code=0).splitlines()[-1] == (
        f"2 runs are in {out}."
    )
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["manifest.json", "runs/inhbgymt.parquet", "runs/pyj9fsox.parquet", "study.toml"]
        assert str(REAL).encode() not in b"".join(archive.read(name) for name in archive.namelist())
    direct, bundled = tmp_path / "direct", tmp_path / "bundled"
    again = study_file(tmp_path, out, SMALL.replace("offline", "bundle"))
    assert main(["report", again, "--out", str(bundled), "--formats", "csv"]) == 0
    assert main(["report", study_file(tmp_path), "--out", str(direct), "--formats", "csv"]) == 0
    names = sorted(p.name for p in direct.iterdir())
    assert [p.name for p in sorted(bundled.iterdir())] == names
    assert_frame_equal(pl.read_csv(direct / "curves.csv"), pl.read_csv(bundled / "curves.csv"), rel_tol=1e-12)
    assert_frame_equal(pl.read_csv(direct / "effects.csv"), pl.read_csv(bundled / "effects.csv"), rel_tol=1e-9)
    assert (direct / "runs.csv").read_bytes() == (bundled / "runs.csv").read_bytes()
    assert names == ["claims.json", "curves.csv", "effects.csv", "effects_detail.csv", "runs.csv"]


def test_a_bundle_again_is_the_same_bytes(tmp_path):
    for name in ("1.zip", "2.zip"):
        assert main(["bundle", "demo", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
