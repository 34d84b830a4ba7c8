"""The Study page's form and text: what the file can say is changed there, and what is wrong is said beside its field."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from lib.app.session.state import KEY
from lib.app.widgets.study import stamp
from lib.runs import study_text
from lib.study import DetachRule, Evidence, Metric, Source, Study, load_study, parse_study, parts_after_looking, to_toml
from tests.support.app_kit import charts, fine, go, opened_study, plain, refusal, server_state, visit  # noqa: F401 - a fixture

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error")]

DEMO = load_study("demo")
MEND = "Mend what is marked above first."


@pytest.fixture(autouse=True)
def typed_options(monkeypatch):
    """AppTest knows no typed option of a select box: it is put among its options."""
    index = Selectbox.index.fget

    def with_typed(box: Selectbox) -> int | None:
        if isinstance(box.value, str) and box.value and box.value not in box.options:
            box.options.append(box.value)
        return index(box)

    monkeypatch.setattr(Selectbox, "index", property(with_typed))


@pytest.fixture
def form() -> AppTest:
    """The Study page with its form open."""
    return form_of(visit("study"))


def form_of(at: AppTest) -> AppTest:
    at.session_state["edit_form"] = True
    return fine(at.run())


def key(name: str, study: Study = DEMO) -> str:
    return f"edit_{stamp(study)}_{name}"


def change(at: AppTest, kind: str, name: str, value: object, study: Study = DEMO) -> AppTest:
    return fine(getattr(at, kind)(key=key(name, study)).set_value(value).run())


def opened(at: AppTest) -> Study:
    """The study that is open once the form's was opened."""
    fine(at.button(key="edit_open").click().run())
    return at.session_state[KEY].page_input.study


def warnings(at: AppTest) -> list[str]:
    """What is said in orange below a field."""
    texts = [plain(m.value) for m in at.markdown if m.value.startswith(":orange[:small[")]
    return [text.removeprefix(":orange[:small[").removesuffix("]]") for text in texts]


def test_the_form_opens_the_study_as_changed_where_one_was(form):
    at = form
    change(at, "text_input", "title", "My title")
    change(at, "multiselect", "metrics", ["train/consistency_loss", "validation_all/consistency_loss"])
    change(at, "text_input", "train/consistency_loss_label", "Loss")
    assert opened(at).name == "demo-own"
    assert at.title[0].value == "Study"
    assert [toast.value for toast in at.toast] == ["Opened My title with other title and 4 metrics"]
    go(at, "overview")
    assert at.title[0].value == "My title"
    assert charts(at)[0].legend == ["Loss", "Val (All) Consistency"]


def test_what_the_runs_logged_beside_can_be_added(form):
    metrics = form.multiselect(key=key("metrics"))
    assert metrics.options == [*(metric.key for metric in DEMO.metrics), "train/encoder_lr"]
    fine(metrics.select("train/encoder_lr").run())
    assert opened(form).metrics[-1].key == "train/encoder_lr"
    assert [toast.value for toast in form.toast] == ["Opened Detach Encoder Demo with other 1 metric"]


def test_every_field_of_a_metric_is_in_the_study(form):
    at = form
    change(at, "selectbox", "train/consistency_loss_scale", "linear")
    change(at, "selectbox", "train/consistency_loss_expect", "increase")
    change(at, "selectbox", "train/consistency_loss_smooth", "yes")
    change(at, "color_picker", "train/consistency_loss_color", "#123456")
    own_study = opened(at)
    name = "train/consistency_loss"
    assert own_study.metric(name) == Metric(
        name, "loss", "increase", DEMO.metric(name).name, "linear", "#123456", smooth=True
    )
    assert [metric for metric in own_study.metrics if metric.key != name] == [m for m in DEMO.metrics if m.key != name]


