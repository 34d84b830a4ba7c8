"""What the arms differ in besides the treatment, and what the configs schedule near the detach."""

from dataclasses import replace

import pytest

from lib.effects import checklist
from lib.effects.rivals import rivals, speaks_of_schedule
from lib.study import DetachRule, Task
from lib.study.model import Arms
from tests.support.effects_kit import analysed, steps_run, study


def _arms(detached, control, at=50):
    """Four runs an arm with these configs; the detached ones rise."""
    runs = [replace(steps_run(f"{i}", at, 10.0 + i, 20.0 + 1.5 * i), config=_config(detached, i)) for i in range(4)]
    return runs + [
        replace(steps_run(f"{i}", None, 50.0 + i, 51.0 + 1.2 * i), config=_config(control, i)) for i in range(4)
    ]


def _forks(detached, control):
    return [
        replace(steps_run(f"{i}", at, 10.0 + i, 20.0 + 3 * i + (5 + 0.3 * i if at else 0)), config=_config(config, i))
        for i in range(4)
        for at, config in ((50, detached), (None, control))
    ]


def _config(values, i):
    return {"seed": i} | {key: value(i) if callable(value) else value for key, value in values.items()}


def _row(runs, of=None):
    return analysed(runs, of).effects.row(0, named=True)


def _check(runs, name="Same settings", of=None):
    return next(c for c in checklist(analysed(runs, of).tasks[0]) if c.name == name)


def test_a_setting_that_is_mixed_in_one_arm_is_a_caveat():
    mixed, own = {"lr": lambda i: 0.1 if i < 3 else 0.2}, {"lr": lambda i: float(i)}
    row = _row(_arms(mixed, {"lr": 0.2}))
    reason = "lr differs between the arms (0.1 in 3 runs, 0.2 in 1 run against 0.2)"
    assert (row["verdict"], row["reasons"].startswith(reason)) == ("supported", True)
    for detached, control in ((mixed, mixed), (own, {"lr": 0.2})):
        assert "lr" not in _row(_arms(detached, control))["reasons"]


@pytest.mark.parametrize("make", [_arms, _forks])
@pytest.mark.parametrize(
    ("detached", "control", "reason"),
    [
        ({"batch_size": 256}, {"batch_size": 512}, "batch_size differs between the arms (256 against 512)"),
        ({"lr": "1e-3"}, {"lr": 0.01}, "lr differs between the arms (0.001 against 0.01)"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "a.b.1 differs between the arms (2 against 3)"),
        ({"norm": True}, {"norm": False}, "norm differs between the arms (true against false)"),
        ({"decay": None}, {"decay": 0.5}, "decay differs between the arms (null against 0.5)"),
        ({"switch_at": 50}, {"switch_at": 90}, "switch_at differs between the arms (50 against 90)"),
    ],
)
def test_a_number_or_flag_that_differs_takes_the_verdict(make, detached, control, reason):
    row, same = _row(make(detached, control)), _row(make(detached, detached))
    assert (same["verdict"], row["verdict"], row["p_value"]) == ("supported", "cannot say", None)
    assert [row[n] for n in ("design", "change", "ci_low")] == [same[n] for n in ("design", "change", "ci_low")]
    assert row["reasons"].startswith(reason)
    check = _check(make(detached, control))
    assert (check.passed, check.needed, check.text) == (False, True, f"{reason}.")
    assert "[arms] also" in check.remedy
    assert _check(make(detached, detached)).passed


@pytest.mark.parametrize(
    ("detached", "control", "reason"),
    [
        ({"optimizer": "adam"}, {"optimizer": "sgd"}, "optimizer differs between the arms (adam against sgd)"),
        ({"new_flag": 3}, {}, "new_flag differs between the arms (3 against absent)"),
    ],
)
def test_a_text_that_differs_is_a_caveat(detached, control, reason):
    row = _row(_arms(detached, control))
    assert row["verdict"] == "supported"
    assert reason in row["reasons"]
    check = _check(_arms(detached, control))
    assert (check.passed, check.needed) == (False, False)


@pytest.mark.parametrize(
    ("detached", "control"),
    [
        ({"lr": 0.1}, {"lr": "0.10"}),  # the same number
        ({"lr": lambda i: i}, {"lr": 0.5}),  # not constant within its arm
        ({"seed": 3}, {"seed": 4}),
        ({"env_seed": 3}, {"env_seed": 4}),
        ({"exp_name": "a", "name": "x"}, {"exp_name": "b", "name": "y"}),
        ({"log_dir": "a", "ckpt": "/a/1"}, {"log_dir": "b", "ckpt": "/b/1"}),
        ({"host": "n1", "port": 1}, {"host": "n2", "port": 2}),
        ({"_wandb": {"t": 1}, "wandb_version": 2}, {"_wandb": {"t": 3}, "wandb_version": 1}),
        ({"detach_at": 50}, {"detach_at": None}),
        ({"detach_at": "50"}, {"detach_at": 0}),
        ({"ratio": 0.5}, {"ratio": False}),
        ({"rest": 0.5}, {"rest": "0"}),
    ],
)
def test_what_belongs_to_the_treatment_or_tells_runs_apart_is_no_difference(detached, control):
    row = _row(_arms(detached, control))
    assert (row["verdict"], "differs between" in row["reasons"]) == ("supported", False)


