"""The study that the frame opens, on its way to the page."""

import hashlib
import runpy

import streamlit as st

from lib.app.session.access import is_public
from lib.app.session.caches import file_stamp
from lib.app.session.current import Current, PageInput
from lib.app.session.fetching import fetch_result
from lib.app.session.state import session_state
from lib.app.session.studies import missing_bundle, study_named, with_added, without_missing
from lib.study import STUDIES, InputError, Study


def open_by_name(name: str) -> PageInput:
    """Open the study chosen by that name, for the page that runs next."""
    study = current = None
    message = ""
    try:
        study = study_named(name)
        current = None if missing_bundle(study) else _current(study)
    except InputError as error:
        message = str(error)
    return PageInput(study, current, message)


def _current(declared: Study) -> Current | None:
    result = fetch_result(declared)
    if result is None:
        return None
    study = without_missing(with_added(declared))
    paths = (study.at(baseline.path) for task in study.tasks for baseline in task.baselines)
    stamp = hashlib.sha256(f"{study}\0{result.stamp}\0{file_stamp(*paths)}".encode()).hexdigest()
    return Current(study, result.manifest, stamp, is_public(study))


def set_page_input(inputs: PageInput) -> None:
    """Hand the study to the page that runs next."""
    state = session_state()
    state.page_input, state.has_frame = inputs, True


def page_input() -> PageInput:
    """What the frame hands to the page, which asks once, before anything else.

    The first visitor of a fresh server who comes by a link to a page gets that page without its frame: until
    `st.navigation` has run once, Streamlit takes pages/ for an app of its own. The frame is then run from here.
    """
    state = session_state()
    if not state.has_frame or state.page_input is None:
        runpy.run_path(str(STUDIES.parent / "streamlit_app.py"), run_name="__main__")
        st.stop()
    state.has_frame = False
    return state.page_input
