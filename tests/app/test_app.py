"""The pages as Streamlit runs them, on the demo and on a W&B server: what is drawn, and what each setting changes."""

import time

import polars as pl
import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from lib.app.session import fetching, page_input
from lib.curves import View
from lib.sources import bundled_study, fetch, write_bundle
from lib.study import parse_study
from tests.support.app_kit import (  # noqa: F401 - a fixture
    PAGES,
    PROJECT,
    charts,
    fetched,
    fine,
    go,
    matrices,
    plain,
    server_state,
    view_of,
    visit,
)
from tests.support.frames import SMALL
from tests.support.wandb_files import row_message, run_message, write_run
from tests.support.wandb_server import KEY

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def fresh_server(monkeypatch):
    """A server that nobody has visited."""
    monkeypatch.setattr(app_test, "PagesManager", PagesManager)


# page, heading, charts, data frames
TABLE = [
    ("overview", "Detach Encoder Demo", 2, 0),
    ("rewards", "Rewards", 2, 0),
    ("losses", "Losses", 2, 0),
    ("detach_effect", "Detach effect", 5, 1),
    ("plan", "Plan", 1, 1),
    ("runs", "Runs", 0, 1),
    ("study", "Study", 0, 2),
]


@pytest.mark.parametrize(("page", "heading", "drawn", "frames"), TABLE)
def test_page_of_the_demo(page, heading, drawn, frames):
    at = visit(page)
    assert [title.value for title in at.title] == [heading]
    assert len(at.get("vega_lite_chart")) >= drawn
    assert len(at.dataframe) >= frames
    assert [e.value for e in at.error] == []
    assert "How this is computed" in [e.label for e in at.expander]


@pytest.mark.parametrize("page", PAGES)
def test_first_visit_of_a_server_by_a_link_to_a_page(fresh_server, page):
    at = visit(page, aggregate="median", x="% of training")
    assert [title.value for title in at.title] == [{row[0]: row[1] for row in TABLE}[page]]
    assert (view_of(at).aggregate, view_of(at).x) == ("median", "percent")


def test_settings_survive_a_change_of_page():
    at = visit("rewards")
    fine(at.sidebar.selectbox(key="aggregate").select("median").run())
    go(at, "losses")
    assert at.sidebar.selectbox(key="aggregate").value == "median"


def test_other_aggregates_have_fewer_bands():
    at = visit("rewards")
    assert at.sidebar.selectbox(key="spread").options == ["std", "std error", "95% interval", "min-max"]
    fine(at.sidebar.selectbox(key="spread").select("95% interval").run())
    fine(at.sidebar.selectbox(key="aggregate").select("IQM").run())
    assert at.sidebar.selectbox(key="spread").options == ["std", "min-max"]
    assert at.sidebar.selectbox(key="spread").value == "std"


def test_aggregate_and_band_change_the_numbers():
    at = visit("rewards")
    mean = charts(at)[0].rows("line")
    fine(at.sidebar.selectbox(key="spread").select("min-max").run())
    widest = charts(at)[0].rows("line")
    assert widest["mean"].equals(mean["mean"])
    assert not widest["upper"].equals(mean["upper"])
    fine(at.sidebar.selectbox(key="aggregate").select("median").run())
    assert not charts(at)[0].rows("line")["mean"].equals(mean["mean"])


def test_axis():
    at = visit("rewards", x="steps since detach")
    chart = charts(at)[0]
    assert chart.title("x") == "Environment Steps Since Detach"
    assert chart.rows("line")["step"].min() == pytest.approx(-50_000, abs=1_000)
    assert chart.rows("line")["step"].max() == pytest.approx(50_000, abs=1_000)


@pytest.mark.slow
def test_smoothing_is_named_in_the_legend():
    at = visit("rewards")
    assert charts(at)[0].legend == ["Train Episode Reward (MA 1,000)", "Eval Episode Reward"]
    fine(at.sidebar.select_slider(key="window").set_value("5000").run())
    assert charts(at)[0].legend[0] == "Train Episode Reward (MA 5,000)"
    fine(at.sidebar.select_slider(key="window").set_value("off").run())
    assert charts(at)[0].legend[0] == "Train Episode Reward"
    assert at.sidebar.toggle(key="raw").disabled


