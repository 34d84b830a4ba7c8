"""Lines whose colours are alike have signs: no two lines of a panel look alike."""

from dataclasses import replace

import polars as pl

from lib.charts import event_time_chart, legend_entries
from lib.charts.line_signs import metric_signs, sign_table, signs
from lib.charts.metric_colors import metric_colors
from lib.charts.style import ARM_PALETTE, PALETTE, arm_colors, arm_dashes
from lib.curves import View
from lib.study import load_study
from tests.support.chart_frames import EVAL, LOSS, STUDY, TASK, curve, flat, layer, marks, plotted, rows, svg, valid

LEVELS = tuple(replace(EVAL, key=f"eval{i}/episode_reward", label=f"Level {i}", color="") for i in range(12))
MANY = replace(STUDY, metrics=LEVELS)
STEPS = tuple(float(step) for step in range(16))
FRAME = pl.concat(curve(metric, [i] * 16, steps=STEPS) for i, metric in enumerate(LEVELS))


def test_each_line_has_a_sign_that_none_of_those_alike_has():
    # The second is like the first, the third like the second alone: it needs none.
    assert signs(3, lambda one, other: other - one == 1) == ["", "●", ""]
    assert signs(4, lambda one, other: True) == ["", "●", "■", "▲"]


def test_twelve_metrics_have_five_colours_and_two_signs():
    chosen = metric_signs(MANY, metric_colors(MANY))
    assert list(chosen.values()) == [""] * 5 + ["●"] * 5 + ["■"] * 2
    assert len(set(zip(metric_colors(MANY).values(), chosen.values(), strict=True))) == 12


def test_studies_whose_colours_differ_have_no_signs():
    for study in (load_study("demo"), load_study("detach_encoder")):
        assert set(metric_signs(study, metric_colors(study)).values()) == {""}
    # A green and an orange of one family are one colour to a protanope.
    alike = replace(STUDY, metrics=(replace(EVAL, color="#2ca02c"), replace(LEVELS[0], color="#ff7f0e")))
    assert list(metric_signs(alike, metric_colors(alike)).values()) == ["", "●"]
    apart = replace(alike, metrics=(alike.metrics[0], replace(LOSS, color="#ff7f0e")))
    assert list(metric_signs(apart, metric_colors(apart)).values()) == ["", ""]


def test_signs_are_on_lines_and_before_names():
    chart = plotted(FRAME, "reward", study=MANY)
    valid(chart)
    drawn = rows(chart, "signs")
    assert {row["metric"]: row["shape"] for row in drawn}["● Level 5"] == "circle"
    # Of 16 points every second one, eight of a line; the twelfth line begins at 3 of 8 of the way, the sixth at 5 of 8.
    assert [row["step"] for row in drawn if row["metric"] == "■ Level 11"] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert [row["step"] for row in drawn if row["metric"] == "● Level 5"] == [1, 3, 5, 7, 9, 11, 13, 15]
    assert len(marks(svg(plotted(FRAME, "reward", study=MANY, interactive=False)), "signs")) == 7 * 8
    assert layer(chart, "line")["encoding"]["color"]["scale"]["domain"][5] == "● Level 5"
    assert legend_entries(FRAME, MANY, View())[10].label == "■ Level 10"
    assert not any(part["name"].endswith("signs") for part in flat(plotted(FRAME, "reward").spec))


def test_a_name_that_begins_with_a_sign_of_its_own_has_no_sign():
    named = pl.DataFrame({"metric": ["●x", "x"], "arm": "a", "step": 0.0}, schema_overrides={"metric": pl.Categorical})
    assert sign_table(named, ("metric", "arm"), "metric") is None


def test_event_time_has_signs_from_the_sixth_task():
    tasks = tuple(replace(TASK, name=f"task-{i}", display_name=f"Task {i}") for i in range(6))
    frame = pl.concat(curve(EVAL, [1, 2, 3], task=task, steps=(-50.0, 0.0, 50.0)) for task in tasks)
    chart = event_time_chart(frame, replace(STUDY, tasks=tasks), EVAL, ["detached"], view=View(x="since"))
    valid(chart)
    scale = next(part for part in flat(chart.spec) if part["name"] == "line")["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
        **{f"Task {i}": PALETTE[i] for i in range(5)}, "● Task 5": PALETTE[0],
    }  # fmt: skip
    assert len(marks(svg(chart), "signs")) == 3


def test_no_two_arms_of_one_colour_have_one_dash():
    arms = [f"detached {i}" for i in range(9)] + ["control"]
    assert len({*map(tuple, arm_dashes(arms))}) == 10
    colors, dashes = arm_colors(arms), arm_dashes(arms, solid=True)
    assert len({(color, tuple(dash)) for color, dash in zip(colors.values(), dashes, strict=True)}) == 10
    assert dashes[: len(ARM_PALETTE)] == [[1, 0]] * len(ARM_PALETTE)
