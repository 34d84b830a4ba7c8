"""Settings in a real browser: each changes the chart and the address, and the address opens the same view elsewhere."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.support.browser import CHART, Visitor

pytestmark = pytest.mark.browser

RUN = "acro0001-s1-detached"
CHARTS = 3


def lines(visitor: Visitor) -> list[list[list[float]]]:
    """The lines of every chart of the page: the numbers of their paths, in pixels."""
    return [
        [[float(number) for number in re.findall(r"-?[\d.]+", path)] for path in visitor.paths(chart)]
        for chart in range(visitor.charts().count())
    ]


def same(one: Visitor, another: Visitor) -> bool:
    """Whether the charts of two pages have the same texts and lines, up to the space that labels take."""
    for chart in range(one.charts().count()):
        if sorted(one.texts(chart)) != sorted(another.texts(chart)):
            return False
    close = [[pytest.approx(line, abs=8) for line in chart] for chart in lines(one)]
    return lines(another) == close


@dataclass(frozen=True)
class Setting:
    """A setting: its parameter and value in the address, how it is made, a text of the first chart before and after."""

    parameter: str
    value: str
    make: Callable[[Visitor], None]
    before: str | None = None
    after: str | None = None


STEPS, MOVING_AVERAGE = "Environment Steps", "Train (MA 1,000)"
ARMS = Setting("arms", "detached", lambda v: v.pick("Arms", "detached"), "control")
COLOR = Setting("color", "detach_step", lambda v: v.select("Colour every run by", "detach_step"), after="missing")
EXACT = Setting("exact", "true", lambda v: v.toggle("Notebook arithmetic"))
LOG_LOSS = Setting("log_loss", "false", lambda v: v.toggle("Log axis for losses"), "2e-3", "0.002")
LOG_REWARD = Setting("log_reward", "true", lambda v: v.toggle("Log axis for rewards"), "−50", "1e+2")
MEDIAN = Setting("aggregate", "median", lambda v: v.select("Aggregate over seeds", "median"))
MIN_MAX = Setting("spread", "min-max", lambda v: v.select("Band", "min-max"))
OUT = Setting("out", RUN, lambda v: v.pick("Runs left out", RUN), "n = 6", "n = 5 to 6")
PERCENT = Setting("x", "% of training", lambda v: v.select("X axis", "% of training"), STEPS, "Training (%)")
RAW = Setting("raw", "true", lambda v: v.toggle("Raw points behind smoothed"))
SEEDS = Setting("seeds", "true", lambda v: v.toggle("Draw every seed"))
UNSMOOTHED = Setting("window", "off", lambda v: v.slide("Smoothing (steps)", -1), MOVING_AVERAGE, "Train")
WALL_TIME = Setting("x", "wall time", lambda v: v.select("X axis", "wall time"), STEPS, "Wall Time (hours)")
WINDOW = Setting(
    "window",
    "100",
    lambda v: v.slide("Smoothing (steps)", 1),
    MOVING_AVERAGE,
    "Train (MA 100)",
)
#: Settings that are made one after the other on a page; none hides what another one shows.
VIEWS = {
    "rewards in percent": ("rewards", (LOG_REWARD, PERCENT, WINDOW, MIN_MAX, RAW, SEEDS)),
    "rewards over time": ("rewards", (OUT, MEDIAN, UNSMOOTHED, WALL_TIME, COLOR)),
    "exact losses of an arm": ("losses", (LOG_LOSS, ARMS, EXACT)),
}


def bring_back(visitor: Visitor) -> None:
    """Bring the run back: the study keeps what is left out of it, for whoever opens it next."""
    visitor.page.get_by_role("button", name="Bring back").click()
    visitor.until_query("out", None)
    visitor.settled()


@pytest.mark.parametrize("name", VIEWS)
def test_settings_change_the_chart_and_the_address_opens_the_same_view(visitor, another_visitor, name):
    page, settings = VIEWS[name]
    visitor.open(page)
    visitor.open_more()
    for setting in settings:
        marks = visitor.marks()
        assert setting.before is None or setting.before in visitor.texts()
        setting.make(visitor)
        visitor.until_query(setting.parameter, setting.value)
        visitor.until_redrawn(marks)
        assert setting.after is None or setting.after in visitor.texts()
        assert setting.before not in visitor.texts()
    assert visitor.query() == {setting.parameter: [setting.value] for setting in settings}
    another_visitor.goto(visitor.page.url)
    assert another_visitor.query() == visitor.query()
    assert another_visitor.charts().count() == CHARTS
    assert another_visitor.until(lambda: same(visitor, another_visitor)), (visitor.texts(), another_visitor.texts())
    if OUT in settings:
        bring_back(visitor)


# ---- tasks and metrics, and what a page does not show


def test_a_typed_pattern_of_nothing_is_said_and_one_of_metrics_is_in_the_address_and_holds_elsewhere(
    visitor, another_visitor
):
    visitor.open("losses")
    marks = visitor.marks()
    visitor.type_in("Metrics", "chess*")
    expect(visitor.page.get_by_test_id("stSidebar").get_by_text("No metric is named chess*.")).to_be_visible()
    visitor.settled()
    assert (visitor.query(), visitor.marks()) == ({"metrics": ["chess*"]}, marks)
    visitor.type_in("Metrics", "validation*")
    visitor.until_redrawn(marks)
    assert visitor.query() == {"metrics": ["chess*", "validation*"]}
    assert {metric for metric, *_ in visitor.numbers()} == {"Val (All) Consistency", "Val (Recent) Consistency"}
    visitor.pick("Tasks", "Acrobot Swingup")
    visitor.until_query("only", "Acrobot Swingup")
    expect(visitor.charts()).to_have_count(1)
    another_visitor.goto(visitor.page.url)
    assert another_visitor.charts().count() == 1
    assert another_visitor.until(lambda: same(visitor, another_visitor))


QUERY = {"aggregate": ["IQM"], "metrics": ["*loss*"], "window": ["2000"], "log_loss": ["false"], "settle": ["0.2"]}


def test_settings_stay_in_the_address_of_pages_that_do_not_show_them(visitor):
    visitor.open("study", **{name: values[0] for name, values in QUERY.items()})
    assert visitor.query() == QUERY
    expect(visitor.page.get_by_test_id("stSlider")).to_be_hidden()
    for page in ("Rewards", "Plan", "Losses", "Overview"):
        visitor.follow(page)
        assert visitor.query() == QUERY
    visitor.page.go_back()  # each page is one entry of the browser's history
    # The address is that of the losses before the page is.
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Losses")
    visitor.settled()
    assert visitor.query() == QUERY
    expect(visitor.page.get_by_text("2 settings changed under More")).to_be_visible()
    visitor.open_more()
    visitor.toggle("Log axis for losses")
    visitor.until_query("log_loss", None)
    expect(visitor.page.get_by_text("1 setting changed under More")).to_be_visible()
    visitor.follow("Rewards")
    # An open panel is open on the next page too.
    expect(visitor.page.get_by_text("Notebook arithmetic", exact=True)).to_be_visible()
    visitor.follow("New study")
    visitor.page.reload()
    visitor.settled()
    assert visitor.query() == {name: values for name, values in QUERY.items() if name != "log_loss"}


def test_the_grid_is_on_screen_with_one_legend(visitor, another_visitor):
    visitor.open()
    assert visitor.charts().count() == CHARTS
    visitor.page.get_by_role("radio", name="Grid").click()
    visitor.until_query("layout", "Grid")
    expect(visitor.charts()).to_have_count(2 * CHARTS)
    visitor.settled()
    assert visitor.page.locator(f"{CHART} svg .role-legend").count() == 0
    legend = visitor.page.get_by_test_id("stHtml").filter(has_text="control")
    expect(legend).to_have_count(1)
    assert "Train Consistency Loss" in legend.inner_text()
    boxes = [visitor.charts().nth(index).bounding_box() for index in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    another_visitor.goto(visitor.page.url)
    assert another_visitor.charts().count() == 2 * CHARTS
    assert another_visitor.until(lambda: same(visitor, another_visitor))
