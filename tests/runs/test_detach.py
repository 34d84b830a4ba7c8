"""Where each run was detached: every form of the rule, the signal that checks it, the arms it makes."""

import math
from dataclasses import replace

import pytest

from lib.runs import Run, Treatment, anchor, arms_of, of_task, treatments
from lib.runs.detach import detach_step
from lib.study import DetachRule, Signal, Task
from lib.study.model import Arms, Randomised
from tests.support.frames import manifest, series, study, treatment

TOTAL = 100_000
LR = Signal("train/encoder_lr")


def said(rule: DetachRule, **config):
    return detach_step(rule, config, TOTAL)


# ---- the step ------------------------------------------------------------------------------------------------------


def test_a_typed_step_is_every_runs():
    assert said(DetachRule(step=50_000)) == (50_000, "typed", [])
    assert said(DetachRule()) == (None, "", [])


def test_a_ratio_counts_what_has_elapsed_or_what_remains():
    assert said(DetachRule(ratio_key="r"), r=0.2) == (20_000, "config", [])
    assert said(DetachRule(ratio_key="r", ratio_counts="remaining"), r=0.2) == (80_000, "config", [])
    assert said(DetachRule(ratio_key="r", ratio_counts="remaining"), r=0.9) == (10_000, "config", [])
    assert said(DetachRule(ratio_key="r"), r=1) == (100_000, "config", [])
    assert said(DetachRule(ratio_key="r", ratio_counts="remaining"), r=1) == (0, "config", [])


@pytest.mark.parametrize("counts", ["elapsed", "remaining"])
@pytest.mark.parametrize("step", [None, 50_000])
def test_a_ratio_of_null_or_zero_is_the_control_arm(counts, step):
    rule = DetachRule(step=step, ratio_key="r", ratio_counts=counts)
    assert said(rule, r=None) == (None, "config", [])
    assert said(rule, r=0) == (None, "config", [])
    assert said(rule, r=0.0) == (None, "config", [])


def test_a_missing_ratio_is_the_typed_step_or_the_control_arm():
    assert said(DetachRule(ratio_key="r")) == (None, "", [])
    assert said(DetachRule(step=50_000, ratio_key="r")) == (50_000, "typed", [])


def test_config_wins_over_the_typed_step_and_says_so():
    rule = DetachRule(step=50_000, ratio_key="r")
    assert said(rule, r=0.5) == (50_000, "config", [])
    assert said(rule, r=0.25) == (
        25_000,
        "config",
        ["typed detach step 50,000 but config says 25,000: config is used"],
    )


@pytest.mark.parametrize("ratio", ["half", 1.5, -0.5, True, math.nan, [0.5]])
def test_a_ratio_that_is_none_falls_back_and_says_so(ratio):
    assert said(DetachRule(step=50_000, ratio_key="r"), r=ratio) == (
        50_000,
        "typed",
        [f"r is {ratio!r}, not a fraction: the typed step is used"],
    )
    assert said(DetachRule(ratio_key="r"), r=ratio) == (
        None,
        "",
        [f"r is {ratio!r}, not a fraction: the run counts as never detached"],
    )


def test_the_total_comes_from_config_where_the_study_names_it():
    rule = DetachRule(ratio_key="r", total_steps_key="steps")
    assert said(rule, r=0.5, steps=100_000) == (50_000, "config", [])
    assert said(rule, r=0.5, steps=200_000) == (
        100_000,
        "config",
        ["steps is 200,000 but the study says 100,000: config is used"],
    )


@pytest.mark.parametrize("total", [None, "1e5", 0, -5, True, math.nan, math.inf])
def test_a_total_that_is_none_is_the_studys(total):
    rule = DetachRule(ratio_key="r", total_steps_key="steps")
    assert said(rule, r=0.5, steps=total) == (
        50_000,
        "config",
        [f"steps is {total!r}: the study's 100,000 steps are used"],
    )
    assert said(rule, r=0.5)[2] == ["steps is None: the study's 100,000 steps are used"]


def test_a_ratio_counts_only_where_the_encoder_was_frozen():
    rule = DetachRule(ratio_key="r", ratio_counts="remaining", frozen_when={"scale": 0.0, "mode": "freeze"})
    assert said(rule, r=0.25, scale=0, mode="freeze") == (75_000, "config", [])
    assert said(rule, r=0.25, scale=0.1, mode="freeze") == (
        None,
        "config",
        ["scale is 0.1, so the encoder was never frozen"],
    )
    assert said(rule, r=0.25, mode="freeze")[::2] == (
        None,
        ["scale is not in its config: the run counts as never detached"],
    )
    assert said(rule, r=0, scale=0.1) == (None, "config", [])


# ---- the signal ----------------------------------------------------------------------------------------------------


