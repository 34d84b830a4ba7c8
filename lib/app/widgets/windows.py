"""The evidence windows in the sidebar."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from lib.app.session import widget_keys
from lib.app.session.state import session_state
from lib.app.widgets.place import hide
from lib.study import Evidence, Study

#: The paths of the pages that claims stand on.
_PAGES = ("", "detach_effect")


def evidence_windows(study: Study, page: str) -> Evidence | None:
    """The windows that claims stand in: None for the declared ones; any other makes them exploratory.

    On a page without claims changed ones stay out of sight, so that the address keeps them.
    """
    declared = study.evidence
    inputs = session_state().page_input
    if inputs is not None and inputs.study is not None and inputs.study.evidence != declared:
        # Another study was open: its windows are none of this one's.
        show_declared(declared)
    changed = session_state().changed
    changed.update(key for key, value in _values(declared).items() if _is_changed(key, value))
    is_changed = not changed.isdisjoint(widget_keys.EVIDENCE)
    is_shown = page in _PAGES
    if not (is_shown or is_changed):
        st.empty()
        return None
    evidence = _panel(declared, is_changed)
    if not is_shown:
        hide([widget_keys.WINDOWS])
        return None
    return None if evidence == declared else evidence


def _values(declared: Evidence) -> Mapping[str, Any]:
    """What each widget is for the declared windows; of one that is the rest of the training, what a shorter one starts from."""
    is_rest = declared.after == "rest"
    return {
        widget_keys.BEFORE: float(declared.before),
        widget_keys.REST: is_rest,
        widget_keys.AFTER: 0.1 if is_rest else float(declared.after),
        widget_keys.SETTLE: float(declared.settle),
    }


def _is_changed(key: str, value: object) -> bool:
    # Before the first run has drawn a window, its value is in the address alone.
    return bool(st.session_state[key] != value) if key in st.session_state else key in st.query_params


def _panel(declared: Evidence, is_changed: bool) -> Evidence | None:
    """The windows as chosen; None where nobody looks at them."""
    panel = st.expander("Evidence windows", icon=":material/width:", key=widget_keys.WINDOWS, on_change="rerun")
    if not (panel.open or is_changed):
        return None
    values = _values(declared)

    def number(label: str, key: str, lowest: float, disabled: bool = False) -> float:
        return panel.number_input(
            label, lowest, None, values[key], format="%g", key=key, bind="query-params", disabled=disabled
        )

    panel.caption("Declared before looking, in the study file. Up to 1: a fraction of the training; larger: steps.")
    before = number("Before", widget_keys.BEFORE, 0.01)
    label, key = "After: the rest of the training", widget_keys.REST
    is_rest = panel.toggle(label, values[key], key=key, bind="query-params")
    after = number("After", widget_keys.AFTER, 0.01, disabled=is_rest)
    settle = number("Settling lag left out after the detach", widget_keys.SETTLE, 0.0)
    return replace(declared, before=before, after="rest" if is_rest else after, settle=settle)


def show_declared(evidence: Evidence) -> None:
    """Go back to the windows that the study declares, before they are drawn."""
    st.session_state.update(_values(evidence))
