"""The Overview's matrix: a click or Enter leads to the evidence and back, and it fits the window."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Locator, expect

from tests.support.access import findings
from tests.support.browser import Visitor

pytestmark = pytest.mark.browser

CELL = "Cartpole Swingup, Train Consistency Loss: supported"


def cell(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("link", name=CELL)


def assert_evidence(visitor: Visitor, aggregate: str | None = "median") -> None:
    """The Detach effect page shows the cell's task and metric, and the settings are as they were."""
    visitor.page.wait_for_function("() => location.pathname === '/detach_effect'")
    visitor.until_query("aggregate", aggregate)
    visitor.settled()
    query = visitor.query()
    assert (query["task"], query["effect_metric"]) == (["Cartpole Swingup"], ["Train Consistency Loss"])
    expect(visitor.page.get_by_role("tab", name="Cartpole Swingup", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    expect(visitor.page.get_by_role("radio", name="Cartpole Swingup", exact=True)).to_be_checked()
    expect(visitor.page.get_by_role("combobox", name="Metric", exact=True).first).to_have_value(
        "Train Consistency Loss"
    )


def test_a_click_or_enter_leads_to_the_evidence_and_back_with_every_setting_of_the_page(visitor):
    names = ["Acrobot Swingup", "Cartpole Swingup"]
    settings = {"only": names, "aggregate": "median"}
    visitor.goto(f"{visitor.server.address()}?{urlencode(settings, doseq=True)}")
    cell(visitor).wait_for()
    place, table = (
        visitor.page.evaluate(
            f"() => document.querySelector('.st-key-matrix_place'){path}.getBoundingClientRect().height"
        )
        for path in ("", ".querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('.matrix')")
    )
    assert table <= place <= table + 12, "what is below moves when the matrix is drawn"
    visitor.open_more()
    visitor.toggle("Draw every seed")
    visitor.until_query("seeds", "true")
    cell(visitor).hover()
    query = parse_qs(urlsplit(str(cell(visitor).get_attribute("href"))).query)
    assert (query["only"], query["seeds"]) == (names, ["true"])
    assert (query["task"], query["effect_metric"]) == (["Cartpole Swingup"], ["Train Consistency Loss"])
    settings = visitor.query()
    cell(visitor).click()
    assert_evidence(visitor)
    claim = visitor.page.get_by_text("On Cartpole Swingup, detaching the encoder at 50,000 steps lowered Train").first
    expect(claim).to_be_in_viewport()
    visitor.page.go_back()
    visitor.page.wait_for_function("() => location.pathname === '/'")
    visitor.settled()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Detach Encoder Demo")
    expect(cell(visitor)).to_be_visible()
    assert visitor.query() == settings
    cell(visitor).focus()
    visitor.page.keyboard.press("Shift+Tab")
    visitor.page.keyboard.press("Tab")
    tip = visitor.page.get_by_role("tooltip")
    expect(tip).to_contain_text("control 0.00247 → 0.00203")
    assert findings(visitor) == []
    visitor.page.keyboard.press("Escape")
    expect(tip).to_have_count(0)
    visitor.page.keyboard.press("Enter")
    assert_evidence(visitor)


def test_a_first_tap_shows_a_cell_and_a_second_opens_it(chrome, app):
    options = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with Visitor(chrome, app, **options) as visitor:
        visitor.open(aggregate="median")
        chart = visitor.charts().first
        chart.tap()  # a finger reads the curves as a pointer does
        expect(chart.locator("[class*=_hover_texts_marks] text").get_by_text("Eval", exact=True)).to_be_visible()
        cell(visitor).tap()
        expect(visitor.page.get_by_role("tooltip")).to_contain_text("Tap again for the evidence.")
        cell(visitor).tap()
        assert_evidence(visitor)
