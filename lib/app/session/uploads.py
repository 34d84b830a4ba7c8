"""Files that a visitor uploads: in a folder of the session, which goes with it."""

import hashlib
import shutil
import tempfile
import weakref
from pathlib import Path

from lib.app.session.state import session_state
from lib.runs import put, remove_old, store_errors, store_root


def keep_upload(content: bytes, suffix: str = ".zip") -> Path:
    """Store an uploaded file, which this session may then open, and return its path.

    Raises
    ------
    StoreError
        Where the store cannot be written.
    """
    folder = _session_folder()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
    put(path, content)
    session_state().readable.add(str(path.resolve()))
    remove_old(folder.parent, folder)
    return path


def _session_folder() -> Path:
    """The folder of this session's uploads, which is removed when the session ends."""
    state = session_state()
    if state.uploads is None or not state.uploads.is_dir():
        root = store_root() / "uploads"
        with store_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            state.uploads = Path(tempfile.mkdtemp(dir=root))
        weakref.finalize(state, shutil.rmtree, state.uploads, ignore_errors=True)
    return state.uploads