def checked(tmp_path, points, rule=None, last=TOTAL, **config):
    """The one treatment of a run that logged its learning rate so."""
    rule = rule or DetachRule(step=50_000, ratio_key="r", signal=LR)
    run = Run("a", config=config, last_step=last)
    found = treatments(
        study(rule), manifest(tmp_path, [(run, [*series("a", LR.key, points), ("a", None, last, None)])])
    )
    assert len(found) == 1
    return found[0].signal, found[0].warnings


HIGH = [(0, 3e-4), (40_000, 3e-4)]


@pytest.mark.parametrize(
    "points",
    [
        [*HIGH, (60_000, 0.0)],
        [*HIGH, (50_000, 3e-4), (50_500, 0.0)],
        [*HIGH, (50_000, 0.0)],
        [(0, 0.0), (500, 3e-4), (60_000, 0.0), (99_000, 0.0)],
        [*HIGH, (45_000, math.nan), (60_000, 0.0)],
        [*HIGH, (60_000, -1.0)],
    ],
    ids=["between", "above at T", "at rest at T", "warm-up from rest", "NaN is no row", "below rest is at rest"],
)
def test_a_signal_that_falls_at_the_detach_agrees(tmp_path, points):
    assert checked(tmp_path, points) == ("agrees", ())


@pytest.mark.parametrize(
    ("points", "warning"),
    [
        ([*HIGH, (45_000, 0.0)], "falls to 0 between 40,000 and 45,000"),
        ([*HIGH, (55_000, 3e-4), (60_000, 0.0)], "falls to 0 between 55,000 and 60,000"),
        ([(500, 0.0), (60_000, 0.0)], "falls to 0 by 500"),
        ([*HIGH, (60_000, 3e-4)], "never falls to 0"),
        ([*HIGH, (60_000, 0.0), (70_000, 3e-4)], "never falls to 0"),
    ],
    ids=["too early", "too late", "at rest from the start", "never", "only for a while"],
)
def test_a_signal_that_falls_elsewhere_disagrees(tmp_path, points, warning):
    assert checked(tmp_path, points) == ("disagrees", (f"detach step 50,000, but train/encoder_lr {warning}",))


def test_a_signal_is_not_blamed_for_what_it_did_not_log(tmp_path):
    nothing = "train/encoder_lr is not logged: the detach cannot be checked"
    after = "train/encoder_lr is not logged after detach step 50,000: the detach cannot be checked"
    assert checked(tmp_path / "a", []) == ("not logged", (nothing,))
    assert checked(tmp_path / "b", [(10, math.nan)]) == ("not logged", (nothing,))
    assert checked(tmp_path / "c", HIGH) == ("not logged", (after,))


def test_a_run_that_has_not_come_to_its_detach_is_not_blamed(tmp_path):
    assert checked(tmp_path / "a", HIGH, last=40_000) == ("not reached", ())
    assert checked(tmp_path / "b", [*HIGH, (50_000, 3e-4)], last=50_000) == ("not reached", ())


def test_a_control_whose_encoder_stops_learning_disagrees(tmp_path):
    assert checked(tmp_path / "a", HIGH, r=0) == ("agrees", ())
    assert checked(tmp_path / "b", [*HIGH, (60_000, 0.0)], r=0) == (
        "disagrees",
        ("never detached by its config, but train/encoder_lr falls to 0 by 60,000",),
    )


def test_a_signal_may_rest_elsewhere_than_at_zero(tmp_path):
    rule = DetachRule(step=50_000, signal=Signal(LR.key, falls_to=1e-6))
    assert checked(tmp_path / "a", [*HIGH, (50_500, 1e-6)], rule) == ("agrees", ())
    assert checked(tmp_path / "b", [*HIGH, (60_000, 2e-6)], rule) == (
        "disagrees",
        ("detach step 50,000, but train/encoder_lr never falls to 1e-06",),
    )


def test_a_study_without_a_signal_checks_nothing(tmp_path):
    assert checked(tmp_path, HIGH, DetachRule(step=50_000)) == ("", ())


# ---- the arms ------------------------------------------------------------------------------------------------------


def placed(tmp_path, asked, *configs, left_out=()):
    """(run, arm, detach step, ratio) of runs a, b, c, ... with these configs, in order."""
    runs = [(Run(chr(97 + i), config=config, last_step=TOTAL), []) for i, config in enumerate(configs)]
    found = treatments(asked, manifest(tmp_path, runs), left_out)
    return [(t.run_id, t.arm, t.detach_step, t.ratio) for t in found]


BY_RATIO = DetachRule(ratio_key="r")


def test_one_ratio_is_the_detached_arm(tmp_path):
    assert placed(tmp_path, study(BY_RATIO), {"r": 0.5}, {"r": 0}, {"r": 0.5}) == [
        ("a", "detached", 50_000, 0.5),
        ("c", "detached", 50_000, 0.5),
        ("b", "control", None, None),
    ]


