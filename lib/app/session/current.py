"""The open study of this session with its runs and view settings."""

import runpy
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import polars as pl
import streamlit as st

from lib.app.session.fetching import Brought
from lib.app.session.studies import with_added
from lib.curves import View
from lib.runs import Manifest, Treatment, treatments
from lib.study import STUDIES, Study

#: What the caches know a study and a view by: their text is made faster than each of their parts is looked at.
AS_TEXT: dict[str | type, Any] = {Study: lru_cache(maxsize=64)(repr), View: repr}


def _known_by(*parts: object) -> str:
    """What a cache knows these by, as one text: Streamlit takes longer over several arguments than a chart takes."""
    return "\0".join(AS_TEXT[Study](part) if isinstance(part, Study) else repr(part) for part in parts)


def hold(study: Study | None, found: Brought | None, complaint: str, view: View) -> None:
    """Keep what the frame opened, for the page that runs next."""
    st.session_state["_opened"] = (study, found, complaint, view)
    st.session_state["_framed"] = True


def opened() -> tuple[Study | None, Manifest | None, str]:
    """The study, its runs and what went wrong, as the frame opened them; a page asks once, before anything else.

    The first visitor of a fresh server who comes by a link to a page gets that page without its frame: until
    `st.navigation` has run once, Streamlit takes pages/ for an app of its own. The frame is then run from here.
    """
    if not st.session_state.pop("_framed", False):
        runpy.run_path(str(STUDIES.parent / "streamlit_app.py"), run_name="__main__")
        st.stop()
    study, found, complaint, _ = st.session_state["_opened"]
    return study, found.manifest if found else None, complaint


def asked() -> Study:
    """The current study as it was opened, without the baselines added in this session; only where there is one."""
    study: Study = st.session_state["_opened"][0]
    return study


@st.cache_data(scope="session", max_entries=32, show_spinner=False, hash_funcs=AS_TEXT)
def treated_runs(study: Study, stamp: str, _manifest: Manifest) -> tuple[Treatment, ...]:
    """Every run's treatment."""
    return treatments(study, _manifest)


@dataclass(frozen=True)
class Current:
    """What a page shows: the study, its runs, how to draw them, and a stamp that changes when the runs do."""

    study: Study
    manifest: Manifest
    view: View
    stamp: str
    _drawn: dict[str, pl.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)
    _split: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def treated(self) -> tuple[Treatment, ...]:
        """Every run's treatment, those left out included."""
        return treated_runs(self.study, self.stamp, self.manifest)


def current() -> Current:
    """The study with its runs; only where both are there."""
    study, found, _, view = st.session_state["_opened"]
    return Current(with_added(study), found.manifest, view, found.stamp)
