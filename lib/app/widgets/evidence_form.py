"""What a study declares before looking: its windows, its number of runs, and the runs left out."""

from dataclasses import replace
from typing import Literal

import streamlit as st

from lib.app.widgets.markdown import escaped
from lib.runs import Manifest
from lib.study import Evidence

_PLANNED_HELP = "Runs per arm, or fork pairs, at which the test is made: before, there is no verdict."


def evidence_form(evidence: Evidence, manifest: Manifest | None, prefix: str) -> tuple[Evidence, bool]:
    """The declaration as changed, and whether it can be used."""
    with st.container(border=True):
        st.markdown("**Declared before looking** :small[up to 1: a fraction of the training; larger: steps]")
        fields = st.grid(4, min_column_width=125)
        with fields.cell():
            before = st.number_input(
                "Window before", 0.01, None, float(evidence.before), format="%g", key=f"{prefix}_before"
            )
        with fields.cell():
            length = None if evidence.after == "rest" else float(evidence.after)
            after = st.number_input(
                "After", 0.01, None, length, format="%g", key=f"{prefix}_after", placeholder="the rest"
            )
        with fields.cell():
            settle = st.number_input(
                "Settling lag left out", 0.0, None, float(evidence.settle), format="%g", key=f"{prefix}_settle"
            )
        with fields.cell():
            size = st.number_input(
                "Planned size",
                2,
                None,
                evidence.planned,
                key=f"{prefix}_planned",
                placeholder="none",
                help=_PLANNED_HELP,
            )
        reasons, is_valid = _left_out(dict(evidence.leave_out), manifest, prefix)
    end: float | Literal["rest"] = "rest" if after is None else after
    return replace(evidence, before=before, after=end, settle=settle, leave_out=reasons, planned=size), is_valid


def _left_out(
    reasons: dict[str, str], manifest: Manifest | None, prefix: str
) -> tuple[tuple[tuple[str, str], ...], bool]:
    """The runs left out with the reason of each, and whether each has one."""
    run_ids = [*dict.fromkeys([*reasons, *(run.id for run in (manifest.runs if manifest else ()))])]
    chosen = st.multiselect(
        "Runs left out by declaration", run_ids, list(reasons), key=f"{prefix}_leave_out", placeholder="none"
    )
    changed = {}
    for run_id in chosen:
        label = escaped(f"Why {run_id} is left out")
        changed[run_id] = st.text_input(label, reasons.get(run_id, ""), key=f"{prefix}_why_{run_id}").strip()
        if not changed[run_id]:
            st.error("Give the reason.")
    return tuple(sorted(changed.items())), all(changed.values())
