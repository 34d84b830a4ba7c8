"""What a proposed study holds, in one sentence."""

from lib.discover import Choices, preview, propose, sentence
from tests.support.discover_kit import looked, run


def text(*runs, **choices) -> str:
    inspection = looked(*runs)
    study = propose(inspection, Choices(**choices)).study
    return sentence(study, preview(study, inspection))


def pair(task: str, sweep: str, steps: int = 1000) -> list:
    """A detached run and a control of a task."""
    return [
        run(f"{task}{ratio}", sweep=sweep, task=task, steps=steps, detach_encoder_ratio=ratio) for ratio in (0.5, None)
    ]


def test_tasks_with_the_same_arms_are_told_together():
    assert text(*pair("walk", "s"), *pair("run", "t")) == (
        "4 runs of 2 tasks in 2 sweeps: 1 detached at 500 and 1 control each; 1 metric."
    )


def test_steps_that_differ_are_not_told():
    assert text(*pair("walk", "s"), *pair("run", "s", 2000)) == (
        "4 runs of 2 tasks in 1 sweep: 1 detached and 1 control each; 1 metric."
    )


def test_tasks_with_other_arms_are_counted_over_all():
    assert text(*pair("walk", "s"), run("c", sweep="t", task="run", detach_encoder_ratio=None)) == (
        "3 runs of 2 tasks in 2 sweeps: 1 detached at 500 and 2 control; 1 metric."
    )


def test_runs_of_which_nothing_is_told_and_runs_in_no_sweep():
    assert text(run("a"), run("b", sweep="")) == "2 runs of 1 task: 2 of unknown arm; 1 metric."
