"""The app in a real browser: it draws, it calls nobody, every setting is in the address, and an address is a view."""

import re
import sys
import time

import pytest
from playwright.sync_api import expect

from tests.support.browser import CHART, TITLES, Server, Visitor, untroubled

pytestmark = pytest.mark.browser

RUN = "acro0001-s1-detached"
CHARTS = {"overview": 3, "rewards": 3, "losses": 3}


def lines(visitor: Visitor) -> list[list[list[float]]]:
    """The lines of every chart of the page: the numbers of their paths, in pixels."""
    return [
        [[float(number) for number in re.findall(r"-?[\d.]+", path)] for path in visitor.paths(i)]
        for i in range(visitor.charts().count())
    ]


def same(one: Visitor, another: Visitor) -> bool:
    """Whether the charts of two pages say the same and look the same, give or take the room that labels took."""
    for i in range(one.charts().count()):
        if sorted(one.texts(i)) != sorted(another.texts(i)):
            return False
    close = [[pytest.approx(line, abs=8) for line in chart] for chart in lines(one)]
    return lines(another) == close


# ---- a server's first visitor --------------------------------------------------------------------------------------


def test_the_first_page_draws_soon(chrome, tmp_path, capsys):
    with Server(tmp_path) as server, Visitor(chrome, server) as visitor:
        began = time.monotonic()
        visitor.page.goto(server.at())
        visitor.charts().first.locator("svg .mark-line path").first.wait_for()
        first = time.monotonic() - began
        visitor.settled()
        whole = time.monotonic() - began
        untroubled(visitor)
        assert server.complaints() == []
    with capsys.disabled():
        sys.stdout.write(f"\nfirst chart {first:.1f} s after the server was up, the whole first page {whole:.1f} s\n")
    assert first < 60


def test_the_first_visitor_may_come_by_a_link_to_a_page(chrome, tmp_path):
    with Server(tmp_path) as server, Visitor(chrome, server) as visitor:
        visitor.open("rewards", aggregate="median", spread="min-max", x="% of training")
        expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Rewards")
        expect(visitor.page.get_by_test_id("stSidebarNavLink")).to_have_count(len(TITLES))
        assert visitor.charts().count() == CHARTS["rewards"]
        assert "Training (%)" in visitor.texts()
        assert visitor.query() == {"aggregate": ["median"], "spread": ["min-max"], "x": ["% of training"]}
        visitor.follow("Losses")
        assert visitor.query()["aggregate"] == ["median"]
        untroubled(visitor)
        assert server.complaints() == []


# ---- every page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page(chrome, app, scheme):
    with Visitor(chrome, app, color_scheme=scheme) as visitor:
        visitor.open()
        backgrounds = set()
        for page, title in TITLES.items():
            visitor.follow(title)
            assert visitor.page.url.removeprefix(app.url).strip("/") == page.replace("overview", "")
            assert visitor.charts().count() >= CHARTS.get(page, 0)
            assert all(len(chart) >= 2 for chart in lines(visitor)[: CHARTS.get(page, 0)])
            shown = visitor.page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
            backgrounds.add(sum(int(part) for part in shown[4:-1].split(",")[:3]) > 3 * 128)
            visitor.shot(f"{page}_{scheme}")
            untroubled(visitor)
        assert backgrounds == {scheme == "light"}


WINDOWS = {
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 2,
    },
    "tablet": {"viewport": {"width": 820, "height": 1180}, "is_mobile": True, "has_touch": True},
}


#: Texts that stick out of their chart's drawing, or of the window; a text's box is a little larger than its letters.
CUT_OFF = """chart => [...document.querySelectorAll(chart)].flatMap(one => {
    const within = one.querySelector('svg.marks').getBoundingClientRect();
    return [...one.querySelectorAll('svg.marks text')].filter(text => {
        const at = text.getBoundingClientRect();
        return at.width && (at.left < within.left - 5 || at.right > Math.min(within.right, innerWidth) + 1);
    }).map(text => `${text.textContent} is cut off at ${text.getBoundingClientRect().left - within.left}`);
})"""


