"""Short notices of events, shown once."""

import streamlit as st

from lib.app import session
from lib.app.session import Brought
from lib.study import Study

_WAITING = "notices"


def note(text: str, icon: str) -> None:
    """Say on the next run that something happened; from a callback, or before a rerun."""
    st.session_state.setdefault(_WAITING, []).append((text, icon))


def show() -> None:
    """Say what waits to be said."""
    for text, icon in st.session_state.pop(_WAITING, []):
        st.toast(text, icon=icon)


def fetch_ended(study: Study, found: Brought | None) -> None:
    """Say once that a fetch that the visitor asked for has ended; one that failed has its error on the page."""
    job = session.job_of(study)
    if job is None or job.running or job.quiet or job.error or job.told or found is None:
        return
    job.told = True
    manifest = found.manifest
    missing = f", {len(manifest.problems)} not whole" if manifest.problems else ""
    note(f"Fetched {study.title}: {len(manifest.runs)} runs{missing}", ":material/cloud_done:")
