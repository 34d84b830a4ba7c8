"""Wall time: the same values as over steps, at hours since each run's start; the rule where the runs passed it."""

from dataclasses import replace

import polars as pl
import pytest

from lib.charts import detach_marks
from lib.charts.detach_rule import DetachMark
from lib.curves import Clocks, View, curves, notes
from lib.curves.study_curves import seed_curves
from lib.curves.wall_time import clocks
from lib.effects import StudyAnalysis
from lib.report import FigureData, Results
from lib.report.page import warnings
from lib.runs import HISTORY, History, Manifest
from lib.study import CONTROL, Baseline, DetachRule, Metric, Task
from tests.support.chart_frames import EVAL, curve, layer, marks, plotted, rows, svg
from tests.support.chart_frames import TASK as CHARTED
from tests.support.frames import LOSS, study, treatment

Y = Metric("y", "reward", "increase")
TASK = Task("task", 100, detach=DetachRule(step=55))
STEPS = View(smooth=False)
WALL = View(smooth=False, x="wall")
#: Hours for 10 steps.
FAST, SLOW = 0.5, 1.5


def logged(run, hours, steps=range(10, 101, 10), metric="y", at=1_700_000_000.0) -> pl.DataFrame:
    """Rows of y = x at a speed, the first timestamp at `at`; no timestamps where `hours` is None."""
    time = [None if hours is None else at + hours * 360 * (step - steps[0]) for step in steps]
    columns = {"run_id": run, "metric": metric, "step": list(steps), "value": [float(s) for s in steps], "time": time}
    return pl.DataFrame(columns, schema=HISTORY)


def draw(frames, treatments, view=WALL, metrics=(Y,), task=TASK):
    return curves(History.of_frame(pl.concat(frames)), task, metrics, treatments, view)


def line(frame, *columns):
    return frame.select(columns or ("step", "mean", "n")).rows()


RUNS = [treatment("a", at=55), treatment("b", at=55)]
BOTH = [logged("a", FAST), logged("b", SLOW, at=1_600_000_000.0)]


def test_a_bin_lies_at_the_mean_of_its_runs_hours_with_the_values_of_every_other_axis():
    wall, steps = draw(BOTH, RUNS), draw(BOTH, RUNS, STEPS)
    assert line(wall) == [(pytest.approx(k), 10.0 * (k + 1), 2) for k in range(10)]
    kept = ["arm", "metric", "mean", "std", "n", "lower", "upper"]
    assert wall.select(kept).rows() == steps.select(kept).rows()


def test_every_run_weighs_the_same_however_often_it_logs():
    often = logged("a", 1.0, steps=(50, 51, 61, 71))
    frame = draw([often, logged("b", 3.0, steps=(50, 60, 70))], RUNS)
    # Bins of 10 from 55: (45, 55] holds 50 and 51 of a (0 and 0.1 h: mean 0.05 h) and 50 of b (0 h).
    assert line(frame)[0] == (pytest.approx(0.025), (50.5 + 50) / 2, 2)


def test_a_run_has_its_start_from_all_of_its_rows():
    early = logged("a", FAST, steps=(0, 10), metric="other")
    late = logged("a", FAST, steps=(20, 30), at=1_700_003_600.0)
    assert line(draw([early, late], RUNS[:1]), "step") == [(pytest.approx(1.0),), (pytest.approx(1.5),)]


def test_where_only_the_faster_run_goes_on_the_line_steps_back_in_the_order_of_steps():
    frame = draw([logged("a", FAST, steps=(10, 20, 30)), logged("b", 4.5, steps=(10, 20))], RUNS)
    assert line(frame) == [(0.0, 10.0, 2), (pytest.approx(2.5), 20.0, 2), (pytest.approx(1.0), 30.0, 1)]
    of_task = frame.with_columns(pl.lit(CHARTED.key).alias("task"), pl.lit(EVAL.key).alias("metric"))
    chart = plotted(of_task, "reward", view=View(x="wall"), width=600)
    assert layer(chart, "line")["mark"]["order"] is False
    assert [row["mean"] for row in rows(chart, "line")] == [10.0, 20.0, 30.0]
    assert "order" not in layer(plotted(of_task, "reward", view=View()), "line")["mark"]


