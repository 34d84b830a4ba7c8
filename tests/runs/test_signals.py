"""The logged signal: it checks each run's detach step, says where it cannot tell, and gives the step where nothing else does."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.runs import Run, treatments_of
from lib.runs.signals import _shared_steps
from lib.study import DetachRule, Signal
from lib.study.model import Randomised
from tests.support.frames import manifest, series, study

TOTAL = 100_000
LR = Signal("train/encoder_lr")
HIGH = [(0, 3e-4), (48_000, 3e-4)]
BY_RATIO = DetachRule(ratio_key="r", signal=LR)
BY_SIGNAL = DetachRule(signal=LR)


def placed(tmp_path, rule, *runs, total=TOTAL):
    """The treatments by run id of runs a, b, ... given as config and points of the signal, and perhaps the last step."""
    calls = []
    for i, (config, points, *last) in enumerate(runs):
        run = Run(chr(97 + i), config={"seed": i, **config}, last_step=(last or [total])[0])
        calls.append((run, [*series(run.id, LR.key, points), (run.id, None, run.last_step, None)]))
    return {t.run_id: t for t in treatments_of(study(rule, total), manifest(tmp_path, calls))}


def checked(tmp_path, points, rule=None, last=TOTAL, **config):
    """The word and the warnings of a run that logged its learning rate so."""
    rule = rule or DetachRule(step=50_000, ratio_key="r", signal=LR)
    by_id = placed(tmp_path, rule, (config, points, last))["a"]
    return by_id.signal, by_id.warnings[: len(by_id.warnings) - (not config)]  # one says that no run has the ratio


# ---- it checks a detach step ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "points",
    [
        [*HIGH, (52_000, 0.0)],
        [*HIGH, (50_000, 3e-4), (50_500, 0.0)],
        [*HIGH, (50_000, 0.0)],
        [(0, 0.0), (500, 3e-4), (48_000, 3e-4), (52_000, 0.0), (99_000, 0.0)],
        [*HIGH, (49_000, math.nan), (52_000, 0.0)],
        [*HIGH, (52_000, -1.0)],
        [(0, 3e-4), (46_000, 3e-4), (50_999, 0.0)],
    ],
    ids=[
        "between",
        "above at T",
        "fallen at T",
        "warm-up from 0",
        "NaN is no row",
        "below is fallen",
        "almost 5% apart",
    ],
)
def test_a_signal_that_falls_at_the_detach_agrees(tmp_path, points):
    assert checked(tmp_path, points) == ("agrees", ())


@pytest.mark.parametrize(
    ("points", "warning"),
    [
        ([*HIGH, (49_000, 0.0)], "falls to 0 between 48,000 and 49,000"),
        ([*HIGH, (55_000, 3e-4), (60_000, 0.0)], "falls to 0 between 55,000 and 60,000"),
        ([(0, 3e-4), (10_000, 3e-4), (40_000, 0.0)], "falls to 0 between 10,000 and 40,000"),
        ([(500, 0.0), (60_000, 0.0)], "falls to 0 by 500"),
        ([*HIGH, (60_000, 3e-4)], "never falls to 0"),
        ([*HIGH, (60_000, 0.0), (70_000, 3e-4)], "falls to 0 by 60,000 and rises again by 70,000"),
        ([(0, 3e-4), (20_000, 0.0), *HIGH[1:], (52_000, 0.0)], "falls to 0 by 20,000 and rises again by 48,000"),
    ],
    ids=["too early", "too late", "too early, far apart", "fallen from the start", "never", "for a while", "twice"],
)
def test_a_signal_that_falls_elsewhere_disagrees(tmp_path, points, warning):
    assert checked(tmp_path, points) == ("disagrees", (f"detach step 50,000, but train/encoder_lr {warning}",))


@pytest.mark.parametrize(
    ("points", "between"),
    [
        ([(0, 3e-4), (1_000, 3e-4), (99_000, 0.0)], "between 1,000 and 99,000"),
        ([(0, 3e-4), (46_000, 3e-4), (51_000, 0.0)], "between 46,000 and 51,000"),
        ([(60_000, 0.0), (70_000, 0.0)], "by 60,000"),
    ],
    ids=["almost all of training", "5%", "fallen from its first row"],
)
def test_rows_too_far_apart_cannot_tell(tmp_path, points, between):
    text = f"detach step 50,000, but train/encoder_lr falls to 0 {between}: too far apart to check the detach"
    assert checked(tmp_path, points) == ("too sparse", (text,))


def test_the_distance_is_a_share_of_the_runs_own_training(tmp_path):
    rule = DetachRule(ratio_key="r", total_steps_key="steps", signal=LR)
    points = [(0, 3e-4), (98_000, 3e-4), (104_000, 0.0)]
    by_id = placed(tmp_path, rule, ({"r": 0.5, "steps": "2e5"}, points), ({"r": 1, "steps": 100_000}, points))
    assert [by_id[run].signal for run in "ab"] == ["agrees", "too sparse"]


def test_a_signal_is_not_blamed_for_what_it_did_not_log(tmp_path):
    nothing = "train/encoder_lr is not logged: the detach cannot be checked"
    after = "train/encoder_lr is not logged after detach step 50,000: the detach cannot be checked"
    assert checked(tmp_path / "a", []) == ("not logged", (nothing,))
    assert checked(tmp_path / "b", [(10, math.nan)]) == ("not logged", (nothing,))
    assert checked(tmp_path / "c", HIGH) == ("not logged", (after,))


def test_a_run_that_ends_before_its_detach_is_not_blamed(tmp_path):
    texts = [f"ends at {last}: the detach at 50,000 cannot be checked" for last in ("48,000", "50,000")]
    assert checked(tmp_path / "a", HIGH, last=48_000) == ("not reached", (texts[0],))
    assert checked(tmp_path / "b", [*HIGH, (50_000, 3e-4)], last=50_000) == ("not reached", (texts[1],))


def test_a_signal_may_fall_elsewhere_than_to_zero(tmp_path):
    rule = DetachRule(step=50_000, signal=Signal(LR.key, falls_to=1e-6))
    assert placed(tmp_path / "a", rule, ({}, [*HIGH, (50_500, 1e-6)]))["a"].signal == "agrees"
    by_id = placed(tmp_path / "b", rule, ({}, [*HIGH, (60_000, 2e-6)]))["a"]
    assert (by_id.signal, by_id.warnings) == (
        "disagrees", ("detach step 50,000, but train/encoder_lr never falls to 1e-06",)
    )  # fmt: skip


def test_a_study_without_a_signal_checks_nothing(tmp_path):
    by_id = placed(tmp_path, DetachRule(step=50_000), ({}, HIGH))["a"]
    assert (by_id.signal, by_id.warnings) == ("", ())


# ---- it checks a control -------------------------------------------------------------------------------------------

FALLS = [(s, 3e-4 if s < 50_000 else 0.0) for s in range(0, TOTAL + 1, 1000)]
STAYS = [(s, 3e-4) for s, _ in FALLS]


def control(tmp_path, points, last=TOTAL):
    by_id = placed(tmp_path, BY_RATIO, ({"r": 0.5}, FALLS), ({"r": 0}, points, last))
    assert (by_id["a"].signal, by_id["b"].arm) == ("agrees", "control")
    return by_id["b"].signal, by_id["b"].warnings


def test_a_control_agrees_where_nothing_changes_around_the_detach_of_others(tmp_path):
    assert control(tmp_path / "a", STAYS) == ("agrees", ())
    assert control(tmp_path / "b", [(s, v if s > 20_000 else 1e-5) for s, v in STAYS]) == ("agrees", ())
    assert control(tmp_path / "c", [(48_000, 1.0), (52_000, 1.0)]) == ("agrees", ())
    annealed = [(s, min(1.0, (TOTAL - s) / 20_000)) for s, _ in FALLS]
    assert control(tmp_path / "d", annealed) == ("agrees", ())


@pytest.mark.parametrize("step", [46_000, 50_000, 51_000, 54_000])
def test_a_control_whose_signal_changes_there_does_not_agree(tmp_path, step):
    points = [(s, 3e-4 if s < step else 3e-5) for s, _ in FALLS]
    text = "train/encoder_lr changes from 0.0003 to 3e-05 around 50,000, where others are detached"
    assert control(tmp_path, points) == ("changes", (text,))


def test_a_control_whose_encoder_stops_learning_disagrees(tmp_path):
    assert control(tmp_path, [*HIGH, (60_000, 0.0)]) == (
        "disagrees", ("never detached, but train/encoder_lr falls to 0 by 60,000",)
    )  # fmt: skip


def test_a_control_without_rows_close_to_the_detach_of_others_cannot_tell(tmp_path):
    assert control(tmp_path / "a", [(1_000, 1.0), (99_000, 1.0)]) == (
        "too sparse",
        ("train/encoder_lr is logged at 1,000 and 99,000: too far apart to check the detach at 50,000",),
    )
    assert control(tmp_path / "b", [])[0] == "not logged"
    assert control(tmp_path / "c", STAYS[:45]) == (
        "not logged",
        ("train/encoder_lr is not logged after detach step 50,000: the detach cannot be checked",),
    )
    assert control(tmp_path / "d", STAYS[60:]) == (
        "not logged",
        ("train/encoder_lr is not logged before 50,000: the detach cannot be checked",),
    )
    assert control(tmp_path / "e", STAYS[:45], 44_000)[0] == "not reached"


def test_a_control_is_checked_around_every_detach_step(tmp_path):
    early = [(s, 3e-4 if s < 20_000 else 0.0) for s, _ in FALLS]
    dips = [(s, 3e-4 if s < 21_000 else 3e-5) for s, _ in FALLS]
    by_id = placed(tmp_path, BY_RATIO, ({"r": 0.5}, FALLS), ({"r": 0.2}, early), ({"r": None}, dips))
    assert [by_id[run].signal for run in "abc"] == ["agrees", "agrees", "changes"]


# ---- it checks a change ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "signal", "warning"),
    [
        ([(s, 3e-4 if s < 50_000 else 3e-5) for s, _ in FALLS], "agrees", ()),
        (STAYS, "disagrees", ("detach step 50,000, but train/encoder_lr does not fall there",)),
        (FALLS, "disagrees", ("scale 0.1, but train/encoder_lr falls to 0 by 50,000",)),
        ([(0, 1.0), (99_000, 0.1)], "too sparse",
         ("train/encoder_lr is logged at 0 and 99,000: too far apart to check the detach at 50,000",)),
    ],
    ids=["to a tenth", "not at all", "to 0", "far apart"],
)  # fmt: skip
def test_a_learning_rate_that_is_cut_falls_but_not_to_where_it_is_frozen(tmp_path, points, signal, warning):
    rule = replace(BY_RATIO, frozen_when=(("scale", 0.0),))
    by_id = placed(tmp_path, rule, ({"r": 0.5, "scale": 0.1}, points))["a"]
    assert (by_id.arm, by_id.detach_step) == ("detached scale 0.1", 50_000)
    assert (by_id.signal, by_id.warnings) == (signal, warning)


# ---- it gives the detach step --------------------------------------------------------------------------------------


def source(result):
    return {t.run_id: (t.arm, t.detach_step, t.detach_source, t.signal) for t in result.values()}


def test_where_nothing_else_says_anything_the_signal_gives_the_step_and_the_controls(tmp_path):
    by_id = placed(tmp_path, BY_SIGNAL, ({}, FALLS), ({}, FALLS), ({}, STAYS))
    assert source(by_id) == {
        "a": ("detached", 49_000, "signal", ""),
        "b": ("detached", 49_000, "signal", ""),
        "c": ("control", None, "signal", ""),
    }
    assert by_id["a"].warnings == (
        "detach step 49,000 is read from train/encoder_lr, which falls between 49,000 and 50,000",
    )


@pytest.mark.parametrize(
    ("rule", "config"),
    [
        (BY_RATIO, {}),
        (BY_RATIO, {"r": "half"}),
        (DetachRule(detach_step_key="k", signal=LR), {"k": -2}),
        (replace(BY_RATIO, frozen_when=(("scale", 0.0),)), {"r": 0.5}),
    ],
    ids=["mistyped", "unreadable", "no step", "no condition"],
)
def test_it_says_so_whatever_config_fails_to_say(tmp_path, rule, config):
    by_id = placed(tmp_path, rule, (config, FALLS))
    assert source(by_id)["a"] == ("detached", 49_000, "signal", "")
    assert not config or by_id["a"].warnings[0].endswith(": train/encoder_lr says it")


def test_config_and_the_typed_step_come_first(tmp_path):
    typed = placed(tmp_path / "a", DetachRule(step=70_000, signal=LR), ({}, FALLS), ({}, STAYS))
    assert source(typed) == {
        "a": ("detached", 70_000, "typed", "disagrees"), "b": ("detached", 70_000, "typed", "disagrees")
    }  # fmt: skip
    by_config = placed(tmp_path / "b", BY_RATIO, ({"r": 0.5}, FALLS), ({}, FALLS))
    assert source(by_config)["b"] == ("control", None, "config", "disagrees")


@pytest.mark.parametrize(
    ("points", "signal"),
    [
        ([(0, 1.0), (40_000, 1.0), (60_000, 0.0)], "too sparse"),
        ([(s, 1 - s / TOTAL) for s, _ in FALLS], "changes"),
        ([(60_000, 0.0), (61_000, 0.0)], "not logged"),
        ([(0, 1.0), (20_000, 1.0), (20_500, 0.0), (30_000, 1.0), *FALLS[60:]], "changes"),
        ([], "not logged"),
        ([(0, 1.0), (99_000, 1.0)], "too sparse"),
        ([(s, 1.0 if s < 50_000 else 0.1) for s, _ in FALLS], "changes"),
        (STAYS[:45], "not logged"),
    ],
    ids=[
        "falls somewhere",
        "annealed",
        "fallen from the start",
        "falls twice",
        "nothing",
        "stays, far apart",
        "changes",
        "ends early",
    ],
)
def test_a_signal_that_cannot_tell_leaves_the_arm_unknown(tmp_path, points, signal):
    by_id = placed(tmp_path, BY_SIGNAL, ({}, FALLS), ({}, points))
    assert source(by_id)["b"] == ("unknown", None, "", signal)
    assert by_id["b"].warnings[0] == "nothing says whether it was detached: its arm is unknown"
    assert len(by_id["b"].warnings) == 2


def test_a_signal_that_falls_in_no_run_makes_no_control(tmp_path):
    by_id = placed(tmp_path / "a", BY_SIGNAL, ({}, STAYS), ({}, STAYS))
    assert source(by_id) == dict.fromkeys("ab", ("unknown", None, "", ""))
    elsewhere = placed(tmp_path / "b", BY_RATIO, ({"r": 0.5}, STAYS), ({"r": "?"}, STAYS))
    assert source(elsewhere)["b"][0] == "unknown"


def test_runs_that_log_at_other_steps_share_the_detach_step(tmp_path):
    runs = [
        ({}, [(s + shift, 1.0 if s + shift < 50_000 else 0.0) for s in range(0, TOTAL, 3000)]) for shift in (0, 7, 1100)
    ]
    by_id = placed(tmp_path, BY_SIGNAL, *runs)
    # The last rows above are 48,000, 48,007 and 49,100.
    assert {t.detach_step for t in by_id.values()} == {49_100}
    assert {t.arm for t in by_id.values()} == {"detached"}


def test_a_step_that_other_runs_have_by_config_is_shared_where_the_signal_allows_it(tmp_path):
    rule = replace(BY_RATIO, ratio_key="r")
    by_id = placed(tmp_path, rule, ({"r": 0.495}, FALLS), ({"r": "?"}, FALLS), ({"r": 0.2}, FALLS))
    assert source(by_id)["b"] == ("detached 0.495", 49_500, "signal", "")


def test_randomised_steps_are_each_runs_own(tmp_path):
    rule = DetachRule(ratio_key="r", signal=LR, randomised=Randomised(0.3, 0.7))
    later = [(s, 1.0 if s < 51_000 else 0.0) for s in range(500, TOTAL, 2000)]
    by_id = placed(tmp_path, rule, ({"r": "?"}, FALLS), ({"r": "?"}, later))
    assert source(by_id) == {"a": ("detached", 49_000, "signal", ""), "b": ("detached", 50_500, "signal", "")}


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)), max_size=12), st.sets(st.integers(0, 60), max_size=3)
)
def test_a_shared_step_lies_in_the_fall_of_each_run(falls, steps):
    falls = {str(i): (low, low + width) for i, (low, width) in enumerate(falls)}
    shared = _shared_steps(falls, steps)
    assert shared.keys() == falls.keys()
    for run, (above, fallen) in falls.items():
        assert above <= shared[run] <= fallen
        assert shared[run] < fallen or shared[run] in steps
        assert shared[run] in steps or not any(above <= step <= fallen for step in steps)
