"""What is proposed of the detach: what the ratio counts, flags, scales, steps and the signal."""

import pytest

from lib.discover import (
    Choices,
    preview,
    propose,
)
from lib.discover.evidence import value_text
from lib.discover.find_keys import FLAG
from lib.study import DetachRule, Signal, parse_study, to_toml
from tests.support.discover_kit import finding, looked, run


@pytest.mark.parametrize(("step", "counts"), [(300, "elapsed"), (700, "remaining"), (701, "remaining")])
def test_a_detach_step_in_the_config_tells_what_the_ratio_counts(step, counts):
    proposal = propose(looked(run(detach_encoder_ratio=0.3, detach_step=step), run("c", detach_encoder_ratio=0.0)))
    reading = finding(proposal, "detach_encoder_ratio counts")
    assert (reading.value, reading.assumed) == (counts, False)
    assert reading.where == "config's detach_step says so in 1 run"
    assert proposal.questions == ()


def test_the_signal_tells_what_the_ratio_counts():
    seen = looked(run(keys=["train/loss", "train/encoder_lr"], detach_encoder_ratio=0.3), falls={"r": (650, 700)})
    proposal = propose(seen)
    assert finding(proposal, "detach_encoder_ratio counts").value == "remaining"
    assert proposal.study.tasks[0].detach.signal.key == "train/encoder_lr"


def test_nothing_tells_what_the_ratio_counts_so_the_user_is_asked():
    seen = looked(run(detach_encoder_ratio=0.3))
    proposal = propose(seen)
    assert finding(proposal, "detach_encoder_ratio counts").is_needed
    assert proposal.questions == (
        "Does detach_encoder_ratio count the part of training that has elapsed or that remains? At 0.3 (run r) elapsed "
        "detaches at step 300, remaining at step 700.",
    )
    chosen = propose(seen, Choices(ratio_counts="remaining"))
    assert chosen.questions == ()
    assert preview(chosen.study, seen)["detach step"].to_list() == [700]


def test_steps_that_fit_neither_reading_are_asked_about():
    proposal = propose(looked(run(detach_encoder_ratio=0.3, detach_step=123)))
    assert finding(proposal, "detach_encoder_ratio counts").assumed
    assert len(proposal.questions) == 1


def test_the_learning_rates_ratio_counts_what_remains_where_it_is_scaled_to_nothing():
    frozen = run("a", enc_lr_step_ratio=0.3, enc_lr_step_scale=0.0)
    halved = run("b", enc_lr_step_ratio=0.3, enc_lr_step_scale=0.5)
    proposal = propose(looked(frozen, halved))
    rule = proposal.study.tasks[0].detach
    assert (rule.ratio_key, rule.ratio_counts) == ("enc_lr_step_ratio", "remaining")
    assert rule.frozen_when == (("enc_lr_step_scale", 0.0),)
    assert not finding(proposal, "enc_lr_step_ratio counts").assumed
    assert preview(proposal.study, looked(frozen, halved)).select("run", "arm", "detach step").rows() == [
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
    proposal = propose(looked(run()))
    assert finding(proposal, "detach step of walk").where == "nothing says: the arm of every run is unknown"
    assert finding(proposal, "detach step of walk").assumed
    beyond = propose(looked(run()), Choices(detach_steps={"walk": 5000}))
    assert beyond.questions == ("The detach step of walk is beyond its 1,000 total steps: correct one of them.",)
