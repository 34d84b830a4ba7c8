"""Whoever cannot see the page well, or has no mouse, can use it: axe-core on every page, contrast in charts, the keyboard."""

import pytest
from playwright.sync_api import expect

from tests.support.access import NOT_OURS, findings, pale_texts
from tests.support.browser import TITLES, Visitor, untroubled

pytestmark = pytest.mark.browser

FOCUSED = """() => {
    const at = document.activeElement;
    const words = at.getAttribute('aria-label') || at.innerText.replace(/^[a-z_]+\\n+/, '').split('\\n')[0];
    return [at.getAttribute('role') ?? at.tagName.toLowerCase(), words];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(chrome, app, scheme):
    with Visitor(chrome, app, color_scheme=scheme) as visitor:
        visitor.open()
        found, excused = {}, set()
        for page, title in TITLES.items():
            visitor.follow(title)
            found[page] = sorted({*findings(visitor, excused), *pale_texts(visitor)})
        visitor.page.get_by_role("button", name="Export").click()
        visitor.page.get_by_test_id("stPopoverBody").get_by_role("button", name="Report (.html)").wait_for()
        visitor.settled()
        found["export"] = findings(visitor)
        assert {page: wrong for page, wrong in found.items() if wrong} == {}
        assert excused == set(NOT_OURS), "what is excused and no longer found is to be excused no more"
        untroubled(visitor)


def test_the_keyboard_alone_reaches_the_pages_the_study_and_the_export(visitor):
    visitor.open()
    reached = []
    while ["button", "Export"] not in reached:
        assert len(reached) < 60, reached
        visitor.page.keyboard.press("Tab")
        reached.append(visitor.page.evaluate(FOCUSED))
    assert [title for title in TITLES.values() if ["a", title] not in reached] == []
    assert ["combobox", "Study"] in reached
    body = visitor.page.get_by_test_id("stPopoverBody")
    expect(body).to_have_count(0)
    visitor.page.keyboard.press("Enter")
    expect(body.get_by_role("button", name="Report (.html)")).to_be_visible()
