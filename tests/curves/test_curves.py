"""Aligned curves on hand-worked frames: one value per seed and bin, which runs, which axis, and grouping that changes nothing."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.curves import View, curves, seed_groups
from lib.curves.bins import visible_runs, width_spacings
from lib.curves.study_curves import seed_curves
from lib.runs import HISTORY, History, MedianSpacing, Treatment, spacings, spool
from lib.study import CONTROL, Metric, Task
from tests.support.curves_kit import PLAIN, SMOOTHED, TASK, Y, draw, line
from tests.support.frames import LOSS, REWARD, history, series, treatment

NAN, INF = math.nan, math.inf


def straight(run, steps, metric="y"):
    return series(run, metric, [(s, float(s)) for s in steps])


# ---- align, then aggregate -----------------------------------------------------------------------------------------


def test_two_seeds_logging_y_is_x_at_offset_steps_give_a_monotone_mean_of_two_everywhere():
    points = straight("a", range(0, 100_001, 500)) + straight("b", range(130, 100_001, 500))
    runs = [treatment("a", at=50_000), treatment("b", at=50_000)]
    frame = draw(points, runs, task=Task("task", 100_000))
    # (T + 500 k, T + 500 (k + 1)] holds one row of each; only the row at step 0 has no partner.
    assert line(frame)[:3] == [(0.0, 0.0, 1), (315.0, 315.0, 2), (815.0, 815.0, 2)]
    assert frame["n"].to_list() == [1] + [2] * 200
    assert frame["mean"].to_list() == frame["step"].to_list() == [0.0, *(315.0 + 500 * k for k in range(200))]
    assert frame["mean"].is_sorted()


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 999), st.integers(1, 2_000))
def test_whatever_the_offset_and_spacing_the_mean_of_y_is_x_is_monotone(offset, spacing):
    metric = replace(REWARD, key="train/reward")
    points = straight("a", range(0, 100_001, spacing), metric.key)
    points += straight("b", range(offset % spacing, 100_001, spacing), metric.key)
    runs = [treatment("a", at=50_000), treatment("b", at=50_000)]
    for task in (Task("task", 100_000), Task("task", 10 * spacing)):
        frame = draw(points, runs, View(smooth=False), (metric,), task)
        assert frame["mean"].is_sorted()
        assert frame["step"].is_sorted()
        assert frame["step"].is_unique().all()
        assert frame["n"].max() == 2
        # Between the first and the last row of both, no bin lacks a seed.
        assert set(frame["n"].to_list()[1:-1]) == {2}
        # Within a bin a seed may log more often than another; one mean is by point, the other by seed.
        assert frame.select((pl.col("mean") - pl.col("step")).abs().max()).item() < max(spacing, 100)


def test_a_seed_counts_once_a_bin_however_often_it_logs():
    # Spacings 2, 2, 2, 4: the median is 2, so the bins around T = 50 are (50, 52] and (52, 54].
    points = series("a", "y", [(51, 1.0), (52, 3.0), (54, 8.0)]) + series("b", "y", [(52, 10.0), (54, 4.0), (56, 0.0)])
    frame = draw(points, [treatment("a"), treatment("b")])
    assert line(frame, "step", "mean", "std", "n") == [
        ((51 + 52 + 52) / 3, (2.0 + 10.0) / 2, math.sqrt(32), 2),
        (54.0, 6.0, math.sqrt(8), 2),
        (56.0, 0.0, None, 1),
    ]


def test_bins_never_straddle_the_detach_and_its_own_row_is_before():
    points = straight("a", [40, 50, 60]) + straight("b", [45, 55, 65])
    assert line(draw(points, [treatment("a"), treatment("b")])) == [
        (40.0, 40.0, 1),
        (47.5, 47.5, 2),
        (57.5, 57.5, 2),
        (65.0, 65.0, 1),
    ]
    # (37, 47], (47, 57], (57, 67]
    at_47 = [treatment("a", at=47), treatment("b", at=47)]
    assert line(draw(points, at_47)) == [(42.5, 42.5, 2), (52.5, 52.5, 2), (62.5, 62.5, 2)]


def test_nothing_is_drawn_where_nobody_logged():
    frame = draw(straight("a", [0, 10, 20, 90, 100]), [treatment("a")])
    assert frame["step"].to_list() == [0.0, 10.0, 20.0, 90.0, 100.0]


def bin_width(steps, finest):
    width = MedianSpacing(finest)
    for step in steps:
        width.add(width_spacings(step, finest))
    return width.steps()


def test_the_bin_width_is_the_median_spacing_within_a_run_or_a_thousandth_of_the_training():
    points = straight("a", [0, 10, 30, 40]) + straight("b", [1, 2, 103]) + straight("a", [5, 6], "x")
    points += [*straight("a", [7], "once"), ("a", None, 3, None)]

    def width(metric, finest):
        return bin_width([history(points).series(run, metric, ["step"])[0] for run in ("a", "b")], finest)

    # y: spacings 10, 20, 10 and 1, 101; x: 1; a single row has no spacing.
    assert [width(metric, 0.1) for metric in ("y", "x", "once")] == [10.0, 1.0, 0.1]
    assert width("y", 50.0) == 50.0
    # An even number of spacings: the two in the middle lie on either side of the finest width.
    assert bin_width([np.array([0, 1, 4, 24, 54])], 15.0) == 15.0
    assert bin_width([np.array([0, 1, 13, 33, 63])], 15.0) == 16.0


def test_a_run_has_at_most_so_many_bins_however_long_it_is():
    steps = np.arange(100_000)
    # Its middle 98 hundredths: from row 1,000 to row 98,999, in 20,000 bins.
    assert bin_width([steps], 1.0) == 97_999 / 20_000
    assert bin_width([steps[:20_000]], 1.0) == 1.0
    # One odd step far away makes no bin wider.
    assert bin_width([np.append(steps, 10**12)], 5.0) == 5.0


# ---- which runs, which axis ----------------------------------------------------------------------------------------


def test_arms_and_runs_left_out():
    points = straight("a", [60]) + series("b", "y", [(60, 0.0)]) + series("c", "y", [(60, 7.0)]) + straight("z", [60])
    runs = [treatment("a"), treatment("b"), treatment("c", CONTROL)]
    assert line(draw(points, runs), "arm", "mean", "n") == [(CONTROL, 7.0, 1), ("detached", 30.0, 2)]
    assert line(draw(points, runs, replace(PLAIN, left_out=("b",))), "arm", "mean", "n") == [
        (CONTROL, 7.0, 1),
        ("detached", 60.0, 1),
    ]
    assert line(draw(points, runs, replace(PLAIN, arms=("detached",))), "arm", "mean", "n") == [("detached", 30.0, 2)]
    assert [t.run_id for t in visible_runs(runs, View(arms=("detached",), left_out=("a",)))] == ["b"]


@pytest.mark.parametrize(
    ("x", "steps"),
    [
        ("steps", [40.0, 50.0, 60.0]),
        ("percent", [20.0, 25.0, 30.0]),
        ("since", [-10.0, 0.0, 10.0]),
        ("since_percent", [-5.0, 0.0, 5.0]),
    ],
)
@pytest.mark.parametrize("grid", ["aligned", "exact"])
def test_the_axes(x, steps, grid):
    points = straight("a", [40, 50, 60])
    frame = draw(points, [treatment("a", total=200)], View(smooth=False, x=x, grid=grid), task=Task("task", 200))
    assert line(frame, "step", "mean") == [(step, y) for step, y in zip(steps, [40.0, 50.0, 60.0], strict=True)]


def test_steps_beyond_32_bits_are_steps_like_any_other():
    total = 2 * 10**12
    task, rule = Task("task", total), treatment("a", at=total // 2, total=total)
    points = [("a", "y", total // 2 + i * 10**10, float(i)) for i in (-2, -1, 0, 1, 2)]
    frame = draw(points, [rule], View(smooth=False, x="since"), task=task)
    assert line(frame, "step", "mean") == [(i * 1e10, float(i)) for i in (-2, -1, 0, 1, 2)]
    # A step far beyond the training has a bin of its own, after the others.
    points = [*straight("a", [40, 50, 60, 70, 80]), *series("a", "y", [(10**13, 7.0), (10**13 + 100, 8.0)])]
    far = line(draw(points, [treatment("a")]), "step", "mean")
    assert far[4:] == [(80, 80.0), (1e13, 7.0), (1e13 + 100, 8.0)]


def test_runs_detached_at_their_own_step_share_event_time():
    points = straight("a", [20, 30, 40]) + series("b", "y", [(50, 1.0), (60, 2.0), (70, 3.0)])
    runs = [treatment("a", at=30), treatment("b", at=60)]
    frame = draw(points, runs, View(smooth=False, x="since"))
    assert line(frame) == [(-10.0, 10.5, 2), (0.0, 16.0, 2), (10.0, 21.5, 2)]


def test_arms_with_steps_of_their_own_have_bins_of_their_own():
    points = straight("a", [33, 43]) + straight("b", [48, 57, 68])
    runs = [treatment("a", "detached 0.35", at=35), treatment("b", "detached 0.5", at=50)]
    # Width 10: (25, 35] and (35, 45] for one, (40, 50], (50, 60] and (60, 70] for the other.
    assert line(draw(points, runs), "arm", "step") == [
        ("detached 0.35", 33.0),
        ("detached 0.35", 43.0),
        ("detached 0.5", 48.0),
        ("detached 0.5", 57.0),
        ("detached 0.5", 68.0),
    ]


def test_every_seeds_own_curve_lies_on_the_same_bins():
    points = series("a", "loss", [(51, 1.0), (52, 100.0)]) + series("b", "loss", [(52, 3.0), (62, 5.0)])
    runs = [treatment("a", seed="1"), treatment("b", seed="2")]
    frame = seed_curves(history(points), TASK, (LOSS,), runs, PLAIN)
    assert frame.columns == ["task", "arm", "metric", "run_id", "seed", "step", "value"]
    # Spacings 1 and 10: bins of 5.5 steps.
    assert frame.rows() == [
        ("task", "detached", "loss", "a", "1", 51.5, pytest.approx(10.0, rel=1e-12)),
        ("task", "detached", "loss", "b", "2", 52.0, pytest.approx(3.0, rel=1e-12)),
        ("task", "detached", "loss", "b", "2", 62.0, pytest.approx(5.0, rel=1e-12)),
    ]
    alone = seed_curves(history(points), TASK, (LOSS,), runs, replace(PLAIN, left_out=("a",), arms=("detached",)))
    assert alone["seed"].to_list() == ["2", "2"]


# ---- grouping changes no value -------------------------------------------------------------------------------------


def mixed():
    """Two arms on one spacing, another metric on another, another task's run."""
    points = straight("a", range(0, 100, 10)) + straight("b", range(3, 100, 10)) + straight("c", range(5, 100, 10))
    points += straight("a", range(0, 100, 7), "train/reward") + straight("c", range(0, 100, 7), "train/reward")
    runs = [treatment("a"), treatment("b"), treatment("c", CONTROL)]
    return points, runs


