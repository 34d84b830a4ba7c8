"""From a task's charts to its full chart, and from there to the same view in another browser, by the shared link."""

import pytest

pytestmark = pytest.mark.browser


def test_a_link_leads_to_the_full_chart_and_the_shared_link_to_the_same_view(app, visitor, another_visitor):
    visitor.open("overview")
    visitor.select("Band", "min-max")
    visitor.until_query("spread", "min-max")
    visitor.page.get_by_test_id("stPageLink").filter(has_text="full chart").nth(3).click()
    visitor.page.wait_for_function("() => location.pathname === '/losses'")
    visitor.settled()
    assert visitor.query() == {"spread": ["min-max"], "only": ["Cartpole Swingup"]}
    assert visitor.charts().count() == 1
    visitor.page.get_by_role("button", name="Share").click()
    link = visitor.page.get_by_test_id("stPopoverBody").get_by_test_id("stCode").first
    link.wait_for()
    visitor.settled()
    address = str(link.text_content())
    assert address.startswith(f"{app.url}/losses?")
    another_visitor.goto(address)
    assert another_visitor.numbers() == visitor.numbers()


def test_a_link_to_a_page_opens_it_from_under_an_open_popover(visitor):
    visitor.open("overview")
    body = visitor.page.get_by_test_id("stPopoverBody")
    for popover, page, path in (("Share", "Runs", "/runs"), ("Export", "Losses", "/losses")):
        visitor.page.get_by_role("button", name=popover).click()
        body.get_by_role("button", name="Report (.html)").wait_for()
        visitor.page.get_by_test_id("stSidebarNavLink").filter(has_text=page).click()
        visitor.page.wait_for_function("path => location.pathname === path", arg=path)
        visitor.settled()
        assert (visitor.page.get_by_role("heading", level=1).inner_text(), body.count()) == (page, 0)
