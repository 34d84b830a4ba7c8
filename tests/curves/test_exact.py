"""The exact grid against a transcription of the original notebook's own functions in pandas."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

from lib.curves import View, curves
from lib.runs import History, Run, describe, normalise, of_task, raw_frame, treatments_of, write_run
from lib.sources import fetch
from lib.study import CONTROL, DetachRule, Metric, Task, load_study
from tests.support.frames import history, manifest, series, study, treatment
from tests.support.notebook import assert_same, plotted

TRAIN = Metric("train/episode_reward", "reward", "increase")
EVAL = Metric("eval/episode_reward", "reward", "increase")
LOSS = Metric("train/consistency_loss", "loss", "decrease", scale="log")
METRICS = (TRAIN, EVAL, LOSS)
EXACT = View(grid="exact")


# ---- the notebook ---------------------------------------------------------------------------------------------------


def as_notebook(rows_of_run: dict[str, list[dict]]) -> pd.DataFrame:
    frames = []
    for run, rows in rows_of_run.items():
        frame = pd.DataFrame(rows)
        frame["seed"] = run
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


# ---- hand-worked ----------------------------------------------------------------------------------------------------


def test_a_hand_worked_curve():
    points = series("a", TRAIN.key, [(10, 1.0), (20, 3.0), (40, 8.0)]) + series("b", TRAIN.key, [(20, 7.0), (30, 2.0)])
    points += [("a", None, step, None) for step in (5, 15, 25, 35)]
    runs = [treatment("a", at=20), treatment("b", at=20)]
    # Logged steps 5, 10, ..., 40: increments of 5, so a window of 10 steps is 2 points, right across the detach.
    rows = curves(history(points), Task("task", 100, smoothing_steps=10), METRICS, runs, EXACT)
    sd = math.sqrt(8)
    assert rows.select("step", "n").rows() == [(10.0, 1), (20.0, 2), (30.0, 1), (40.0, 1)]
    assert rows["mean"].to_list() == pytest.approx([1.0, 3.0, 3.5, 5.0], abs=1e-12)
    assert rows["std"].to_list() == pytest.approx([0.0, sd / 2, sd / 2, 0.0], abs=1e-12)
    assert rows["lower"].to_list() == pytest.approx([1.0, 3 - sd / 2, 3.5 - sd / 2, 5.0], abs=1e-12)


def test_a_log_metric_is_treated_as_a_linear_one():
    points = series("a", LOSS.key, [(10, 1.0), (20, -3.0)]) + series("b", LOSS.key, [(10, 3.0)])
    rows = curves(history(points), Task("task", 100), METRICS, [treatment("a"), treatment("b")], EXACT)
    assert rows.drop("task", "arm", "metric").rows() == [
        (10.0, 2.0, math.sqrt(2), 2, 2 - math.sqrt(2), 2 + math.sqrt(2)),
        (20.0, -3.0, 0.0, 1, -3.0, -3.0),
    ]


def test_smoothing_off_and_windows_below_one_point():
    points = series("a", TRAIN.key, [(10, 1.0), (20, 3.0)])
    for view, task in ((View(grid="exact", smooth=False), Task("task", 100)), (EXACT, Task("task", 100))):
        rows = curves(history(points), task, METRICS, [treatment("a")], view)
        assert rows["mean"].to_list() == [1.0, 3.0]
    wide = curves(history(points), Task("task", 100), METRICS, [treatment("a")], View(grid="exact", window=29))
    assert wide["mean"].to_list() == [1.0, 2.0]


# ---- against the transcription --------------------------------------------------------------------------------------


def irregular(random: np.random.Generator, seed: int, odd: bool) -> list[dict]:
    """Rows of one run: its own steps, metrics here and there, rows of `_step` alone, rows of other keys."""
    steps = np.cumsum(random.integers(1, 40, size=random.integers(30, 250)))
    rows = []
    for step in steps:
        row: dict = {"_step": int(step)}
        kind = random.random()
        if kind < 0.35:
            row[TRAIN.key] = float(random.normal(100 * seed, 30))
        if 0.3 < kind < 0.45:
            row[EVAL.key] = float(random.normal(0, 1e-3))
        if 0.4 < kind < 0.6:
            row[LOSS.key] = float(random.lognormal(-5, 2))
        if kind > 0.9:
            row["other"] = 1.0
        if odd and kind > 0.85:
            row[TRAIN.key] = random.choice([math.nan, math.inf, -math.inf])
        rows.append(row)
    return rows


def through_history(tmp_path, rows_of_run: dict[str, list[dict]]):
    runs = []
    for run, rows in rows_of_run.items():
        keys = [m.key for m in METRICS]
        raw, bad = raw_frame(rows, ["_step", "_timestamp", *keys])
        points, drops = normalise(raw, keys, ("_step",), bad)
        runs.append(write_run(tmp_path, describe(Run(run), points, drops, keys, ["_step"]), points))
    return History({run.id: tmp_path / run.file for run in runs})


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("odd", [False, True], ids=["numbers", "with NaN and infinities"])
@pytest.mark.parametrize("number", range(6))
def test_irregular_data_agrees_with_the_notebook(tmp_path, number, odd):
    random = np.random.default_rng(number)
    detached = {f"d{i}": irregular(random, i, odd) for i in range(random.integers(1, 5))}
    control = {f"c{i}": irregular(random, i, odd) for i in range(random.integers(1, 4))}
    task = Task("task", 10_000, smoothing_steps=int(random.integers(1, 900)), detach=DetachRule(step=2_000))
    treatments = [treatment(run, at=2_000) for run in detached] + [treatment(run, CONTROL) for run in control]
    frame = curves(through_history(tmp_path, detached | control), task, METRICS, treatments, EXACT)
    everything = as_notebook(detached | control)
    for arm, rows in (("detached", detached), (CONTROL, control)):
        for metric in METRICS:
            own_rows = frame.filter(pl.col("arm") == arm, pl.col("metric") == metric.key)
            assert_same(own_rows, plotted(as_notebook(rows), metric.key, task.window, everything))


def test_the_demo_agrees_with_the_notebook():
    demo = load_study("demo")
    stored = fetch(demo)
    treatments = treatments_of(demo, stored)
    for task in demo.tasks:
        of_this_task = of_task(treatments, task.key)
        table = stored.history(stored.of_task(task.key))
        rows_by_arm = curves(table, task, demo.metrics, of_this_task, EXACT)
        wide = table.lazy().collect().pivot("metric", index=["run_id", "step"], values="value").to_pandas()
        frame = wide.rename(columns={"step": "_step", "run_id": "seed"})
        arms = {"detached"} if task.detach.randomised else {"detached", CONTROL}
        assert {t.arm for t in of_this_task} == arms
        for arm in arms:
            rows = frame[frame["seed"].isin([t.run_id for t in of_this_task if t.arm == arm])]
            for metric in demo.metrics:
                expected = plotted(rows, metric.key, task.window, frame)
                assert len(expected) > 20
                assert_same(rows_by_arm.filter(pl.col("arm") == arm, pl.col("metric") == metric.key), expected)


def test_one_run_alone_is_the_notebook_on_that_run(tmp_path):
    rows = {"a": irregular(np.random.default_rng(9), 1, False)}
    example = study(DetachRule(step=2_000), total=10_000, metrics=METRICS)
    table = through_history(tmp_path, rows)
    points = [(run, metric, step, value) for run, metric, step, value, _ in table.lazy().collect().rows()]
    stored = manifest(tmp_path / "m", [(Run("a"), points)])
    frame = curves(stored.history(), example.tasks[0], METRICS, treatments_of(example, stored), EXACT)
    for metric in METRICS:
        expected = plotted(as_notebook(rows), metric.key, 100, as_notebook(rows))
        assert_same(frame.filter(pl.col("metric") == metric.key), expected)
        assert set(frame["n"].to_list()) == {1}
        assert set(frame["std"].to_list()) == {0.0}
