"""The Plan page in a real browser: from a change to the commands that start its runs, and a size that is declared."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitor, assert_untroubled

pytestmark = pytest.mark.browser


def test_a_plan_is_made_and_its_size_declared(visitor: Visitor):
    visitor.open("plan", task="Cartpole Swingup", plan_metric="Train Consistency Loss")
    assert {"fork pairs", "two arms", "fork pairs, 2 tasks", "7", "9"} <= set(visitor.texts())
    code = visitor.page.get_by_test_id("stCode")
    expect(code).to_contain_text("for seed in range(1, 8):")
    change = visitor.page.get_by_role("spinbutton", name="Change to show (%)")
    change.fill("25")
    change.press("Enter")
    expect(code).to_contain_text("for seed in range(1, 4):")
    visitor.until_query("plan_change", "25")
    visitor.page.get_by_role("button", name="two arms", exact=True).click()
    visitor.until_query("plan_designs", "fork pairs")
    visitor.page.get_by_text("As one of all claims").click()
    expect(code).not_to_contain_text("for seed in range(1, 4):")
    pairs = visitor.page.get_by_role("spinbutton", name="Pairs")
    pairs.fill("9")
    pairs.press("Enter")
    visitor.page.get_by_role("button", name="Declare 9 as planned").wait_for()
    visitor.settled()
    visitor.page.get_by_role("button", name="Declare 9 as planned").click()
    # The size is in a copy of the demo, of whose runs there are fewer.
    expect(visitor.page.get_by_text("6 of 9 pairs finished")).to_be_visible()
    visitor.settled()
    assert "Finished pairs" in visitor.texts()
    assert_untroubled(visitor)
