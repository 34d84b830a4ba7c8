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
from lib.discover.evidence import value_text
from lib.discover.find_keys import FLAG, SEED, STEP, TASK, TOTAL
from lib.runs import Run
from lib.study import DetachRule, InputError, Signal, load_study, parse_study, to_toml
from tests.support.discover_kit import finding, looked, run

ROOT = Path(__file__).resolve().parents[2]

# ---- runs --------------------------------------------------------------------------------------------------------


def _forks():
    """The demo's fork pairs: its runs with randomised detach steps are a design that no config tells."""
    seen = inspect_bundle(ROOT / "data" / "demo")
    return replace(seen, runs=tuple(r for r in seen.runs if r.sweep_id != "cart0002"))


def test_the_demos_runs_give_the_demo():
    demo, found = load_study("demo"), propose(_forks())
    demo = replace(demo, tasks=demo.tasks[:2])
    assert found.study.metrics == demo.metrics
    assert [(t.name, t.title, t.sweeps, t.total_steps, t.window) for t in found.study.tasks] == [
        (t.name, t.title, t.sweeps, t.total_steps, t.window) for t in demo.tasks
    ]
    for task, shipped in zip(found.study.tasks, demo.tasks, strict=True):
        assert replace(task.detach, step=50_000) == shipped.detach
    assert (found.study.task_key, found.study.seed_key, found.study.step_key) == ("task", "seed", ("_step",))
    reading = finding(found, "detach_encoder_ratio counts")
    assert (reading.value, reading.assumed) == ("elapsed", True)
    assert reading.where == "every ratio is 0.5, where both readings give the same step; config's detach_step agrees"
    assert found.questions == ()
    assert [f.what for f in found.findings if f.assumed] == ["detach_encoder_ratio counts"]


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


@pytest.mark.parametrize(("step", "counts"), [(300, "elapsed"), (700, "remaining"), (701, "remaining")])
def test_a_detach_step_in_the_config_tells_what_the_ratio_counts(step, counts):
    found = propose(looked(run(detach_encoder_ratio=0.3, detach_step=step), run("c", detach_encoder_ratio=0.0)))
    reading = finding(found, "detach_encoder_ratio counts")
    assert (reading.value, reading.assumed) == (counts, False)
    assert reading.where == "config's detach_step says so in 1 run"
    assert found.questions == ()


def test_the_signal_tells_what_the_ratio_counts():
    seen = looked(run(keys=["train/loss", "train/encoder_lr"], detach_encoder_ratio=0.3), falls={"r": (650, 700)})
    found = propose(seen)
    assert finding(found, "detach_encoder_ratio counts").value == "remaining"
    assert found.study.tasks[0].detach.signal.key == "train/encoder_lr"


def test_nothing_tells_what_the_ratio_counts_so_the_user_is_asked():
    seen = looked(run(detach_encoder_ratio=0.3))
    found = propose(seen)
    assert finding(found, "detach_encoder_ratio counts").is_needed
    assert found.questions == (
        "Does detach_encoder_ratio count the part of training that has elapsed or that remains? At 0.3 (run r) elapsed "
        "detaches at step 300, remaining at step 700.",
    )
    chosen = propose(seen, Choices(ratio_counts="remaining"))
    assert chosen.questions == ()
    assert preview(chosen.study, seen)["detach step"].to_list() == [700]


def test_steps_that_fit_neither_reading_are_asked_about():
    found = propose(looked(run(detach_encoder_ratio=0.3, detach_step=123)))
    assert finding(found, "detach_encoder_ratio counts").assumed
    assert len(found.questions) == 1


def test_the_learning_rates_ratio_counts_what_remains_where_it_is_scaled_to_nothing():
    frozen = run("a", enc_lr_step_ratio=0.3, enc_lr_step_scale=0.0)
    halved = run("b", enc_lr_step_ratio=0.3, enc_lr_step_scale=0.5)
    found = propose(looked(frozen, halved))
    rule = found.study.tasks[0].detach
    assert (rule.ratio_key, rule.ratio_counts) == ("enc_lr_step_ratio", "remaining")
    assert rule.frozen_when == (("enc_lr_step_scale", 0.0),)
    assert not finding(found, "enc_lr_step_ratio counts").assumed
    assert preview(found.study, looked(frozen, halved)).select("run", "arm", "detach step").rows() == [
        ("a", "detached", 700),
        ("b", "detached enc_lr_step_scale 0.5", 700),
    ]


def scaled(name, scale, **more):
    return run(name, enc_lr_step_ratio=0.5, enc_lr_step_scale=scale, **more)


@pytest.mark.parametrize("scale", [1, 1.0, "1", 0.1, "0.5"])
def test_a_scale_from_0_to_1_needs_no_question(scale):
    proposal = propose(looked(scaled("a", 0.0), scaled("b", scale)))
    assert proposal.questions == ()
    rule = proposal.study.tasks[0].detach
    assert (rule.frozen_when, rule.unchanged_when) == ((("enc_lr_step_scale", 0.0),), ())


