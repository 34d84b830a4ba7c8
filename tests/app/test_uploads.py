"""Uploads lie in a folder of their session and go with it."""

import gc
import os

import pytest
import streamlit as st

from lib.app.session.state import KEY
from lib.app.session.studies import open_upload
from lib.app.session.uploads import keep_upload
from lib.study import MAX_STUDY, StudyError


@pytest.fixture(autouse=True)
def session():
    st.session_state.pop(KEY, None)
    yield
    st.session_state.pop(KEY, None)


def test_uploads_go_when_their_session_ends():
    path = keep_upload(b"content")
    assert path.read_bytes() == b"content"
    assert keep_upload(b"content") == path
    del st.session_state[KEY]
    gc.collect()
    assert not path.parent.exists()


def test_sessions_do_not_share_uploads():
    path = keep_upload(b"content")
    other = st.session_state.pop(KEY)
    assert keep_upload(b"content") != path
    assert path.exists() and other.uploads == path.parent


def test_uploads_of_yesterday_go_with_the_next():
    path = keep_upload(b"content")
    other = st.session_state.pop(KEY)
    os.utime(path.parent, (0, 0))
    keep_upload(b"more")
    assert not path.exists() and other.uploads == path.parent


def test_a_long_study_file_is_refused():
    with pytest.raises(StudyError, match=r"^a.toml is larger than 1 MB: a study file is a short text\.$"):
        open_upload("a.toml", b"#" * (MAX_STUDY + 1))
