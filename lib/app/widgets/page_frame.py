"""Parts that every page shares: opening the study, messages where there is nothing to show, the methods text."""

import streamlit as st

from lib.app.session import saved
from lib.app.session.current import Current, Opened, opened_study
from lib.app.widgets import notices
from lib.app.widgets.fetching import fetch_panel, problems
from lib.app.widgets.markdown import escaped


def explanation(text: str) -> None:
    """The page's "how this is computed" text."""
    with st.expander("How this is computed", icon=":material/function:"):
        st.markdown(text)


def message(opened: Opened) -> None:
    """What is wrong with the study or with what was added to it, and the way to another where there is none."""
    if opened.message:
        st.error(escaped(opened.message), icon=":material/error:")
    if opened.study is None:
        st.page_link("pages/new_study.py", label="Open a study", icon=":material/add_circle:", help="")
    elif text := saved.damage(opened.study.name):
        st.warning(escaped(text), icon=":material/warning:")


def require_runs() -> Current:
    """The current study with its runs; where there are none, say what to do and stop the page."""
    opened = opened_study()
    message(opened)
    if opened.study is None:
        st.stop()
    fetch_panel(opened.study, opened.manifest)
    if opened.current is None or not opened.current.manifest.runs:
        st.stop()
    problems(opened.study, opened.current.manifest)
    notices.missing_keys(opened.current)
    return opened.current


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
