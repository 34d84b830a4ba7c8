"""The checklist: what a claim needs, what is missing and what would mend it."""

from dataclasses import replace

import pytest

from lib.effects import Check, checklist
from lib.effects.rivals import rivals
from lib.effects.study_analysis import TaskRuns, analyse_runs
from lib.study import DetachRule, Evidence, Signal, Task
from tests.support.analysis_kit import arm_runs, fork_runs, line_runs, task_analysis_of
from tests.support.effects_kit import REWARD, Run, analysed, history, study, task, treatments_of


def _check(name, task_analysis) -> Check:
    return next(check for check in checklist(task_analysis) if check.name == name)


def _failed(task_analysis):
    return [check for check in checklist(task_analysis) if not check.passed]


def test_every_condition_of_a_whole_study_is_met():
    whole = analysed(fork_runs(), study(evidence=Evidence(planned=3))).tasks[0]
    assert _failed(whole) == []
    assert _check("Planned size", whole).text == "3 of 3 planned pairs."
    assert "3 of them fork pairs" in _check("Control arm", whole).text


def test_the_checklist_names_what_is_missing_and_what_would_mend_it():
    few = task_analysis_of(line_runs(2), evidence=Evidence(before=0.3), left_out=("x",))
    assert [c.name for c in _failed(few)] == [
        "Control arm",
        "Seeds",
        "Window declared",
        "Runs left out",
        "Planned size",
    ]
    assert all(c.remedy for c in _failed(few))
    assert _check("Window declared", few).text.startswith("Exploratory: window changed after looking")


def test_running_runs_that_do_not_count_are_no_finished_ones():
    runs = [replace(r.upto(40), state="running") for r in fork_runs()]
    task_analysis = task_analysis_of(runs)
    finished = _check("Runs finished", task_analysis)
    assert (finished.passed, finished.text) == (False, "6 runs are still running, and no other counts.")
    assert "Runs to the end" not in [check.name for check in checklist(task_analysis)]


def test_the_checklist_says_which_claims_are_corrected_together():
    assert _check("Claims corrected", task_analysis_of(fork_runs())).text == (
        "Holm's correction, at most 5% wrong in each family: the primary claims of all tasks."
    )
    roles = [replace(REWARD, key=role, role=role) for role in ("secondary", "guardrail")]
    two = analysed({"walk": fork_runs(), "run": fork_runs()}, study(task(), task(key="run"), metrics=[REWARD, *roles]))
    assert _check("Claims corrected", two.tasks[0]).text == (
        "Holm's correction, at most 5% wrong in each family: the primary claims of all tasks; the secondary claims of all "
        "tasks; the primary claims across tasks; the secondary claims across tasks. Guardrails get no verdict: guardrail."
    )


def test_the_points_check_says_how_often_to_log():
    sparse = [Run(r.seed, 50, {"reward": r.points["reward"][::4]}) for r in line_runs(3)]
    points = _check("Points per side", task_analysis_of(sparse))
    assert not points.passed
    assert "Log at least every 2 steps" in points.remedy


def test_the_points_check_quotes_the_rows_of_its_design():
    # every 10 steps: 40 and 50 lie in the window before the detach, 60 to 100 in the one after
    assert _check("Points per side", task_analysis_of(fork_runs())).text == (
        "Every run has at least 5 rows after the detach, which is where fork pairs differ."
    )
    assert _check("Points per side", task_analysis_of(arm_runs())).text == (
        "Every run has at least 2 rows before and 5 after the detach in the windows."
    )
    # every step: 41 to 51 and 52 to 60 lie within 10 steps of the detach, its own row before it
    assert _check("Points per side", task_analysis_of(line_runs())).text == (
        "Every run has at least 10 rows a side within 10 steps of the detach."
    )


def test_a_run_left_out_for_two_metrics_is_named_once():
    runs = [Run(r.seed, r.detach_step, dict.fromkeys(("reward", "other"), r.points["reward"])) for r in arm_runs()]
    short = Run("9", 50, {"reward": [(s, 1.0) for s in range(0, 59, 2)], "other": [(s, 1.0) for s in range(0, 56, 5)]})
    text = _check(
        "Runs counted", task_analysis_of([*runs, short], study(metrics=[REWARD, replace(REWARD, key="other")]))
    ).text
    assert text.count("seed 9 of detached") == 1


def test_short_and_left_out_runs_fail_their_checks():
    runs = [Run(r.seed, r.detach_step, {"reward": [p for p in r.points["reward"] if p[0] <= 80]}) for r in arm_runs()]
    short = Run("9", 50, {"reward": [(s, 1.0) for s in range(0, 59, 2)]})
    task_analysis = task_analysis_of([*runs, short])
    counted, whole = _check("Runs counted", task_analysis), _check("Runs to the end", task_analysis)
    assert "seed 9 of detached (ends within 10% of training after the detach (last row at 58))" in counted.text
    assert counted.remedy == "Train on until 10% of training beyond the detach."
    assert "80 (reward) of 100 steps" in whole.text
    assert not counted.passed and not whole.passed


@pytest.mark.parametrize("signal", ["agrees", "disagrees", "not logged", "not reached", "too sparse", "changes", ""])
def test_a_signal_that_does_not_agree_fails_its_check(signal):
    walk = Task(name="walk", total_steps=100, detach=DetachRule(step=50, signal=Signal("lr")))
    treatments = [replace(t, signal=signal) for t in treatments_of(fork_runs())]
    runs = TaskRuns(history(fork_runs()), treatments, configs={})
    check = _check("Detach seen", analyse_runs(study(walk), {"walk": runs}).tasks[0])
    assert check.passed == (signal in ("agrees", ""))
    assert signal or check.text == "The detach steps are read from lr itself."


@pytest.mark.parametrize(
    ("config", "schedules"),
    [
        ({"noise_until": 45}, [("noise_until", (45.0,), True)]),
        ({"noise_until": 61}, []),
        ({"lr": {"warmup": [10, 55]}}, [("lr.warmup", (55.0,), True)]),
        ({"milestones": "10, 5.5e1; 90"}, [("milestones", (55.0,), True)]),
        ({"milestones": "10 0.55"}, [("milestones", (0.55,), True)]),
        ({"start": "2026-11-50"}, []),
        ({"batch_size": 49}, []),
        ({"batch_size": 50}, [("batch_size", (50.0,), True)]),
        ({"detach_step": 50}, []),
        ({"decay_steps": True, "steps": 100}, []),
    ],
)
def test_rival_schedules_are_found_in_configs(config, schedules):
    runs = fork_runs()
    both = task_analysis_of(runs, configs={r.name: config for r in runs})
    assert [(r.key, r.values, r.shared) for r in rivals(both)] == schedules
    assert _check("Rival schedules", both).passed
    detached_alone = task_analysis_of(runs, configs={r.name: config for r in runs if r.detach_step})
    assert _check("Rival schedules", detached_alone).passed == (not schedules)
