"""The export popover: any figure in any format, the numbers behind it, and the whole report; what the screen shows."""

from typing import Any

import streamlit as st

from lib import session
from lib.charts import FAMILIES
from lib.session import Current
from lib.study import Study

_MIME = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def export(current: Current) -> None:
    """Figures, tables and the report, built when their button is clicked, from the same settings as the screen."""
    popover = st.popover("Export", icon=":material/download:", key="export", on_change="rerun")
    if not popover.open:
        return
    with popover:
        _figure(current)
        _tables(current)
        st.markdown("**The whole study**")
        st.download_button(
            "Report (.html)",
            data=lambda: session.report_page(current),
            file_name="report.html",
            mime="text/html",
            icon=":material/article:",
            on_click="ignore",
        )


def _figure(current: Current) -> None:
    from lib.figures import FORMATS, MIME, PRESETS

    stems = figure_stems(current.study)
    chosen = st.selectbox("Figure", list(stems), key="export_figure")
    kind = st.selectbox("Format", FORMATS, key="export_format")
    look = st.selectbox("Made for", list(PRESETS), key="export_preset")
    preset = PRESETS[look]
    left, right = st.columns(2)
    font = left.text_input("Font family", value=preset.font, key=f"export_font_{look}")
    size = right.number_input("Font size (pt)", 4.0, 72.0, value=float(preset.font_size), key=f"export_size_{look}")
    scale = st.number_input("Scale", 1.0, 8.0, value=3.0, key="export_scale") if kind == "png" else 1.0
    footer = st.toggle("Footer with runs, settings and versions", value=True, key="export_footer")
    stem = stems[chosen]
    options: dict[str, Any] = {"kind": kind, "look": look, "font": font, "size": size, "scale": scale, "footer": footer}
    with st.container(horizontal=True):
        st.download_button(
            f"Figure (.{kind})",
            data=lambda: session.figure_bytes(current, stem, **options),
            file_name=f"{stem}.{kind}",
            mime=MIME[kind],
            icon=":material/image:",
            on_click="ignore",
        )
        st.download_button(
            "Sidecar (.json)",
            data=lambda: session.sidecar_bytes(current),
            file_name=f"{stem}.about.json",
            mime="application/json",
            on_click="ignore",
        )


def figure_stems(study: Study) -> dict[str, str]:
    """What each figure is called, and the stem of its file."""
    from lib.figures import GRID_STEM, file_stem

    stems = {"Grid of all tasks": GRID_STEM}
    for task in study.tasks:
        for family in FAMILIES:
            if study.family(family):
                stems[f"{task.title}: {family}"] = file_stem(task, family)
    return stems


def _tables(current: Current) -> None:
    from lib.report import TABLES, table

    st.markdown("**Numbers**")
    left, right = st.columns(2)
    name = left.selectbox("Table", TABLES, key="export_table", format_func=lambda name: name.replace("_", " "))
    kind = right.selectbox("As", list(_MIME), key="export_table_format")
    st.download_button(
        f"{name}.{kind}",
        data=lambda: table(session.result_frame(current, name), kind),
        file_name=f"{name}.{kind}",
        mime=_MIME[kind],
        icon=":material/table:",
        on_click="ignore",
    )
