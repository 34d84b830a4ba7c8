"""What the tests of the app share: a visit to it, what its charts hold, and a study's runs on the loopback server."""

import io
import json
import math
import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.caching import cache_resource_api
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from lib.app.session import access, widget_keys
from lib.app.session.state import KEY, SessionState
from lib.app.widgets import popover
from lib.curves import View
from lib.runs import SavedStudy
from lib.study import Study
from tests.support.wandb_server import FakeRun, WandbServer

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("overview", "rewards", "losses", "detach_effect", "plan", "runs", "study")

PROJECT = "thomasevers9/tdmpc2-tdmpc2"
TASKS = (("humanoid_h1-balance_simple-v0", "8lsl2o4p", 1_000_000), ("acrobot-swingup", "nqfufp3t", 100_000))

#: The id that AppTest gives every session.
SESSION = "test session id"

# An AppTest looks through every installed package for components at its first run: once is enough.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


class Visited(PagesManager):
    """AppTest takes every run for the server's first; only the first visit of a server goes through pages/."""


@pytest.fixture(autouse=True)
def server_state(monkeypatch):
    """A server that was visited before, and a new session of it. For a test file to import.

    All AppTests share one session, which must not see what an earlier test fetched; results of the demo are everybody's.
    """
    st.cache_data.clear()
    cache_resource_api.clear_session_cache(SESSION)
    monkeypatch.setattr(app_test, "PagesManager", Visited)
    monkeypatch.setattr(PagesManager, "uses_pages_directory", False)
    # An AppTest comes from nowhere; these sit at the machine of the app unless strangers use it.
    monkeypatch.setattr(access, "keeps_studies", lambda: not access.is_hosted())


