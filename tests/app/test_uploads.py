"""Uploads lie in a folder of their session and go with it."""

import gc
import os
import shutil

import pytest
import streamlit as st

from lib.app.session.state import KEY
from lib.app.session.studies import open_upload
from lib.app.session.uploads import keep_upload
from lib.runs import put, quota, store_root
from lib.sources import bundled_study
from lib.study import MAX_STUDY, Study, StudyError
from tests.support.app_kit import charts, fine, go, visit
from tests.support.hostile import hostile_bundle


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


def test_uploads_of_a_session_that_goes_on_stay_however_old_and_large(monkeypatch):
    monkeypatch.setattr(quota, "QUOTA", 10)
    path = keep_upload(b"content")
    other = st.session_state.pop(KEY)
    os.utime(path.parent, (0, 0))
    keep_upload(b"more content than the quota")
    assert path.read_bytes() == b"content" and other.uploads == path.parent


def test_uploads_that_another_process_left_go_after_a_day():
    path = store_root() / "uploads" / "theirs" / "a.zip"
    put(path, b"content")
    keep_upload(b"more")
    assert path.exists()
    os.utime(path.parent, (0, 0))
    keep_upload(b"and more")
    assert not path.parent.exists()


def test_opening_a_page_says_that_the_uploads_are_in_use(tmp_path):
    at = visit("study", own=opened_bundle(tmp_path))
    folder = at.session_state[KEY].uploads
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))
    fine(at.run())
    assert folder.stat().st_mtime > 0


def test_a_long_study_file_is_refused():
    with pytest.raises(StudyError, match=r"^a.toml is larger than 1 MB: a study file is a short text\.$"):
        open_upload("a.toml", b"#" * (MAX_STUDY + 1))


def test_an_open_bundle_is_unpacked_again_where_its_folder_made_room_for_another(tmp_path):
    study = opened_bundle(tmp_path)
    at = visit("study", own=study)
    shutil.rmtree(store_root() / "bundles")
    assert len(charts(go(at, "losses"))) == 1


def test_an_upload_that_is_gone_is_told(tmp_path):
    study = opened_bundle(tmp_path)
    at = visit("losses", own=study)
    study.source_path.unlink()
    shutil.rmtree(store_root() / "bundles")
    assert "There is no bundle at" in fine(at.run()).error[0].value


def opened_bundle(folder) -> Study:
    """A study opened as an upload is."""
    path = store_root() / "uploads" / "mine.zip"
    put(path, hostile_bundle(folder).read_bytes())
    return bundled_study(path)
