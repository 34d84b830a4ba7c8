"""The open study of this session with its runs and view settings."""

import hashlib
import runpy
from dataclasses import dataclass, field, replace
from functools import cached_property

import streamlit as st

from lib.app.session.access import is_public
from lib.app.session.caches import cached, file_stamp
from lib.app.session.fetching import fetch_result
from lib.app.session.state import session_state
from lib.app.session.studies import missing_bundle, study_named, with_added, without_missing
from lib.curves import View, included_runs
from lib.report import visible_study
from lib.runs import Manifest, Treatment, of_task, treatments_with_duplicates
from lib.study import STUDIES, Evidence, InputError, Study


@dataclass(frozen=True)
class Current:
    """What a page shows: the study with the baselines added to it, its runs, and how to draw them.

    `stamp` changes when the study, its runs or the files of its baselines do; `is_public` says that all sessions may
    share what is computed of it. `evidence` are the windows that claims stand in; None for those that the study declares.
    """

    study: Study
    manifest: Manifest
    stamp: str
    is_public: bool
    view: View = field(default_factory=View)
    evidence: Evidence | None = None

    @cached_property
    def visible_study(self) -> Study:
        """The tasks and metrics that pages and exports show; everything is analysed, whatever is shown."""
        return visible_study(self.study, self.view)

    @cached_property
    def cache_key(self) -> str:
        """What caches know these runs in this view by."""
        return f"{self.stamp} {self.view}"

    @cached_property
    def treatments(self) -> tuple[Treatment, ...]:
        """Every run's treatment, those left out included."""
        return _treatments(self)

    def curve_treatments(self, task: str) -> tuple[Treatment, ...]:
        """The treatments of the runs of one task that curves show."""
        return included_runs(of_task(self.treatments, task), self.view)

    def with_view(self, view: View) -> "Current":
        """The same runs in another view."""
        return self if view == self.view else replace(self, view=view)


@cached(view=lambda view: View())
def _treatments(current: Current) -> tuple[Treatment, ...]:
    return treatments_with_duplicates(current.study, current.manifest)


@dataclass(frozen=True)
class PageInput:
    """What the frame hands to a page: the chosen study, with its runs where there are any, and what went wrong."""

    study: Study | None = None
    current: Current | None = None
    message: str = ""

    @property
    def manifest(self) -> Manifest | None:
        """The runs, where there are any."""
        return self.current.manifest if self.current else None


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