def test_each_run_has_its_own_hours_and_smoothing_is_still_in_steps():
    train = Metric("train/reward", "reward", "increase")
    frames = [logged("a", FAST, metric=train.key), logged("b", SLOW, metric=train.key)]
    view = View(window=20, x="wall")
    frame = seed_curves(History.of_frame(pl.concat(frames)), TASK, (train,), RUNS, view)
    slow = frame.filter(pl.col("run_id") == "b")
    assert slow["step"].to_list() == pytest.approx([1.5 * k for k in range(10)])
    over_steps = seed_curves(History.of_frame(pl.concat(frames)), TASK, (train,), RUNS, replace(view, x="steps"))
    assert frame["value"].to_list() == over_steps["value"].to_list()


def test_a_row_without_a_timestamp_lies_between_its_neighbours():
    some = logged("a", FAST, steps=(10, 20, 30)).with_columns(pl.when(pl.col("step") != 20).then("time").alias("time"))
    assert line(draw([some], RUNS[:1]), "step") == [(0.0,), (pytest.approx(0.5),), (pytest.approx(1.0),)]


def test_runs_without_timestamps_have_no_place_and_are_named():
    frames = [logged("a", FAST), logged("b", None)]
    assert line(draw(frames, RUNS), "mean", "n") == [(10.0 * k, 1) for k in range(1, 11)]
    result = clocks(History.of_frame(pl.concat(frames)), RUNS, (Y,))
    assert result.untimed == {"b": ()}
    assert notes(TASK, RUNS, result) == ["task: without timestamps, so not drawn over wall time: b."]
    assert notes(TASK, RUNS[:1], result) == []
    assert draw([logged("b", None)], RUNS[1:]).is_empty()


def test_a_metric_without_timestamps_is_named_too():
    frames = [logged("a", FAST), logged("a", None, metric="loss")]
    result = clocks(History.of_frame(pl.concat(frames)), RUNS[:1], (Y, LOSS))
    assert result.untimed == {"a": ("loss",)}
    assert notes(TASK, RUNS, result) == ["task: without timestamps, so not drawn over wall time: a (loss)."]
    assert clocks(History.of_frame(pl.concat(frames)), RUNS[:1], (Y,)).untimed == {}


def test_the_report_names_what_is_not_drawn():
    clocks = {"task": Clocks({"a": 1.0}, untimed={"b": ()})}
    data = FigureData(study(), WALL, tuple(RUNS), pl.DataFrame(), clocks=clocks)
    empty = pl.DataFrame()
    results = Results(study(), Manifest("kit", {}, "", ".", ()), data, StudyAnalysis(study(), (), (), empty), empty)
    assert warnings(results)[-1] == "task: without timestamps, so not drawn over wall time: b."
    assert warnings(replace(results, data=replace(data, view=STEPS, clocks={}))) == []


def test_baselines_are_said_not_to_be_drawn():
    task = replace(TASK, baselines=(Baseline("b.csv", label="TD-MPC2"),))
    messages = notes(task, RUNS, clocks(History.of_frame(pl.concat(BOTH)), RUNS, (Y,)))
    assert messages == ["task: baselines have steps but no timestamps, so not drawn over wall time: TD-MPC2."]


# ---- the rule ------------------------------------------------------------------------------------------------------


def test_the_rule_is_where_the_runs_passed_the_detach_on_average():
    result = clocks(History.of_frame(pl.concat([*BOTH, logged("c", 9.0)])), [*RUNS, treatment("c", CONTROL)], (Y,))
    # 55 lies half-way between the rows at 50 (4 spacings) and 60 (5 spacings).
    assert result.passed == {"a": pytest.approx(4.5 * FAST), "b": pytest.approx(4.5 * SLOW)}
    (mark,) = detach_marks([*RUNS, treatment("c", CONTROL)], result)
    assert (mark.step, mark.hours) == (55, pytest.approx(4.5))