@pytest.mark.parametrize("x", ["steps", "percent", "since"])
@pytest.mark.parametrize("grid", ["aligned", "exact"])
@pytest.mark.parametrize("arm", ["detached", CONTROL])
def test_hiding_an_arm_moves_no_value_of_another(grid, arm, x):
    points, runs = mixed()
    points += straight("b", range(0, 100, 3), "train/reward")
    view = View(grid=grid, x=x, window=30)
    both = draw(points, runs, view, (Y, SMOOTHED))
    one = draw(points, runs, replace(view, arms=(arm,)), (Y, SMOOTHED))
    assert one.rows() == both.filter(pl.col("arm") == arm).rows()
    assert one.height > 0


def test_another_metric_moves_no_value():
    points, runs = mixed()
    alone = draw(points, runs, metrics=(Y,))
    assert alone.rows() == draw(points, runs, metrics=(Y, SMOOTHED)).filter(pl.col("metric") == "y").rows()
    assert alone.rows() == draw([p for p in points if p[1] == "y"], runs, metrics=(Y,)).rows()


def test_another_arm_of_the_same_spacing_moves_no_value():
    points, runs = mixed()
    alone = draw(points, runs[:2])
    assert alone.rows() == draw(points, runs).filter(pl.col("arm") == "detached").rows()