@pytest.mark.parametrize("window", WINDOWS)
def test_nothing_is_wider_than_the_window(chrome, app, window):
    with Visitor(chrome, app, **WINDOWS[window]) as visitor:
        wider = {}
        for page in TITLES:
            visitor.open(page)
            found = visitor.page.evaluate(
                "() => ['html', 'body', '[data-testid=stMain]'].map(at => document.querySelector(at))"
                ".filter(e => e.scrollWidth > e.clientWidth).map(e => `${e.tagName} ${e.scrollWidth} > ${e.clientWidth}`)"
            )
            found += visitor.page.evaluate(CUT_OFF, CHART)
            visitor.shot(f"{page}_{window}", full=False)
            wider[page] = found
        assert wider == {page: [] for page in TITLES}
        untroubled(visitor)


# ---- settings and addresses ----------------------------------------------------------------------------------------

# how it is set, the address, what the first chart says then, what it says no more
SETTINGS = {
    "aggregate": (lambda v: v.select("Aggregate over seeds", "median"), "median", None, None),
    "spread": (lambda v: v.select("Band", "min-max"), "min-max", None, None),
    "x": (lambda v: v.select("X axis", "% of training"), "% of training", "Training (%)", "Environment Steps"),
    "smooth": (
        lambda v: v.toggle("Smooth train rewards"),
        "false",
        "Train Episode Reward",
        "Train Episode Reward (MA 1,000)",
    ),
    "window": (
        lambda v: v.fill("Smoothing window (steps)", "5000"),
        "5000",
        "Train Episode Reward (MA 5,000)",
        "Train Episode Reward (MA 1,000)",
    ),
    "wall": (lambda v: v.select("X axis", "wall time"), "wall time", "Wall Time (hours)", "Environment Steps"),
    "color": (lambda v: v.select("Colour every run by", "detach_step"), "detach_step", "missing", None),
    "raw": (lambda v: v.toggle("Raw points behind smoothed"), "true", None, None),
    "seeds": (lambda v: v.toggle("Draw every seed"), "true", None, None),
    "exact": (lambda v: v.toggle("Notebook arithmetic"), "true", None, None),
    "arms": (lambda v: v.pick("Arms", "detached"), "detached", None, "control"),
    "log_reward": (lambda v: v.toggle("Log axis for rewards"), "true", "1e+2", "−50"),
    "log_loss": (lambda v: v.toggle("Log axis for losses"), "false", "0.002", "2e-3"),
    "out": (lambda v: v.pick("Runs left out", RUN), RUN, "n", "n of 6"),
}
#: Settings that the Rewards page does not show.
ELSEWHERE = {"log_loss": "losses"}


@pytest.mark.parametrize("name", SETTINGS)
def test_setting(chrome, app, visitor, name):
    act, value, says, says_no_more = SETTINGS[name]
    visitor.open(ELSEWHERE.get(name, "rewards"))
    before = visitor.marks()
    assert says_no_more is None or says_no_more in visitor.texts()
    act(visitor)
    visitor.until_query("x" if name == "wall" else name, value)
    visitor.until_redrawn(before)
    assert says is None or says in visitor.texts()
    assert says_no_more not in visitor.texts()
    with Visitor(chrome, app) as another:
        another.page.goto(visitor.page.url)
        another.settled()
        assert another.query() == visitor.query()
        assert another.charts().count() == CHARTS["rewards"]
        assert another.until(lambda: same(visitor, another)), (visitor.texts(), another.texts())
        untroubled(another)


def test_leave_a_run_out(chrome, app, visitor):
    visitor.open("runs")
    visitor.click_row(0)
    visitor.page.get_by_role("button", name="Leave out").click()
    left_out = visitor.page.get_by_test_id("stMetric").filter(has_text="Left out")
    expect(left_out.get_by_test_id("stMetricValue")).to_have_text("1")
    (run,) = visitor.query()["out"]
    visitor.follow("Overview")
    assert visitor.query()["out"] == [run]
    with Visitor(chrome, app) as another:
        another.page.goto(visitor.page.url)
        another.settled()
        expect(another.page.get_by_test_id("stSidebar").get_by_text(run, exact=True)).to_be_visible()
        counts = re.compile(r"n = \d+ vs \d+")
        shown = another.page.get_by_text(counts).all_text_contents()
        assert shown == visitor.page.get_by_text(counts).all_text_contents()
        assert any("n = 5" in text for text in shown)
        assert any("n = 6 vs 6" in text for text in shown)
        assert another.until(lambda: same(visitor, another))
