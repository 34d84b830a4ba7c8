"""Editing a study on the page: what is wrong is said beside the field, or with the line of the text."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

import lib.study
from lib.app.session import access
from lib.study import Baseline, DetachRule, Source, Task, load_study, task_messages, text_message, to_toml, with_edits
from lib.study.edits import line_of
from tests.support.app_kit import charts, fine, go, server_state, visit  # noqa: F401 - a fixture

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


def test_a_sound_text_has_no_complaint():
    assert text_message(TEXT) == ("", None)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
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
def test_the_line_of_what_is_wrong(old, new, line, said):
    text = TEXT.replace(old, new)
    complaint, at = text_message(text)
    assert said in complaint
    assert at == line


def test_a_table_that_is_not_there_has_no_line():
    assert line_of(TEXT, ("evidence", "before")) is None
    assert line_of(TEXT, ("tasks", 1, "detach", "signal", "key")) == 21
    assert text_message(TEXT.replace("step = 50", "step = 500")) == (
        "The study file: task 'run': detach step 500 is beyond total_steps 200.",
        None,
    )


def test_complaints_about_a_task_by_field():
    task = Task("walk", 100, smoothing_steps=200, detach=DetachRule(step=101))
    assert task_messages(task, ["walk"]) == {
        "display_name": "Another task has this name: give it one of its own.",
        "detach_step": "Beyond the 100 total steps.",
        "smoothing_steps": "Wider than the 100 total steps.",
    }
    assert task_messages(replace(task, smoothing_steps=None, detach=DetachRule(step=100)), []) == {}


def test_a_changed_study_of_wandb_is_its_editors_own():
    study = load_study("detach_encoder")
    assert with_edits(study, "T", "", study.metrics, study.tasks).folder == ""
    demo = load_study("demo")
    assert with_edits(demo, "T", "H", demo.metrics[:1], demo.tasks[:1]) == replace(
        demo, title="T", hypothesis="H", metrics=demo.metrics[:1], tasks=demo.tasks[:1]
    )


def test_a_changed_study_of_wandb_keeps_its_baselines_where_they_lie(monkeypatch, tmp_path):
    text = to_toml(replace(load_study("detach_encoder"), name="cloud")).replace(
        "[[tasks]]", '[[tasks]]\nbaselines = [{path = "curves/b.csv"}]', 1
    )
    (tmp_path / "cloud.toml").write_text(text)
    monkeypatch.setattr(lib.study.toml, "STUDIES", tmp_path)
    shipped = load_study("cloud")
    mine = with_edits(shipped, "T", "", shipped.metrics, shipped.tasks)
    assert mine.folder == ""
    assert mine.tasks[0].baselines == (Baseline(str(tmp_path / "curves" / "b.csv"), "b"),)
    assert mine.at(mine.tasks[0].baselines[0].path) == shipped.at("curves/b.csv")
    monkeypatch.setattr(access, "secret", lambda name: {"hosted": True} if name == "deployment" else None)
    monkeypatch.setattr(access.st, "session_state", {})
    assert access.may_name_paths(mine)
    other = replace(mine.tasks[0], baselines=(Baseline(str(tmp_path / "secret.csv")),))
    assert not access.may_name_paths(replace(mine, tasks=(other,)))


@pytest.fixture
def form() -> AppTest:
    """The Study page with its form open."""
    at = visit("study")
    at.session_state["edit_form"] = True
    return fine(at.run())


def test_the_form_opens_the_study_as_changed(form):
    at = form
    fine(at.text_input(key="edit_demo_title").input("My title").run())
    fine(at.multiselect(key="edit_demo_metrics").set_value(["train/consistency_loss"]).run())
    fine(at.text_input(key="edit_demo_train/consistency_loss_label").input("Loss").run())
    fine(at.button(key="edit_open").click().run())
    assert at.sidebar.selectbox(key="study").value == "demo-own"
    assert [toast.value for toast in at.toast] == ["Opened My title"]
    go(at, "overview")
    assert at.title[0].value == "My title"
    assert len(charts(at)) == 3
    assert charts(at)[0].legend == ["Loss"]


def test_what_is_wrong_in_the_form_is_said_beside_the_field(form):
    at = form
    fine(at.number_input(key="edit_demo_acrobot-swingup_step").set_value(200_000).run())
    assert [e.value for e in at.error] == ["Beyond the 100,000 total steps."]
    assert at.button(key="edit_open").disabled
    fine(at.number_input(key="edit_demo_acrobot-swingup_step").set_value(40_000).run())
    assert [e.value for e in at.error] == []
    fine(at.text_input(key="edit_demo_title").input(" ").run())
    fine(at.multiselect(key="edit_demo_metrics").set_value([]).run())
    assert [e.value for e in at.error] == ["Give the study a title.", "Keep at least one metric."]
    assert at.button(key="edit_open").disabled


def test_the_forms_values_go_into_the_text(form):
    fine(form.number_input(key="edit_demo_acrobot-swingup_smoothing").set_value(2_500).run())
    fine(form.button(key="edit_text").click().run())
    assert "smoothing_steps = 2500" in form.text_area(key="study_text").value


def test_the_text_says_which_line_is_wrong_before_anything_is_opened():
    at = visit("study")
    demo = replace(load_study("demo"), name="mine", source=Source("bundle", path="x.zip"))
    text = to_toml(demo).replace("total_steps = 100000", "total_steps = 0", 1)
    fine(at.text_area(key="study_text").input(text).run())
    number = next(n for n, line in enumerate(text.splitlines(), 1) if line == "total_steps = 0")
    assert at.error[0].value.startswith(f"Line {number}. The study file, task 1: total_steps must be")
    assert "total_steps = 0" in [code.value for code in at.code]
    assert next(b for b in at.button if b.label == "Check and open").disabled