def test_a_margin_entered_when_runs_are_in_is_marked(form):
    at, reward, loss = form, "eval/episode_reward", "train/consistency_loss"
    change(at, "selectbox", f"{reward}_role", "guardrail")
    assert [w.value for w in at.warning] == ["A guardrail needs a margin: without one nothing can be said of it."]
    change(at, "number_input", f"{reward}_margin", 7.0)
    assert not at.warning
    note = "Set after looking, for runs are in: margin of Eval Episode Reward."
    assert [c.value for c in at.caption].count(note) == 1
    change(at, "selectbox", "train/episode_reward_margin_in", "own unit")
    change(at, "number_input", "train/episode_reward_margin_abs", 12.5)
    assert at.selectbox(key=key(f"{loss}_margin_in")).options == ["%"]
    change(at, "number_input", "planned", 8)
    names = ["planned size", "margin of Eval Episode Reward and margin of Train Episode Reward"]
    assert f"Set after looking, for runs are in: {', '.join(names)}." in [c.value for c in at.caption]
    own_study = opened(at)
    marked = {"margin_after_looking": True}
    assert own_study.metric(reward) == replace(DEMO.metric(reward), role="guardrail", margin=0.07, **marked)
    assert own_study.metric("train/episode_reward") == replace(
        DEMO.metric("train/episode_reward"), margin_abs=12.5, **marked
    )
    assert own_study.evidence == replace(DEMO.evidence, planned=8, planned_after_looking=True)
    assert [toast.value for toast in at.toast] == ["Opened Detach Encoder Demo with other 2 metrics and planned size"]
    # What is marked stays so where something else is changed, and goes with the margin.
    change(at, "number_input", f"{reward}_margin", 0.0, own_study)
    change(at, "selectbox", "train/episode_reward_role", "secondary", own_study)
    again = opened(at)
    assert again.metric(reward) == replace(DEMO.metric(reward), role="guardrail")
    assert again.metric("train/episode_reward").margin_after_looking
    assert again.evidence.planned_after_looking


def test_a_colour_goes_back_to_the_one_that_it_has_without(form):
    change(form, "color_picker", "eval/episode_reward_color", "#123456")
    fine(form.button(key=key("eval/episode_reward_color_default")).click().run())
    assert refusal(form, "edit_open") == ["Change something above first."]


def test_every_field_of_a_task_is_in_the_study(form):
    at = form
    task = "acrobot-swingup"
    assert at.selectbox(key=key(f"{task}_ratio_key")).options[0] == "detach_encoder_ratio"
    assert "steps" in at.selectbox(key=key(f"{task}_detach_step_key")).options
    assert at.multiselect(key=key(f"{task}_control_sweep_id")).options == ["acro0001", "cart0001", "cart0002"]
    for kind, field, value in [
        ("text_input", "display_name", "Acrobot"),
        ("text_input", "total_steps", "90000"),
        ("text_input", "smoothing_steps", "2.5e3"),
        ("multiselect", "control_sweep_id", ["cart0002"]),
        ("selectbox", "group", "late"),
        ("selectbox", "detach_step_key", "freeze.at"),
        ("selectbox", "ratio_counts", "remaining"),
    ]:
        change(at, kind, f"{task}_{field}", value)
    assert warnings(at) == ["No run of the task has it in its config."]
    before = DEMO.task(task)
    rule = replace(before.detach, detach_step_key="freeze.at", ratio_counts="remaining")
    assert opened(at).task(task) == replace(
        before,
        display_name="Acrobot",
        total_steps=90_000,
        smoothing_steps=2_500,
        control_sweep_id=("cart0002",),
        group="late",
        detach=rule,
    )


def test_what_was_declared_before_looking_is_in_the_study(form):
    at = form
    change(at, "number_input", "before", 0.2)
    change(at, "number_input", "after", 20_000.0)
    change(at, "number_input", "settle", 0.05)
    change(at, "multiselect", "leave_out", ["acro0001-s1-detached"])
    assert [e.value for e in at.error] == ["Give the reason."]
    assert refusal(at, "edit_open") == [MEND]
    change(at, "text_input", "why_acro0001-s1-detached", "its disk was full")
    assert opened(at).evidence == replace(
        DEMO.evidence,
        before=0.2,
        after=20_000.0,
        settle=0.05,
        leave_out=(("acro0001-s1-detached", "its disk was full"),),
        windows_after_looking=True,
        leave_out_after_looking=True,
    )
    note = "Set after looking, for runs are in: windows and left-out runs."
    assert {"Planned size: 6 runs per arm, or pairs.", note} <= {c.value for c in at.caption}
    assert [toast.value for toast in at.toast] == [
        "Opened Detach Encoder Demo with other evidence windows and runs left out"
    ]


def test_a_typed_step_that_config_overrides_is_said_and_can_be_used(form):
    at = form
    assert warnings(at) == []
    change(at, "text_input", "acrobot-swingup_step", "40000")
    assert warnings(at) == ["config says 50,000 in 6 runs"]
    fine(at.checkbox(key=key("acrobot-swingup_use_typed")).check().run())
    assert "Drops ratio_key detach_encoder_ratio. 6 control runs then are detached too." in [
        plain(c.value) for c in at.caption
    ]
    rule = DEMO.task("acrobot-swingup").detach
    assert opened(at).task("acrobot-swingup").detach == DetachRule(40_000, rule.total_steps_key, signal=rule.signal)


