"""The files that a report writes: figures, tables, baselines, and what is said in them."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lib.__main__ import main
from lib.curves import View
from lib.curves import curves as curves_of
from lib.runs import of_task, treatments_of
from lib.sources import fetch
from lib.study import CONTROL, load_study
from tests.support.cli_kit import said, study_file
from tests.support.frames import SMALL
from tests.support.notebook import assert_same, plotted
from tests.support.wandb_files import log_bytes, row_message, run_message, write_run

CURVES = ["task", "arm", "metric", "step", "mean", "std", "n", "lower", "upper"]
EFFECTS = [
    *("task", "metric", "arm", "control", "design", "n_arm", "n_control", "before", "after", "change", "change_pct"),
    *("ci_low", "ci_high", "p_value", "p_holm", "p_floor", "method", "expectation", "verdict", "reasons"),
    *("role", "margin", "equivalence", "holm_family"),
]
RUNS = ["task", "arm", "run_id", "seed", "state", "last_step", "detach_step", "detach_source"]


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
    by_name = {p.name for p in demo_report.iterdir()}
    assert expected <= by_name
    assert by_name - expected == {"claims.md", "claims.json"}
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
        table = pl.read_csv(demo_report / f"{name}.csv", infer_schema_length=None)
        kept = pl.read_parquet(demo_report / f"{name}.parquet")
        assert table.columns == kept.columns == columns
        floats = [c for c in columns if kept.schema[c] == pl.Float64]
        assert table.select(pl.col(floats).cast(pl.Float64)).equals(kept.select(floats), null_equal=True)
    demo = load_study("demo")
    runs = pl.read_csv(demo_report / "runs.csv")
    assert runs.columns == [*RUNS, *(f"rows:{m.key}" for m in demo.metrics), "warnings"]
    assert runs.height == 32


@pytest.mark.slow
def test_the_plotted_numbers_are_the_aligned_curves_of_all_runs(demo_report):
    demo = load_study("demo")
    stored = fetch(demo)
    treatments = treatments_of(demo, stored)
    frames = [
        curves_of(stored.history(stored.of_task(t.key)), t, demo.metrics, of_task(treatments, t.key), View())
        for t in demo.tasks
    ]
    table = pl.read_csv(demo_report / "curves.csv", schema_overrides={"n": pl.UInt32})
    # Sums over threads differ in their last digit from one computation to the next.
    assert_frame_equal(table, pl.concat(frames), rel_tol=1e-12)
    assert set(table["arm"]) == {"detached", CONTROL}
    assert dict(table.group_by("task").agg(pl.col("n").max()).iter_rows()) == {
        "acrobot-swingup": 6,
        "cartpole-swingup": 6,
        "cartpole-random-detach": 8,
    }
    logs = table.filter(pl.col("metric").str.contains("loss"))
    assert logs.select((pl.col("lower") * pl.col("std") / pl.col("mean") - 1).abs().max()).item() < 1e-12
    assert logs.select((pl.col("upper") / pl.col("std") / pl.col("mean") - 1).abs().max()).item() < 1e-12
    rewards = table.filter(pl.col("metric").str.contains("reward"))
    assert rewards.select((pl.col("mean") - pl.col("std") - pl.col("lower")).abs().max()).item() == 0


@pytest.mark.slow
def test_exact_curves_are_the_notebooks(tmp_path):
    assert main(["report", "demo", "--out", str(tmp_path), "--curves", "exact", "--formats", "csv"]) == 0
    csv_table = pl.read_csv(tmp_path / "curves.csv", schema_overrides={"n": pl.UInt32})
    demo = load_study("demo")
    stored = fetch(demo)
    treatments = treatments_of(demo, stored)
    compared = 0
    for task in demo.tasks:
        table = stored.history(stored.of_task(task.key)).lazy().collect()
        wide = table.pivot("metric", index=["run_id", "step"], values="value").to_pandas()
        frame = wide.rename(columns={"step": "_step", "run_id": "seed"})
        for arm in ("detached", CONTROL):
            runs = [t.run_id for t in of_task(treatments, task.key) if t.arm == arm]
            for metric in demo.metrics:
                place = (pl.col("task") == task.key) & (pl.col("arm") == arm) & (pl.col("metric") == metric.key)
                own_rows = csv_table.filter(place)
                assert_same(own_rows, plotted(frame[frame["seed"].isin(runs)], metric.key, task.window, frame))
                compared += own_rows.height
    assert compared == csv_table.height > 1_000


@pytest.mark.slow
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
