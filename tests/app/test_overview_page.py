"""The Overview page's answer, cards and cells, and the one task that Rewards and Losses can look at."""

import pytest

from lib.app.session import cached_results
from lib.effects import StudyAnalysis
from lib.effects.effects_table import EFFECTS
from tests.support.app_kit import charts, fine, go, server_state, visit  # noqa: F401 - a fixture

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.slow]


def test_the_answer_comes_first_and_says_what_the_verdicts_say():
    at = visit("overview")
    rewards, losses = (m.value for m in at.markdown if m.value.startswith("**") and "-badge[" in m.value)
    assert rewards == (
        "**Rewards** :gray-badge[not shown] With a control arm: Eval Episode Reward and Train Episode Reward not shown to be "
        "raised on any of 2 tasks. With randomised detach steps: Eval Episode Reward without a verdict on 1 task; Train Episode "
        "Reward not shown to be raised on 1 task."
    )
    assert losses == (
        "**Losses** :green-badge[partly supported] With a control arm: Train Consistency Loss and Val (All) Consistency "
        "lowered on 2 of 2 tasks; Val (Recent) Consistency lowered on 1 of 2 tasks, not shown on 1. With randomised detach "
        "steps: all 3 loss metrics not shown to be lowered on 1 task."
    )


def test_a_change_that_was_not_shown_has_no_colour_of_success_or_failure():
    at = visit("overview")
    colors = {metric.label: metric.proto.color for metric in at.metric[:5]}
    names = type(at.metric[0].proto).MetricColor.Name
    assert {label: names(color) for label, color in colors.items()} == {
        "Eval Episode Reward": "GRAY",
        "Train Episode Reward": "GRAY",
        "Train Consistency Loss": "GREEN",
        "Val (All) Consistency": "GREEN",
        "Val (Recent) Consistency": "GRAY",
    }


def test_every_cell_leads_to_its_full_chart():
    at = visit("overview")
    links = [(link.proto.page, link.proto.query_string) for link in at.get("page_link")]
    assert links[:2] == [("detach_effect", ""), ("new_study", "")]
    assert links[2:6] == [
        ("rewards", "only=Acrobot+Swingup"),
        ("losses", "only=Acrobot+Swingup"),
        ("rewards", "only=Cartpole+Swingup"),
        ("losses", "only=Cartpole+Swingup"),
    ]


def test_another_study_has_no_task_of_the_last_one():
    at = visit("rewards", only="Cartpole Swingup")
    go(at, "study")
    fine(at.sidebar.selectbox(key="study").select("detach_encoder").run())
    go(at, "rewards")
    assert [e.value for e in at.error] == []


@pytest.mark.parametrize("page", ["overview", "detach_effect"])
def test_a_study_without_a_detach_says_where_to_look(page, monkeypatch):
    def nothing(current, evidence):
        return StudyAnalysis(current.study, (), (), EFFECTS.to_frame())

    monkeypatch.setattr(cached_results, "analysis", nothing)
    at = visit(page)
    assert at.info[0].value.startswith("No run shown here is known to have been detached: there is nothing to compare.")
    assert [link.proto.label for link in at.get("page_link")][:2] == ["Look at the runs", "Change the detach rule"]
