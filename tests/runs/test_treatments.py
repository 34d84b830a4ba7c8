"""The arm of each run: its name, what is never pooled or called control, and what its warnings say."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.runs import Manifest, Run, Treatment, anchor, arms_of, of_task, treatments_of
from lib.study import DetachRule, Signal, Task
from lib.study.model import Arms, Randomised
from tests.support.frames import manifest, series, study, treatment
from tests.support.treatments_kit import BY_RATIO, TOTAL, arms, treatments


def placed(tmp_path, example, *configs, left_out=()):
    """(run, arm, detach step, ratio) of these runs, in order."""
    return [
        (t.run_id, t.arm, t.detach_step, t.ratio) for t in treatments(tmp_path, example, *configs, left_out=left_out)
    ]


# ---- by ratio ------------------------------------------------------------------------------------------------------


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
    assert placed(tmp_path, study(rule), {"r": 0.75}, {"r": "0.50"}) == [
        ("a", "detached 0.25", 25_000, 0.25),
        ("b", "detached 0.5", 50_000, 0.5),
    ]


def test_steps_in_config_are_named_by_their_ratio(tmp_path):
    rule = DetachRule(detach_step_key="k", total_steps_key="steps")
    configs = {"k": 20_000}, {"k": "5e4"}, {"k": 0}, {}, {"k": 200_001}
    assert placed(tmp_path, study(rule), *configs) == [
        ("a", "detached 0.2", 20_000, 0.2),
        ("b", "detached 0.5", 50_000, 0.5),
        ("c", "control", None, None),
        ("d", "control", None, None),
        ("e", "control", None, None),
    ]


def test_a_randomised_design_is_one_arm(tmp_path):
    by_ratio = DetachRule(ratio_key="r", randomised=Randomised(0.3, 0.7))
    assert placed(tmp_path / "a", study(by_ratio), {"r": 0.31}, {"r": "0.62"}) == [
        ("a", "detached", 31_000, 0.31),
        ("b", "detached", 62_000, 0.62),
    ]
    by_step = DetachRule(detach_step_key="k", randomised=Randomised(0.3, 0.7))
    result = treatments(tmp_path / "b", study(by_step), {"k": 31_000}, {"k": 62_000})
    assert [(t.arm, t.detach_step, t.warnings) for t in result] == [("detached", 31_000, ()), ("detached", 62_000, ())]


def test_leaving_a_run_out_renames_no_arm(tmp_path):
    assert placed(tmp_path, study(BY_RATIO), {"r": 0.5}, {"r": 0.2}, {"r": 0}, left_out={"b"}) == [
        ("a", "detached 0.5", 50_000, 0.5),
        ("c", "control", None, None),
    ]


# ---- changes that are no freeze --------------------------------------------------------------------------------------

SCALED = DetachRule(ratio_key="r", frozen_when={"algo.scale": 0.0})


def scaled(scale, r=0.5):
    return {"r": r, "algo": {"scale": scale}}


def test_another_scale_is_a_treatment_and_never_a_control(tmp_path):
    configs = scaled(0.0), scaled("0.1"), scaled(0.10), scaled(1), scaled(None), scaled(0.1, r=0)
    assert placed(tmp_path, study(SCALED), *configs) == [
        ("a", "detached", 50_000, 0.5),
        ("b", "detached scale 0.1", 50_000, 0.5),
        ("c", "detached scale 0.1", 50_000, 0.5),
        ("d", "control", None, None),
        ("f", "control", None, None),
        ("e", "unknown", None, None),
    ]


def test_the_ratio_and_the_change_both_name_an_arm(tmp_path):
    result = arms(tmp_path, study(SCALED), scaled(0), scaled(0, 0.2), scaled(0.1), scaled(0.1, 0.2))
    assert result == ["detached 0.5", "detached 0.2", "detached 0.5 scale 0.1", "detached 0.2 scale 0.1"]


def test_a_change_stays_apart_in_arms_of_another_key_and_is_named_by_its_own(tmp_path):
    configs = [{**scaled(scale), "how": "x"} for scale in (0, 0.1)]
    assert arms(tmp_path / "a", study(SCALED, arms=Arms("how", {"x": "hard"})), *configs) == ["hard", "hard scale 0.1"]
    by_scale = study(SCALED, arms=Arms("algo.scale", {"0": "frozen", "0.10": "tenth"}))
    assert arms(tmp_path / "b", by_scale, *configs, scaled(0.3)) == ["frozen", "tenth", "detached 0.3"]


# ---- by a key of the study -------------------------------------------------------------------------------------------


def test_arms_may_be_told_apart_by_any_config_key(tmp_path):
    labels = {"true": "hard", "0.5": "soft", "2": "two"}
    example = study(DetachRule(step=50_000, ratio_key="r"), arms=Arms("algo.how", labels))
    values = [True, 0.5, "0.50", 2.0, "2", "odd", None, 1234567.5]
    configs = [{"algo": {"how": value}} for value in values] + [{}, {"algo": {"how": True}, "r": 0}]
    assert arms(tmp_path, example, *configs) == [
        "hard",
        "soft",
        "soft",
        "two",
        "two",
        "detached odd",
        "detached without algo.how",
        "detached 1234567.5",
        "detached without algo.how",
        "control",
    ]


def test_where_no_run_has_the_key_of_the_arms_they_are_told_apart_by_ratio_and_it_is_said(tmp_path):
    example = study(BY_RATIO, arms=Arms("varient", {"x": "early"}))
    result = treatments(tmp_path, example, {"r": 0.2, "variant": "x"}, {"r": "0.5", "variant": "x"})
    assert [t.arm for t in result] == ["detached 0.2", "detached 0.5"]
    assert {t.warnings for t in result} == {("no run has varient in its config: check [arms] key",)}


def test_runs_that_lack_the_key_of_the_arms_are_apart_from_others_and_by_ratio(tmp_path):
    example = study(BY_RATIO, arms=Arms("how", {"x": "early"}))
    configs = {"r": 0.2, "how": "x"}, {"r": 0.2}, {"r": 0.5, "how": None}, {"r": 0}
    assert arms(tmp_path, example, *configs) == [
        "early",
        "detached 0.2 without how",
        "detached 0.5 without how",
        "control",
    ]


def test_a_label_that_puts_several_detach_steps_into_one_arm_is_said(tmp_path):
    example = study(BY_RATIO, arms=Arms("how", {"x": "early"}))
    result = treatments(tmp_path, example, {"r": 0.2, "how": "x"}, {"r": 0.25, "how": "x"}, {"r": 0.5, "how": "y"})
    text = ("its arm has 2 detach steps: 20,000 and 25,000",)
    assert [(t.arm, t.warnings) for t in result] == [("detached y", ()), ("early", text), ("early", text)]


# ---- the whole -------------------------------------------------------------------------------------------------------


def test_the_whole_treatment_of_a_run(tmp_path):
    rule = DetachRule(step=40_000, ratio_key="r", signal=Signal("train/encoder_lr"))
    run = Run("abc", state="running", config={"seed": "3", "r": "0.5"})
    points = series("abc", "train/encoder_lr", [(0, 1.0), (50_000, 1.0), (51_000, 0.0)])
    assert treatments_of(study(rule), manifest(tmp_path, [(run, points)])) == (
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
    seeds = [10, 2.0, "x", None, "--1", -1, "²", "3.0"]
    runs = [(Run(f"r{i}", config={"run": {"seed": seed}}), []) for i, seed in enumerate(seeds)]
    result = treatments_of(study(DetachRule(step=5), seed_key="run.seed"), manifest(tmp_path, runs))
    assert [(t.seed, t.run_id) for t in result] == [
        ("-1", "r5"),
        ("2", "r1"),
        ("3", "r7"),
        ("10", "r0"),
        ("--1", "r4"),
        ("r3", "r3"),
        ("x", "r2"),
        ("²", "r6"),
    ]
    assert {t.run_id: t.warnings for t in result if t.warnings} == {
        "r3": ("run.seed is not in its config: its id stands for the seed",)
    }


def test_a_run_may_belong_to_several_tasks_and_tasks_keep_their_order(tmp_path):
    example = study(DetachRule(step=50_000))
    example = replace(example, tasks=(Task("z", TOTAL, detach=DetachRule(step=9)), example.tasks[0]))
    runs = [(Run("a", tasks=("task", "z")), []), (Run("b", tasks=("task",)), [])]
    result = treatments_of(example, manifest(tmp_path, runs))
    assert [(t.task, t.run_id, t.detach_step) for t in result] == [
        ("z", "a", 9),
        ("task", "a", 50_000),
        ("task", "b", 50_000),
    ]
    assert [t.run_id for t in of_task(result, "task")] == ["a", "b"]


def test_arms_and_the_step_they_share():
    a, b = treatment("a", at=50), treatment("b", at=50)
    control, late = treatment("c", "control"), treatment("d", "detached 0.8", at=80)
    unknown = treatment("e", "unknown", at=None)
    assert arms_of([unknown, control, late, a]) == ("detached", "detached 0.8", "control", "unknown")
    assert [t.is_control for t in (a, control, late, unknown)] == [False, True, False, False]
    assert (anchor([a, b, control]), anchor([a, late]), anchor([control]), anchor([])) == (50, 0, 0, 0)


EMPTY = Manifest("kit", {}, "", "", ())
PLACES = {
    "seed": "seed",
    "r": "algo.detach.r",
    "k": "algo.k",
    "steps": "train.steps",
    "scale": "algo.scale",
    "how": "how",
}
EXAMPLE = study(
    DetachRule(
        ratio_key=PLACES["r"], detach_step_key=PLACES["k"], total_steps_key=PLACES["steps"],
        frozen_when={PLACES["scale"]: 0.0},
    ),
)  # fmt: skip


configs = st.fixed_dictionaries(
    {"seed": st.integers(0, 3)},
    optional={
        "r": st.sampled_from([None, 0, 0.2, 0.5, 1, 1.5]),
        "k": st.sampled_from([None, 0, 20_000, 50_000, 0.5]),
        "steps": st.sampled_from([100_000, 200_000]),
        "scale": st.sampled_from([0.0, 0.1, 1, None]),
        "how": st.sampled_from([0.5, 2, "odd", True]),
    },
)


@pytest.mark.parametrize("by_key", [False, True])
@settings(deadline=None)
@given(some=st.lists(configs, min_size=1, max_size=4), data=st.data())
def test_arms_are_the_same_from_text_and_nested_configs(by_key, some, data):
    def written(config):
        nested = {}
        for key, value in config.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            value = str(value) if number and data.draw(st.booleans()) else value
            *tables, last = PLACES[key].split(".") if data.draw(st.booleans()) else [PLACES[key]]
            place = nested
            for table in tables:
                place = place.setdefault(table, {})
            place[last] = value
        return nested

    example = replace(EXAMPLE, arms=Arms("how", {"0.5": "half"})) if by_key else EXAMPLE
    plain = [{PLACES[key]: value for key, value in config.items()} for config in some]
    first, second = (
        treatments_of(
            example, replace(EMPTY, runs=tuple(Run(str(i), config=c, tasks=("task",)) for i, c in enumerate(form)))
        )
        for form in (plain, [written(config) for config in some])
    )
    assert [replace(t, warnings=()) for t in first] == [replace(t, warnings=()) for t in second]
    assert [len(t.warnings) for t in first] == [len(t.warnings) for t in second]
