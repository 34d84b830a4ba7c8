"""A chart ready to be sent to a browser: its specification as text and its frames as Arrow."""

import hashlib
import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl
from altair.utils import schemapi

from lib.charts.axes import LATER, log_ticks

_NAME = "wire"
# The tests check every chart against the Vega-Lite schema; to check each part of it again takes longer than all the rest.
schemapi.disable_debug_mode()
#: Altair's data transformers are global to the process.
_lock = threading.Lock()


@dataclass(frozen=True)
class Wired:
    """A Vega-Lite specification (JSON), its named datasets (Arrow IPC streams), and the takeaway in a sentence."""

    spec: str
    datasets: tuple[tuple[str, bytes], ...]
    takeaway: str

    @property
    def size(self) -> int:
        """Bytes sent to the browser."""
        return len(self.spec) + sum(len(content) for _, content in self.datasets)


def wire(chart: alt.TopLevelMixin, takeaway: str) -> Wired:
    """Take a chart apart into its specification and its data.

    Parameters
    ----------
    chart : whose data are polars frames or inline.
    takeaway : what the chart shows, in a sentence, for whoever cannot see it.
    """
    found: dict[str, bytes] = {}

    def keep(data: Any) -> dict[str, Any]:
        if not isinstance(data, pl.DataFrame):
            raise TypeError(f"charts are made of polars frames, not {type(data).__name__}")
        content = _arrow(data)
        name = hashlib.sha256(content).hexdigest()[:16]
        found[name] = content
        return {"name": name}

    return Wired(_specification(chart, keep), tuple(found.items()), takeaway)


def _specification(chart: alt.TopLevelMixin, keep: Callable[[Any], Any]) -> str:
    """The chart as JSON in no theme of Altair's; `keep` says what stands for its frames."""
    with _lock:
        alt.data_transformers.register(_NAME, keep)
        together = alt.data_transformers.consolidate_datasets
        # The few inline values stay where they are: named beside the frames, Streamlit would want pandas for them.
        alt.data_transformers.consolidate_datasets = False
        try:
            with alt.data_transformers.enable(_NAME), alt.theme.enable("none"):
                return str(chart.to_json(validate=False, indent=None))
        finally:
            alt.data_transformers.consolidate_datasets = together


def _arrow(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    # Browsers do not know Arrow's newer string views.
    frame.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()


@dataclass(frozen=True)
class Template:
    """A specification whose tables go by their names, and whose log axes have the ranges `LATER`."""

    text: str

    def filled(
        self, data: Mapping[str, pl.DataFrame], bounds: Sequence[tuple[float, float] | None], takeaway: str
    ) -> Wired:
        """The specification with these tables, and the range of each family's log axis where it has one."""
        text, found = self.text, {}
        for name, frame in data.items():
            content = _arrow(frame)
            # Named by its content: a browser that was sent other numbers under a name takes more rows for appended ones.
            called = hashlib.sha256(content).hexdigest()[:16]
            found[called] = content
            text = text.replace(json.dumps({"name": name}), json.dumps({"name": called}))
        for later, range_ in zip(LATER, bounds, strict=False):
            if range_:
                text = text.replace(json.dumps(list(later)), json.dumps(list(range_)))
                text = text.replace(json.dumps(log_ticks(*later)), json.dumps(log_ticks(*range_)))
        return Wired(text, tuple(found.items()), takeaway)


def template(chart: alt.TopLevelMixin) -> Template:
    """The template of a chart whose data are names."""
    return Template(_specification(chart, lambda data: data))
