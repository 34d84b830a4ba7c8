"""Where each run was detached, by its config and the typed step: every form of the rule."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.runs import Run
from lib.runs.detach import Detach, run_detach, run_total
from lib.study import DetachRule, Task, config_number

TOTAL = 100_000


def told(rule: DetachRule, *others, sweep="", **config) -> Detach:
    """What a run of this config says beside others of the task."""
    task = Task("task", TOTAL, sweep_id=("d",), control_sweep_id=("c",), detach=rule)
    keys = {key for some in (config, *others) for key in some}
    return run_detach(task, Run("a", config=config, sweep_id=sweep), keys)


def at(step, *warnings, **more) -> Detach:
    return Detach(step, "config", warnings=warnings, **more)


NEVER, UNKNOWN = at(None), Detach()


def typed(step=50_000, reason="") -> Detach:
    return Detach(step, "typed", reason=reason)


# ---- ratio, step and total -----------------------------------------------------------------------------------------


def test_a_typed_step_is_every_runs_and_without_a_rule_nothing_is_known():
    assert told(DetachRule(step=50_000)) == typed()
    assert told(DetachRule()) == UNKNOWN


def test_a_ratio_counts_what_has_elapsed_or_what_remains():
    assert told(DetachRule(ratio_key="r"), r=0.2) == at(20_000)
    assert told(DetachRule(ratio_key="r", ratio_counts="remaining"), r=0.2) == at(80_000)
    assert told(DetachRule(ratio_key="r", ratio_counts="remaining"), r="0.9") == at(10_000)
    assert told(DetachRule(ratio_key="r"), r=1) == at(100_000)
    assert told(DetachRule(ratio_key="r", ratio_counts="remaining"), r=1) == at(0)


@pytest.mark.parametrize("counts", ["elapsed", "remaining"])
@pytest.mark.parametrize("step", [None, 50_000])
@pytest.mark.parametrize("value", [None, 0, 0.0, -0.0, "0", "0.0", "None", "null", False, "false"])
def test_a_ratio_or_step_of_null_or_zero_is_never_detached(counts, step, value):
    assert told(DetachRule(step=step, ratio_key="k", ratio_counts=counts), k=value) == NEVER
    assert told(DetachRule(step=step, detach_step_key="k"), k=value) == NEVER


@pytest.mark.parametrize("setting", ["ratio_key", "detach_step_key"])
def test_a_missing_key_is_the_typed_step_or_control_where_others_have_it_or_unknown(setting):
    rule = {setting: "k"}
    assert told(DetachRule(**rule)) == UNKNOWN
    assert told(DetachRule(**rule), {"other": 1}) == UNKNOWN
    assert told(DetachRule(**rule), {"k": 0.5}) == NEVER
    assert told(DetachRule(step=50_000, **rule)) == typed()
    assert told(DetachRule(step=50_000, **rule), {"k": 0.5}) == typed(reason="k is not in its config")


def test_runs_of_the_controls_sweep_are_never_detached_where_config_does_not_say_otherwise():
    rule = DetachRule(step=50_000, ratio_key="r")
    assert told(rule, sweep="d") == typed()
    assert told(rule, sweep="c") == typed(None)
    assert told(DetachRule(), sweep="c") == typed(None)
    assert told(rule, sweep="c", r=0.2).step == 20_000
    assert told(rule, sweep="c", r="half") == typed(None, "r is 'half', not a fraction")


def test_config_wins_over_the_typed_step_and_says_so():
    rule = DetachRule(step=50_000, ratio_key="r")
    assert told(rule, r=0.5) == at(50_000)
    assert told(rule, r=0.25) == at(25_000, "typed detach step 50,000 but config says 25,000: config is used")


@pytest.mark.parametrize(
    "ratio", ["half", "", 1.5, -0.5, "-0.5", True, "true", math.nan, "NaN", math.inf, [0.5], {"r": 1}]
)
def test_a_ratio_that_is_none_leaves_the_typed_step_or_nothing(ratio):
    reason = f"r is {ratio!r}, not a fraction" + (" (detach_step_key reads steps)" if ratio == 1.5 else "")
    assert told(DetachRule(step=50_000, ratio_key="r"), r=ratio) == typed(reason=reason)
    assert told(DetachRule(ratio_key="r"), r=ratio) == Detach(reason=reason)


@pytest.mark.parametrize("step", [500, 500.0, "500", "5e2"])
def test_a_config_may_hold_the_step_itself(step):
    assert told(DetachRule(detach_step_key="freeze.at"), freeze={"at": step}) == at(500)
    assert told(DetachRule(step=500, detach_step_key="freeze.at"), freeze={"at": step}) == at(500)
    assert told(DetachRule(detach_step_key="k"), k=TOTAL) == at(TOTAL)


@pytest.mark.parametrize("step", [-2, "-500", 500.5, "0.5", True, "soon", math.nan, [500], {}])
def test_a_step_that_is_negative_fractional_or_unreadable_leaves_the_typed_step_or_nothing(step):
    reason = f"k is {step!r}, not a step of 100,000"
    assert told(DetachRule(detach_step_key="k"), k=step) == Detach(reason=reason)
    assert told(DetachRule(step=50_000, detach_step_key="k"), k=step) == typed(reason=reason)


@pytest.mark.parametrize("value", [-1, "-1.0", "never", "Off", "no"])
def test_what_says_never_is_never_for_a_step_and_a_ratio(value):
    assert told(DetachRule(step=50_000, detach_step_key="k"), k=value) == NEVER
    assert told(DetachRule(ratio_key="r"), r=value) == NEVER


@pytest.mark.parametrize("step", [TOTAL + 1, "1e9", math.inf])
def test_a_step_beyond_training_is_never_unless_the_run_has_reached_it(step):
    never = at(None, f"k is {step!r}, beyond its 100,000 steps: never detached")
    assert told(DetachRule(detach_step_key="k"), k=step) == never
    assert told(DetachRule(step=50_000, detach_step_key="k"), k=step) == never
    task = Task("task", TOTAL, detach=DetachRule(detach_step_key="k"))
    run = Run("a", config={"k": TOTAL + 1}, last_step=2 * TOTAL)
    assert run_detach(task, run, {"k"}) == Detach(reason="k is 100001, not a step of 100,000")


def test_of_ratio_and_step_the_one_that_a_run_has_counts_and_the_step_where_they_differ():
    rule = DetachRule(ratio_key="r", detach_step_key="k")
    assert told(rule, k=30_000) == at(30_000)
    assert told(rule, r=0.2) == at(20_000)
    assert told(rule, r=0.3, k=30_000) == at(30_000)
    assert told(rule, r=0, k=None) == NEVER
    assert told(rule, r=0.2, k=30_000) == at(30_000, "k is 30000 but r is 0.2: k is used")
    assert told(rule, r=0.2, k=0) == at(None, "k is 0 but r is 0.2: k is used")
    assert told(rule, r="half", k=30_000) == at(30_000, "k is 30000 but r is 'half': k is used")
    assert told(rule, r=0.2, k="soon").reason == "k is 'soon', not a step of 100,000"
    assert told(rule, r=0.2, k=None) == at(20_000)
    assert told(rule, r=None, k=30_000) == at(30_000)
    assert told(rule, {"r": 0.2}) == NEVER


@pytest.mark.parametrize("total", [100_000, 1e5, "1e5", "100000"])
def test_the_total_comes_from_config_where_the_study_names_it(total):
    rule = DetachRule(ratio_key="r", total_steps_key="steps")
    assert told(rule, r=0.5, steps=total) == at(50_000)
    assert told(rule, r=0.5, steps=2 * int(float(total))) == at(
        100_000, "steps is 200,000 but the study says 100,000: config is used"
    )
    by_step = DetachRule(detach_step_key="k", total_steps_key="steps")
    assert told(by_step, k=150_000, steps="2e5").step == 150_000


@pytest.mark.parametrize("total", [None, "many", 0, -5, True, math.nan, math.inf])
def test_a_total_that_is_none_is_the_studys(total):
    rule = DetachRule(ratio_key="r", total_steps_key="steps")
    assert told(rule, r=0.5, steps=total) == at(50_000, f"steps is {total!r}: the study's 100,000 steps are used")
    missing = "steps is not in its config: the study's 100,000 steps are used"
    assert told(rule, {"steps": 100_000}, r=0.5) == at(50_000, missing)
    assert told(rule, r=0.5) == at(50_000)


def test_a_long_value_is_cut_in_a_warning():
    assert len(told(DetachRule(ratio_key="r"), r=list(range(1000))).reason) < 80


# ---- frozen or not -------------------------------------------------------------------------------------------------


def frozen(expected=0.0, unchanged=None, **more) -> DetachRule:
    return DetachRule(ratio_key="r", frozen_when={"scale": expected}, unchanged_when=unchanged or (), **more)


@pytest.mark.parametrize("value", [0, 0.0, "0", "0.0", False])
def test_an_encoder_is_frozen_by_a_number_in_any_form(value):
    assert told(frozen(), r=0.25, scale=value) == at(25_000)


@pytest.mark.parametrize("value", [1, 1.0, "1", "1.0", True])
def test_a_scale_of_one_is_left_alone(value):
    text = f"scale is {value!r}, so the encoder was never frozen"
    assert told(frozen(), r=0.25, scale=value) == at(None, text)
    assert told(frozen(step=50_000), r=0.25, scale=value) == at(None, text)


@pytest.mark.parametrize(
    ("value", "name"), [(0.1, "0.1"), ("0.10", "0.1"), (2, "2"), (-1, "-1"), ("slow", "slow"), (1e-9, "1e-09")]
)
def test_any_other_value_is_a_change_at_the_same_step(value, name):
    assert told(frozen(), r=0.25, scale=value) == at(25_000, change=f"scale {name}")
    assert told(frozen(ratio_counts="remaining"), r=0.25, scale=value) == at(75_000, change=f"scale {name}")


def test_a_change_is_named_by_the_last_part_of_its_key():
    rule = DetachRule(detach_step_key="k", frozen_when={"algo.enc.lr_scale": 0.0})
    assert told(rule, k=500, algo={"enc": {"lr_scale": "0.1"}}) == at(500, change="lr_scale 0.1")


def test_what_is_left_alone_may_be_named():
    rule = frozen("freeze", {"scale": "none"})
    assert told(rule, r=0.5, scale="freeze") == at(50_000)
    assert told(rule, r=0.5, scale="none") == at(None, "scale is 'none', so the encoder was never frozen")
    assert told(rule, r=0.5, scale="slow") == at(50_000, change="scale slow")
    assert told(rule, r=0.5, scale=1) == at(50_000, change="scale 1")
    assert told(frozen(0.0, {"scale": 0.5}), r=0.5, scale="0.50").step is None
    elsewhere = frozen(0.0, {"mode": "off"})
    assert told(elsewhere, r=0.5, scale=0.3, mode="off").step is None
    assert told(elsewhere, r=0.5, scale=0.3, mode="on").change == "scale 0.3"


@pytest.mark.parametrize(
    ("flag", "other"), [(True, False), (True, 0), (True, "false"), (False, True), (1, 0), ("true", "False")]
)
def test_the_opposite_of_a_flag_is_left_alone(flag, other):
    assert told(frozen(flag), r=0.5, scale=flag) == at(50_000)
    assert told(frozen(flag), r=0.5, scale=other).source == "config"
    assert told(frozen(flag), r=0.5, scale=other).step is None


def test_several_conditions_must_all_be_met():
    rule = DetachRule(ratio_key="r", frozen_when={"scale": 0.0, "mode": "freeze"}, unchanged_when={"mode": "off"})
    assert told(rule, r=0.5, scale=0, mode="freeze") == at(50_000)
    assert told(rule, r=0.5, scale=1, mode="freeze").step is None
    assert told(rule, r=0.5, scale=0.1, mode="off").step is None
    assert told(rule, r=0.5, scale=0.1, mode="freeze") == at(50_000, change="scale 0.1")
    assert told(rule, r=0.5, scale=1, mode="slow") == at(50_000, change="mode slow, scale 1")


def test_a_condition_holds_at_the_typed_step_too():
    rule = frozen(step=50_000)
    assert told(rule, scale=0) == typed()
    assert told(rule, scale=1).step is None
    assert told(rule, scale=0.1) == Detach(50_000, "typed", change="scale 0.1")
    assert told(rule, r="half", scale=0.1) == Detach(
        50_000, "typed", change="scale 0.1", reason="r is 'half', not a fraction"
    )
    assert told(rule) == typed(reason="scale is not in its config")


def test_without_a_readable_condition_the_typed_step_counts_or_nothing():
    missing = "scale is not in its config"
    assert told(frozen(), r=0.25) == Detach(reason=missing)
    assert told(frozen(step=50_000), r=0.25) == typed(reason=missing)
    for value in (None, "None", "", " ", math.nan, "NaN", [0.0], {"a": 0}):
        assert told(frozen(), r=0.25, scale=value) == Detach(reason=f"scale is {value!r}")
    assert told(frozen(), r=0) == NEVER
    assert told(frozen(), r=0, scale=0.1) == NEVER


# ---- whatever the form ---------------------------------------------------------------------------------------------

numbers = st.integers(-2, 120_000) | st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 1.5]) | st.floats(-1, 2)
values = numbers | st.sampled_from([None, True, "half", "freeze"])


@given(st.dictionaries(st.sampled_from(["r", "k", "steps", "scale"]), values), st.data())
def test_a_detach_is_the_same_from_text_and_nested_configs(config, data):
    """The step, the arm and what is known: only messages quote a value as it is written."""

    def nested(key, value):
        if isinstance(value, int | float) and not isinstance(value, bool) and data.draw(st.booleans()):
            value = repr(value)
        return {key: value} if data.draw(st.booleans()) else {key.split(".")[0]: {key.split(".")[1]: value}}

    rule = DetachRule(
        ratio_key="a.r", detach_step_key="b.k", total_steps_key="c.steps", frozen_when={"d.scale": 0.0}, step=data.draw(
            st.sampled_from([None, 50_000])
        ),
    )  # fmt: skip
    places = {"r": "a.r", "k": "b.k", "steps": "c.steps", "scale": "d.scale"}
    flat = {places[key]: value for key, value in config.items()}
    other = {}
    for key, value in flat.items():
        other |= nested(key, value)
    task = Task("task", TOTAL, detach=rule)
    first, second = (run_detach(task, Run("a", config=some), set(places.values())) for some in (flat, other))
    assert (first.step, first.source, first.change) == (second.step, second.source, second.change)
    assert bool(first.reason) == bool(second.reason)
    assert len(first.warnings) == len(second.warnings)
    if first.step is None and first.source == "config":
        is_late = (config_number(config, "k") or 0) > run_total(task, flat)
        never = (None, 0, -1)
        assert is_late or config.get("r") in never or config.get("k") in never or config.get("scale") == 1
