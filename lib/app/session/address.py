"""The open study in the page's address, where strangers are: a reload or a link brings it back."""

import streamlit as st

from lib.app.session import access, saved, widget_keys
from lib.app.session.access import NO_PATHS, check_source, may_read_paths
from lib.app.session.caches import cached_for_session
from lib.app.session.state import session_state
from lib.runs import SavedStudy, from_address, to_address
from lib.study import InputError, StudyError, shipped_studies


def read_address() -> None:
    """Open the study that the address brings; what this session keeps of it comes first."""
    state, text = session_state(), st.query_params.get(widget_keys.SAVED, "")
    if access.keeps_studies() or text == state.address:
        return
    state.address, state.address_message = text, ""
    if not text:
        return
    try:
        saved_study = from_address(text, lambda name: state.uploads / name)
        if saved_study.study is not None:
            check_source(saved_study.study)
        if not may_read_paths(baseline.path for _, baseline in saved_study.baselines):
            raise StudyError(NO_PATHS)
    except InputError as error:
        state.address_message = str(error)
        return
    # A study from an address never stands for a shipped one.
    if (saved_study.study is None) == (saved_study.name in shipped_studies()):
        state.studies.setdefault(saved_study.name, saved_study)


def keep_address(name: str) -> None:
    """Put the open study, with all that was added to it, into the address; nothing of a shipped one as it is."""
    if access.keeps_studies():
        return
    state, text = session_state(), address_of(name)
    if text is None and state.too_long != name:
        state.too_long = name
        sentence = f"{name} is too long for an address: a reload loses it. Keep its bundle, from Share."
        state.notices.append((sentence, ":material/warning:"))
    text = text or ""
    if text != st.query_params.get(widget_keys.SAVED, ""):
        state.address, state.address_message = text, ""
        if text:
            st.query_params[widget_keys.SAVED] = text
        else:
            del st.query_params[widget_keys.SAVED]


def address_of(name: str) -> str | None:
    """The text of a study for the address: "" where it needs none, None where it is too long for one."""
    saved_study = saved.saved_study(name)
    if saved_study.study is None and not saved_study.baselines and not saved_study.views:
        return ""
    return _text(repr(saved_study), saved_study)


@cached_for_session
def _text(key: str, _kept: SavedStudy) -> str | None:
    return to_address(_kept)
