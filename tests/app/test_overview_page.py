"""The Overview page's answer and matrix, and the one task that Rewards and Losses can look at."""

import re
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from lib.app.session import cached_results
from lib.app.session.state import KEY
from lib.app.widgets.matrix import matrix_data
from lib.effects import StudyAnalysis, matrix
from lib.effects.effects_table import EFFECTS
from lib.sources import bundled_study, fetch, write_bundle
from lib.study import load_study, parse_study, part_of
from tests.support.app_kit import answer_lines, charts, fine, go, matrices, plain, server_state, visit  # noqa: F401 - a fixture
from tests.support.frames import SMALL
from tests.support.wandb_files import row_message, run_message, write_run

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.slow]


def test_the_answer_comes_first_and_says_what_the_verdicts_say():
    at = visit("overview")
    assert answers(at) == [
        "**Rewards** :gray-badge[not shown] no gain shown across 2 tasks: -3% [-10, +4] and -2% [-6, +2] of the range "
        "(12 fork pairs); by task in none of 4 comparisons. Randomised detach steps: no immediate gain shown in 1 of 2 "
        "metrics, no verdict in 1 (8 runs).",
        "**Losses** :blue-badge[supported] 27-28% lower across 2 tasks in 3 of 3 metrics (12 fork pairs); by task 26-32% "
        "lower in 5 of 6 comparisons, not shown in 1. Randomised detach steps: no immediate fall shown (8 runs).",
    ]
    assert answer_lines(at)[2:] == [
        "**Gain and cost** Losses 27-28% lower; rewards at most 10% of the range lower (95%); training speed -2% [-19, +18]."
    ]


def answers(at: AppTest) -> list[str]:
    return [line for line in answer_lines(at) if "-badge[" in line]


def table(at: AppTest) -> dict:
    """What the matrix draws."""
    (data,) = matrices(at)
    return data


def test_the_matrix_of_the_demo():
    data = table(visit("overview"))
    assert [head["label"] for head in data["heads"]] == [
        "Eval Episode Reward", "Train Episode Reward", "Train Consistency Loss", "Val (All) Consistency",
        "Val (Recent) Consistency",
    ]  # fmt: skip
    assert [head["note"] for head in data["heads"]] == ["±46%", "±40%", "±37%", "±35%", "±40%"]
    assert [(line["label"], line["note"], line["levels"]) for line in data["lines"]] == [
        ("Across tasks", "12 pairs", []),
        ("Acrobot Swingup", "6 pairs", ["detached", "control"]),
        ("Cartpole Swingup", "6 pairs", ["detached", "control"]),
        ("Cartpole Swingup, random detach", "n = 8", ["detached"]),
    ]
    cell = data["lines"][1]["rows"][0][2]
    assert cell["levels"] == [["detached", "0.00148 → 0.00134"], ["control", "0.00148 → 0.00188"]]
    assert (cell["change"], cell["interval"], cell["shape"], cell["color"]) == ("-29%", "[-37, -21]", "disc", "blue")
    assert cell["query"] == {"effect_metric": "Train Consistency Loss", "task": "Acrobot Swingup"}
    assert cell["label"] == (
        "Acrobot Swingup, Train Consistency Loss: supported, -29% [-37, -21], detached 0.00148 → 0.00134, "
        "control 0.00148 → 0.00188, 6 pairs"
    )
    assert data["lines"][0]["rows"][0][0]["tip"][0] == "not shown, -3% [-10, +4] of the range"
    unsaid = data["lines"][3]["rows"][0][0]
    assert (unsaid["place"], unsaid["shape"], unsaid["change"]) == (None, "dashes", "?")
    assert [entry[2] for entry in data["legend"]] == ["supported", "not shown", "cannot say"]


def test_the_page_is_about_the_tasks_and_metrics_that_are_shown():
    at = visit("overview")
    study = at.session_state[KEY].page_input.current.study
    shown = part_of(study, ["acrobot-swingup"], ["train/consistency_loss"])
    rows = matrix(analysed_demo(at), shown)
    data = matrix_data(rows, shown)
    assert [line["label"] for line in data["lines"]] == ["Acrobot Swingup"]
    assert [head["label"] for head in data["heads"]] == ["Train Consistency Loss"]


def analysed_demo(at: AppTest) -> StudyAnalysis:
    return cached_results.analysis(at.session_state[KEY].page_input.current, None)


def test_every_task_leads_to_its_full_charts():
    at = visit("overview")
    links = [(link.proto.page, link.proto.query_string) for link in at.get("page_link")]
    assert links == [
        ("new_study", ""),
        *((page, f"only={task}") for task in ("Acrobot+Swingup", "Cartpole+Swingup", "Cartpole+Swingup%2C+random+detach")
          for page in ("rewards", "losses")),
    ]  # fmt: skip


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
    labels = [link.proto.label for link in at.get("page_link")]
    assert [label for label in labels if label != "Open your own runs"][:2] == [
        "Look at the runs",
        "Change the detach rule",
    ]
    assert matrices(at) == []


def test_the_grid_has_a_row_per_task_a_chart_per_family_and_one_legend():
    at = visit("overview", layout="Grid")
    assert [chart.spec["height"] for chart in charts(at)] == [300] * 6
    for chart in charts(at):
        encoding = chart.layers["line"]["encoding"]
        assert (encoding["color"]["legend"], encoding["strokeDash"]["legend"]) == (None, None)
    (legend,) = legends(at)
    labels = re.findall(r"</span>([^<]+)</span>", legend)
    assert labels == [
        *("Train Episode Reward (MA 1,000)", "Eval Episode Reward"),
        *("Train Consistency Loss", "Val (All) Consistency", "Val (Recent) Consistency", "detached", "control"),
    ]
    fine(at.button_group(key="layout").select("Stacked").run())
    assert len(charts(at)) == 3
    assert legends(at) == []


def legends(at: AppTest) -> list[str]:
    return [html.proto.body for html in at.get("html") if not html.proto.body.startswith("<style>")]


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


def test_one_family_is_drawn_alone_and_the_grid_comes_back_with_the_other():
    at = visit("overview", metrics="*reward*", layout="Grid")
    assert [chart.spec["height"] for chart in charts(at)] == [380] * 3
    assert at.query_params["layout"] == "Grid"
    fine(at.sidebar.multiselect(key="metrics").set_value([]).run())
    assert [chart.spec["height"] for chart in charts(at)] == [300] * 6
