"""Notices: of events, shown once, and of keys that no run has."""

import streamlit as st

from lib import runs
from lib.app.session import fetching
from lib.app.session.current import Current
from lib.app.session.state import session_state
from lib.app.widgets.markdown import escaped
from lib.formatting import plural
from lib.runs import Manifest
from lib.study import Study


def note(text: str, icon: str) -> None:
    """Say on the next run that something happened; from a callback, or before a rerun."""
    session_state().notices.append((text, icon))


def show() -> None:
    """Show the notices that wait."""
    state = session_state()
    for text, icon in state.notices:
        st.toast(escaped(text), icon=icon)
    state.notices = []


def missing_keys(current: Current) -> None:
    """Say which keys the study names and no run has."""
    for sentence in runs.missing_keys(current.study, current.manifest):
        st.warning(escaped(sentence), icon=":material/warning:")


def fetch_ended(study: Study, manifest: Manifest) -> None:
    """Say once that a fetch that the visitor asked for has ended; one that failed has its error on the page."""
    job = fetching.job_of(study)
    if job is None or job.is_running or job.is_quiet or job.error or job.is_announced:
        return
    job.is_announced = True
    missing = f", {len(manifest.problems)} not whole" if manifest.problems else ""
    note(f"Fetched {study.title}: {plural(len(manifest.runs), 'run')}{missing}", ":material/cloud_done:")
