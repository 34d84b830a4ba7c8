"""Wall time, runs in the colour of a config key, and points before smoothing, as the pages draw them."""

import dataclasses

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from lib.curves import View
from lib.report import figure_data, figure_of_stem
from lib.sources import fetch
from lib.study import load_study
from tests.support.app_kit import PAGES, charts, fine, go, server_state, view_of, visit  # noqa: F401 - a fixture
from tests.support.chart_frames import layer, rows

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error")]


def infos(at: AppTest) -> str:
    return "\n".join(info.value for info in at.info)


# widget, its address, the field of the view and its value
SETTINGS = [("x", "wall time", "x", "wall"), ("color", "seed", "color_by", "seed"), ("raw", True, "raw", True)]


@pytest.mark.parametrize(("key", "value", "field", "values"), SETTINGS)
def test_a_setting_is_in_the_view_whether_chosen_or_in_the_address(key, value, field, values):
    at = visit("rewards")
    assert getattr(view_of(at), field) == getattr(View(), field)
    widget = at.sidebar.toggle(key=key) if value is True else at.sidebar.selectbox(key=key)
    fine(widget.set_value(value).run())
    assert view_of(at) == dataclasses.replace(View(), **{field: values})
    at = visit("losses", **{key: str(value).lower()})
    assert view_of(at) == dataclasses.replace(View(), **{field: values})


def test_wall_time_moves_curves_and_changes_no_value():
    steps, wall = charts(visit("losses"))[2], charts(visit("losses", x="wall time"))[2]
    assert wall.title("x") == "Wall Time (hours)"
    values = ["metric", "arm", "mean", "lower", "upper", "n"]
    assert wall.rows("line").select(values).equals(steps.rows("line").select(values))
    assert 0 < wall.rows("line")["step"].max() < 1
    rules = wall.layers["rule"]
    assert rules["encoding"]["x"]["field"] == "at"


def test_what_wall_time_cannot_show_is_said():
    messages = infos(visit("rewards", x="wall time"))
    assert "Acrobot Swingup: 6 runs have one moment's timestamps up to the detach" in messages
    assert infos(visit("rewards")) == ""


def test_notebook_arithmetic_has_no_wall_time():
    at = visit("rewards", x="wall time", exact="true")
    assert (view_of(at).grid, view_of(at).x) == ("exact", "steps")
    assert any("Notebook arithmetic has no wall time" in caption.value for caption in at.sidebar.caption)
    assert charts(at)[0].title("x") == "Environment Steps"
    # A range in hours is none of steps.
    at = visit("rewards", x="wall time", exact="true", **{"from": "0.01", "to": "0.04"})
    assert view_of(at).span is None


def test_another_axis_draws_all_again():
    at = visit("rewards", **{"from": "20000", "to": "60000"})
    assert view_of(at).span == (20_000, 60_000)
    fine(at.sidebar.selectbox(key="x").select("wall time").run())
    assert view_of(at) == View(x="wall")


def test_runs_are_drawn_in_the_colour_of_their_value():
    at = visit("losses")
    assert at.sidebar.selectbox(key="color").options == [
        "nothing",
        "seed",
        "arm",
        "detach_encoder_ratio",
        "detach_step",
    ]
    fine(at.sidebar.selectbox(key="color").select("detach_step").run())
    chart = charts(at)[0]
    stroke = chart.layers["runs"]["encoding"]["stroke"]
    assert (stroke["title"], stroke["scale"]["domain"]) == ("detach_step", ["50000", "missing"])
    arms = chart.rows("runs").group_by("by").agg(pl.col("arm").unique(), pl.col("run_id").n_unique()).sort("by")
    assert arms.rows() == [("50000", ["detached"], 6), ("missing", ["control"], 6)]
    assert chart.alt.endswith("Every run has its own line, coloured by detach_step: 50000, 6 without a value.")
    drawn = charts(at)[2].layers["runs"]["encoding"]["stroke"]
    assert drawn["type"] == "quantitative"


def test_points_before_smoothing():
    chart = charts(visit("rewards", raw="true", window="20000"))[0]
    assert chart.rows("raw")["metric"].unique().to_list() == ["Train Episode Reward (MA 20,000)"]
    smooth, raw = chart.rows("line"), chart.rows("raw")
    assert raw["value"].max() > smooth.filter(pl.col("metric") == chart.legend[0])["mean"].max()
    at = visit("rewards", raw="true", smooth="false")
    assert "raw" not in charts(at)[0].layers
    assert at.sidebar.toggle(key="raw").disabled
    assert at.sidebar.toggle(key="raw").help.startswith("Each run before smoothing, one value per bin")
    assert "raw" not in charts(visit("losses", raw="true"))[0].layers


def test_every_page_takes_them_all():
    drawn = {"overview": 3, "rewards": 3, "losses": 3}
    at = visit("overview", x="wall time", color="seed", raw="true")
    for page in PAGES:
        go(at, page)
        assert [e.value for e in at.error] == []
        colored = [chart for chart in charts(at) if "runs" in chart.layers]
        assert page not in drawn or len(colored) == drawn[page]


def test_exports_draw_what_the_page_draws():
    at = visit("rewards", x="wall time", color="detach_step", raw="true", metrics="Train Episode Reward")
    page = charts(at)[0]
    study = load_study("demo")
    figure = figure_of_stem(figure_data(study, fetch(study), view_of(at)), "acrobot_swingup_reward").file_chart
    for name in ("line", "runs", "raw"):
        on_page = [
            {k: v if isinstance(v, float | int) else str(v) for k, v in r.items()} for r in page.rows(name).to_dicts()
        ]
        assert rows(figure, name) == on_page
    step = layer(figure, "detach_rule")["encoding"]["x"]["datum"]
    assert step == page.layers["rule"]["encoding"]["x"]["datum"]
