"""The line that says which runs are left out by hand, in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitor, assert_untroubled

pytestmark = pytest.mark.browser


def test_a_run_left_out_on_the_runs_page_is_left_out_everywhere_until_it_is_brought_back(
    visitor: Visitor, another_visitor: Visitor
):
    page = visitor.open("runs")
    visitor.click_row(0)
    page.get_by_role("button", name="Leave out", exact=True).click()
    sentence = page.get_by_test_id("stMain").get_by_text("1 run left out by hand: acro0001-s1-detached.", exact=True)
    expect(sentence).to_be_visible()
    visitor.until_query("out", "acro0001-s1-detached")
    # The study keeps it, after a reload and in another browser that opens the plain address.
    visitor.goto(page.url)
    visitor.follow("Overview")
    another_visitor.open()
    another_visitor.until_query("out", "acro0001-s1-detached")
    another_visitor.settled()
    assert another_visitor.numbers() == visitor.numbers()
    expect(sentence).to_be_visible()
    # One line, above everything that the page shows.
    assert (sentence.bounding_box() or {})["height"] < 40
    # What is below stays as it is when the line goes.
    panel = page.get_by_test_id("stExpander").filter(has_text="How this is computed").locator("details")
    panel.locator("summary").click()
    parts = page.get_by_test_id("stVegaLiteChart").or_(panel)
    before = parts.evaluate_all("parts => parts.map(part => { part.isOld = true })")
    page.get_by_role("button", name="Bring back").click()
    expect(sentence).to_have_count(0)
    visitor.until_query("out", None)
    visitor.settled()
    assert parts.evaluate_all("parts => parts.map(part => part.isOld)") == [True] * len(before)
    assert panel.evaluate("panel => panel.open")
    assert_untroubled(visitor)
