"""A real browser for the tests: Debian's Chromium, and a visitor of the app in it."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    TimeoutError,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.support.app_server import PATIENCE, ROOT, Server

ARTIFACTS = ROOT / "tests" / "artifacts"
TITLES = {
    "overview": "Overview",
    "rewards": "Rewards",
    "losses": "Losses",
    "detach_effect": "Detach effect",
    "plan": "Plan",
    "runs": "Runs",
    "study": "Study",
    "new_study": "New study",
}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
    "--disable-component-update",
)
expect.set_options(timeout=PATIENCE)
WINDOW: ViewportSize = {"width": 1280, "height": 900}
#: Where a browser must be, its absence fails the tests; elsewhere it skips them.
REQUIRED = bool(os.environ.get("CI") or os.environ.get("REQUIRE_BROWSER"))
IDLE = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
CHART = "[data-testid=stVegaLiteChart]"
#: A chart with something in it, not an empty frame.
DRAWN_CHART = f"{CHART}:has(svg .role-mark :is(path, line, rect))"

#: The rows behind the lines of a chart, on a page of the app or in an exported one.
LINE_ROWS = """svg => [...svg.querySelectorAll('[class*=_line_][class$=_marks] path')].flatMap(path =>
    path.__data__.mark.items.map(({datum: d}) => [d.metric, d.arm, d.step, d.mean, d.lower, d.upper]))"""
MARKS = "svg .role-mark path[d*='L'], svg text"
GEOMETRY = "marks => marks.map(mark => mark.getAttribute('d') ?? mark.textContent)"


def chromium() -> str | None:
    """The browser's program: CHROMIUM, or the system's; None where there is none."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()


