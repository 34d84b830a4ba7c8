"""From a task's charts to its full chart, and from there to the same view in another browser, by the shared link."""

import pytest

from tests.support.browser import Visitor

pytestmark = pytest.mark.browser


def test_a_link_leads_to_the_full_chart_and_its_link_to_the_same_view(chrome, app, visitor):
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
    with Visitor(chrome, app) as another:
        another.page.goto(address)
        another.settled()
        assert another.numbers() == visitor.numbers()
