"""The export popover: any figure in any format, its numbers, and the report."""

from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from lib.app.session import cached_results, downloads, widget_keys
from lib.app.session.current import Current
from lib.app.session.downloads import CLAIMS, EVIDENCE, QUADRANT, FigureDownload
from lib.app.widgets import pickers, share
from lib.app.widgets.download import download
from lib.app.widgets.popover import popover
from lib.report import FORMATS, MIME, PRESETS, TABLES, curve_names, table

#: Pixels that a field needs: two fit beside each other on a phone.
_HALF = 125
_MIME = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def export(current: Current) -> None:
    """Figures, tables and the report, built when their button is clicked, from the same settings as the screen."""
    popover("Export", ":material/download:", widget_keys.EXPORT, partial(_content, current))


def _content(current: Current) -> None:
    _figure(current)
    _tables(current)
    st.markdown("**The whole study**")
    share.report(current, widget_keys.EXPORT)


def _figure(current: Current) -> None:
    stems = curve_names(current.visible_study)
    name = st.selectbox("Figure", [*stems, CLAIMS, QUADRANT, EVIDENCE], key=widget_keys.EXPORT_FIGURE)
    if name in stems:
        figure: FigureDownload | None = downloads.of_curves(cached_results.in_charts(current), stems[name])
    else:
        st.caption("Claims are drawn in the windows that the study declares.")
        figure = _evidence(current) if name == EVIDENCE else downloads.of_study(current, name)
    if figure is None:
        st.info("Nothing to draw: no run counts before and after a detach. The Runs page says why.")
        return
    _figure_files(figure, _look())
    with st.container(horizontal=True):
        for kind in _MIME:
            _table_file(f"Numbers (.{kind})", figure.stem, kind, figure.numbers, f"{widget_keys.EXPORT}_numbers_{kind}")


def _evidence(current: Current) -> FigureDownload | None:
    task = pickers.task_choice(current.visible_study, widget_keys.EXPORT_TASK)
    metrics = {metric.name: metric for metric in current.visible_study.metrics}
    metric = metrics[st.selectbox("Metric", list(metrics), key=widget_keys.EXPORT_METRIC)]
    figures = downloads.of_metric(current, task, metric)
    return figures[st.selectbox("Drawing", list(figures), key=widget_keys.EXPORT_DRAWING)] if figures else None


def _look() -> dict[str, Any]:
    """The format of a figure's file, and its look: the arguments of `FigureDownload.file`."""
    halves = st.grid(2, min_column_width=_HALF)
    with halves.cell():
        kind = st.selectbox("Format", FORMATS, key=widget_keys.EXPORT_FORMAT)
    with halves.cell():
        look = st.selectbox("Made for", list(PRESETS), key=widget_keys.EXPORT_PRESET)
    preset = PRESETS[look]
    with halves.cell():
        font = st.text_input("Font family", value=preset.font, key=f"export_font_{look}")
    with halves.cell():
        size = st.number_input("Font size (pt)", 4.0, 72.0, value=float(preset.font_size), key=f"export_size_{look}")
    scale = st.number_input("Scale", 1.0, 8.0, value=3.0, key=widget_keys.EXPORT_SCALE) if kind == "png" else 1.0
    footer = st.toggle("Footer with runs, settings and versions", value=True, key=widget_keys.EXPORT_FOOTER)
    return {"kind": kind, "look": look, "font": font, "size": size, "scale": scale, "footer": footer}


def _figure_files(figure: FigureDownload, look: dict[str, Any]) -> None:
    kind = look["kind"]
    with st.container(horizontal=True):
        name, key = f"{figure.stem}.{kind}", f"{widget_keys.EXPORT}_figure_file"
        download(f"Figure (.{kind})", lambda: figure.file(**look), name, ":material/image:", key, MIME[kind])
        explanation = "Runs, settings and versions, to lie beside the figure."
        name, key = f"{figure.stem}.about.json", f"{widget_keys.EXPORT}_sidecar"
        download("Sidecar (.json)", figure.sidecar, name, None, key, "application/json", explanation)


def _table_file(label: str, stem: str, kind: str, rows: Callable[[], pl.DataFrame], key: str) -> None:
    download(label, lambda: table(rows(), kind), f"{stem}.{kind}", ":material/table:", key, _MIME[kind])


def _tables(current: Current) -> None:
    st.markdown("**Numbers of the whole study**")
    halves = st.grid(2, min_column_width=_HALF)
    with halves.cell():
        name = st.selectbox(
            "Table", TABLES, key=widget_keys.EXPORT_TABLE, format_func=lambda name: name.replace("_", " ")
        )
    with halves.cell():
        kind = st.selectbox("As", list(_MIME), key=widget_keys.EXPORT_TABLE_FORMAT)
    key = f"{widget_keys.EXPORT}_table_file"
    _table_file(f"{name}.{kind}", name, kind, lambda: downloads.result_frame(current, name), key)