def test_runs_of_other_tasks_move_no_value():
    points, runs = mixed()
    assert draw(points, runs).rows() == draw(points + straight("other", range(50)), runs).rows()


def test_rows_sort_by_arm_metric_and_step():
    points, runs = mixed()
    frame = draw(list(reversed(points)), list(reversed(runs)), metrics=(SMOOTHED, Y))
    assert frame.rows() == frame.sort("arm", "metric", "step").rows()
    assert frame.rows() == draw(points, runs, metrics=(Y, SMOOTHED)).rows()


@pytest.mark.parametrize("grid", ["aligned", "exact"])
def test_without_runs_or_rows_there_are_no_curves(grid):
    view = View(grid=grid)
    assert draw([], [], view).rows() == []
    assert draw(straight("a", [1, 2]), [], view).rows() == []
    assert draw([], [treatment("a")], view, (Y, SMOOTHED)).rows() == []
    assert draw([("a", None, 5, None)], [treatment("a")], view, (Y, SMOOTHED)).rows() == []


@pytest.mark.parametrize("spread", ["std", "ci", "minmax"])
def test_curves_do_not_depend_on_how_many_bins_come_together(monkeypatch, spread):
    points, runs = mixed()
    view = replace(PLAIN, spread=spread)
    before = draw(points, runs, view, (Y, SMOOTHED))
    for together, in_memory in ((1, 1), (7, 1 << 20), (100, 1)):
        monkeypatch.setattr(seed_groups, "_TOGETHER", together)
        monkeypatch.setattr(spool, "_IN_MEMORY", in_memory)
        assert draw(points, runs, view, (Y, SMOOTHED)).equals(before)