@pytest.mark.parametrize(
    ("value", "off", "belongs"), [(0.2, 0, True), (0.8, 0, True), (20, 0, True), (0.3, 0, False), (20, 1, False)]
)
def test_the_detach_step_may_be_a_share_of_training(value, off, belongs):
    runs = [replace(r, detach_step=20 if r.detach_step else None) for r in _arms({"x": value}, {"x": off})]
    assert ("x differs" in _row(runs)["reasons"]) != belongs


def test_keys_that_the_study_names_belong_to_the_treatment():
    detached, control = {"algo": {"scale": 0.0, "tau": 2}, "warm": 3}, {"algo": {"scale": 1.0, "tau": 4}, "warm": 5}
    rule = DetachRule(step=50, frozen_when=(("algo.scale", 0.0),))
    named = replace(study(Task("walk", 100, detach=rule)), arms=Arms("algo.tau", also=("warm",)))
    assert "algo.scale differs" in _row(_arms(detached, control))["reasons"]
    assert "differs between" not in _row(_arms(detached, control), named)["reasons"]


@pytest.mark.parametrize(
    ("key", "speaks"),
    [
        ("noise_until", True), ("lrDecaySteps", True), ("switch_at", True), ("exploration_fraction", True),
        ("algo.freeze/at", True), ("milestones", True), ("lr_scheduler", True), ("boundaries", True), ("eps.end", True),
        ("learning_starts", True), ("from_step", True), ("reset_every", True), ("warmup", True),
        ("backend", False), ("render_size", False), ("frontend", False), ("restarted_by", False), ("platform", False),
        ("batch_size", False), ("instep", False),
    ],
)  # fmt: skip
def test_words_of_a_key_speak_of_a_schedule(key, speaks):
    assert speaks_of_schedule(key) == speaks


@pytest.mark.parametrize(
    ("config", "schedules"),
    [
        ({"exploration_fraction": 0.5}, [("exploration_fraction", (0.5,))]),
        ({"exploration_fraction": 0.39}, []),
        ({"exploration_fraction": "0.55"}, [("exploration_fraction", (0.55,))]),
        ({"lr_milestones": [20, "45", 90]}, [("lr_milestones", (45.0,))]),
        ({"stages": [{"start": 10}, {"start": 58}]}, [("stages.start", (58.0,))]),
        ({"std_schedule": "linear(1.0, 0.1, 52)"}, [("std_schedule", (52.0,))]),
        ({"boundaries": "[10, 60]"}, [("boundaries", (60.0,))]),
        ({"switch_at": "5e1"}, [("switch_at", (50.0,))]),
        ({"lr_schedule": "0: 1e-3, 50: 1e-4"}, [("lr_schedule", (50.0,))]),
        ({"lr_schedule": '{"milestones": [50]}'}, [("lr_schedule", (50.0,))]),
        ({"lr_schedule": "warm:0;step@55"}, [("lr_schedule", (55.0,))]),
        ({"lr_schedule": {"0": 1e-3, "45": 1e-4}}, [("lr_schedule", (45.0,))]),
        ({"anneal_end": "50%"}, [("anneal_end", (0.5,))]),
        ({"decay_start": "0.05k"}, [("decay_start", (50.0,))]),
        ({"decay_start": "0_050"}, [("decay_start", (50.0,))]),
        ({"from": "run_50", "start": "/a/50/b", "end": "b:v50"}, []),
        ({"start_date": "2026-50-50"}, []),
        ({"backend": 52, "render": 48, "lr": 0.5}, []),
        ({"backend": 50}, [("backend", (50.0,))]),
        ({"buffer": [50]}, [("buffer", (50.0,))]),
        ({"freeze_bn": True, "decay": None}, []),
        ({"end": 100, "end_fraction": 1.0}, []),
        ({"env_seed": 50, "log_dir": 50}, []),
    ],
)
def test_rival_schedules_are_steps_fractions_lists_and_text(config, schedules):
    alone = [run for run in _arms(config, config) if run.detach_step]
    task = analysed(alone).tasks[0]
    assert [(r.key, r.values) for r in rivals(task)] == schedules
    assert _check(alone, "Rival schedules").passed == (not schedules)


def test_the_treatment_is_no_rival_of_itself():
    task = analysed(_arms({"freeze_at": 50, "stop": 0.5}, {"freeze_at": 0, "stop": None})).tasks[0]
    assert rivals(task) == []
    alone = analysed(_arms({"freeze_at": 50}, {})[:4]).tasks[0]
    assert [r.key for r in rivals(alone)] == ["freeze_at"]


@pytest.mark.parametrize("never", [None, "null", "None", 0, "0", False, "false"])
def test_a_key_that_holds_the_detach_step_and_nothing_in_controls_is_the_treatment(never):
    assert (
        _check(_arms({"freeze_at": "50"}, {"freeze_at": never})).text
        == "The arms differ in no setting but the treatment."
    )
    assert _check(_arms({"freeze_at": "50"}, {"freeze_at": never}), "Rival schedules").passed


def test_a_value_that_is_no_number_in_both_arms_is_the_same():
    assert _row(_arms({"clip": float("nan")}, {"clip": float("nan")}))["verdict"] == "supported"
