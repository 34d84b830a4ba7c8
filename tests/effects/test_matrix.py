"""The rows of the matrix: texts in one precision, places on the scale of their metric, the levels behind them."""

from dataclasses import replace

import polars as pl
import pytest

from lib.effects import matrix
from lib.effects.effects_table import EFFECTS
from lib.effects.matrix import Level, Position
from lib.effects.rounding import Rounding, rounding
from lib.study import part_of
from tests.support.effects_kit import LOSS, REWARD, Run, analysed, steps_run, study, task

WALK, HOP = task(), task(key="hop")


def pairs(afters, control=10.0, metric="reward"):
    """Fork pairs whose control is 10 before and `control` after, and whose detached runs end at these levels."""
    return [
        run
        for seed, after in enumerate(afters, 1)
        for run in (steps_run(str(seed), 50, 10.0, after, metric), steps_run(str(seed), None, 10.0, control, metric))
    ]


def rows_of(runs, of=None, shown=None):
    of = of or study()
    return matrix(analysed(runs, of), shown or of)


def test_a_linear_metric_is_in_its_unit_and_its_place_in_percent_of_the_control():
    # Differences 1, 2, 3 of 20: 2 +- 4.3027 / sqrt(3), that is 2.4841.
    (row,) = rows_of(pairs([21.0, 22.0, 23.0], control=20.0))
    assert (row.task, row.metric, row.arm, row.verdict) == ("walk", "reward", "detached", "not shown")
    assert (row.change, row.interval, row.runs) == ("+2", "[0, +4]", "3 pairs")
    assert row.levels == (Level("detached", "10", "22"), Level("control", "10", "20"))
    assert row.scale == "±22%"
    assert row.position == Position(round(-0.4841 / 4.4841, 4), round(2 / 4.4841, 4), 1.0)


def test_a_log_metric_is_in_percent():
    # Halved, but for a thousandth each way in logs.
    afters = [5.0 * 1.01, 5.0, 5.0 / 1.01]
    (row,) = rows_of(pairs(afters, metric="loss"), study(metrics=[LOSS]))
    assert (row.verdict, row.change, row.interval) == ("supported", "-50.0%", "[-51.2, -48.7]")
    assert row.levels == (Level("detached", "10", "5"), Level("control", "10", "10"))
    assert row.scale == "±51%"
    assert row.position.low == -1.0
    assert row.position.change == pytest.approx(-0.976, abs=1e-3)


def test_tasks_share_the_scale_of_a_metric():
    of = study(WALK, HOP)
    runs = {"walk": pairs([11.0, 12.0, 13.0]), "hop": pairs([31.0, 32.0, 33.0], control=30.0)}
    across, walk, hop = rows_of(runs, of)
    # 2 of 10 and 2 of 30: a third as far.
    assert walk.scale == hop.scale == "±45%"
    assert walk.position.change == pytest.approx(3 * hop.position.change, abs=2e-4)
    assert (across.task, across.runs, across.levels) == ("*", "6 pairs", ())
    # Percent of the metric's range stand on a scale of their own.
    assert across.scale != walk.scale
    assert across.position.high == 1.0


def test_without_a_percent_in_one_task_the_scale_is_in_the_unit():
    of = study(WALK, HOP)
    around_zero = [
        run for seed in (1, 2, 3)
        for run in (steps_run(str(seed), 50, 0.0, 1.0 + seed), steps_run(str(seed), None, 0.0, 0.0))
    ]  # fmt: skip
    _, walk, hop = rows_of({"walk": pairs([11.0, 12.0, 13.0]), "hop": around_zero}, of)
    assert walk.scale == hop.scale == "±5.5"
    # 2 and 3 of 5.484.
    assert (walk.position.change, hop.position.change) == (round(2 / 5.484, 4), round(3 / 5.484, 4))


def test_the_scale_ends_where_the_intervals_with_a_verdict_do():
    of = study(WALK, HOP)
    walk, hop = rows_of({"walk": pairs([11.0, 12.0, 13.0]), "hop": pairs([12.0, 20.0])}, of)
    assert walk.position.high == 1.0
    assert hop.verdict == "cannot say"
    assert hop.position.high > 1.0