def test_what_is_wrong_in_the_form_is_said_beside_the_field(form):
    at = form
    change(at, "text_input", "acrobot-swingup_step", "200000")
    assert [e.value for e in at.error] == ["Beyond the 100,000 total steps."]
    assert refusal(at, "edit_open") == [MEND]
    change(at, "text_input", "acrobot-swingup_step", "50000")
    assert [e.value for e in at.error] == []
    change(at, "selectbox", "cartpole-random-detach_ratio_key", "")
    assert [plain(e.value) for e in at.error] == [
        "Needed here, or a key of the detach step: each run's randomised draw is read there."
    ]
    change(at, "selectbox", "cartpole-random-detach_ratio_key", "detach_encoder_ratio")
    change(at, "text_input", "title", " ")
    change(at, "multiselect", "metrics", [])
    assert [e.value for e in at.error] == ["Give the study a title.", "Keep at least one metric."]
    assert refusal(at, "edit_open") == [MEND]


def test_the_forms_values_go_into_the_text_of_the_open_study(form):
    change(form, "text_input", "acrobot-swingup_smoothing_steps", "2500")
    fine(form.button(key="edit_text").click().run())
    assert "smoothing_steps = 2500" in form.text_area(key=f"study_text_{stamp(DEMO)}").value


def test_a_study_of_wandb_without_runs_is_edited_by_typing():
    study = load_study("detach_encoder")
    at = form_of(visit("study", study="detach_encoder"))
    assert at.selectbox(key=key("acrobot-swingup_ratio_key", study)).options == ["none"]
    change(at, "selectbox", "acrobot-swingup_ratio_key", "ratio", study)
    assert warnings(at) == []
    fine(at.button(key="edit_open").click().run())
    own_study = at.session_state[KEY].page_input.study
    assert own_study.task("acrobot-swingup").detach == replace(study.task("acrobot-swingup").detach, ratio_key="ratio")


def test_the_text_is_that_of_the_open_study_and_opens_as_changed():
    at = visit("study")
    area = at.text_area(key=f"study_text_{stamp(DEMO)}")
    assert parse_study(area.value, folder=DEMO.folder) == DEMO
    own_study = replace(
        DEMO, source=Source("bundle", path=str(DEMO.source_path)), title="Mine", evidence=Evidence(before=0.2)
    )
    fine(area.set_value(to_toml(own_study)).run())
    note = "Set after looking, for runs are in: windows."
    assert [c.value for c in at.caption].count(note) == 1
    fine(next(button for button in at.button if button.label == "Check and open").click().run())
    assert [toast.value for toast in at.toast] == ["Opened Mine with other title, evidence windows and planned size"]
    now = at.session_state[KEY].page_input.study
    assert now.evidence == Evidence(before=0.2, windows_after_looking=True)
    assert at.text_area(key=f"study_text_{stamp(now)}").value == study_text(now)
    assert [c.value for c in at.caption].count(note) == 1, "of the study, and not of its text once more"


def test_a_file_opened_over_a_study_with_runs_is_marked_like_an_edit():
    source = Source("bundle", path=str(DEMO.source_path))
    own_study = replace(DEMO, name="mine", source=source, folder="", evidence=Evidence())
    at = visit("new_study", own=own_study)

    def after_opening(study: Study) -> Study:
        go(at, "new_study")
        fine(at.text_area(key="study_text").set_value(to_toml(study)).run())
        fine(next(button for button in at.button if button.label == "Check and open").click().run())
        return at.session_state[KEY].page_input.study

    late = after_opening(replace(own_study, evidence=Evidence(planned=6, leave_out=(("acro0001-s1-detached", "why"),))))
    assert late.name == "mine-2"
    assert parts_after_looking(late) == ("left-out runs", "planned size")
    other = Source("wandb", "me", "project")
    assert parts_after_looking(after_opening(replace(own_study, source=other, evidence=Evidence(planned=6)))) == ()
    # The runs of a study of W&B that were never fetched were never seen.
    cloud = replace(load_study("detach_encoder"), evidence=Evidence(planned=6), folder="")
    assert parts_after_looking(after_opening(cloud)) == ()


def test_the_text_says_which_line_is_wrong_before_anything_is_opened():
    at = visit("study")
    text = to_toml(DEMO).replace("total_steps = 100000", "total_steps = 0", 1)
    fine(at.text_area(key=f"study_text_{stamp(DEMO)}").set_value(text).run())
    number = next(n for n, line in enumerate(text.splitlines(), 1) if line == "total_steps = 0")
    assert at.error[0].value.startswith(f"Line {number}. The study file, task 1: total_steps must be")
    assert "total_steps = 0" in [code.value for code in at.code]
    fine(next(b for b in at.button if b.label == "Check and open").click().run())
    assert opened_study(at) == DEMO


def test_a_new_text_has_an_editor_of_its_own():
    at = visit("new_study")
    assert at.text_area(key="study_text").value == ""
