"""The store on disk: one Parquet file per run, in a folder per server, key and project."""

import hashlib
import hmac
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lib.formatting import file_name
from lib.runs.atomic import TEMPORARY, StoreError, store_errors, temporary_prefix
from lib.runs.store_root import runs_root, store_root

_LOCK, _ABOUT = ".lock", "about.json"


@dataclass(frozen=True)
class Usage:
    """The space that the runs of one project take: project, folder, bytes on disk, number of runs."""

    project: str
    folder: Path
    bytes: int
    runs: int


def project_folder(server: str, key: str, project: str) -> Path:
    """The folder of one identity's runs of one project (`entity/project`, or a local folder).

    The identity is a keyed hash of server and key under a salt that stays in the store: the key cannot be read back.
    """
    return _identity_folder(server, key) / _folder_name(project)


def _folder_name(project: str) -> str:
    return f"{file_name(project)[-60:]}-{hashlib.sha256(project.encode()).hexdigest()[:8]}"


def _identity_folder(server: str, key: str) -> Path:
    """The folder of one identity."""
    mixed = f"{server}\0{key}".encode()
    identity = hmac.new(_salt(store_root()), mixed, hashlib.sha256).hexdigest()[:24] if key else "local"
    return runs_root() / identity


def _salt(root: Path) -> bytes:
    """The store's own secret, made once whoever else is about to make it."""
    path = root / "salt"
    with store_errors(root):
        if not path.exists():
            root.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=root, prefix=temporary_prefix())
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            try:
                Path(path).hardlink_to(name)
            except FileExistsError:
                pass
            finally:
                Path(name).unlink()
        return path.read_bytes()


@contextmanager
def writing(folder: Path, project: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Be the only one who writes to a folder; what an interrupted writer left aside is cleared away.

    The lock is the operating system's: it is free when its holder has died. Waits for another writer until
    `cancelled`; StoreError then, and where the folder cannot be written.
    """
    with store_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0.2)
            except Timeout:
                if cancelled():
                    raise StoreError("Stopped while another fetch was writing the same runs.") from None
    try:
        for leftover in folder.rglob(f"{TEMPORARY}*"):
            leftover.unlink(missing_ok=True)
        if _project(folder) != project:
            (folder / _ABOUT).write_bytes(json.dumps({"project": project}).encode())
        yield
    finally:
        lock.release()


def usage(server: str, key: str) -> tuple[Usage, ...]:
    """What this identity has stored, one entry per project, the largest first; a `key` of "" is the local identity."""
    usages = [_usage_of(folder) for folder in _identity_folder(server, key).glob("*/")]
    return tuple(sorted(usages, key=lambda u: (-u.bytes, u.folder)))


def _usage_of(folder: Path) -> Usage:
    """The space that a folder takes now; a fetch may be writing to it, and remove what it put aside."""
    size, runs = 0, set()
    for at, _, names in os.walk(folder):
        visible = [name for name in names if not name.startswith(".")]
        for name in visible:
            with suppress(FileNotFoundError):
                size += (Path(at) / name).stat().st_size
        runs |= {name for name in visible if name.endswith(".parquet") and Path(at).name != "raw"}
    return Usage(_project(folder), folder, size, len(runs))


def _project(folder: Path) -> str:
    """The project whose runs a folder holds, which gives the folder its name; the name where it is not told."""
    try:
        project = str(json.loads((folder / _ABOUT).read_text(encoding="utf-8"))["project"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return folder.name
    return project if folder.name == _folder_name(project) else folder.name


def clear(folder: Path) -> None:
    """Remove a project's folder (as `project_folder` or `usage` name it) with all its runs, once nobody writes to it.

    Raises
    ------
    StoreError
        Where it is no folder of the store, or cannot be removed.
    """
    folder = folder.resolve()
    if not folder.is_relative_to(store_root().resolve()) or folder == store_root().resolve():
        raise StoreError(f"{folder} is not a folder of the store.")
    if not folder.is_dir():
        return
    with writing(folder, _project(folder)), store_errors(folder):
        for item in folder.iterdir():
            if item.is_dir():
                shutil.rmtree(item)
            elif item.name != _LOCK:
                item.unlink()
    with store_errors(folder):
        shutil.rmtree(folder)
