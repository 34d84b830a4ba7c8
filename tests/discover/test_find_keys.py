"""Config keys that lie in tables or hold text, and logged keys that count environment steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lib.discover import Choices, find_keys, propose
from lib.discover.find_keys import DETACH_STEP, RATIO, SEED, SIGNAL, STEP, TASK, TOTAL
from lib.discover.model import dotted
from lib.runs import Run
from lib.study import config_value, parse_study, to_toml
from tests.support.discover_kit import finding, looked, run

# ---- nested configs ----------------------------------------------------------------------------------------------


def hydra(name: str, ratio: object, seed: int = 1, **algo: object) -> Run:
    """A run whose config hydra wrote: everything lies in tables."""
    config = {
        "env": {"id": "walker-walk", "seed": seed, "action_repeat": 2},
        "algo": {"world_model": {"detach_encoder_ratio": ratio, "lr": 3e-4} | algo, "total_steps": 2000},
        "optim": {"name": "adam"},
    }
    keys = ("eval/episode_reward", "wm/consistency", "optim/encoder_lr")
    return Run(name, state="finished", config=config, sweep_id="s", keys=keys, last_step=2000)


def test_keys_in_tables_are_found_by_their_dotted_names():
    seen = looked(hydra("a", 0.5), hydra("b", None, seed=2))
    keys = find_keys(seen)
    assert keys[TASK].value == "env.id"
    assert keys[SEED].value == "env.seed"
    assert keys[TOTAL].value == "algo.total_steps"
    assert keys[RATIO].value == "algo.world_model.detach_encoder_ratio"
    assert keys[SIGNAL].value == "optim/encoder_lr"
    assert {keys[what].status for what in (TASK, SEED, TOTAL, RATIO)} == {"found"}
    proposal = propose(seen)
    study = proposal.study
    assert (study.task_key, study.seed_key) == ("env.id", "env.seed")
    task = study.tasks[0]
    assert (task.name, task.total_steps) == ("walker-walk", 2000)
    assert (task.detach.ratio_key, task.detach.total_steps_key) == (
        "algo.world_model.detach_encoder_ratio",
        "algo.total_steps",
    )
    assert finding(proposal, "detach of walker-walk").value == "0.5 (1 run), missing or null (1 run)"
    assert parse_study(to_toml(study)) == study


def test_a_key_at_the_top_comes_before_one_in_a_table():
    keys = find_keys(looked(run(env={"seed": 3}), run("b", env={"seed": 3})))
    assert keys[SEED].value == "seed"
    assert keys[SEED].where == "config of 2 of 2 runs; so might env.seed"


@pytest.mark.parametrize(("what", "key", "other"), [(SEED, "seed", "env.seed"), (TASK, "task", "env.id")])
def test_a_key_that_is_one_value_in_all_runs_comes_after_one_that_tells_them_apart(what, key, other):
    runs = [run(name, env={other[4:]: name}, **{key: "0"}) for name in "ab"]
    assert find_keys(looked(*runs))[what].value == other
    assert find_keys(looked(runs[0]))[what].value == key
    assert find_keys(looked(*runs))[what].where == f"config of 2 of 2 runs; so might {key}"


def test_a_scale_is_looked_for_beside_its_ratio():
    table = {"enc_lr_step_ratio": 0.5, "enc_lr_step_scale": 0.0}
    rule = propose(looked(run(agent=table))).study.tasks[0].detach
    assert rule.ratio_key == "agent.enc_lr_step_ratio"
    assert rule.frozen_when == (("agent.enc_lr_step_scale", 0.0),)
    assert rule.ratio_counts == "remaining"


TABLE = some.recursive(
    some.integers() | some.text(max_size=2),
    lambda inner: some.dictionaries(some.text("ab.", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(some.dictionaries(some.text("ab.", max_size=3), TABLE, max_size=3))
def test_every_dotted_key_is_one_that_a_study_can_name(config):
    for key in dotted(config):
        assert config_value(config, key) is not None


# ---- numbers as text ---------------------------------------------------------------------------------------------


def test_numbers_that_arrive_as_text_are_numbers():
    runs = [
        run("a", steps="1e3", seed="1", detach_encoder_ratio="0.5"),
        run("b", steps="1e3", seed=1.0, detach_encoder_ratio="0.0"),
        run("c", steps="1000", seed="2", detach_encoder_ratio="None"),
        run("d", steps=1000, seed="2", detach_encoder_ratio="half"),
    ]
    keys = find_keys(looked(*runs))
    assert (keys[TOTAL].value, keys[RATIO].value, keys[SEED].value) == ("steps", "detach_encoder_ratio", "seed")
    assert keys[SEED].where == "config of 4 of 4 runs"
    proposal = propose(looked(*runs))
    assert proposal.study.tasks[0].total_steps == 1000
    detach = finding(proposal, "detach of walk")
    assert detach.value == "0 (1 run), 0.5 (1 run), half (1 run), missing or null (1 run)"
    assert (detach.where, detach.assumed) == ("config detach_encoder_ratio; no number in 1 run", True)


def test_a_ratio_as_text_is_asked_about_like_any_other():
    question = propose(looked(run(detach_encoder_ratio="0.3"))).questions[0]
    assert question.endswith("At 0.3 (run r) elapsed detaches at step 300, remaining at step 700.")


# ---- when the encoder was frozen ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "freeze_encoder_step",
        "freeze_encoder_at",
        "encoder.freeze_after",
        "detachAtStep",
        "detach.step",
        "a/frozen_from",
    ],
)
@pytest.mark.parametrize("value", [500, "500", 5e2])
def test_a_step_in_the_config_by_its_words(key, value):
    runs = [run("a", **{key: value}), run("b", **{key: 0}), run("c", **{key: None})]
    keys = find_keys(looked(*runs))
    assert (keys[DETACH_STEP].value, keys[RATIO].value) == (key, "")
    assert propose(looked(*runs)).study.tasks[0].detach.detach_step_key == key


@pytest.mark.parametrize("key", ["freeze_encoder_at", "detach_fraction", "encoder.freeze_frac"])
def test_a_fraction_in_the_config_by_its_words(key):
    runs = [run("a", **{key: 0.25}), run("b", **{key: 0})]
    keys = find_keys(looked(*runs))
    assert (keys[RATIO].value, keys[DETACH_STEP].value) == (key, "")
    assert keys[RATIO].where == "config of 2 of 2 runs, by the words of its name"
    assert keys[RATIO].assumed


@pytest.mark.parametrize(
    "key",
    [
        "freeze_policy_step",
        "target_freeze_steps",
        "freeze_lr",
        "detach",
        "freezer_step",
        "freeze_after_epochs",
        "freeze_encoder_at_percent",
        "freeze_step_k",
        "frozen_from_layer",
        "detach_until_step",
        "detach_end_step",
        "freeze_encoder_after_hours",
        "freeze_at_iteration",
    ],
)
def test_other_keys_and_other_units_say_no_step(key):
    keys = find_keys(looked(run("a", **{key: 500}), run("b", **{key: 0})))
    assert (keys[RATIO].value, keys[DETACH_STEP].value) == ("", "")


# ---- the step key ------------------------------------------------------------------------------------------------


def test_the_key_that_counts_to_the_total_is_the_step_key_where_calls_are_counted():
    seen = looked(run(last=250, logged={"global_step": 1000.0}), run("b", last=240, logged={"global_step": 960.0}))
    step = find_keys(seen)[STEP]
    assert (step.value, step.status) == ("global_step", "found")
    assert step.where == "counts to 1,000 in run r, where _step counts to 250, of 1,000 total steps"
    assert step.options[:2] == ("global_step", "_step")
    proposal = propose(seen)
    assert proposal.study.step_key == ("global_step",)
    assert not [f for f in proposal.findings if f.what == "step"]
    assert propose(seen, Choices(keys={STEP: "_step"})).study.step_key == ("_step",)


def test_each_metric_finds_the_steps_of_its_own_rows():
    logged = {"train/env_step": 1000.0, "eval/env_step": 1000.0}
    assert propose(looked(run(last=100, logged=logged))).study.step_key == ("eval/env_step", "train/env_step")


def test_a_run_that_still_runs_has_counted_towards_the_total():
    step = find_keys(looked(run(last=100, state="running", logged={"global_step": 400.0})))[STEP]
    assert (step.value, step.assumed) == ("global_step", True)


def test_without_total_steps_a_key_far_beyond_the_step_is_assumed_to_count_them():
    seen = looked(run(steps="gone", last=100, logged={"global_step": 50_000.0}))
    proposal = propose(seen)
    assert finding(proposal, "step key").status == "assumed"
    assert proposal.study.step_key == ("global_step",)
    assert proposal.study.tasks[0].total_steps == 50_000


@pytest.mark.parametrize(
    ("last", "logged"),
    [
        (1000, {"frames": 2000.0}),  # an action repeat: the steps are counted by _step
        (1000, {"global_step": 1000.0}),
        (400, {"frames": 4000.0}),  # counts beyond the total
        (400, {"episode": 990.0}),  # its name says no steps
        (400, {"global_step": 410.0}),
    ],
)
def test_the_step_stays_where_no_other_key_counts_to_the_total(last, logged):
    assert find_keys(looked(run(last=last, logged=logged)))[STEP].value == "_step"


def test_a_step_of_agents_is_none_of_the_environment():
    seen = looked(run(last=500, logged={"env_step": 1000.0}))  # an action repeat of 2
    assert (find_keys(seen)[STEP].value, find_keys(seen)[STEP].assumed) == ("env_step", False)


def test_calls_beyond_the_total_are_no_steps_either():
    seen = looked(run(last=5000, logged={"env_step": 1000.0}))
    assert (find_keys(seen)[TOTAL].value, propose(seen).study.step_key) == ("steps", ("env_step",))


def test_the_signals_fall_in_calls_tells_nothing_of_environment_steps():
    runs = [run(last=100, keys=["train/loss", "encoder_lr"], logged={"global_step": 1000.0}, detach_encoder_ratio=0.3)]
    assert propose(looked(*runs, falls={"r": (65, 70)})).questions != ()
