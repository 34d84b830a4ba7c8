"""Paths that somebody wrote, and the files that they name: regular ones, and none that is too large."""

import os
import stat
from pathlib import Path

from lib.study.errors import InputError


def check_file(path: Path, limit: int) -> None:
    """See that a path names a regular file of at most `limit` bytes: a pipe or a device may never end.

    Raises
    ------
    OSError
        Where there is nothing to read.
    InputError
        One sentence: it is a folder, a pipe or a device, or too large.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise InputError(f"{path.name} is not a file: name a regular file, not a folder, a pipe or a device.")
    if state.st_size > limit:
        raise InputError(f"{path.name} is larger than {_size(limit)}: it was not read.")


def read_file(path: Path, limit: int) -> bytes:
    """The content of a file; the errors of `check_file`."""
    check_file(path, limit)
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{path.name} is larger than {_size(limit)}: it was not read.")
    return content


def written_path(text: str) -> Path:
    """A path as somebody wrote it: `~` is the home folder; `~somebody`, who is no user here, stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - that of pathlib raises an error


def is_folder(path: Path) -> bool:
    """Whether a path that somebody wrote names a folder; one too long to be a path names none."""
    return os.path.isdir(path)  # noqa: PTH112 - that of pathlib raises an error


def _size(limit: int) -> str:
    return f"{limit / 1024**2:,.0f} MB"
