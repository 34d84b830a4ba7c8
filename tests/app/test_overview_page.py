"""The Overview page's answer, cards and cells, and the one task that Rewards and Losses can look at."""

import re
from dataclasses import replace

import pytest

from lib.app.session import cached_results
from lib.effects import StudyAnalysis
from lib.effects.effects_table import EFFECTS
from lib.sources import bundled_study, fetch, write_bundle
from lib.study import load_study, parse_study
from tests.support.app_kit import charts, fine, go, server_state, visit  # noqa: F401 - a fixture
from tests.support.frames import SMALL
from tests.support.wandb_files import row_message, run_message, write_run

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


def test_the_grid_has_a_row_per_task_a_chart_per_family_and_one_legend():
    at = visit("overview", layout="Grid")
    assert [chart.spec["height"] for chart in charts(at)] == [300] * 6
    for chart in charts(at):
        encoding = chart.layers["line"]["encoding"]
        assert (encoding["color"]["legend"], encoding["strokeDash"]["legend"]) == (None, None)
    (legend,) = [html.proto.body for html in at.get("html")]
    labels = re.findall(r"</span>([^<]+)</span>", legend)
    assert labels == [
        *("Train Episode Reward (MA 1,000)", "Eval Episode Reward"),
        *("Train Consistency Loss", "Val (All) Consistency", "Val (Recent) Consistency", "detached", "control"),
    ]
    fine(at.button_group(key="layout").select("Stacked").run())
    assert len(charts(at)) == 3
    assert at.get("html") == []


def test_a_cell_draws_what_the_full_chart_draws():
    cell, full = charts(visit("overview", layout="Grid"))[1], charts(visit("losses"))[0]
    assert cell.rows("line").equals(full.rows("line"))
    assert cell.rows("band").equals(full.rows("band"))


def test_a_family_of_which_a_task_logged_nothing_is_said_in_its_cell(tmp_path):
    logged = [row_message({"_step": step, "eval/episode_reward": float(step)}) for step in range(0, 101, 10)]
    write_run(tmp_path / "w", [run_message("a", {"task": "acrobot-swingup", "seed": 1}), *logged], "a")
    loss = replace(load_study("demo").metrics[2], label="Loss")
    study = parse_study(SMALL.replace('"wandb"', f'"{tmp_path / "w"}"'))
    study = replace(study, metrics=(*(m for m in study.metrics if m.family == "reward"), loss))
    write_bundle(study, fetch(study), tmp_path / "one.zip")
    at = visit("overview", bundled_study(tmp_path / "one.zip"), layout="Grid")
    assert len(charts(at)) == 1
    assert [c.value for c in at.caption if "logged" in c.value] == [
        f"No run of {study.tasks[0].title} logged a loss metric of this study."
    ]


def test_one_family_needs_no_layout():
    at = visit("overview", metrics="*reward*", layout="Grid")
    assert "layout" not in [group.key for group in at.button_group]
    assert len(charts(at)) == 3
