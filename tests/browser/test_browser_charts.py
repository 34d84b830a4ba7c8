"""What a pointer does on a chart: read every series at a step, isolate a metric or an arm, choose a range of steps."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitor

pytestmark = pytest.mark.browser

EVAL, TRAIN = "Eval Episode Reward", "Train Episode Reward (MA 1,000)"
SERIES_OPACITY = """svg => [...svg.querySelectorAll('[class*=_line_marks] path')].map(path =>
    [path.__data__.mark.items[0].datum.metric, path.__data__.mark.items[0].datum.arm, Number(path.getAttribute('opacity'))])"""


@pytest.fixture
def chart(visitor):
    """The first chart of the Rewards page."""
    visitor.open("rewards")
    return visitor.charts().first


def point(visitor: Visitor, share: float) -> tuple[float, float]:
    """A point in the first chart's plot: at this share of its width, half-way up."""
    plot = visitor.charts().first.locator("svg .role-frame.root path.background").first.bounding_box() or {}
    return plot["x"] + share * plot["width"], plot["y"] + plot["height"] / 2


def isolated(visitor: Visitor, *series: tuple[str, str]) -> bool:
    """Whether these series of the first chart come to be drawn in full, and the others faintly."""
    expected = {(m, a): 1 if (m, a) in series else 0.08 for m in (EVAL, TRAIN) for a in ("detached", "control")}

    def opacities() -> dict[tuple[str, str], float]:
        rows = visitor.charts().first.locator("svg").first.evaluate(SERIES_OPACITY)
        return {(metric, arm): opacity for metric, arm, opacity in rows}

    return visitor.until(lambda: opacities() == expected)


@pytest.mark.parametrize(("width", "name"), [(1280, "Eval"), (390, EVAL)])
def test_a_click_on_a_name_isolates_a_metric_or_an_arm(visitor, width, name):
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.open("rewards", only="Acrobot Swingup")
    every = [(metric, arm) for metric in (EVAL, TRAIN) for arm in ("detached", "control")]
    legend = visitor.charts().first.locator("svg :not([class*=_hover_texts_marks]) > text")
    assert isolated(visitor, *every)
    legend.get_by_text(name, exact=True).click()
    assert isolated(visitor, (EVAL, "detached"), (EVAL, "control"))
    legend.get_by_text("control", exact=True).click()
    assert isolated(visitor, (EVAL, "control"))
    legend.get_by_text("control", exact=True).click(modifiers=["Shift"])
    assert isolated(visitor, (EVAL, "detached"), (EVAL, "control"))
    legend.get_by_text(name, exact=True).click(modifiers=["Shift"])
    assert isolated(visitor, *every)


def test_a_drag_with_shift_chooses_the_range_and_a_button_takes_it_back(chart, visitor, another_visitor):
    before = visitor.marks()
    x, y = point(visitor, 0.25)
    end, _ = point(visitor, 0.5)
    visitor.page.keyboard.down("Shift")
    visitor.page.mouse.move(x, y)
    visitor.page.mouse.down()
    visitor.page.mouse.move(end, y, steps=5)
    visitor.page.mouse.up()
    visitor.page.keyboard.up("Shift")
    visitor.page.wait_for_function("() => new URL(location.href).searchParams.get('to')")
    visitor.until_redrawn(before)
    low, high = (float(visitor.query()[name][0]) for name in ("from", "to"))
    assert (low, high) == (pytest.approx(25_000, abs=200), pytest.approx(50_000, abs=200))
    ticks = ["25k", "30k", "35k", "40k", "45k", "50k"]
    assert [text for text in visitor.texts() if text.endswith("0k") or text.endswith("5k")] == ticks
    another_visitor.goto(visitor.page.url)
    assert another_visitor.texts() == visitor.texts()
    visitor.page.get_by_role("button", name="Show all").click()
    visitor.until_query("from", None)
    visitor.until_query("to", None)
    visitor.settled()
    assert visitor.until(lambda: "100k" in visitor.texts())


def test_a_typed_range_is_drawn_where_it_is_one(visitor):
    visitor.open("losses")
    visitor.open_more()
    before = visitor.marks()
    other_field = visitor.page.get_by_test_id("stSidebar").get_by_label("To", exact=True)
    other_field.evaluate("field => { field.isOld = true }")
    visitor.fill("From", "60000")
    visitor.until_query("from", "60000")
    expect(visitor.page.get_by_text("1 setting changed under More")).to_be_visible()
    assert other_field.evaluate("field => field.isOld"), "a new field would lose what is being typed in it"
    visitor.fill("To", "40000")
    warning = visitor.page.get_by_test_id("stSidebar").get_by_text("From must be below To: all is drawn.")
    expect(warning).to_be_visible()
    visitor.settled()
    assert visitor.marks() == before
    visitor.fill("From", "20000")
    visitor.until_redrawn(before)
    expect(warning).to_have_count(0)
    assert visitor.query() == {"from": ["20000"], "to": ["40000"]}
    assert {"20k", "40k"} <= set(visitor.texts()) and not {"0", "60k", "100k"} & set(visitor.texts())
