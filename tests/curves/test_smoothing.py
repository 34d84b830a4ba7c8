"""Smoothing: in steps, of each run, never across the detach."""

import math
from dataclasses import replace

import polars as pl
import pytest

from lib.curves import View
from lib.study import CONTROL, Task
from tests.support.curves_kit import SMOOTHED, draw, line
from tests.support.frames import EVAL, LOSS, REWARD, series, treatment


def smooth(points, runs=None, task=None, window=None):
    task = task or Task("task", 10_000, smoothing_steps=1_000)
    runs = runs or [treatment("a", at=5_000)]
    return line(draw(points, runs, View(window=window), (SMOOTHED,), task), "step", "mean")


def test_a_window_of_1000_steps_over_rows_every_500_is_two_points():
    points = series("a", SMOOTHED.key, [(500, 1.0), (1000, 3.0), (1500, 7.0), (2000, 9.0)])
    assert smooth(points) == [(500.0, 1.0), (1000.0, 2.0), (1500.0, 5.0), (2000.0, 8.0)]


def test_rows_of_other_metrics_and_bare_rows_do_not_count():
    points = series("a", SMOOTHED.key, [(500, 1.0), (1000, 3.0)])
    points += [*series("a", "other", [(s, 100.0) for s in range(0, 2_000, 10)]), ("a", None, 750, None)]
    assert smooth(points) == [(500.0, 1.0), (1000.0, 2.0)]


def test_smoothing_is_by_steps_not_by_points_and_by_run():
    points = series("a", SMOOTHED.key, [(500, 1.0), (3000, 3.0), (3100, 5.0), (4600, 7.0)])
    points += series("b", SMOOTHED.key, [(500, 0.0), (3000, 2.0), (3100, 4.0), (4600, 6.0)])
    runs = [treatment("a", at=5_000), treatment("b", at=5_000)]
    assert smooth(points, runs, Task("task", 10_000, smoothing_steps=100)) == smooth(points, runs, window=100)
    frame = smooth(points, runs, window=101)
    # Spacings 2500, 100, 1500: bins of 1,500 that end at 500, 2000, 3500 and 5000.
    assert frame == [(500.0, 0.5), (3050.0, (3 + 4 + 2 + 3) / 4), (4600.0, 6.5)]


def test_smoothing_never_crosses_the_detach():
    points = series("a", SMOOTHED.key, [(4000, 0.0), (4500, 0.0), (5000, 0.0), (5500, 10.0), (6000, 10.0)])
    assert smooth(points, window=10_000) == [
        (4000.0, 0.0),
        (4500.0, 0.0),
        (5000.0, 0.0),
        (5500.0, 10.0),
        (6000.0, 10.0),
    ]


def test_a_control_run_is_split_where_its_task_detaches_also_when_it_is_alone_on_view():
    points = series("c", SMOOTHED.key, [(4500, 0.0), (5000, 2.0), (5500, 10.0), (6000, 20.0)])
    points += series("a", SMOOTHED.key, [(4500, 0.0)])
    runs = [treatment("a", at=5_000), treatment("c", CONTROL)]
    task = Task("task", 10_000, smoothing_steps=10_000)
    for arms in ((CONTROL,), ()):
        frame = draw(points, runs, View(arms=arms), (SMOOTHED,), task).filter(pl.col("arm") == CONTROL)
        assert line(frame, "step", "mean") == [(4500.0, 0.0), (5000.0, 1.0), (5500.0, 10.0), (6000.0, 15.0)]


def test_a_task_that_never_detaches_is_smoothed_throughout():
    points = series("c", SMOOTHED.key, [(4500, 0.0), (5000, 2.0), (5500, 10.0)])
    assert smooth(points, [treatment("c", CONTROL)]) == [(4500.0, 0.0), (5000.0, 1.0), (5500.0, 6.0)]


def test_nan_is_passed_over_before_smoothing():
    points = series("a", SMOOTHED.key, [(500, 2.0), (1000, math.nan), (1200, 4.0)])
    assert smooth(points) == [(500.0, 2.0), (1200.0, 3.0)]


def test_a_smoothed_log_metric_is_averaged_in_logs():
    metric = replace(LOSS, smooth=True)
    points = series("a", metric.key, [(500, 1.0), (1000, 100.0)])
    task = Task("task", 10_000, smoothing_steps=1_000)
    frame = draw(points, [treatment("a", at=5_000)], View(), (metric,), task)
    assert frame["mean"].to_list() == pytest.approx([1.0, 10.0], rel=1e-12)


def test_only_smoothed_metrics_are_smoothed_and_only_while_it_is_on():
    points = series("a", REWARD.key, [(500, 0.0), (1000, 2.0)]) + series("a", EVAL.key, [(500, 0.0), (1000, 2.0)])
    task = Task("task", 10_000, smoothing_steps=1_000)
    on = draw(points, [treatment("a")], View(), (REWARD, EVAL), task)
    off = draw(points, [treatment("a")], View(smooth=False), (REWARD, EVAL), task)
    assert line(on, "metric", "step", "mean") == [
        (EVAL.key, 500.0, 0.0),
        (EVAL.key, 1000.0, 2.0),
        (REWARD.key, 500.0, 0.0),
        (REWARD.key, 1000.0, 1.0),
    ]
    assert off["mean"].to_list() == [0.0, 2.0, 0.0, 2.0]


def test_the_window_of_the_view_and_of_the_task():
    assert View().smoothing(Task("t", 1_000)) == 10
    assert View().smoothing(Task("t", 1_000, smoothing_steps=70)) == 70
    assert View(window=5).smoothing(Task("t", 1_000, smoothing_steps=70)) == 5
    assert View(window=5, smooth=False).smoothing(Task("t", 1_000)) == 0
