"""Parts that every page shares: opening the study, messages where there is nothing to show, the methods text."""

import streamlit as st

from lib.app.session import saved
from lib.app.session.current import Current, PageInput
from lib.app.session.page_input import page_input
from lib.app.widgets import notices
from lib.app.widgets.fetching import fetch_panel, problems
from lib.app.widgets.markdown import escaped


def explanation(text: str) -> None:
    """The page's "how this is computed" text."""
    with st.expander("How this is computed", icon=":material/function:", key="explanation"):
        st.markdown(text)


def message(inputs: PageInput) -> None:
    """What is wrong with the study or with what was added to it, and the way to another where there is none."""
    if inputs.message:
        st.error(escaped(inputs.message), icon=":material/error:")
    if inputs.study is None:
        st.page_link("pages/new_study.py", label="Open a study", icon=":material/add_circle:", help="")
    elif text := saved.damage(inputs.study.name):
        st.warning(escaped(text), icon=":material/warning:")


def require_runs() -> Current:
    """The current study with its runs; where there are none, say what to do and stop the page."""
    inputs = page_input()
    message(inputs)
    if inputs.study is None:
        st.stop()
    fetch_panel(inputs.study, inputs.manifest)
    if inputs.current is None or not inputs.current.manifest.runs:
        st.stop()
    problems(inputs.study, inputs.current.manifest)
    notices.missing_keys(inputs.current)
    return inputs.current


def nothing_detached() -> None:
    """Say that no run was detached, and where to look at what the study takes for a detach."""
    st.info(
        "No run shown here is known to have been detached: there is nothing to compare. The Runs page says each run's "
        "detach step and its source; the Study page has the rule.",
        icon=":material/info:",
    )
    with st.container(horizontal=True):
        st.page_link("pages/runs.py", label="Look at the runs", help="")
        st.page_link("pages/study.py", label="Change the detach rule", help="")
