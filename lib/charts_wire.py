"""A chart as it is sent to a browser: its specification as text, and its frames as Arrow, ready to be cached."""

import hashlib
import io
import threading
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl
from altair.utils import schemapi

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
        buffer = io.BytesIO()
        # Browsers do not know Arrow's newer string views.
        data.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
        content = buffer.getvalue()
        name = hashlib.sha256(content).hexdigest()[:16]
        found[name] = content
        return {"name": name}

    with _lock:
        alt.data_transformers.register(_NAME, keep)
        together = alt.data_transformers.consolidate_datasets
        # The few inline values stay where they are: named beside the frames, Streamlit would want pandas for them.
        alt.data_transformers.consolidate_datasets = False
        try:
            with alt.data_transformers.enable(_NAME), alt.theme.enable("none"):
                spec = chart.to_json(validate=False, indent=None)
        finally:
            alt.data_transformers.consolidate_datasets = together
    return Wired(spec, tuple(found.items()), takeaway)