class Visitor:
    """One visitor: a browser context with its page, the requests it made to other hosts, and its page's errors."""

    def __init__(self, browser: Browser, server: Server, **options: Any) -> None:
        options.setdefault("viewport", WINDOW)
        self.server = server
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE)
        self.foreign_requests: list[str] = []
        self.page_errors: list[str] = []
        self.context.on("request", lambda request: self._record(request.url))
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.page_errors.append(str(error)))

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def _record(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob", "about"} and parts.hostname != "127.0.0.1":
            self.foreign_requests.append(url)

    def reset(self) -> None:
        """Forget the last visit: what the page stored, what was recorded, the window's size, the pointer, keys held down.

        Every `open` is a new session of the app; what the browser has compiled of it stays.
        """
        self.page.set_viewport_size(WINDOW)
        self.page.emulate_media(color_scheme="light")
        if self.page.url.startswith("http"):
            self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        self.context.clear_cookies()
        self.page.mouse.up()
        self.page.mouse.move(0, 0)
        for key in ("Shift", "Control"):
            self.page.keyboard.up(key)
        self.foreign_requests.clear()
        self.page_errors.clear()

    def open(self, page: str = "", **query: str) -> Page:
        """Open a page by its address and wait until it is drawn."""
        return self.goto(self.server.address(page, **query))

    def goto(self, url: str) -> Page:
        """Open an address in a new session and wait until it is drawn."""
        self.page.goto(url)
        return self.settled()

    def follow(self, name: str) -> Page:
        """Open a page by its link in the sidebar, which may be folded away, and wait until it is drawn."""
        link = self.page.get_by_test_id("stSidebarNavLink").filter(has_text=name).first
        path = urlsplit(str(link.get_attribute("href"))).path
        link.dispatch_event("click")
        self.page.wait_for_function("path => location.pathname === path", arg=path)
        return self.settled()

    def settled(self) -> Page:
        """Wait until the script has run, nothing stale is left and every chart is drawn."""
        heading = "[data-testid=stMain] h1"
        try:
            self.page.wait_for_function(
                """([heading, idle, chart, drawn]) => document.querySelector(heading) && document.querySelector(idle)
                    && !document.querySelector('[data-stale=true], [data-testid=stSkeleton]')
                    && document.querySelectorAll(chart).length === document.querySelectorAll(drawn).length""",
                arg=[heading, IDLE, CHART, DRAWN_CHART],
            )
        except TimeoutError as error:
            raise AssertionError(f"The page was not drawn: {self.state()}") from error
        return self.page

    def state(self) -> str:
        """A description of a page that is not drawn."""
        selectors = ("[data-testid=stMain] h1", CHART, DRAWN_CHART, "[data-stale=true]")
        counts = {selector: self.page.locator(selector).count() for selector in selectors}
        app = self.page.get_by_test_id("stApp")
        data = app.first.evaluate("app => ({...app.dataset})") if app.count() else "no app"
        log = "\n".join(self.server.log().splitlines()[-20:])
        return f"{self.page.url} {data} {counts} {self.exceptions()} server {self.server.state()}\n{log}"

    # ---- what is on the page

    def charts(self) -> Locator:
        """The page's charts."""
        return self.page.locator(CHART)

    def texts(self, index: int = 0) -> list[str]:
        """Every text inside a chart: legend, axes, labels."""
        return [text for text in self.charts().nth(index).locator("svg text").all_text_contents() if text]

    def paths(self, index: int = 0) -> list[str]:
        """The lines of a chart."""
        return self.charts().nth(index).locator("svg .mark-line path[d*='L']").evaluate_all(
            "paths => paths.map(path => path.getAttribute('d'))"
        )  # fmt: skip

    def numbers(self, index: int = 0) -> list[list[Any]]:
        """The rows behind a chart's lines: metric, arm, step, mean, lower, upper."""
        return self.charts().nth(index).locator("svg").first.evaluate(LINE_ROWS)

    def marks(self, index: int = 0) -> list[str]:
        """Everything a chart draws: lines, bands, rules."""
        return self.charts().nth(index).locator(MARKS).evaluate_all(GEOMETRY)

    def query(self) -> dict[str, list[str]]:
        """The address's query."""
        return parse_qs(urlsplit(self.page.url).query)

    def exceptions(self) -> list[str]:
        """The exceptions shown on this page."""
        return self.page.get_by_test_id("stException").all_text_contents()

    # ---- what a visitor does

    def select(self, label: str, option: str) -> None:
        """Choose in a select box of the sidebar."""
        self._choose("stSelectbox", label, option)

    def toggle(self, label: str) -> None:
        """Turn a switch; again where it moved under the pointer."""
        sidebar = self.page.get_by_test_id("stSidebar")
        switch = sidebar.get_by_role("switch", name=label).or_(sidebar.get_by_role("checkbox", name=label)).first
        before = switch.is_checked()

        def turned() -> bool:
            sidebar.get_by_text(label, exact=True).click()
            try:
                # Long enough for a busy page: a second click would turn it back.
                expect(switch).to_be_checked(checked=not before, timeout=5_000)
            except AssertionError:
                return False
            return True

        assert self.until(turned), f"{label} was not turned"

    def fill(self, label: str, value: str) -> None:
        """Type into a field of the sidebar."""
        field = self.page.get_by_test_id("stSidebar").get_by_label(label, exact=True)
        field.fill(value)
        field.press("Enter")

    def slide(self, label: str, steps: int) -> None:
        """Move a slider of the sidebar by so many of its steps."""
        slider = self.page.get_by_test_id("stSlider").filter(has=self.page.get_by_text(label, exact=True))
        slider.get_by_role("slider").focus()
        for _ in range(abs(steps)):
            self.page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")

    def type_in(self, label: str, text: str) -> None:
        """Type an entry of its own into a multi-select of the sidebar."""
        box = self.page.get_by_test_id("stMultiSelect").filter(has=self.page.get_by_text(label, exact=True))
        box.get_by_role("combobox").fill(text)
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Escape")

    def open_more(self) -> None:
        """Open the settings under "More"."""
        self.page.get_by_test_id("stSidebar").locator("summary").filter(has_text="More").click()

    def pick(self, label: str, option: str) -> None:
        """Add an option to a multi-select of the sidebar."""
        self._choose("stMultiSelect", label, option)
        self.page.keyboard.press("Escape")

    def _choose(self, kind: str, label: str, option: str) -> None:
        """Open a list and click an option; again where the list was drawn anew under the pointer or lost the click."""
        box = self.page.get_by_test_id(kind).filter(has=self.page.get_by_text(label, exact=True))
        entry = self.page.get_by_role("option", name=option, exact=True)

        tag = box.locator("[data-tag]").filter(has_text=option)

        def chosen() -> bool:
            if tag.count():
                return True
            if not entry.count():
                # A list closes when the sidebar scrolls, which a click on a box that is half out of view makes it do.
                box.scroll_into_view_if_needed()
                box.get_by_role("combobox").click()
            try:
                entry.click(timeout=5_000)
            except TimeoutError:
                return False
            return kind == "stSelectbox"

        assert self.until(chosen), f"No option {option} in {label}"

    def download(self, button: str) -> tuple[str, bytes]:
        """The name and the bytes of the file behind a button."""
        self.settled()
        with self.page.expect_download(timeout=PATIENCE) as event:
            self.page.get_by_role("button", name=button, exact=True).last.click()
        return event.value.suggested_filename, event.value.path().read_bytes()

    def click_row(self, row: int) -> None:
        """Select a row of the page's first table by its box: the table is a picture, only places can be clicked."""
        table = self.page.get_by_test_id("stDataFrame").first
        table.locator("canvas").first.wait_for()
        table.scroll_into_view_if_needed()
        box = table.bounding_box() or {}
        self.page.mouse.click(box["x"] + 16, box["y"] + 35 * (row + 1.5))

    def until_query(self, name: str, value: str | None) -> None:
        """Wait until a parameter of the address has this value (None: until it is gone)."""
        try:
            self.page.wait_for_function(
                "([name, value]) => new URL(location.href).searchParams.get(name) === value", arg=[name, value]
            )
        except TimeoutError as error:
            raise AssertionError(f"{name} did not become {value}: {self.state()}") from error

    def until(self, condition: Callable[[], bool]) -> bool:
        """Whether a condition comes to hold, checked every 50 ms while the page goes on."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.page.wait_for_timeout(50)
        return True

    def until_redrawn(self, before: list[str], index: int = 0) -> None:
        """Wait until a chart's `marks` differ from what they were, then until the page is drawn."""
        self.page.wait_for_function(
            f"""([chart, marks, index, before]) => {{
                const element = document.querySelectorAll(chart)[index];
                const now = ({GEOMETRY})([...(element?.querySelectorAll(marks) ?? [])]);
                return now.length && JSON.stringify(now) !== JSON.stringify(before);
            }}""",
            arg=[CHART, MARKS, index, before],
        )
        self.settled()

    def screenshot(self, name: str, folder: Path = ARTIFACTS, full: bool = True) -> Path:
        """A picture of the page."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        window = self.page.viewport_size
        if full:
            self._whole_page()
        self.page.screenshot(path=path)
        if full and window:
            self.page.set_viewport_size(window)
            self.settled()
        return path

    def _whole_page(self) -> None:
        """Make the window as high as the page: Streamlit scrolls inside of it."""
        height = self.page.evaluate(
            "() => Math.max(...['stMain', 'stSidebarContent'].map("
            "id => document.querySelector(`[data-testid=${id}]`)?.scrollHeight ?? 0))"
        )
        width = self.page.viewport_size["width"]  # type: ignore[index]
        self.page.set_viewport_size({"width": width, "height": max(600, min(int(height), 6000))})
        self.settled()


def assert_untroubled(visitor: Visitor) -> None:
    """Nothing was raised, on the page or in its scripts, and no request went to another host."""
    assert visitor.exceptions() == []
    assert visitor.page_errors == []
    assert visitor.foreign_requests == []
