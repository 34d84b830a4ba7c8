"""The export popover: any figure in any format, its numbers, and the report."""

from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from lib.app.session import downloads, keys
from lib.app.session.current import Current
from lib.app.session.downloads import CLAIMS, EVIDENCE, QUADRANT, FigureDownload
from lib.app.widgets import pickers, share
from lib.report import FORMATS, MIME, PRESETS, TABLES, curve_names, table

_MIME = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def export(current: Current) -> None:
    """Figures, tables and the report, built when their button is clicked, from the same settings as the screen."""
    popover = st.popover("Export", icon=":material/download:", key=keys.EXPORT, on_change="rerun")
    if not popover.open:
        return
    with popover:
        _figure(current)
        _tables(current)
        st.markdown("**The whole study**")
        share.report(current, "export")


def _figure(current: Current) -> None:
    stems = curve_names(current.study)
    names = [*stems, CLAIMS, QUADRANT, EVIDENCE]
    name = st.selectbox("Figure", names, key=keys.EXPORT_FIGURE)
    if name in stems:
        figure: FigureDownload | None = downloads.of_curves(current, stems[name])
    else:
        st.caption("Effects are drawn in the windows that the study declares.")
        figure = _evidence(current) if name == EVIDENCE else downloads.of_study(current, name)
    if figure is None:
        st.info("Nothing to draw: no run counts before and after a detach. The Runs page says why.")
        return
    look = _look()
    kind = look["kind"]
    _figure_files(figure, look, kind)
    _numbers(figure)


def _evidence(current: Current) -> FigureDownload | None:
    study = current.study
    task = pickers.task_choice(study, keys.EXPORT_TASK)
    names = {metric.name: metric for metric in study.metrics}
    metric = names[st.selectbox("Metric", list(names), key=keys.EXPORT_METRIC)]
    found = downloads.of_metric(current, task, metric)
    return found[st.selectbox("Drawing", list(found), key=keys.EXPORT_DRAWING)] if found else None


def _look() -> dict[str, Any]:
    """The format of a figure, and how it is to look."""
    kind = st.selectbox("Format", FORMATS, key=keys.EXPORT_FORMAT)
    look = st.selectbox("Made for", list(PRESETS), key=keys.EXPORT_PRESET)
    preset = PRESETS[look]
    left, right = st.columns(2)
    font = left.text_input("Font family", value=preset.font, key=f"export_font_{look}")
    size = right.number_input("Font size (pt)", 4.0, 72.0, value=float(preset.font_size), key=f"export_size_{look}")
    scale = st.number_input("Scale", 1.0, 8.0, value=3.0, key=keys.EXPORT_SCALE) if kind == "png" else 1.0
    footer = st.toggle("Footer with runs, settings and versions", value=True, key=keys.EXPORT_FOOTER)
    return {"kind": kind, "look": look, "font": font, "size": size, "scale": scale, "footer": footer}


def _figure_files(figure: FigureDownload, look: dict[str, Any], kind: str) -> None:
    with st.container(horizontal=True):
        st.download_button(
            f"Figure (.{kind})",
            data=lambda: figure.file(**look),
            file_name=f"{figure.stem}.{kind}",
            mime=MIME[kind],
            icon=":material/image:",
            on_click="ignore",
        )
        st.download_button(
            "Sidecar (.json)",
            data=figure.sidecar,
            file_name=f"{figure.stem}.about.json",
            mime="application/json",
            help="Runs, settings and versions, to lie beside the figure.",
            on_click="ignore",
        )


def _numbers(figure: FigureDownload) -> None:
    """The numbers that the figure draws, and no others."""
    with st.container(horizontal=True):
        for kind, mime in _MIME.items():
            st.download_button(
                f"Its numbers (.{kind})",
                data=partial(_numbers_file, figure, kind),
                file_name=f"{figure.stem}.{kind}",
                mime=mime,
                icon=":material/table:",
                on_click="ignore",
            )


def _numbers_file(figure: FigureDownload, kind: str) -> bytes:
    return _table(figure.numbers(), kind)


def _table(frame: pl.DataFrame, kind: str) -> bytes:
    return table(frame, kind)


def _tables(current: Current) -> None:
    st.markdown("**Numbers of the whole study**")
    left, right = st.columns(2)
    name = left.selectbox("Table", TABLES, key=keys.EXPORT_TABLE, format_func=lambda name: name.replace("_", " "))
    kind = right.selectbox("As", list(_MIME), key=keys.EXPORT_TABLE_FORMAT)
    st.download_button(
        f"{name}.{kind}",
        data=lambda: _table(downloads.result_frame(current, name), kind),
        file_name=f"{name}.{kind}",
        mime=_MIME[kind],
        icon=":material/table:",
        on_click="ignore",
    )