def test_seeds_are_drawn_behind_the_mean():
    at = visit("rewards")
    assert "seeds" not in charts(at)[0].layers
    fine(at.sidebar.toggle(key="seeds").set_value(True).run())
    chart = charts(at)[0]
    assert chart.rows("seeds")["run_id"].n_unique() == 12
    order = list(chart.layers)
    assert order.index("seeds") < order.index("line")


def test_arms():
    at = visit("losses")
    assert charts(at)[0].arms == ["detached", "control"]
    fine(at.sidebar.multiselect(key="arms").set_value(["control"]).run())
    assert charts(at)[0].arms == ["control"]
    assert charts(at)[0].rows("line")["arm"].unique().to_list() == ["control"]


def test_notebook_arithmetic():
    at = visit("rewards")
    aligned = charts(at)[0].rows("line")
    fine(at.sidebar.toggle(key="exact").set_value(True).run())
    exact = charts(at)[0].rows("line")
    assert exact["n"].equals(aligned["n"])
    assert not exact["mean"].equals(aligned["mean"])
    assert "original notebook's arithmetic" in _explanation(at)


def _explanation(at: AppTest) -> str:
    return next(e for e in at.expander if e.label == "How this is computed").markdown[0].value


@pytest.mark.slow
def test_every_page_takes_every_setting():
    query = {"aggregate": "IQM", "spread": "min-max", "x": "% since detach", "window": "off", "seeds": "true"}
    at = visit("overview", **query)
    for page in PAGES:
        go(at, page)
        assert [e.value for e in at.error] == []


def _select_runs(at: AppTest, *rows: int) -> AppTest:
    """Rows of the Runs page's table, as a click would select them."""
    at.session_state["runs_table"] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return fine(at.run())


def test_leave_a_run_out_and_bring_it_back():
    at = visit("runs")
    assert at.main.markdown[0].value == "**32 runs**, none with warnings"
    runs = at.dataframe[0].value
    sixth = runs.iloc[5]
    assert sixth["task"] == "Acrobot Swingup"
    _select_runs(at, 5)
    fine(_button(at, "Leave out").click().run())
    assert at.sidebar.multiselect(key="out").value == [sixth["run_id"]]
    ids = runs["run_id"].tolist()
    runs = at.dataframe[0].value
    assert runs["run_id"].tolist() == [ids[5], *ids[:5], *ids[6:]], "runs with warnings come first"
    assert runs["warnings"].tolist() == ["left out by hand", *[""] * 31]
    assert (len(at.toast), at.main.markdown[1].value) == (0, "**32 runs**, none with warnings")
    go(at, "losses")
    assert _most(at, sixth["arm"]) == 5
    go(at, "runs")
    _select_runs(at, 0)
    fine(_button(at, "Bring back").click().run())
    assert at.sidebar.multiselect(key="out").value == []
    go(at, "losses")
    assert _most(at, sixth["arm"]) == 6


def test_a_fork_names_its_parent_on_the_runs_page(tmp_path):
    logged = [row_message({"_step": step, "eval/episode_reward": float(step)}) for step in range(0, 101, 10)]
    config = {"task": "acrobot-swingup", "seed": 1}
    write_run(tmp_path / "w", [run_message("a", config), *logged], "a")
    write_run(tmp_path / "w", [run_message("b", config, branch=("a", 50)), *logged[6:]], "b")
    offline = parse_study(SMALL.replace('"wandb"', f'"{tmp_path / "w"}"'))
    write_bundle(offline, fetch(offline), tmp_path / "forks.zip")
    runs = visit("runs", bundled_study(tmp_path / "forks.zip")).dataframe[0].value
    assert dict(zip(runs["run_id"], runs["fork of"], strict=True)) == {"a": "", "b": "a at step 50"}
    assert "fork of" not in visit("runs").dataframe[0].value.columns


def _button(at: AppTest, label: str):
    return next(button for button in at.button if button.label == label)


def _most(at: AppTest, arm: str) -> int:
    """The most runs that an arm's curves of the first chart hold."""
    return charts(at)[0].rows("line").filter(pl.col("arm") == arm)["n"].max()


