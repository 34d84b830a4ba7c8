"""Every page in a real browser: it is drawn in both themes, is accessible, fits its window, and calls no other host."""

from dataclasses import dataclass, field

import pytest
from playwright.sync_api import expect

from tests.support.access import NOT_OURS, findings, pale_texts
from tests.support.browser import CHART, TITLES, Visitor, assert_untroubled

pytestmark = pytest.mark.browser

#: The charts that a page of the demo has at least.
CHARTS = {"overview": 3, "rewards": 3, "losses": 3}


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
TABLET = {"width": 820, "height": 1180}
TOO_WIDE = """() => ['html', 'body', '[data-testid=stMain]'].map(selector => document.querySelector(selector))
    .filter(e => e.scrollWidth > e.clientWidth).map(e => `${e.tagName} ${e.scrollWidth} > ${e.clientWidth}`)"""
#: Texts that stick out of their chart's drawing, or of the window; a text's box is a little larger than its letters.
CUT_OFF = """chart => [...document.querySelectorAll(chart)].flatMap(one => {
    const drawing = one.querySelector('svg.marks').getBoundingClientRect();
    return [...one.querySelectorAll('svg.marks text')].filter(text => {
        const box = text.getBoundingClientRect();
        return box.width && (box.left < drawing.left - 5 || box.right > Math.min(drawing.right, innerWidth) + 1);
    }).map(text => `${text.textContent} is cut off at ${text.getBoundingClientRect().left - drawing.left}`);
})"""


@dataclass
class Tour:
    """What one visitor saw on every page: by page its path, chart lines, keys to its content, and what is wrong with it."""

    paths: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)
    stops: dict[str, int] = field(default_factory=dict)
    bright: set[bool] = field(default_factory=set)
    faults: dict[str, list[str]] = field(default_factory=dict)
    excused: set[tuple[str, str]] = field(default_factory=set)

    def visit(self, visitor: Visitor) -> None:
        """Go to every page, then open the Export popover on the Overview."""
        visitor.open()
        for page, title in TITLES.items():
            visitor.follow(title)
            self.record(visitor, page)
            assert_untroubled(visitor)
        visitor.follow(TITLES["overview"])
        visitor.page.get_by_role("button", name="Export").click()
        visitor.page.get_by_test_id("stPopoverBody").get_by_role("button", name="Report (.html)").wait_for()
        visitor.settled()
        self.faults["export"] = findings(visitor)
        assert_untroubled(visitor)

    def record(self, visitor: Visitor, page: str) -> None:
        """Add the page that is open: findings of axe-core, pale texts, and what is wider than the window."""
        self.paths[page] = visitor.page.url.removeprefix(visitor.server.url).strip("/")
        self.lines[page] = [len(visitor.paths(chart)) for chart in range(visitor.charts().count())]
        color = visitor.page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
        self.bright.add(sum(int(part) for part in color[4:-1].split(",")[:3]) > 3 * 128)
        self.faults[page] = [*findings(visitor, self.excused), *pale_texts(visitor), *too_wide(visitor)]
        self.stops[page] = stops_to_the_content(visitor)

    def assert_fine(self, bright: bool) -> None:
        """Every page was drawn in this theme, with its charts and without a fault."""
        assert self.paths == {page: page.replace("overview", "") for page in TITLES}
        for page, count in CHARTS.items():
            assert len(self.lines[page]) >= count
            assert all(lines >= 2 for lines in self.lines[page][:count])
        assert self.bright == {bright}
        assert self.faults == {page: [] for page in [*TITLES, "export"]}
        assert self.excused == set(NOT_OURS), "an excuse that is no longer needed must go"
        assert {page: number for page, number in self.stops.items() if number >= 10} == {}


def too_wide(visitor: Visitor) -> list[str]:
    """What sticks out of the window or of its chart."""
    return visitor.page.evaluate(TOO_WIDE) + visitor.page.evaluate(CUT_OFF, CHART)


def stops_to_the_content(visitor: Visitor) -> int:
    """How many keys lead from the link that skips the sidebar to something in the page's content; 10 where more do."""
    content = visitor.page.get_by_test_id("stMainBlockContainer").locator(":focus")
    visitor.page.get_by_role("link", name="Skip to main content").focus()
    visitor.page.keyboard.press("Enter")
    stops = 1
    while not content.count() and stops < 10:
        visitor.page.keyboard.press("Tab")
        stops += 1
    return stops


def test_every_page_is_light_accessible_and_no_wider_than_its_window(visitor):
    tour = Tour()
    tour.visit(visitor)
    tour.assert_fine(bright=True)


def test_every_page_is_dark_accessible_and_no_wider_than_a_phone_or_a_tablet(chrome, app):
    tour = Tour()
    with Visitor(chrome, app, color_scheme="dark", **PHONE) as visitor:
        tour.visit(visitor)
        visitor.page.keyboard.press("Escape")
        visitor.page.set_viewport_size(TABLET)
        wide = {}
        for page in ("rewards", "detach_effect", "plan", "overview"):
            visitor.follow(TITLES[page])
            wide[page] = too_wide(visitor)
        assert not any(wide.values()), wide
        assert_untroubled(visitor)
    tour.assert_fine(bright=False)


FOCUSED = """() => {
    const element = document.activeElement;
    const words = element.getAttribute('aria-label') || element.innerText.replace(/^[a-z_]+\\n+/, '').split('\\n')[0];
    return [element.getAttribute('role') ?? element.tagName.toLowerCase(), words];
}"""


def test_the_keyboard_alone_reaches_the_pages_the_study_and_the_export(visitor):
    visitor.open()
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate(FOCUSED) == ["a", "Skip to main content"]
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