def test_spacings_are_the_same_in_whatever_parts_they_are_merged(monkeypatch):
    random = np.random.default_rng(0)
    runs = [np.unique(random.integers(0, 2000, size)) for size in (1, 2, 50, 60, 70)]
    together = np.concatenate([np.diff(step) for step in runs])
    monkeypatch.setattr(spacings, "_PARTS", 2)
    for finest in (1.0, 20.0, 500.0):
        assert bin_width(runs, finest) == max(finest, np.median(together))


def test_a_control_that_shares_no_detach_has_no_place_in_event_time():
    def run(run_id, arm, step):
        ratio = None if step is None else step / 100
        return Treatment(run_id, "t", arm, run_id, step, "config", ratio, "", 100, "finished")

    treatments = [run("early", "detached 0.2", 20), run("late", "detached 0.5", 50), run("never", "control", None)]
    logged = pl.concat(
        pl.DataFrame(
            {"run_id": t.run_id, "metric": "m", "step": [10, 60], "value": [1.0, 2.0], "time": None}, schema=HISTORY
        )
        for t in treatments
    )
    task = Task(name="t", total_steps=100)
    metric = Metric(key="m", family="reward", expect="increase")
    drawn = curves(History.of_frame(logged), task, [metric], treatments, View(x="since"))
    assert drawn.select("arm", "step").rows() == [
        ("detached 0.2", -10.0),
        ("detached 0.2", 40.0),
        ("detached 0.5", -40.0),
        ("detached 0.5", 10.0),
    ]
