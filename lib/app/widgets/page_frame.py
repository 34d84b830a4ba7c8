"""Parts that every page shares: opening the study, messages where there is nothing to show, the methods text."""

import streamlit as st

from lib.app import session
from lib.app.session import Brought, Current
from lib.app.widgets.fetching import fetch_panel, problems
from lib.study import InputError, Study


def how(text: str) -> None:
    """The page's "how this is computed" text."""
    with st.expander("How this is computed", icon=":material/function:"):
        st.markdown(text)


def need_runs() -> Current:
    """The current study with its runs; where there are none, say what to do and stop the page."""
    study, manifest, complaint = session.opened()
    if study is None:
        st.error(complaint, icon=":material/error:")
        st.page_link("pages/study.py", label="Open another study", icon=":material/science:")
        st.stop()
    if complaint:
        st.error(complaint, icon=":material/error:")
    fetch_panel(study, manifest)
    if manifest is None or not manifest.runs:
        st.stop()
    problems(study, manifest)
    return session.current()


def nothing_detached() -> None:
    """Say that no run was detached, and where to look at what the study takes for a detach."""
    st.info(
        "No run of this study was detached: there is nothing to compare. The Runs page says each run's detach step and its "
        "source; the Study page has the rule.",
        icon=":material/info:",
    )
    with st.container(horizontal=True):
        st.page_link("pages/runs.py", label="Look at the runs", help="")
        st.page_link("pages/study.py", label="Change the detach rule", help="")


def opened_study(name: str) -> tuple[Study | None, Brought | None, str]:
    """The study chosen by that name, its runs, and what went wrong."""
    try:
        study = session.study_named(name)
    except InputError as error:
        return None, None, str(error)
    try:
        return study, session.brought(study), ""
    except InputError as error:
        return study, None, str(error)