@pytest.mark.parametrize(("scale", "text"), [(2, "2"), (-1.0, "-1"), ("off", "off"), (False, "False")])
def test_another_value_of_the_scale_is_asked_about(scale, text):
    seen = looked(scaled("a", "0"), scaled("b", scale), scaled("c", 1.0))
    proposal = propose(seen)
    assert proposal.questions == (
        f"Which value of enc_lr_step_scale leaves a run alone, besides 1: {text}, or none? Runs at a value that does not "
        "are an arm of their own and no control.",
    )
    unchanged = finding(proposal, "unchanged enc_lr_step_scale")
    assert (unchanged.options, unchanged.is_needed) == ((text,), True)
    none = propose(seen, Choices(unchanged=""))
    assert (none.questions, none.study.tasks[0].detach.unchanged_when) == ((), ())
    chosen = propose(seen, Choices(unchanged=text))
    assert chosen.questions == ()
    assert chosen.study.tasks[0].detach.unchanged_when == (("enc_lr_step_scale", scale),)
    assert parse_study(to_toml(chosen.study)) == chosen.study


def test_a_flag_beside_a_step_is_asked_about():
    runs = [run("a", freeze_step=400, freeze_encoder=True), run("b", freeze_step=400, freeze_encoder=False)]
    proposal = propose(looked(*runs))
    assert proposal.questions == (
        "Were the runs with freeze_encoder False never detached? Choose False if so, none if freeze_encoder says nothing "
        "of it.",
    )
    assert proposal.study.tasks[0].detach == DetachRule(detach_step_key="freeze_step")
    assert propose(looked(*runs), Choices(unchanged="")).study.tasks[0].detach == proposal.study.tasks[0].detach
    chosen = propose(looked(*runs), Choices(unchanged="False"))
    assert chosen.questions == ()
    rule = chosen.study.tasks[0].detach
    assert (rule.frozen_when, rule.unchanged_when) == ((("freeze_encoder", True),), (("freeze_encoder", False),))
    assert parse_study(to_toml(chosen.study)) == chosen.study


@pytest.mark.parametrize("key", ["freeze_encoder", "use_detach", "detach.enabled"])
@pytest.mark.parametrize(("on", "off"), [(1, 0), ("yes", "no"), ("On", "Off"), ("1", "0"), (1.0, 0.0)])
def test_a_flag_may_be_a_number_or_a_text(key, on, off):
    runs = [run("a", freeze_step=400, **{key: on}), run("b", freeze_step=400, **{key: off})]
    (question,) = propose(looked(*runs)).questions
    assert question.startswith(f"Were the runs with {key} {value_text(off)} never detached?")
    rule = propose(looked(*runs), Choices(unchanged=value_text(off))).study.tasks[0].detach
    assert (rule.frozen_when, rule.unchanged_when) == (((key, on),), ((key, off),))


@pytest.mark.parametrize(("detached", "control"), [("frozen", "baseline"), (False, True)])
def test_a_key_that_tells_runs_of_one_seed_apart_is_named_and_may_be_the_flag(detached, control):
    runs = [
        run(f"{mode}{seed}", freeze_step=400, mode=mode, seed=seed, lr=0.1 * seed)
        for seed in (1, 2)
        for mode in (detached, control)
    ]
    where = finding(propose(looked(*runs)), "control of walk").where
    values = ", ".join(sorted(f"{mode} (2 runs)" for mode in (detached, control)))
    assert where == (
        f"every run was detached at 400, and runs of one seed differ in mode ({values}): "
        "a key that says which were not is the detach flag key"
    )
    chosen = Choices(keys={FLAG: "mode"}, unchanged=str(control))
    rule = propose(looked(*runs), chosen).study.tasks[0].detach
    assert (rule.frozen_when, rule.unchanged_when) == ((("mode", detached),), (("mode", control),))
    assert not [f for f in propose(looked(*runs[::2])).findings if f.what == "control of walk"]


@pytest.mark.parametrize("other", [{}, {"freeze_encoder": None}])
def test_runs_without_the_flag_of_others_are_not_detached_for_it(other):
    runs = [run("a", freeze_step=400, freeze_encoder=True), run("b", freeze_step=400, **other)]
    rule = propose(looked(*runs)).study.tasks[0].detach
    assert (rule.frozen_when, rule.unchanged_when) == ((("freeze_encoder", True),), ())


@pytest.mark.parametrize("key", ["freeze_policy", "freeze_bn", "encoder_bias"])
def test_flags_of_other_things_and_flags_that_differ_in_no_run_say_nothing(key):
    other = [run("a", freeze_step=400, **{key: True}), run("b", freeze_step=400, **{key: False})]
    same = [run("a", freeze_step=400, freeze_encoder=False), run("b", freeze_step=0, freeze_encoder=False)]
    for runs in (other, same):
        assert propose(looked(*runs)).questions == ()
        assert propose(looked(*runs)).study.tasks[0].detach == DetachRule(detach_step_key="freeze_step")


