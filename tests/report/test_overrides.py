"""What a view shows otherwise than its study declares, in sentences."""

from dataclasses import replace

import pytest

from lib.curves import View
from lib.report import absent_text, left_out_text, shown_text
from lib.study import changed_parts, load_study

DEMO = load_study("demo")
ARMS = ("control", "detached")


def test_runs_left_out_are_counted_and_the_first_of_many_are_named():
    assert left_out_text([]) == absent_text([]) == ""
    assert left_out_text(["a"]) == "1 run left out by hand: a."
    assert left_out_text(["a", "b", "c", "d"]) == "4 runs left out by hand: a, b, c and d."
    assert left_out_text([*"abcdefghijkl"]) == "12 runs left out by hand: a, b, c and 9 more."
    assert absent_text(["a"]) == "1 run left out by hand is not in this study: a."
    assert absent_text(["a", "b"]) == "2 runs left out by hand are not in this study: a and b."
    assert left_out_text(["x\n" * 100]) == f"1 run left out by hand: {'x ' * 10}…{'x ' * 5}."


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (View(), ""),
        (View(arms=ARMS), ""),
        (View(spread="minmax", smooth=False, seeds=True), ""),
        (View(metrics=("train/consistency_loss",)), "1 of 5 metrics is shown."),
        (View(tasks=("acrobot-swingup", "cartpole-swingup")), "2 of 3 tasks are shown."),
        (View(tasks=("nobody's",)), ""),
        (View(span=(20_000, 60_000)), "Steps 20,000 to 60,000 are shown."),
        (View(x="wall", span=(0.5, 1.25)), "Hours 0.5 to 1.25 are shown."),
        (View(x="since_percent", span=(-10, 20)), "-10% to 20% since the detach are shown."),
        (
            View(arms=("detached",), tasks=("acrobot-swingup",), x="percent", span=(0, 50)),
            "1 of 3 tasks, 1 of 2 arms and 0% to 50% of training are shown.",
        ),
    ],
)
def test_the_part_that_is_shown(view, text):
    assert shown_text(DEMO, view, ARMS) == text


def test_what_was_changed_in_a_study():
    assert changed_parts(DEMO, DEMO) == []
    acrobot, *others = DEMO.tasks
    changed = replace(
        DEMO,
        title="T",
        step_key=("step",),
        metrics=(*DEMO.metrics[1:4], replace(DEMO.metrics[4], label="Recent")),
        tasks=(replace(acrobot, total_steps=1), *others),
        evidence=replace(DEMO.evidence, settle=0.1, leave_out=(("a", "why"),)),
    )
    assert changed_parts(changed, DEMO) == [
        "title", "step key", "2 metrics", "1 task", "evidence windows", "runs left out",
    ]  # fmt: skip
