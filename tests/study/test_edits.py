"""Checks while a study is edited: what is wrong with a field of a task, and with which line of the text."""

from dataclasses import replace

import pytest

import lib.study
from lib.app.session import access
from lib.study import (
    Baseline,
    DetachRule,
    Evidence,
    Metric,
    Task,
    load_study,
    parse_study,
    parts_after_looking,
    set_after_looking,
    task_messages,
    text_message,
    to_toml,
    with_edits,
)
from lib.study.edits import line_of
from lib.study.model import Randomised

pytestmark = pytest.mark.filterwarnings("error")

TEXT = """[study]
name = "mine"
title = "Mine"

[source]
kind = "bundle"
path = "x.zip"

[[metrics]]   # the first
key = "r"
family = "reward"
expect = "increase"

[[tasks]]
name = "walk"
total_steps = 100

[[tasks]]
name = "run"
total_steps = 200
[tasks.detach]
step = 50
"""


def after_looking(now, before):
    """What is marked of a study with this metric or evidence, that had the other before."""
    own_study = parse_study(TEXT)
    field = "evidence" if isinstance(now, Evidence) else "metrics"
    one, other = (replace(own_study, **{field: part if field == "evidence" else (part,)}) for part in (now, before))
    changed = set_after_looking(one, other)
    assert set_after_looking(changed, other) == changed, "marks stay"
    assert replace(changed, metrics=one.metrics, evidence=one.evidence) == one
    return changed.evidence if field == "evidence" else changed.metrics[0]


def test_what_was_declared_otherwise_before_is_marked():
    none = Metric("r", "reward", "increase")
    five = Metric("r", "reward", "increase", margin=0.05)
    marked = replace(five, margin_after_looking=True)
    assert after_looking(none, marked) == none
    assert after_looking(five, none) == marked
    assert after_looking(five, replace(none, margin_abs=2.0)) == marked
    assert after_looking(five, replace(five, key="other")) == marked
    assert after_looking(replace(five, role="guardrail"), five) == replace(five, role="guardrail")
    assert after_looking(five, marked) == after_looking(marked, five) == marked
    six, eight = Evidence(planned=6), Evidence(planned=8)
    assert after_looking(six, six) == six
    assert after_looking(eight, six) == Evidence(planned=8, planned_after_looking=True)
    assert after_looking(Evidence(), eight) == Evidence()
    late = Evidence(settle=0.1, windows_after_looking=True)
    assert after_looking(Evidence(settle=0.1), Evidence()) == after_looking(late, Evidence(settle=0.1)) == late
    assert after_looking(replace(late, settle=0.0), late) == Evidence(windows_after_looking=True)
    out = Evidence(leave_out=(("a", "no disk"),))
    assert after_looking(replace(out, leave_out=(("a", "full disk"),)), out).leave_out_after_looking is False
    assert after_looking(Evidence(), out) == Evidence(leave_out_after_looking=True)


def test_what_is_marked_is_named():
    evidence = Evidence(planned=6, planned_after_looking=True, windows_after_looking=True, leave_out_after_looking=True)
    marked = replace(parse_study(TEXT).metrics[0], label="Reward", margin=0.05, margin_after_looking=True)
    study = replace(parse_study(TEXT), metrics=(marked, Metric("l", "loss", "decrease")), evidence=evidence)
    assert parts_after_looking(study) == ("windows", "left-out runs", "planned size", "margin of Reward")


def test_a_sound_text_has_no_complaint():
    assert text_message(TEXT) == ("", None)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("total_steps = 200", 'total_steps = "1"', 20, 'The study file, task 2: total_steps must be a whole number, not "1".'),
        ("step = 50", "step = -1", 22, "detach.step must be greater than 0"),
        ("step = 50", "stop = 50", 22, "unknown key detach.stop, perhaps step is meant"),
        ('family = "reward"', 'family = "prize"', 11, "family must be 'reward' or 'loss'"),
        ('expect = "increase"\n', "", 9, "expect is missing"),
        ('title = "Mine"\n', "", 1, "title is missing"),
        ('title = "Mine"', "title = Mine", 3, "is not TOML"),
        ('kind = "bundle"', 'kind = "disk"', 6, "kind must be"),
    ],
)  # fmt: skip
def test_the_line_of_what_is_wrong(old, new, line, message):
    text = TEXT.replace(old, new)
    complaint, at = text_message(text)
    assert message in complaint
    assert at == line


def test_a_table_that_is_not_there_has_no_line():
    assert line_of(TEXT, ("evidence", "before")) is None
    assert line_of(TEXT, ("tasks", 1, "detach", "signal", "key")) == 21
    assert text_message(TEXT.replace("step = 50", "step = 500")) == (
        "The study file: task 'run': detach step 500 is beyond total_steps 200.",
        None,
    )


def test_complaints_about_a_task_by_field():
    rule = DetachRule(step=101, randomised=Randomised(0.1, 0.9))
    task = Task("walk", 100, smoothing_steps=200, detach=rule)
    assert task_messages(task, ["walk"]) == {
        "display_name": "Another task has this name: give it one of its own.",
        "detach.step": "Beyond the 100 total steps.",
        "smoothing_steps": "Wider than the 100 total steps.",
        "detach.ratio_key": "Needed here, or a key of the detach step: each run's randomised draw is read there.",
    }
    frozen = replace(task, smoothing_steps=None, detach=DetachRule(frozen_when=(("scale", 0.0),)))
    assert task_messages(frozen, []) == {
        "detach.step": "Needed here, or a config key: frozen_when says whether a run was detached, not where."
    }
    assert task_messages(replace(task, smoothing_steps=None, detach=DetachRule(step=100)), []) == {}


def test_a_changed_study_of_wandb_is_its_editors_own():
    study = load_study("detach_encoder")
    assert with_edits(study, title="T", hypothesis="").folder == ""
    demo = load_study("demo")
    assert with_edits(demo, title="T", hypothesis="H", metrics=demo.metrics[:1], tasks=demo.tasks[:1]) == replace(
        demo, title="T", hypothesis="H", metrics=demo.metrics[:1], tasks=demo.tasks[:1]
    )


def test_a_changed_study_of_wandb_keeps_its_baselines_where_they_lie(monkeypatch, tmp_path):
    text = to_toml(replace(load_study("detach_encoder"), name="cloud")).replace(
        "[[tasks]]", '[[tasks]]\nbaselines = [{path = "curves/b.csv"}]', 1
    )
    (tmp_path / "cloud.toml").write_text(text)
    monkeypatch.setattr(lib.study.toml, "STUDIES", tmp_path)
    shipped = load_study("cloud")
    own_study = with_edits(shipped, title="T", hypothesis="")
    assert own_study.folder == ""
    assert own_study.tasks[0].baselines == (Baseline(str(tmp_path / "curves" / "b.csv"), "b"),)
    assert own_study.at(own_study.tasks[0].baselines[0].path) == shipped.at("curves/b.csv")
    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)
    monkeypatch.setattr(access.st, "session_state", {})
    assert access.may_name_paths(own_study)
    other = replace(own_study.tasks[0], baselines=(Baseline(str(tmp_path / "secret.csv")),))
    assert not access.may_name_paths(replace(own_study, tasks=(other,)))
