"""How busy the browser is with a page of the demo, against Streamlit's smallest page with a chart.

    python -m benchmarks.browser [--repeats 5]

Starts both servers and Chromium, and prints one table of medians, with the lowest and the highest in brackets. `busy` is
what the page's main thread worked, `drawn` the time until the last change of a chart or of the script's state: after a
setting of the Overview is changed, and from the address to the first page of a new visitor, whose browser has nothing
stored, on a server that has had visitors. `shift` is the cumulative layout shift without that of the sidebar.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.rerun import FLOOR  # noqa: E402
from tests.support.app_server import Server  # noqa: E402
from tests.support.browser import CHART, DRAWN_CHART, IDLE, TITLES, Visitor, browser  # noqa: E402

#: Milliseconds without a change after which a page is taken as drawn.
QUIET = 700
#: Settings of the Overview that are changed, and what is chosen; the slider goes to `off`, switches are turned.
CHOICES = {"Band": ("min-max", "std error"), "X axis": ("% of training",)}
SLIDER = "Smoothing (steps)"
SWITCHES = ("Log axis for rewards", "Draw every seed")

#: Notes the last change of charts and script state, clicks, and shifts with the nodes that moved: a shift is the sidebar's where
#: all that moved is in it, or is the whole page, which a sidebar that opens moves aside.
_WATCH = f"""() => {{
    const log = window.benchmark = {{changed: 0, first: 0, clicked: 0, shifts: []}};
    const chart = '{CHART}', app = 'stApp';
    const isOurs = ({{target}}) => target instanceof Element && (target.closest(chart) || target.dataset.testid === app);
    new MutationObserver(changes => {{
        if (!changes.some(isOurs)) return;
        log.changed = performance.now();
        if (!log.first && document.querySelector('{DRAWN_CHART}')) log.first = log.changed;
    }}).observe(document, {{subtree: true, childList: true, attributes: true}});
    for (const event of ['click', 'keydown']) addEventListener(event, () => log.clicked = performance.now(), true);
    new PerformanceObserver(list => list.getEntries().forEach(entry => log.shifts.push({{
        value: entry.value,
        nodes: entry.sources.map(({{node, previousRect: from, currentRect: to}}) => {{
            const element = node instanceof Element ? node : node?.parentElement;
            const page = ['stApp', 'stAppViewContainer', 'stMain', 'stMainBlockContainer', 'stToolbar'];
            const name = element?.closest('[data-testid]')?.dataset.testid ?? '';
            return element?.closest('[data-testid=stSidebar]') || page.includes(name) ? 'sidebar' : name;
        }}),
    }}))).observe({{type: 'layout-shift', buffered: true}});
}}"""
#: Before its first run a page is idle and empty; what loads late has a skeleton.
_STILL = f"""quiet => document.querySelector('{IDLE}') && performance.now() - window.benchmark.changed > quiet
    && document.querySelector('[data-testid=stMain] [data-testid=stElementContainer]')
    && !document.querySelector('[data-stale=true], [data-testid=stSkeleton]')
    && document.querySelectorAll('{CHART}').length === document.querySelectorAll('{DRAWN_CHART}').length"""
_SIZE = "() => [document.querySelectorAll('*').length, document.querySelectorAll('svg *').length]"


@dataclass
class Samples:
    """Repeated measurements of one change: busy and drawn in milliseconds, bytes over the websocket."""

    busy: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    received: list[int] = field(default_factory=list)


class Meter:
    """Measures what one page of a visitor does."""

    def __init__(self, visitor: Visitor) -> None:
        self.page: Page = visitor.page
        self._session = visitor.context.new_cdp_session(self.page)
        self._received = 0
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._session.send("Network.enable")
        self._session.on("Network.webSocketFrameReceived", self._count)
        self.page.add_init_script(f"({_WATCH})()")

    def _count(self, event: dict[str, Any]) -> None:
        # Binary messages arrive as base64.
        self._received += len(event["response"]["payloadData"]) * 3 // 4

    def _busy(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def still(self) -> None:
        """Wait until nothing has changed for a while."""
        self.page.wait_for_function(_STILL, arg=QUIET, polling=100)

    def of(self, samples: Samples, change: Callable[[], object]) -> None:
        """Measure what a change, made by a click, brings about."""
        self.still()
        busy, received = self._busy(), self._received
        change()
        self.page.wait_for_function("() => window.benchmark.changed > window.benchmark.clicked")
        self.still()
        samples.busy.append(self._busy() - busy)
        log = self.log()
        samples.drawn.append(log["changed"] - log["clicked"])
        samples.received.append(self._received - received)

    def visit(self, samples: Samples, url: str) -> float:
        """Measure the first visit of a page with charts; the milliseconds until the first."""
        busy, received = self._busy(), self._received
        self.page.goto(url)
        self.page.wait_for_function("() => window.benchmark.first")
        self.still()
        log = self.log()
        samples.busy.append(self._busy() - busy)
        samples.drawn.append(log["changed"])
        samples.received.append(self._received - received)
        return log["first"]

    def log(self) -> dict[str, Any]:
        """What the page has noted."""
        return self.page.evaluate("() => window.benchmark")

    def shift(self) -> tuple[float, set[str]]:
        """The layout shift without that of the sidebar, and what moved."""
        ours = [shift for shift in self.log()["shifts"] if set(shift["nodes"]) - {"sidebar", ""}]
        return sum(shift["value"] for shift in ours), {node for shift in ours for node in shift["nodes"]}

    def size(self) -> list[int]:
        """Nodes of the page, and those of its charts."""
        return self.page.evaluate(_SIZE)


def choose(meter: Meter, samples: Samples, label: str, option: str) -> None:
    """Measure what choosing an option of a select box brings about, without opening its list."""
    box = meter.page.get_by_test_id("stSelectbox").filter(has=meter.page.get_by_text(label, exact=True))
    entry = meter.page.get_by_role("option", name=option, exact=True)
    meter.still()
    while not entry.is_visible():
        box.get_by_role("combobox").click()
        meter.page.wait_for_timeout(500)
    meter.of(samples, entry.click)


def turn(meter: Meter, samples: Samples, label: str) -> None:
    """Measure what turning a switch brings about."""
    meter.of(samples, meter.page.get_by_test_id("stSidebar").get_by_text(label, exact=True).click)


def change_floor(chromium: Browser, server: Server, repeats: int) -> Samples:
    """The smallest page after its setting is changed."""
    samples = Samples()
    with Visitor(chromium, server) as visitor:
        meter = Meter(visitor)
        visitor.page.goto(server.url)
        for option in range(1, repeats + 1):
            choose(meter, samples, "Setting", str(option))
    return samples


def change_settings(chromium: Browser, server: Server, repeats: int) -> dict[str, Samples]:
    """The Overview after each of its settings is changed: there and back, which are samples of one change."""
    measured: dict[str, Samples] = {}
    with Visitor(chromium, server) as visitor:
        meter = Meter(visitor)
        visitor.page.goto(server.url)
        meter.still()
        visitor.page.get_by_test_id("stSidebar").get_by_text("More", exact=True).click()
        for _ in range(repeats):
            for label, options in CHOICES.items():
                box = visitor.page.get_by_test_id("stSelectbox").filter(has=visitor.page.get_by_text(label, exact=True))
                before = box.get_by_role("combobox").input_value()
                for option in (*options, before):
                    choose(meter, measured.setdefault(label, Samples()), label, option)
            slider = visitor.page.get_by_role("slider", name=SLIDER)
            for key in ("ArrowLeft", "ArrowRight"):
                meter.of(measured.setdefault(SLIDER, Samples()), partial(slider.press, key))
            for label in SWITCHES:
                for _ in range(2):
                    turn(meter, measured.setdefault(label, Samples()), label)
    return measured


def first_visits(chromium: Browser, server: Server, repeats: int) -> tuple[Samples, list[float], list[int]]:
    """New visitors: their whole first page, the milliseconds until its first chart, and its nodes."""
    samples, first, size = Samples(), [], [0, 0]
    for number in range(repeats + 1):
        with Visitor(chromium, server) as visitor:
            meter = Meter(visitor)
            seen = meter.visit(samples if number else Samples(), server.url)
            size = meter.size()
        if number:  # the server's first visitor is not counted
            first.append(seen)
    return samples, first, size


def shifts(chromium: Browser, server: Server) -> dict[str, tuple[float, set[str]]]:
    """The layout shift of every page, opened by its address."""
    result = {}
    for page in TITLES:
        with Visitor(chromium, server) as visitor:
            meter = Meter(visitor)
            visitor.page.goto(server.address(page))
            meter.still()
            result[page] = meter.shift()
    return result


def spread(values: Sequence[float], divisor: float = 1, digits: int = 0) -> str:
    """The median, with the lowest and the highest in brackets."""
    low, middle, high = (f"{value / divisor:.{digits}f}" for value in (min(values), median(values), max(values)))
    return f"{middle} [{low}, {high}]"


def row(page: str, what: str, samples: Samples, size: Sequence[int] | None = None) -> str:
    """A row of the table."""
    nodes = f"{size[0]} ({size[1]})" if size else ""
    numbers = (spread(samples.busy), spread(samples.drawn), spread(samples.received, 1024))
    return f"| {page} | {what} | {' | '.join(numbers)} | {nodes} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "floor.py").write_text(FLOOR)
        for name in ("floor", "app"):
            (folder / name).mkdir()
        bare = stack.enter_context(Server(folder / "floor", script=folder / "floor.py"))
        app = stack.enter_context(Server(folder / "app"))
        chromium = stack.enter_context(browser())
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} CPU cores (load {load:.1f}), {platform.machine()}, Chromium {chromium.version}, "
              f"Streamlit {version('streamlit')}, medians of {repeats} or more\n")  # fmt: skip
        print("| page | after | busy, ms | drawn, ms | received, KB | nodes (of charts) |\n|---|---|---|---|---|---|")
        base, base_first, base_size = first_visits(chromium, bare, repeats)
        print(row("smallest", "first visit", base, base_size), flush=True)
        print(row("smallest", "its setting", change_floor(chromium, bare, 2 * repeats)), flush=True)
        ours, first, size = first_visits(chromium, app, repeats)
        print(row("Overview", "first visit", ours, size), flush=True)
        for label, samples in change_settings(chromium, app, repeats).items():
            print(row("Overview", label, samples), flush=True)
        times = median(first) / median(base_first)
        print(
            f"\nFirst chart of a new visitor: {spread(first)} ms, {times:.2f} x the smallest page's {spread(base_first)} ms\n"
        )
        for page, (value, nodes) in shifts(chromium, app).items():
            print(f"Layout shift of {TITLES[page]}: {value:.3f} {', '.join(sorted(nodes))}")


if __name__ == "__main__":
    main()
