"""The study proposed from runs."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lib.discover import (
    Choices,
    arms,
    find_keys,
    inspect_bundle,
    preview,
    propose,
)
from lib.discover.find_keys import SEED, STEP, TASK, TOTAL
from lib.runs import Run
from lib.study import DetachRule, InputError, load_study, parse_study, to_toml
from tests.support.discover_kit import finding, looked, run

ROOT = Path(__file__).resolve().parents[2]

# ---- runs --------------------------------------------------------------------------------------------------------


def _forks():
    """The demo's fork pairs: its runs with randomised detach steps are a design that no config tells."""
    seen = inspect_bundle(ROOT / "data" / "demo")
    return replace(seen, runs=tuple(r for r in seen.runs if r.sweep_id != "cart0002"))


def test_the_demos_runs_give_the_demo():
    demo, proposal = load_study("demo"), propose(_forks())
    demo = replace(demo, tasks=demo.tasks[:2])
    assert proposal.study.metrics == demo.metrics
    assert [(t.name, t.title, t.sweeps, t.total_steps, t.window) for t in proposal.study.tasks] == [
        (t.name, t.title, t.sweeps, t.total_steps, t.window) for t in demo.tasks
    ]
    for task, shipped in zip(proposal.study.tasks, demo.tasks, strict=True):
        assert replace(task.detach, step=50_000) == shipped.detach
    assert (proposal.study.task_key, proposal.study.seed_key, proposal.study.step_key) == ("task", "seed", ("_step",))
    reading = finding(proposal, "detach_encoder_ratio counts")
    assert (reading.value, reading.assumed) == ("elapsed", True)
    assert reading.where == "every ratio is 0.5, where both readings give the same step; config's detach_step agrees"
    assert proposal.questions == ()
    assert [f.what for f in proposal.findings if f.assumed] == ["detach_encoder_ratio counts"]


def test_the_demos_preview():
    seen = _forks()
    runs = preview(propose(seen).study, seen)
    assert runs.height == 24
    seeds = "1, 2, 3, 4, 5, 6"
    assert arms(runs).rows() == [
        ("acrobot-swingup", "detached", 6, seeds, "50,000"),
        ("acrobot-swingup", "control", 6, seeds, ""),
        ("cartpole-swingup", "detached", 6, seeds, "50,000"),
        ("cartpole-swingup", "control", 6, seeds, ""),
    ]


def test_a_typed_step_stands_beside_what_configs_say_or_in_its_place():
    runs = looked(run(detach_encoder_ratio=0.5))
    rule = propose(runs, Choices(detach_steps={"walk": 300})).study.tasks[0].detach
    assert (rule.step, rule.ratio_key) == (300, "detach_encoder_ratio")
    alone = propose(runs, Choices(detach_steps={"walk": 300}, typed_alone=["walk"]))
    assert alone.study.tasks[0].detach == DetachRule(300)
    assert finding(alone, "detach step of walk").where == "typed by you"


def test_what_is_proposed_is_a_valid_study_file():
    study = propose(looked(run(detach_encoder_ratio=0.3, detach_step=300))).study
    assert parse_study(to_toml(study)) == study


def test_total_steps_are_the_largest_last_step_where_no_config_says():
    proposal = propose(looked(run(steps="gone", last=900), run("b", steps="gone", last=880)))
    assert proposal.study.tasks[0].total_steps == 900
    assert finding(proposal, "total steps of walk").assumed


def test_last_steps_are_not_in_another_step_key():
    seen = looked(run(steps="gone", last=900, keys=["train/loss", "global_step"]))
    proposal = propose(seen, Choices(keys={STEP: "global_step"}))
    where = "the largest last step of its runs, in _step and not in global_step; no config key says"
    assert finding(proposal, "total steps of walk").where == where


def test_runs_of_no_task_and_without_a_seed_are_said():
    proposal = propose(looked(run(seed="gone"), run("b", task=3, seed="gone")))
    assert finding(proposal, "runs left out").value == "1"
    assert finding(proposal, "seed key").where == "in no config: each run counts as a seed of its own"


def test_total_steps_of_several_values_and_of_none():
    assert propose(looked(run(), run("b", steps=2000))).study.tasks[0].total_steps == 2000
    proposal = propose(looked(run(steps="gone", last=None)))
    assert proposal.questions == ("How many steps does walk train for? Neither config nor history says: type it.",)
    typed = propose(looked(run(steps="gone", last=None)), Choices(total_steps={"walk": 50}))
    assert (typed.study.tasks[0].total_steps, typed.questions) == (50, ())


def test_a_rollouts_length_is_no_total():
    proposal = propose(looked(run(steps="gone", num_steps=128, total_timesteps=1000)))
    assert proposal.study.tasks[0].total_steps == 1000
    assert find_keys(looked(run(steps="gone", num_steps=128)))[TOTAL].status == "not found"


def test_a_sweep_that_the_user_calls_the_control_is_the_control_sweep():
    seen = looked(run("a"), run("b", sweep="t"))
    proposal = propose(seen, Choices(control_sweeps=["t"], detach_steps={"walk": 500}))
    task = proposal.study.tasks[0]
    assert (task.sweep_id, task.control_sweep_id, task.detach.step) == (("s",), ("t",), 500)
    assert finding(proposal, "control sweeps of walk").where == "chosen by you"


def test_sweeps_are_named_only_where_every_run_is_in_one():
    assert propose(looked(run(), run("b", sweep="t"))).study.tasks[0].sweeps == ("s", "t")
    assert propose(looked(run(), run("b", sweep=""))).study.tasks[0].sweeps == ()


