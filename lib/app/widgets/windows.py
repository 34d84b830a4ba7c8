"""The evidence windows in the sidebar."""

from dataclasses import replace

import streamlit as st

from lib.app.session import widget_keys
from lib.app.session.state import session_state
from lib.study import Evidence, Study


def evidence_windows(study: Study) -> Evidence | None:
    """The windows that claims stand in: None for the declared ones; any other makes them exploratory."""
    declared = study.evidence
    opened = session_state().opened
    if opened is not None and opened.study is not None and opened.study.evidence != declared:
        # Another study was open: its windows are none of this one's.
        show_declared(declared)
    rest = declared.after == "rest"
    with st.expander("Evidence windows", icon=":material/width:"):
        st.caption("Declared before looking, in the study file. Up to 1: a fraction of the training; larger: steps.")
        before = st.number_input(
            "Before", 0.01, None, float(declared.before), key=widget_keys.BEFORE, bind="query-params"
        )
        whole = st.toggle("After: the rest of the training", rest, key=widget_keys.REST, bind="query-params")
        length = _length(declared)
        after = st.number_input("After", 0.01, None, length, key=widget_keys.AFTER, bind="query-params", disabled=whole)
        label, lag = "Settling lag left out after the detach", float(declared.settle)
        settle = st.number_input(label, 0.0, None, lag, key=widget_keys.SETTLE, bind="query-params")
    chosen = replace(declared, before=before, after="rest" if whole else after, settle=settle)
    return None if chosen == declared else chosen


def _length(evidence: Evidence) -> float:
    """The length of the window after the detach; of one that is the rest of the training, what a shorter one starts from."""
    return 0.1 if evidence.after == "rest" else float(evidence.after)


def show_declared(evidence: Evidence) -> None:
    """Go back to the windows that the study declares, before they are drawn."""
    st.session_state[widget_keys.BEFORE] = float(evidence.before)
    st.session_state[widget_keys.REST] = evidence.after == "rest"
    st.session_state[widget_keys.AFTER] = _length(evidence)
    st.session_state[widget_keys.SETTLE] = float(evidence.settle)