def test_counts_of_runs_by_design():
    detached = [steps_run(str(seed), 50, 10.0, 12.0 + seed) for seed in (1, 2, 3, 4)]
    controls = [steps_run(str(seed), None, 10.5, 10.0 + seed / 10) for seed in (5, 6, 7)]
    (did,) = rows_of([*detached, *controls])
    assert (did.runs, [level.arm for level in did.levels]) == ("4 vs 3", ["detached", "control"])
    (jump,) = rows_of([steps_run(str(s), 50, 10.0, 12.0 + s / 10, every=1) for s in (1, 2, 3)])
    assert (jump.runs, jump.verdict) == ("n = 3", "jump shown")
    assert jump.levels == (Level("detached", "10", "12.2"),)


def test_several_arms_have_a_row_each():
    runs = [
        *(replace(run, arm="early") if run.detach_step else run for run in pairs([12.0, 13.0, 14.0])),
        *(replace(run, arm="late") for run in pairs([11.0, 11.5, 12.0]) if run.detach_step),
    ]
    assert [(row.arm, row.change) for row in rows_of(runs)] == [("early", "+3"), ("late", "+2")]


def test_a_part_of_the_study_has_no_row_across_all_tasks():
    of = study(WALK, HOP)
    runs = {"walk": pairs([11.0, 12.0, 13.0]), "hop": pairs([31.0, 32.0, 33.0], control=30.0)}
    assert [row.task for row in rows_of(runs, of)] == ["*", "walk", "hop"]
    assert [row.task for row in rows_of(runs, of, part_of(of, ["hop"], []))] == ["hop"]


def test_small_levels_are_written_alike():
    afters = [5e-4, 5.1e-4, 5.2e-4]
    runs = [
        run for seed, after in enumerate(afters)
        for run in (
            Run(str(seed), 50, {"loss": [(s, 2e-3 if s <= 50 else after) for s in range(0, 101, 10)]}),
            Run(str(seed), None, {"loss": [(s, 2e-3 if s <= 50 else 1e-3) for s in range(0, 101, 10)]}),
        )
    ]  # fmt: skip
    (row,) = rows_of(runs, study(metrics=[LOSS]))
    assert row.levels[0] == Level("detached", "2.00e-3", "5.10e-4")


def test_percentages_share_their_decimals_over_a_study_and_narrow_ones_have_more():
    other = replace(LOSS, key="other")
    of = study(metrics=[LOSS, other, REWARD])
    row = {"task": "walk", "arm": "detached", "role": "primary"}
    wide = row | {"metric": "loss", "change": -0.29, "ci_low": -0.37, "ci_high": -0.21}
    narrow = row | {"metric": "other", "change": -0.004, "ci_low": -0.006, "ci_high": -0.002}
    frame = pl.DataFrame([wide, narrow], schema=EFFECTS)
    assert rounding(frame, of) == Rounding(0, {})
    assert rounding(frame, of).change_and_interval(wide, LOSS) == "-29% [-37, -21]"
    assert rounding(frame, of).change_and_interval(narrow, other) == "-0.4% [-0.6, -0.2]"
    # Most are narrow: the wide one has their decimals, so that the two can be compared.
    most = pl.concat([frame, frame.tail(1), frame.tail(1)])
    assert rounding(most, of).change_and_interval(wide, LOSS) == "-29.0% [-37.0, -21.0]"
    # One interval that ends beside 0 costs the others no digits.
    near = row | {"metric": "reward", "change": -71.72, "ci_low": -143.42, "ci_high": -0.02}
    assert rounding(pl.DataFrame([near], schema=EFFECTS), of).change_and_interval(near, REWARD) == "-72 [-143, -0.02]"


def test_a_change_whose_interval_excludes_0_does_not_read_0():
    row = {"task": "walk", "arm": "detached", "role": "primary", "metric": "loss"}
    tiny = row | {"change": 1e-9, "ci_low": 1e-12, "ci_high": 2e-9}
    untold = row | {"change": 1e-9}
    of = study(metrics=[LOSS])
    texts = rounding(pl.DataFrame([tiny, untold], schema=EFFECTS), of)
    assert texts.change_and_interval(tiny, LOSS) == "+1e-7% [+1e-10, +2e-7]"
    assert texts.change_and_interval(dict.fromkeys(EFFECTS) | untold, LOSS) == "0.00%"