def test_keys_by_other_names():
    keys = find_keys(looked(run(task="gone", seed="gone", env_id="Walker", random_seed=3)))
    assert (keys[TASK].value, keys[SEED].value) == ("env_id", "random_seed")
    assert keys[TASK].where == "config of 1 of 1 run"
    both = find_keys(looked(run(env="Walker2d")))[TASK]
    assert (both.value, both.assumed, both.where) == ("task", True, "config of 1 of 1 run; so might env")
    most = find_keys(looked(run(), run("b", task="gone", env="x"), run("c", task="gone", env="x")))
    assert most[TASK].value == "env"


def test_step_keys_are_offered():
    keys = find_keys(looked(run(keys=["train/loss", "global_step", "time/total_timesteps"])))
    assert keys[STEP].options[:3] == ("_step", "global_step", "time/total_timesteps")
    assert (keys[STEP].value, keys[STEP].assumed) == ("_step", True)
    chosen = propose(looked(run(keys=["train/loss", "global_step"])), Choices(keys={STEP: "global_step"}))
    assert chosen.study.step_key == ("global_step",)
    assert finding(chosen, "step key").where == "chosen by you"


def test_finished_runs_that_end_early_raise_a_doubt_about_the_step():
    proposal = propose(looked(run(last=100)))
    assert finding(proposal, "step").value == "_step may not count environment steps"
    assert finding(proposal, "step").where == "1 finished run ends early: r at 100 of steps 1,000"
    assert not [f for f in propose(looked(run(last=100, state="running"))).findings if f.what == "step"]


@pytest.mark.parametrize(
    ("runs", "choices", "message"),
    [
        ([], Choices(), "There is no run here"),
        ([run(task="gone")], Choices(), "No config key names the task"),
        ([run()], Choices(tasks=()), "No task is chosen"),
        ([run()], Choices(metrics=()), "No metric is chosen"),
        ([run(keys=["a", "b"])], Choices(), "No logged key looks like a reward or a loss"),
    ],
)
def test_what_cannot_be_proposed_is_one_sentence(runs, choices, message):
    with pytest.raises(InputError, match=message):
        propose(looked(*runs), choices)


def test_tasks_that_differ_in_case_spaces_or_form_alone_have_files_and_titles_of_their_own():
    names = ["Walk", "caf\u00e9", "cafe\u0301", "walk", "walk ", "w" * 300, "w" * 301]
    runs = [Run(f"r{i}", config={"task": name}, keys=("train/loss",), last_step=100) for i, name in enumerate(names)]
    proposal = propose(looked(*runs))
    tasks = proposal.study.tasks
    stems = {unicodedata.normalize("NFC", task.stem).casefold() for task in tasks}
    assert len(stems) == len({task.title for task in tasks}) == len(names)
    assert max(len(task.stem) for task in tasks) == 60
    alike = [finding.value for finding in proposal.findings if finding.what == "tasks alike"]
    assert alike == ["'Walk', 'walk' and 'walk '", "'cafe\u0301' and 'caf\u00e9'"]
    assert parse_study(to_toml(proposal.study)) == proposal.study


def test_tasks_and_metrics_that_read_alike_are_told_apart():
    runs = [
        Run(f"r{i}", config={"task": task}, keys=("train/loss", "train_loss"), last_step=100)
        for i, task in enumerate(["a:b", "a;b", "a;b_2"])
    ]
    study = propose(looked(*runs)).study
    assert [(task.name, task.id, task.stem) for task in study.tasks] == [
        ("a:b", "", "a_b"),
        ("a;b", "a;b_2", "a_b_2"),
        ("a;b_2", "a;b_2_2", "a_b_2_2"),
    ]
    assert [m.label for m in study.metrics] == ["Train Loss (train/loss)", "Train Loss (train_loss)"]
    assert parse_study(to_toml(study)) == study


VALUE = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=3) | some.just({"a": [1]})
NUMBER_TEXT = some.sampled_from(["0", "0.5", "1e3", "none", "nan", "Infinity", "true"])
CONFIG = some.recursive(
    VALUE | NUMBER_TEXT,
    lambda inner: some.dictionaries(
        some.sampled_from([
            "task", "env", "id", "seed", "steps", "detach_encoder_ratio", "detach_step", "enc_lr_step_ratio",
            "enc_lr_step_scale", "freeze_encoder", "freeze_encoder_at", "algo", "env.id",
        ]),
        inner,
    ),
    max_leaves=12,
).filter(lambda config: isinstance(config, dict))  # fmt: skip
LOGGED = some.dictionaries(some.sampled_from(["global_step", "train/loss", "env/frames"]), some.floats())


@given(some.lists(CONFIG, min_size=1, max_size=4), some.none() | some.integers(0, 10**6), LOGGED)
def test_any_configs_give_a_valid_study_or_one_sentence(configs, last, logged):
    keys = ("train/loss", "train_loss", "optim/encoder_lr", *logged)
    runs = [
        Run(f"r{i}", config=config, keys=keys, last_step=last, last_values=logged) for i, config in enumerate(configs)
    ]
    seen = looked(*runs)
    try:
        proposal = propose(seen)
    except InputError as error:
        assert str(error).endswith(".")
        return
    if not proposal.questions:
        assert parse_study(to_toml(proposal.study)) == proposal.study
    assert preview(proposal.study, seen).height <= len(runs)
