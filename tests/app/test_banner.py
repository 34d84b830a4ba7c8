"""The line that says what is shown in another way than the study declares, and its way back."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from lib.study import load_study
from tests.support.app_kit import fine, go, plain, server_state, view_of, visit  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

RUN = "acro0001-s1-detached"
PAGES = ("overview", "rewards", "losses", "detach_effect", "plan", "runs", "study", "new_study")


def banner(at: AppTest) -> list[str]:
    """The sentences of the banner, each followed by the label of its button."""
    marked = [plain(m.value) for m in at.markdown if m.value.startswith(":orange[:material/info:] :small[")]
    texts = [text.removeprefix(":orange[:material/info:] :small[").removesuffix("]") for text in marked]
    labels = [button.label for button in at.button if (button.key or "").startswith("undo_")]
    return [f"{text} {label[7:-1]}" for text, label in zip(texts, labels, strict=True)]


def undo(at: AppTest, way_back: str) -> AppTest:
    return fine(at.button(key=f"undo_{way_back}").click().run())


@pytest.mark.parametrize("page", PAGES)
def test_a_run_left_out_by_hand_is_said_on_every_page_and_brought_back_there(page):
    at = visit(page, out=RUN)
    assert banner(at) == [f"1 run left out by hand: {RUN}. Bring back"]
    undo(at, "Bring back")
    assert banner(at) == []
    assert view_of(at).left_out == ()
    assert at.title[0].value == visit(page).title[0].value


def test_of_many_runs_three_are_named_and_all_come_back():
    ids = [f"acro0001-s{seed}-{arm}" for seed in range(1, 4) for arm in ("control", "detached")]
    at = visit("runs", out=ids)
    assert banner(at) == [
        "6 runs left out by hand: acro0001-s1-control, acro0001-s1-detached, acro0001-s2-control and 3 more. Bring back"
    ]
    undo(at, "Bring back")
    assert view_of(at).left_out == ()


def test_a_run_that_the_study_does_not_have_is_said_and_forgotten():
    at = visit("rewards", out=["nobody", RUN])
    assert banner(at) == [
        f"1 run left out by hand: {RUN}. Bring back",
        "1 run left out by hand is not in this study: nobody. Forget",
    ]
    assert view_of(at).left_out == (RUN,)
    undo(at, "Forget")
    assert banner(at) == [f"1 run left out by hand: {RUN}. Bring back"]


def test_runs_left_out_by_declaration_are_no_override():
    demo = load_study("demo")
    evidence = replace(demo.evidence, leave_out=((RUN, "its encoder was frozen by mistake"),))
    at = visit("runs", own=replace(demo, name="mine", evidence=evidence))
    assert banner(at) == []


def test_a_part_that_is_shown_is_said_and_how_it_is_smoothed_is_not():
    query = {
        "arms": "detached",
        "from": "20000",
        "to": "60000",
        "only": "Acrobot Swingup",
        "metrics": "Eval Episode Reward",
    }
    at = visit("rewards", **query, spread="min-max", window="off")
    assert banner(at) == ["1 of 5 metrics, 1 of 3 tasks, 1 of 2 arms and steps 20,000 to 60,000 are shown. Show all"]
    undo(at, "Show all")
    assert banner(at) == []
    view = view_of(at)
    assert (view.metrics, view.tasks, view.arms, view.span, view.smooth) == ((), (), (), None, False)


@pytest.mark.slow
def test_windows_changed_after_looking_are_said_where_claims_stand():
    at = visit("overview", settle="0.1")
    assert banner(at) == ["Exploratory: window changed after looking. Declared windows"]
    assert any("cannot say" in m.value for m in at.markdown)
    assert banner(go(at, "runs")) == []
    assert banner(go(at, "detach_effect")) == ["Exploratory: window changed after looking. Declared windows"]
    undo(at, "Declared windows")
    assert banner(at) == banner(go(at, "overview")) == []
    assert at.number_input(key="settle").value == 0.0


def test_notebook_arithmetic_is_said_and_turned_off():
    at = visit("losses", exact="true")
    assert banner(at) == ["Curves are in notebook arithmetic. Turn off"]
    undo(at, "Turn off")
    assert banner(at) == []
    assert view_of(at).grid == "aligned"


def test_an_edited_copy_of_a_shipped_study_is_said_and_leads_to_the_original():
    demo = load_study("demo")
    at = visit("study", own=replace(demo, name="demo-own", title="Mine", metrics=demo.metrics[:3]))
    assert banner(at) == ["Edited copy of demo: other title and 2 metrics. Open the original"]
    undo(at, "Open the original")
    assert at.sidebar.selectbox(key="study").value == "demo"
    assert banner(at) == []


def test_three_changes_are_one_line_with_one_way_back():
    at = visit("rewards", out=RUN, exact="true", arms="detached")
    assert banner(at) == [
        f"1 run left out by hand: {RUN}. 1 of 2 arms is shown. Curves are in notebook arithmetic. Undo all"
    ]
    undo(at, "Undo all")
    assert banner(at) == []