def test_it_is_interpolated_between_the_nearest_rows_of_any_metric():
    near = logged("a", FAST, steps=(54,), metric="other", at=1_700_000_000.0 + 7200)
    result = clocks(History.of_frame(pl.concat([logged("a", FAST), near])), RUNS[:1], (Y,))
    # From 2 h at 54 to 2.5 h at 60.
    assert result.passed["a"] == pytest.approx(2 + 0.5 / 6)
    at_its_row = [treatment("a", at=50)]
    assert clocks(History.of_frame(pl.concat(BOTH)), at_its_row, (Y,)).passed == {"a": pytest.approx(4 * FAST)}


def test_a_run_that_did_not_get_so_far_has_no_passage():
    short = [logged("a", FAST, steps=(10, 20)), logged("b", SLOW)]
    result = clocks(History.of_frame(pl.concat(short)), RUNS, (Y,))
    assert list(result.passed) == ["b"]
    assert detach_marks(RUNS, result)[0].hours == pytest.approx(4.5 * SLOW)
    alone = clocks(History.of_frame(short[0]), RUNS[:1], (Y,))
    assert detach_marks(RUNS[:1], alone)[0].hours is None
    assert notes(TASK, RUNS[:1], alone) == [
        "task: no run with timestamps passed the detach at 55, so no rule is drawn there."
    ]


def test_forks_that_logged_their_past_at_once_are_told_of():
    past = logged("a", 0.001, steps=range(0, 60, 10))
    rest = logged("a", 9.0, steps=range(60, 101, 10), at=1_700_000_030.0)
    result = clocks(History.of_frame(pl.concat([past, rest, logged("b", FAST)])), RUNS, (Y,))
    assert result.copied == ("a",)
    assert notes(TASK, RUNS, result) == [
        "task: 1 run has one moment's timestamps up to the detach, as forks do that log the history they continue: what "
        "came before the rule lies at the start."
    ]


def test_the_axis_and_the_rule_are_in_hours():
    view = View(x="wall")
    frame = curve(EVAL, [1, 2, 3], steps=(0.0, 0.03, 0.0612345))
    chart = plotted(frame, "reward", view=view, rules=[DetachMark(50, "typed", hours=0.02)], width=600)
    x = layer(chart, "line")["encoding"]["x"]
    assert x["title"] == "Wall Time (hours)"
    assert x["scale"]["domain"] == [0.0, 0.0612345]
    assert [row["step"] for row in rows(chart, "line")] == [0.0, 0.03, 0.06123]
    assert layer(chart, "detach_rule")["encoding"]["x"]["datum"] == 0.02
    assert len(marks(svg(chart), "detach_rule")) == 1
    without = plotted(frame, "reward", view=view, rules=[DetachMark(50)], width=600)
    assert not any("detach" in part["name"] for part in without.to_dict()["layer"])


def test_runs_that_detach_at_their_own_steps_have_a_rule_each():
    treatments = [treatment("a", at=55), treatment("b", at=65)]
    rules = detach_marks(treatments, clocks(History.of_frame(pl.concat(BOTH)), treatments, (Y,)))
    assert [(m.step, m.hours) for m in rules] == [(55, pytest.approx(2.25)), (65, pytest.approx(8.25))]
    frame = curve(EVAL, [1, 2, 3], steps=(0.0, 5.0, 15.0))
    chart = plotted(frame, "reward", view=View(x="wall"), rules=rules, width=600)
    assert [row["at"] for row in rows(chart, "detach_rule")] == [pytest.approx(2.25), pytest.approx(8.25)]


def test_without_runs_there_is_nothing_to_say():
    assert clocks(History({}), RUNS, (Y,)) == Clocks()


def test_notebook_arithmetic_has_no_wall_time():
    with pytest.raises(ValueError, match="Notebook arithmetic has no wall time"):
        View(grid="exact", x="wall")