def test_total_steps_are_the_largest_last_step_where_no_config_says():
    found = propose(looked(run(steps="gone", last=900), run("b", steps="gone", last=880)))
    assert found.study.tasks[0].total_steps == 900
    assert finding(found, "total steps of walk").assumed


def test_last_steps_are_not_in_another_step_key():
    seen = looked(run(steps="gone", last=900, keys=["train/loss", "global_step"]))
    found = propose(seen, Choices(keys={STEP: "global_step"}))
    where = "the largest last step of its runs, in _step and not in global_step; no config key says"
    assert finding(found, "total steps of walk").where == where


def test_runs_of_no_task_and_without_a_seed_are_said():
    found = propose(looked(run(seed="gone"), run("b", task=3, seed="gone")))
    assert finding(found, "runs left out").value == "1"
    assert finding(found, "seed key").where == "in no config: each run counts as a seed of its own"


def test_total_steps_of_several_values_and_of_none():
    assert propose(looked(run(), run("b", steps=2000))).study.tasks[0].total_steps == 2000
    found = propose(looked(run(steps="gone", last=None)))
    assert found.questions == ("How many steps does walk train for? Neither config nor history says: type it.",)
    typed = propose(looked(run(steps="gone", last=None)), Choices(total_steps={"walk": 50}))
    assert (typed.study.tasks[0].total_steps, typed.questions) == (50, ())


def test_a_rollouts_length_is_no_total():
    found = propose(looked(run(steps="gone", num_steps=128, total_timesteps=1000)))
    assert found.study.tasks[0].total_steps == 1000
    assert find_keys(looked(run(steps="gone", num_steps=128)))[TOTAL].status == "not found"


def test_a_detach_step_in_the_configs_is_read_from_them():
    proposal = propose(looked(run(detach_step=400), run("b", detach_step=None), run("c")))
    rule = proposal.study.tasks[0].detach
    assert rule == DetachRule(detach_step_key="detach_step")
    detach = finding(proposal, "detach of walk")
    assert detach.value == "400 (1 run), missing or null (2 runs)"
    assert detach.where == "config detach_step; 1 run without it taken as never detached"
    assert proposal.questions == ()


def test_a_step_is_read_where_the_ratio_says_of_no_run_that_it_detaches():
    runs = [run(detach_encoder_ratio=None, freeze_step=400), run("b", detach_encoder_ratio=0, freeze_step=0)]
    assert propose(looked(*runs)).study.tasks[0].detach.detach_step_key == "freeze_step"
    both = [run(detach_encoder_ratio=0.4, freeze_step=400), run("b", detach_encoder_ratio=0, freeze_step=0)]
    assert propose(looked(*both)).study.tasks[0].detach.ratio_key == "detach_encoder_ratio"


def test_the_signal_gives_the_detach_step_where_nothing_else_says_it():
    proposal = propose(looked(run(keys=["train/loss", "encoder_lr"])))
    assert proposal.study.tasks[0].detach == DetachRule(signal=Signal("encoder_lr"))
    step = finding(proposal, "detach step of walk")
    assert (step.value, step.status) == ("where the signal falls", "assumed")
    assert step.where == "the logged encoder_lr, once the runs are fetched; until then their arm is unknown"


def test_nothing_says_when_the_encoder_was_detached():
    found = propose(looked(run()))
    assert finding(found, "detach step of walk").where == "nothing says: the arm of every run is unknown"
    assert finding(found, "detach step of walk").assumed
    beyond = propose(looked(run()), Choices(detach_steps={"walk": 5000}))
    assert beyond.questions == ("The detach step of walk is beyond its 1,000 total steps: correct one of them.",)


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
    found = propose(looked(run(last=100)))
    assert finding(found, "step").value == "_step may not count environment steps"
    assert finding(found, "step").where == "1 finished run ends early: r at 100 of steps 1,000"
    assert not [f for f in propose(looked(run(last=100, state="running"))).findings if f.what == "step"]


@pytest.mark.parametrize(
    ("runs", "choices", "said"),
    [
        ([], Choices(), "There is no run here"),
        ([run(task="gone")], Choices(), "No config key names the task"),
        ([run()], Choices(tasks=()), "No task is chosen"),
        ([run()], Choices(metrics=()), "No metric is chosen"),
        ([run(keys=["a", "b"])], Choices(), "No logged key looks like a reward or a loss"),
    ],
)
def test_what_cannot_be_proposed_is_one_sentence(runs, choices, said):
    with pytest.raises(InputError, match=said):
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
        found = propose(seen)
    except InputError as error:
        assert str(error).endswith(".")
        return
    if not found.questions:
        assert parse_study(to_toml(found.study)) == found.study
    assert preview(found.study, seen).height <= len(runs)
