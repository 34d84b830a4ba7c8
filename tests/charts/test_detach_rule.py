"""The detach rule: where it stands, what its label says, and how far the axis of steps goes for it."""

import re
from dataclasses import replace

import pytest

from lib.charts import detach_marks, is_unfinished
from lib.charts.detach_rule import DetachMark
from lib.curves import View
from lib.runs import Treatment
from tests.support.chart_frames import EVAL, TASK, both, curve, layer, marks, plotted, svg

RULES = [DetachMark(50, "typed")]


def chart(frame, **options):
    return plotted(frame, "reward", **({"rules": RULES} | options))


@pytest.mark.parametrize(
    ("x", "title", "at"),
    [
        ("steps", "Environment Steps", 50),
        ("percent", "Training (%)", 50),
        ("since", "Environment Steps Since Detach", 0),
    ],
)
def test_rule_stands_where_the_view_counts_from(x, title, at):
    one = chart(both(), view=View(x=x))
    assert layer(one, "detach_rule")["encoding"]["x"]["datum"] == at
    assert layer(one, "line")["encoding"]["x"]["title"] == title


def test_a_randomised_design_draws_a_light_rule_a_step_and_one_label():
    text = svg(chart(both(), width=600, rules=[DetachMark(s) for s in (30, 45, 60, 70)]))
    ticks = marks(text, "detach_rule")
    assert len(ticks) == 4
    assert len(marks(text, "detach_label")) == 1
    assert ">30 to 70, 4 runs<" in text
    since = layer(chart(both(), view=View(x="since"), rules=[DetachMark(s) for s in (30, 70)]), "detach_rule")
    assert since["encoding"]["x"]["datum"] == 0


def test_the_label_turns_left_where_the_rule_is_at_the_right():
    assert layer(chart(both()), "detach_label")["mark"]["align"] == "left"
    assert layer(chart(both(), rules=[DetachMark(90)]), "detach_label")["mark"]["align"] == "right"


def test_without_a_detach_there_is_no_rule():
    names = [part["name"] for part in chart(both(), rules=()).to_dict()["layer"]]
    assert not any("detach" in name for name in names)


def treatment(run, step, source="config", signal="", arm="detached"):
    return Treatment(run, "a", arm, run, step, source, None, signal, None, "finished")


def test_marks_are_one_a_distinct_step_with_who_says_so():
    treatments = [treatment("1", 50, "config", "agrees"), treatment("2", 50, "typed"), treatment("3", None, "")]
    mark = DetachMark(50, "typed and config, signal agrees", arms=("detached",), runs=2)
    assert detach_marks(treatments) == (mark,)
    assert [m.step for m in detach_marks([treatment("1", 60), treatment("2", 40)])] == [40, 60]
    assert detach_marks([treatment("3", None, "")]) == ()


def label(treatments):
    """The lines of the rule's label, and where the curves' room begins below it."""
    one = chart(both(), rules=detach_marks(treatments), width=600)
    top = layer(one, "line")["encoding"]["y"]["scale"]["range"][1]
    return layer(one, "detach_label")["mark"]["text"], top