def test_several_ratios_are_arms_of_their_own(tmp_path):
    assert placed(tmp_path, study(BY_RATIO), {"r": 0.5}, {"r": None}, {"r": 0.2}, {"r": 1 / 3}) == [
        ("c", "detached 0.2", 20_000, 0.2),
        ("d", "detached 0.3333", 33_333, 0.33333),
        ("a", "detached 0.5", 50_000, 0.5),
        ("b", "control", None, None),
    ]


def test_what_remains_is_named_by_what_has_elapsed(tmp_path):
    rule = DetachRule(ratio_key="r", ratio_counts="remaining")
    assert placed(tmp_path, study(rule), {"r": 0.75}, {"r": 0.5}) == [
        ("a", "detached 0.25", 25_000, 0.25),
        ("b", "detached 0.5", 50_000, 0.5),
    ]


def test_a_randomised_design_is_one_arm(tmp_path):
    rule = DetachRule(ratio_key="r", randomised=Randomised(0.3, 0.7))
    assert placed(tmp_path, study(rule), {"r": 0.31}, {"r": 0.62}) == [
        ("a", "detached", 31_000, 0.31),
        ("b", "detached", 62_000, 0.62),
    ]


def test_leaving_a_run_out_renames_no_arm(tmp_path):
    assert placed(tmp_path, study(BY_RATIO), {"r": 0.5}, {"r": 0.2}, {"r": 0}, left_out={"b"}) == [
        ("a", "detached 0.5", 50_000, 0.5),
        ("c", "control", None, None),
    ]


def test_arms_may_be_told_apart_by_any_config_key(tmp_path):
    asked = study(DetachRule(step=50_000, ratio_key="r"), arms=Arms("how", {"true": "hard", "0.5": "soft", "2": "two"}))
    configs = [{"how": True}, {"how": 0.5}, {"how": 2.0}, {"how": "odd"}, {}, {"how": True, "r": 0}, {"how": 1234567.5}]
    assert [arm for _, arm, _, _ in sorted(placed(tmp_path, asked, *configs))] == [
        "hard",
        "soft",
        "two",
        "detached odd",
        "detached",
        "control",
        "detached 1234567.5",
    ]


def test_the_whole_treatment_of_a_run(tmp_path):
    rule = DetachRule(step=40_000, ratio_key="r", signal=LR)
    run = Run("abc", state="running", config={"seed": 3, "r": 0.5})
    points = series("abc", LR.key, [(0, 1.0), (50_000, 1.0), (51_000, 0.0)])
    assert treatments(study(rule), manifest(tmp_path, [(run, points)])) == (
        Treatment(
            run_id="abc",
            task="task",
            arm="detached",
            seed="3",
            detach_step=50_000,
            detach_source="config",
            ratio=0.5,
            signal="agrees",
            last_step=51_000,
            state="running",
            warnings=("typed detach step 40,000 but config says 50,000: config is used",),
        ),
    )


def test_seeds_are_text_whole_numbers_without_a_point_and_in_order(tmp_path):
    seeds = [10, 2.0, "x", None, "--1", -1, "²"]
    runs = [(Run(f"r{i}", config={"seed": seed}), []) for i, seed in enumerate(seeds)]
    found = treatments(study(DetachRule(step=5)), manifest(tmp_path, runs))
    assert [(t.seed, t.run_id) for t in found] == [
        ("-1", "r5"),
        ("--1", "r4"),
        ("r3", "r3"),
        ("x", "r2"),
        ("²", "r6"),
        ("2", "r1"),
        ("10", "r0"),
    ]


def test_a_run_may_belong_to_several_tasks_and_tasks_keep_their_order(tmp_path):
    asked = study(DetachRule(step=50_000))
    asked = replace(asked, tasks=(Task("z", TOTAL, detach=DetachRule(step=9)), asked.tasks[0]))
    runs = [(Run("a", tasks=("task", "z")), []), (Run("b", tasks=("task",)), [])]
    found = treatments(asked, manifest(tmp_path, runs))
    assert [(t.task, t.run_id, t.detach_step) for t in found] == [
        ("z", "a", 9),
        ("task", "a", 50_000),
        ("task", "b", 50_000),
    ]
    assert [t.run_id for t in of_task(found, "task")] == ["a", "b"]


def test_arms_and_the_step_they_share():
    a, b = treatment("a", at=50), treatment("b", at=50)
    control, late = treatment("c", "control"), treatment("d", "detached 0.8", at=80)
    unknown = treatment("e", "unknown", at=None)
    assert arms_of([unknown, control, late, a]) == ("detached", "detached 0.8", "control", "unknown")
    assert [t.is_control for t in (a, control, late, unknown)] == [False, True, False, False]
    assert (anchor([a, b, control]), anchor([a, late]), anchor([control]), anchor([])) == (50, 0, 0, 0)
