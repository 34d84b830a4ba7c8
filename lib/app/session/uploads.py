"""Files that a visitor uploads: in a folder of the session, which goes with it, until they are saved with a study."""

import hashlib
import os
import shutil
import weakref
from contextlib import suppress
from pathlib import Path

from lib.app.session.state import session_state
from lib.runs import put, remove_old, store_errors

#: The folders of the sessions of this process.
_IN_USE = set[Path]()


def upload_name(content: bytes, suffix: str) -> str:
    """The name that an upload is kept under, which tells its content."""
    return f"{hashlib.sha256(content).hexdigest()[:32]}{suffix}"


def keep_upload(content: bytes, suffix: str = ".zip") -> Path:
    """Store an uploaded file, which this session may then open, and return its path.

    Raises
    ------
    StoreError
        Where the store cannot be written.
    """
    state = session_state()
    if not state.uploads.is_dir():
        with store_errors(state.uploads):
            state.uploads.parent.mkdir(parents=True, exist_ok=True)
            state.uploads.mkdir(mode=0o700)
        if state.uploads not in _IN_USE:
            _IN_USE.add(state.uploads)
            weakref.finalize(state, _remove, state.uploads)
    path = state.uploads / upload_name(content, suffix)
    put(path, content)
    remove_old(state.uploads.parent, frozenset(_IN_USE))
    return path


def _remove(folder: Path) -> None:
    _IN_USE.discard(folder)
    shutil.rmtree(folder, ignore_errors=True)


def touch_uploads() -> None:
    """Say to other processes that this session's uploads are in use."""
    with suppress(OSError):
        os.utime(session_state().uploads)
