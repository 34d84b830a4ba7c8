"""Keys that the study names and no run has."""

from dataclasses import replace

from lib.runs import Drop, Problem, Run, missing_keys
from lib.study import DetachRule, Signal, Task
from lib.study.model import Arms
from tests.support.frames import LOSS, REWARD, manifest, study
from tests.support.treatments_kit import BY_RATIO, TOTAL, arms, treatments


def test_a_key_that_no_run_has_makes_no_control_and_every_run_says_it(tmp_path):
    example = study(DetachRule(ratio_key="ration"), seed_key="sed")
    result = treatments(tmp_path, example, {"ratio": 0.5}, {"ratio": 0})
    assert [(t.arm, t.detach_source, t.seed) for t in result] == [("unknown", "", "a"), ("unknown", "", "b")]
    assert {t.warnings for t in result} == {
        (
            "nothing says whether it was detached: its arm is unknown",
            "no run has ration in its config: check ratio_key",
            "sed is not in its config: its id stands for the seed",
        )
    }


def test_with_a_typed_step_such_runs_are_detached_there_and_still_say_it(tmp_path):
    treatment = treatments(tmp_path, study(DetachRule(step=50_000, ratio_key="ration")), {"ratio": 0})[0]
    assert (treatment.arm, treatment.detach_source) == ("detached", "typed")
    assert treatment.warnings == ("no run has ration in its config: check ratio_key",)


def test_a_missing_condition_makes_no_control(tmp_path):
    rule = DetachRule(ratio_key="r", frozen_when={"scael": 0.0})
    assert arms(tmp_path, study(rule), {"r": 0.5, "scale": 0.0}, {"r": 0.5, "scale": 1.0}, {"r": 0}) == [
        "unknown", "unknown", "control"
    ]  # fmt: skip


NAMED = DetachRule(
    ratio_key="r", detach_step_key="k", total_steps_key="steps", frozen_when={"scale": 0.0},
    unchanged_when={"scale": 1.0, "mode": "off"},
)  # fmt: skip


def test_every_key_that_no_run_has_is_a_sentence(tmp_path):
    example = study(NAMED, seed_key="s", arms=Arms("arm", also=("batch",)), metrics=())
    runs = manifest(tmp_path, [(Run("a", config={"other": 1}), []), (Run("b"), [])])
    assert missing_keys(example, runs) == [
        "No run has 's' in its config: check seed_key; the id of a run stands for its seed.",
        "No run has 'steps' in its config: check total_steps_key; the study's total steps are used.",
        "No run has 'r' in its config: check ratio_key; no run is called control for want of it.",
        "No run has 'k' in its config: check detach_step_key; no run is called control for want of it.",
        "No run has 'scale' in its config: check frozen_when; no run is called control for want of it.",
        "No run has 'mode' in its config: check unchanged_when; no run is called control for want of it.",
        "No run has 'arm' in its config: check [arms] key; arms are named by their detach steps.",
        "No run has 'batch' in its config: check [arms] also; it is no part of the treatment.",
    ]
    config = {"s": None, "steps": 1, "r": 0, "k": None, "scale": 1, "mode": "on", "arm": "x", "batch": 1}
    assert missing_keys(example, manifest(tmp_path / "all", [(Run("a", config=config), []), (Run("b"), [])])) == []
    nested = study(replace(BY_RATIO, ratio_key="algo.r"), metrics=())
    assert (
        missing_keys(nested, manifest(tmp_path / "n", [(Run("a", config={"seed": 1, "algo": {"r": None}}), [])])) == []
    )


def test_logged_keys_that_no_run_has_are_sentences(tmp_path):
    example = study(
        replace(BY_RATIO, signal=Signal("enc_lrr")), metrics=(REWARD, LOSS), step_key=("env_stepp", "frame")
    )
    stored_run = Run("a", config={"seed": 1, "r": 0}, keys=("env_step", REWARD.key))
    signal = "No run logged 'enc_lrr': check detach.signal; no detach can be checked."
    loss = "No run logged 'loss': check the metric's key."
    none = manifest(tmp_path / "none", [(stored_run, [])])
    assert missing_keys(example, none) == ["No run logged 'env_stepp' or 'frame': check step_key.", loss, signal]
    reward = f"No run logged '{REWARD.key}': check the metric's key."
    assert missing_keys(replace(example, step_key=("_step",)), none) == [reward, loss, signal]
    unread = replace(none, runs=tuple(replace(run, file="") for run in none.runs))
    assert missing_keys(example, unread) == []
    with_problem = replace(none, problems=(Problem(loss),))
    assert missing_keys(replace(example, step_key=("_step",)), with_problem) == [reward, signal]
    some = manifest(tmp_path / "some", [(stored_run, [("a", REWARD.key, 1, 2.0), ("a", "enc_lrr", 1, 0.1)])])
    assert missing_keys(example, some) == [loss]


def test_a_metric_whose_rows_are_left_out_is_not_called_unlogged(tmp_path):
    example = study(BY_RATIO, metrics=(REWARD, LOSS))
    drops = (Drop(LOSS.key, "no step (env)", 40), Drop(REWARD.key, "not a number", 2))
    run = Run("a", config={"seed": 1, "r": 0}, keys=(REWARD.key, LOSS.key), drops=drops)
    assert missing_keys(example, manifest(tmp_path, [(run, [])])) == [
        f"Every row of '{REWARD.key}' is left out: not a number. Check what is logged under it.",
        "Every row of 'loss' is left out: no step (env). Check step_key.",
    ]


def test_a_sweep_without_a_run_is_said_where_another_has_some(tmp_path):
    task = Task("task", 100, sweep_id=("a", "b"), control_sweep_id=("c",))
    example = replace(study(metrics=(REWARD,)), tasks=(task,))
    run = Run("r", config={"seed": 1}, sweep_id="a")
    assert missing_keys(example, manifest(tmp_path / "one", [(run, [("r", REWARD.key, 1, 1.0)])])) == [
        "No run of task is in sweep b: check sweep_id.",
        "No run of task is in sweep c: check control_sweep_id.",
    ]
    assert missing_keys(example, manifest(tmp_path / "none")) == []


def test_total_steps_that_every_run_passes_are_said(tmp_path):
    example = study(replace(BY_RATIO, total_steps_key="steps"), metrics=(REWARD,))

    def said(*runs):
        calls = [
            (Run(f"{i}", config={"seed": i, "r": 0, "steps": steps}), [(f"{i}", REWARD.key, end, 1.0)])
            for i, (steps, end) in enumerate(runs)
        ]
        return missing_keys(example, manifest(tmp_path / str(runs), calls))

    total, beyond = example.tasks[0].total_steps, 2 * example.tasks[0].total_steps
    text = "Every run of task goes on beyond its total steps, to 200,000 at least: check total_steps."
    assert said((total, beyond), (total, 3 * total)) == [text]
    assert said((total, beyond), (total, total)) == said((beyond, beyond)) == said((total, total + 500)) == []


def test_a_key_is_looked_for_task_by_task(tmp_path):
    example = study(BY_RATIO, metrics=())
    example = replace(
        example, tasks=(*example.tasks, Task("walk", TOTAL, display_name="Walk", detach=BY_RATIO), Task("none", 9))
    )
    runs = [(Run("a", config={"seed": 1, "r": 0.5}), []), (Run("b", config={"seed": 1}, tasks=("walk",)), [])]
    assert missing_keys(example, manifest(tmp_path, runs)) == [
        "No run of Walk has 'r' in its config: check ratio_key; no run is called control for want of it."
    ]