def test_runs_left_out_by_the_address():
    whole = visit("runs").dataframe[0].value
    out = whole["run_id"][0]
    at = visit("overview", out=out)
    assert at.sidebar.multiselect(key="out").value == [out]


@pytest.mark.parametrize(
    "query", [{"aggregate": "mode"}, {"spread": "wide"}, {"x": "time"}, {"out": "nobody"},
              {"window": "-5"}, {"window": "many"}, {"window": "9" * 5_000},
              {"arms": "left"}, {"task": "Chess"}, {"smooth": "perhaps"},
              {"only": "Chess"}, {"metrics": "chess*"}]
)  # fmt: skip
def test_an_address_that_means_nothing_shows_the_default(query):
    at = visit("overview", **query)
    assert at.sidebar.selectbox(key="study").value == "demo"
    assert view_of(at) == View()
    assert [e.value for e in at.error] == []


# ---- a study on a W&B server ---------------------------------------------------------------------------------------


@pytest.mark.server
def test_fetch_a_study_from_a_server(cloud):
    at = visit("overview", study="detach_encoder")
    assert at.sidebar.selectbox(key="study").value == "detach_encoder"
    assert "Nothing of **Detach Encoder Ablation** is stored yet" in at.info[0].value
    assert charts(at) == []
    fine(at.button(key="first_fetch").click().run())
    fetched(at)
    assert [toast.value for toast in at.toast] == ["Fetched Detach Encoder Ablation: 6 runs"]
    assert [toast.value for toast in fine(at.run()).toast] == []
    assert [e.value for e in at.error] == []
    assert len(charts(at)) == 2
    assert len(matrices(at)) == 1
    for page, drawn in {"rewards": 2, "losses": 2, "detach_effect": 1, "runs": 0, "study": 0}.items():
        go(at, page)
        assert len(charts(at)) >= drawn
        assert [e.value for e in at.error] == []
    served = cloud.count("RunParquetHistory")
    at = visit("rewards", study="detach_encoder")
    titles = ("Humanoid H1 Balance Simple", "Acrobot Swingup")
    for chart, title in zip(charts(at), titles, strict=True):
        assert chart.alt.startswith(f"Eval Episode Reward on {title}, from the detach at ")
    assert cloud.count("RunParquetHistory") == served


@pytest.mark.server
def test_a_fetch_that_ends_while_the_page_is_drawn_is_shown(cloud, monkeypatch):
    set_page_input = page_input.set_page_input

    def set_when_fetched(inputs):
        job = fetching.job_of(inputs.study)
        while job and job.is_running:
            time.sleep(0.01)
        set_page_input(inputs)

    cloud.latency = 0.1
    at = visit("overview", study="detach_encoder")
    monkeypatch.setattr(page_input, "set_page_input", set_when_fetched)
    fine(at.button(key="first_fetch").click().run())
    assert [e.value for e in at.info] == []
    assert len(charts(at)) == 2


@pytest.mark.server
def test_a_wrong_key_is_said_in_one_sentence(cloud, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "b" * 40)
    at = visit("overview", study="detach_encoder")
    fine(at.button(key="first_fetch").click().run())
    fetched(at)
    assert len(at.error) == 1
    assert cloud.url in plain(at.error[0].value)
    assert "key" in at.error[0].value
    assert "b" * 8 not in at.error[0].value
    assert "\n" not in at.error[0].value
    assert charts(at) == []


@pytest.mark.server
def test_the_key_is_asked_for_on_the_page_that_needs_it(cloud, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    at = visit("overview", study="detach_encoder")
    assert plain(at.info[0].value) == f"Enter a key for {cloud.url} to see **{PROJECT}**."
    at.text_input(key=f"asked_key_{cloud.url}_text").set_value(KEY)
    fine(at.form_submit_button[0].click().run())
    assert cloud.count() == 0
    fine(at.button(key="first_fetch").click().run())
    fetched(at)
    assert len(charts(at)) == 2


def test_hiding_the_control_arm_changes_no_claim():
    whole = [e.value for e in visit("overview").metric]
    assert [e.value for e in visit("overview", arms="detached").metric] == whole
