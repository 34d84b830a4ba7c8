"""A typed detach step against what the configs of runs say."""

from lib.runs import Run, dropped_text, number_keys, overridden_text, with_typed_step
from lib.study import DetachRule, Task
from lib.study.model import Randomised


def _runs(*ratios: object) -> tuple[Run, ...]:
    return tuple(Run(f"r{index}", config={"ratio": ratio}) for index, ratio in enumerate(ratios))


def _task(step: int | None, **rule: object) -> Task:
    return Task("walk", 100_000, detach=DetachRule(step=step, **({"ratio_key": "ratio"} | rule)))


def test_a_typed_step_that_configs_override_says_in_how_many_runs():
    assert overridden_text(_task(40_000), _runs(0.5, 0.5, 0, None)) == "config says 50,000 in 2 runs"
    assert overridden_text(_task(40_000), _runs(0.5, "0.2", 0.4)) == "config says 50,000 in 1 run and 20,000 in 1 run"
    many = _runs(0.5, 0.5, 0.5, 0.2, 0.2, 0.3, 0.6)
    assert (
        overridden_text(_task(40_000), many)
        == "config says 50,000 in 3 runs, 20,000 in 2 runs and other steps in 2 runs"
    )


def test_nothing_is_said_where_config_agrees_says_nothing_or_no_step_is_typed():
    assert overridden_text(_task(50_000), _runs(0.5, 0.5, 0)) == ""
    assert overridden_text(_task(None), _runs(0.5)) == ""
    assert overridden_text(_task(40_000, ratio_key=""), _runs(0.5)) == ""
    assert overridden_text(_task(40_000), _runs("half")) == ""
    assert overridden_text(_task(40_000), ()) == ""


def test_using_the_typed_step_drops_the_keys_and_says_which_control_runs_go_with_them():
    assert dropped_text(_task(40_000), _runs(0.5, 0.5)) == "Drops ratio_key ratio."
    controls = "Drops ratio_key ratio. 2 control runs then are detached too."
    assert dropped_text(_task(40_000), _runs(0.5, 0, None)) == controls
    rule = DetachRule(40_000, "steps", "ratio", "remaining", detach_step_key="at", randomised=Randomised(0.1, 0.9))
    assert dropped_text(Task("walk", 100_000, detach=rule), ()) == (
        "Drops ratio_key ratio, detach_step_key at and randomised."
    )
    assert with_typed_step(rule) == DetachRule(40_000, "steps")


def test_whether_a_run_was_frozen_stays_with_the_typed_step():
    rule = DetachRule(40_000, ratio_key="ratio", frozen_when=(("scale", 0.0),))
    runs = [Run("a", config={"ratio": 0.5, "scale": 0.0}), Run("b", config={"ratio": 0.5, "scale": 1.0})]
    assert dropped_text(Task("walk", 100_000, detach=rule), runs) == "Drops ratio_key ratio."
    assert with_typed_step(rule).frozen_when == rule.frozen_when


def test_the_keys_to_choose_from_hold_numbers():
    configs = [{"a": {"ratio": 0.5}, "name": "x", "flag": True}, {"steps": "1e6", "task": "walk", "none": None}]
    assert number_keys(configs) == ["a.ratio", "steps"]