def test_the_label_counts_runs_of_each_step():
    runs = [treatment(f"{step}{i}", step, arm=f"detached 0.{step // 10}") for step in (30, 50) for i in range(5)]
    assert label(runs) == (
        ["Encoder Detached", "detached 0.3: 30 steps, 5 runs", "detached 0.5: 50 steps, 5 runs"], 47,
    )  # fmt: skip
    one_arm = [replace(t, arm="detached") for t in runs[:6]]
    assert label(one_arm)[0] == ["Encoder Detached", "30 steps, 5 runs", "50 steps, 1 run"]
    shared = [*runs, treatment("x", 50, arm="tenth")]
    assert label(shared)[0][2] == "detached 0.5 and tenth: 50 steps, 6 runs"
    assert label(runs[:5]) == (["Encoder Detached", "30 (config)"], 34)
    many = [treatment(str(i), 30 + i // 2, arm="detached") for i in range(8)]
    assert label(many) == (["Encoder Detached", "30 to 33, 8 runs"], 34)


def test_the_rules_of_a_randomised_design_begin_below_their_label():
    one = chart(both(), width=600, height=300, rules=[DetachMark(s) for s in (30, 45, 60, 70)])
    label, rule = layer(one, "detach_label"), layer(one, "detach_rule")
    lines = label["mark"]["text"]
    # Lines of 11 pixels, 13 apart, from 4 on.
    assert label["encoding"]["y"]["value"] + len(lines) * 13 < rule["encoding"]["y"]["value"] == 34
    assert label["encoding"]["x"]["datum"] == 30
    assert [re.search(r'y2="(-?[\d.]+)"', tag)[1] for tag in marks(svg(one), "detach_rule")] == ["266"] * 4


def test_the_label_says_less_where_the_chart_is_narrow():
    text = layer(chart(both()), "detach_label")["mark"]["text"]["expr"]
    # 16 signs of 6.2 pixels to the right of the rule, which stands half-way.
    assert text == '0.5 * width < 99.2 ? ["Encoder Detached", "50"] : ["Encoder Detached", "50 (typed)"]'


def test_a_detach_that_no_run_has_reached_is_planned():
    treatments = [replace(treatment(run, 50), last_step=last, state="running") for run, last in (("1", 45), ("2", 30))]
    (mark,) = detach_marks(treatments)
    assert mark.furthest == 45
    one = chart(curve(EVAL, [1, 2], steps=(0.0, 45.0)), rules=[mark], unfinished=True, width=600)
    assert layer(one, "detach_label")["mark"]["text"] == ["Detach Planned", "not reached: 45 of 50"]
    assert layer(one, "detach_rule")["mark"]["opacity"] == 0.4
    # The task has 100 steps.
    assert layer(one, "line")["encoding"]["x"]["scale"]["domain"] == [0, 100]
    (reached,) = detach_marks([*treatments, replace(treatment("3", 50), last_step=60)])
    assert reached.furthest is None
    assert "opacity" not in layer(chart(both(), rules=[reached]), "detach_rule")["mark"]


def test_each_of_several_detach_steps_says_whether_it_is_reached():
    treatments = [
        replace(treatment("1", 30, arm="detached 0.3"), last_step=45),
        replace(treatment("2", 50, arm="detached 0.5"), last_step=45),
    ]
    one = chart(both(), rules=detach_marks(treatments), width=600)
    assert layer(one, "detach_label")["mark"]["text"] == [
        "Encoder Detached", "detached 0.3: 30 steps, 1 run", "detached 0.5: not reached: 45 of 50",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("last", "unfinished", "x", "domain"),
    [
        (70.0, False, "steps", [0, 70]),  # finished, and shorter than the study says
        (70.0, True, "steps", [0, 100]),
        (99.0, False, "steps", [0, 100]),  # the last row is logged a little earlier
        (130.0, True, "steps", [0, 130]),
        (40.0, False, "steps", [0, 50]),  # the rule is in sight
        (70.0, True, "percent", [0, 100]),
        (20.0, True, "since", [0, 50]),  # steps after the detach at 50
        (7.0, True, "wall", [0, 7]),
    ],
)
def test_the_axis_of_steps_ends_at_the_planned_end_of_runs_that_go_there(last, unfinished, x, domain):
    one = chart(curve(EVAL, [1, 2], steps=(0.0, last)), view=View(x=x), unfinished=unfinished)
    assert layer(one, "line")["encoding"]["x"]["scale"]["domain"] == domain


def test_a_run_is_unfinished_that_neither_ended_as_planned_nor_has_its_steps():
    runs = [replace(treatment("1", 50), last_step=45, state=state) for state in ("running", "crashed", "finished", "")]
    assert [is_unfinished([run], TASK) for run in runs] == [True, True, False, False]
    assert not is_unfinished([replace(runs[0], last_step=100)], TASK)
