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
from lib.curves import View
from lib.curves import curves as curves_of
from lib.runs import of_task, treatments
from lib.sources import fetch
from lib.study import CONTROL, load_study
from tests.support.frames import SMALL
from tests.support.notebook import assert_same, plotted
from tests.support.wandb_files import REAL, log_bytes, row_message, run_message, write_run

ROOT = Path(__file__).parents[2]
CURVES = ["task", "arm", "metric", "step", "mean", "std", "n", "lower", "upper"]
EFFECTS = [
    *("task", "metric", "arm", "control", "design", "n_arm", "n_control", "before", "after", "change", "change_pct"),
    *("ci_low", "ci_high", "p_value", "p_holm", "p_floor", "method", "expectation", "verdict", "reasons"),
    *("role", "margin", "equivalence", "holm_family"),
]
RUNS = ["task", "arm", "run_id", "seed", "state", "last_step", "detach_step", "detach_source"]


def study_file(folder: Path, path: str | Path = REAL, text: str = SMALL) -> str:
    file = folder / "small.toml"
    file.write_text(text.replace('path = "wandb"', f"path = {json.dumps(str(path))}"), encoding="utf-8")
    return str(file)


def said(capsys, *arguments, code: int) -> str:
    """What a command that gives nothing on stdout says on stderr."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    return err


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
    known = ", ".join(p.stem for p in sorted((ROOT / "studies").glob("*.toml"), key=lambda p: (p.stem != "demo", p)))
    assert said(capsys, *arguments, "nosuch", code=2) == (
        f"There is no study 'nosuch': give the path of a TOML file or one of: {known}.\n"
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


# ---- report --------------------------------------------------------------------------------------------------------


FIGURES = [
    "combined_ablation",
    "acrobot_swingup_reward",
    "acrobot_swingup_loss",
    "cartpole_swingup_reward",
    "cartpole_swingup_loss",
    "cartpole_random_detach_reward",
    "cartpole_random_detach_loss",
]
TABLES = ["curves", "effects", "effects_detail", "runs"]


@pytest.mark.slow
def test_report_writes_every_file(demo_report):
    expected = {f"{name}.html" for name in [*FIGURES, "report"]}
    expected |= {f"{name}.{kind}" for name in TABLES for kind in ("csv", "parquet")}
    found = {p.name for p in demo_report.iterdir()}
    assert expected <= found
    assert found - expected == {"claims.md", "claims.json"}
    assert min(p.stat().st_size for p in demo_report.iterdir()) > 1_000


@pytest.mark.slow
def test_the_pages_need_no_network(demo_report):
    for file in demo_report.glob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert not any(f'{attribute}="http' in text for attribute in ("src", "href")) or file.name == "report.html"
        assert '<script src="http' not in text
        assert '<link rel="stylesheet" href="http' not in text


@pytest.mark.slow
def test_the_tables_have_their_columns_and_every_digit(demo_report):
    for name, columns in (("curves", CURVES), ("effects", EFFECTS)):
        told = pl.read_csv(demo_report / f"{name}.csv", infer_schema_length=None)
        kept = pl.read_parquet(demo_report / f"{name}.parquet")
        assert told.columns == kept.columns == columns
        floats = [c for c in columns if kept.schema[c] == pl.Float64]
        assert told.select(pl.col(floats).cast(pl.Float64)).equals(kept.select(floats), null_equal=True)
    demo = load_study("demo")
    runs = pl.read_csv(demo_report / "runs.csv")
    assert runs.columns == [*RUNS, *(f"rows:{m.key}" for m in demo.metrics), "warnings"]
    assert runs.height == 32


@pytest.mark.slow
def test_the_plotted_numbers_are_the_aligned_curves_of_all_runs(demo_report):
    demo = load_study("demo")
    stored = fetch(demo)
    treated = treatments(demo, stored)
    frames = [
        curves_of(stored.history(stored.of_task(t.key)), t, demo.metrics, of_task(treated, t.key), View())
        for t in demo.tasks
    ]
    told = pl.read_csv(demo_report / "curves.csv", schema_overrides={"n": pl.UInt32})
    # Sums over threads differ in their last digit from one computation to the next.
    assert_frame_equal(told, pl.concat(frames), rel_tol=1e-12)
    assert set(told["arm"]) == {"detached", CONTROL}
    assert dict(told.group_by("task").agg(pl.col("n").max()).iter_rows()) == {
        "acrobot-swingup": 6,
        "cartpole-swingup": 6,
        "cartpole-random-detach": 8,
    }
    logs = told.filter(pl.col("metric").str.contains("loss"))
    assert logs.select((pl.col("lower") * pl.col("std") / pl.col("mean") - 1).abs().max()).item() < 1e-12
    assert logs.select((pl.col("upper") / pl.col("std") / pl.col("mean") - 1).abs().max()).item() < 1e-12
    rewards = told.filter(pl.col("metric").str.contains("reward"))
    assert rewards.select((pl.col("mean") - pl.col("std") - pl.col("lower")).abs().max()).item() == 0


@pytest.mark.slow
def test_exact_curves_are_the_notebooks(tmp_path):
    assert main(["report", "demo", "--out", str(tmp_path), "--curves", "exact", "--formats", "csv"]) == 0
    told = pl.read_csv(tmp_path / "curves.csv", schema_overrides={"n": pl.UInt32})
    demo = load_study("demo")
    stored = fetch(demo)
    treated = treatments(demo, stored)
    compared = 0
    for task in demo.tasks:
        table = stored.history(stored.of_task(task.key)).lazy().collect()
        wide = table.pivot("metric", index=["run_id", "step"], values="value").to_pandas()
        frame = wide.rename(columns={"step": "_step", "run_id": "seed"})
        for arm in ("detached", CONTROL):
            runs = [t.run_id for t in of_task(treated, task.key) if t.arm == arm]
            for metric in demo.metrics:
                place = (pl.col("task") == task.key) & (pl.col("arm") == arm) & (pl.col("metric") == metric.key)
                mine = told.filter(place)
                assert_same(mine, plotted(frame[frame["seed"].isin(runs)], metric.key, task.window, frame))
                compared += mine.height
    assert compared == told.height > 1_000


def test_figures_in_the_formats_asked_for(tmp_path):
    out = tmp_path / "out"
    assert main(["report", study_file(tmp_path), "--out", str(out), "--formats", "svg, png,parquet,svg"]) == 0
    figures = {f"{name}.{kind}" for name in ("combined_ablation", "acrobot_swingup_reward") for kind in ("svg", "png")}
    assert {p.name for p in out.iterdir()} == figures | {f"{name}.parquet" for name in TABLES} | {"claims.json"}
    assert (out / "acrobot_swingup_reward.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (out / "acrobot_swingup_reward.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.slow
def test_a_baseline_with_missing_values_is_drawn_and_what_is_left_out_is_said(tmp_path, capsys):
    (tmp_path / "b.csv").write_text(",step,reward,seed\n0,0,1.0,1\n1,50000,,1\n2,,3,1\n,,,\n\n3,200000,4,1\n")
    text = SMALL + '[[tasks.baselines]]\npath = "b.csv"\nlabel = "TD-MPC2"\n'
    err = said(capsys, "report", study_file(tmp_path, text=text), "--out", str(tmp_path / "out"), code=0)
    warnings = [
        "TD-MPC2: 1 of 4 rows left out; line 4: step is empty.",
        "TD-MPC2: its last step, 200,000, is twice the total of acrobot-swingup: set step_scale = 0.5 if it counts frames.",
    ]
    assert [line for line in err.splitlines() if "TD-MPC2" in line] == [f"Warning: {line}" for line in warnings]
    page = (tmp_path / "out" / "report.html").read_text()
    assert [page.count(f"<li>{line}</li>") for line in warnings] == [1, 1]
    (tmp_path / "b.csv").write_text("x\n1\n")
    err = said(capsys, "report", study_file(tmp_path, text=text), "--out", str(tmp_path / "none"), code=2)
    assert err.splitlines()[-1] == (
        "TD-MPC2 has no column step, reward or seed: a baseline is a CSV file of the columns step, reward, seed."
    )


def test_a_run_still_going_on_gives_a_report_and_a_warning_in_it(tmp_path):
    rows = [row_message({"_step": step, "eval/episode_reward": float(step)}) for step in range(0, 60_001, 5_000)]
    file = write_run(tmp_path / "w", [run_message("r1", {"task": "acrobot-swingup", "seed": 1}), *rows])
    file.write_bytes(log_bytes([run_message("r1", {"task": "acrobot-swingup", "seed": 1}), *rows])[:-3])
    assert main(["report", study_file(tmp_path, "w"), "--out", str(tmp_path / "out"), "--formats", "csv"]) == 0
    lost = len(log_bytes(rows[-1:])) - 7 - 3
    assert pl.read_csv(tmp_path / "out" / "runs.csv").row(0)[-1] == "; ".join(
        [
            f"run-r1.wandb: The file ends inside a record: its last {lost} bytes were left out.",
            "state running",
            "short: ends at 55,000 of 100,000 steps",
        ]
    )