def visitor(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make the runs of every AppTest, from here on, those of this visitor's session."""

    class Runner(LocalScriptRunner):
        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            self._session_id = name

    monkeypatch.setattr(app_test, "LocalScriptRunner", Runner)


def unopened(page: str = "overview", own: Study | None = None, **query: str) -> AppTest:
    """A visit before its first run, of a study of the visitor's own where one is passed."""
    at = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    if own is not None:
        unsaved = {own.name: (SavedStudy(own.name), ())}
        at.session_state[KEY] = SessionState(studies={own.name: SavedStudy(own.name, own)}, unsaved=unsaved)
        at.session_state[widget_keys.STUDY] = own.name
    # Open panels: what is in closed ones is not drawn.
    at.session_state[widget_keys.MORE] = at.session_state[widget_keys.WINDOWS] = True
    at.switch_page(f"pages/{page}.py")
    for name, value in query.items():
        at.query_params[name] = value
    return at


def visit(page: str = "overview", own: Study | None = None, **query: str) -> AppTest:
    """The app at this page and query, as the visitor's first view of it."""
    return fine(unopened(page, own, **query).run())


def open_popover(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Open the popover of that key on every page from here on: a browser says that its content is on screen."""
    monkeypatch.setattr(popover, "_SENTINEL", lambda key, on_open_change: on_open_change() if key == name else None)


def plain(markdown: str) -> str:
    """The text that a reader sees of Markdown whose signs are escaped."""
    return re.sub(r"\\([^\w\s])", r"\1", markdown).replace("\u2060", "")


def answer_lines(at: AppTest) -> list[str]:
    """The lines of the Overview's answer."""
    texts = [plain(m.value) for m in at.markdown]
    return next(text for text in texts if "**Gain and cost**" in text).split("  \n")


def refusal(at: AppTest, key: str) -> list[str]:
    """What is said at a click on a button that opens a study, where something is missing."""
    fine(at.button(key=key).click().run())
    return [toast.value for toast in at.toast]


def view_of(at: AppTest) -> View:
    """The view settings that the page was drawn with."""
    return at.session_state[KEY].page_input.current.view


def opened_study(at: AppTest) -> Study:
    """The study that the page was drawn with, without what was added to it."""
    return at.session_state[KEY].page_input.study


def go(at: AppTest, page: str) -> AppTest:
    """Another page of the same visit."""
    return fine(at.switch_page(f"pages/{page}.py").run())


def fine(at: AppTest) -> AppTest:
    """The same visit, where nothing was raised."""
    assert [f"{e.message}\n{e.stack_trace}" for e in at.exception] == []
    return at


class Chart:
    """A chart as sent to the browser: its spec and its named data."""

    def __init__(self, element) -> None:
        self.spec = json.loads(element.proto.spec)
        self.alt = element.proto.alt
        self._data = {d.name: d.data.data for d in element.proto.datasets}

    @property
    def layers(self) -> dict[str, dict]:
        """Layers by the last word of their names: band, line, seeds, …; of several families the last one's."""
        flat = [one for layer in self.spec["layer"] for one in layer.get("layer", [layer])]
        return {layer["name"].rpartition("_")[2]: layer for layer in flat if "name" in layer}

    def rows(self, layer: str) -> pl.DataFrame:
        """The rows that a layer draws."""
        content = self._data[self.layers[layer]["data"]["name"]]
        return pl.read_ipc_stream(io.BytesIO(content))

    def title(self, channel: str) -> str:
        """An axis title."""
        return self.layers["line"]["encoding"][channel]["title"]

    @property
    def legend(self) -> list[str]:
        """The metrics that the legend names."""
        return self.layers["line"]["encoding"]["color"]["scale"]["domain"]

    @property
    def arms(self) -> list[str]:
        """The arms drawn, in the legend's order."""
        return self.layers["line"]["encoding"]["strokeDash"]["scale"]["domain"]


def charts(at: AppTest) -> list[Chart]:
    """The charts on the page, in order."""
    return [Chart(element) for element in at.get("vega_lite_chart")]


def matrices(at: AppTest) -> list[dict[str, Any]]:
    """What each matrix on the page draws."""
    components = [element.proto for element in at.get("bidi_component")]
    return [json.loads(one.json) for one in components if one.component_name == "matrix"]


def forest(at: AppTest) -> Chart:
    """The chart of every claim."""
    return next(chart for chart in charts(at) if "refused" in chart.layers)


def fill(server: WandbServer, seeds: int = 3) -> None:
    """Runs under the entity, project and sweeps of studies/detach_encoder.toml: reward rises and loss falls at T."""
    for task, sweep, total in TASKS:
        for seed in range(1, seeds + 1):
            server.add(PROJECT, _run(f"{sweep}-{seed}", task, sweep, total, seed))


def until(at: AppTest, done: Callable[[AppTest], bool]) -> AppTest:
    """Run the page again until something holds of it."""
    deadline = time.monotonic() + 60
    while not done(at):
        assert time.monotonic() < deadline, [e.value for e in (*at.error, *at.warning, *at.info)]
        time.sleep(0.05)
        fine(at.run())
    return at


def fetched(at: AppTest) -> AppTest:
    """The page after the fetch that is under way."""
    return until(at, lambda at: not at.get("progress"))


def _run(run_id: str, task: str, sweep: str, total: int, seed: int) -> FakeRun:
    rows = []
    for k in range(1, 101):
        step = k * total // 100 + seed
        after = step > total // 2
        noise = math.sin(k * seed)
        loss = (0.02 if after else 0.05) * math.exp(0.1 * noise)
        rows.append({
            "_step": step,
            "_timestamp": 1_700_000_000.0 + k,
            "train/episode_reward": 100.0 + k + (50 if after else 0) + 5 * noise,
            "eval/episode_reward": 110.0 + k + (50 if after else 0) + noise if k % 10 == 0 else None,
            "train/consistency_loss": loss,
            "validation_all/consistency_loss": 1.2 * loss,
            "validation_recent/consistency_loss": 1.1 * loss,
        })  # fmt: skip
    return FakeRun(run_id, rows=rows, config={"task": task, "seed": seed, "steps": total}, sweep=sweep)
