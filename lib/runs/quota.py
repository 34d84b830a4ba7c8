"""Folders of the store whose entries come and go: what nobody uses is removed."""

import os
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

#: Entries that nobody has used for so many seconds are removed, the oldest earlier where all take more bytes.
KEPT_FOR, QUOTA = 24 * 3600.0, 2 << 30


def remove_old(root: Path, keep: Collection[Path], room: int = 0) -> None:
    """Remove the entries of a folder that nobody used for a day, and the oldest where all take more than the quota.

    Parameters
    ----------
    keep : the entries in use.
    room : bytes that all may take where that is more than the quota.
    """
    entries = sorted(((_used(entry), entry) for entry in root.glob("*") if entry not in keep), reverse=True)
    size = sum(map(_bytes, keep))
    for used, entry in entries:
        size += _bytes(entry)
        if time.time() - used > KEPT_FOR or size > max(QUOTA, room):
            shutil.rmtree(entry, ignore_errors=True)
            with suppress(OSError):
                entry.unlink()


def _used(entry: Path) -> float:
    """When an entry was last used."""
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0


def _bytes(entry: Path) -> int:
    """The bytes of a file, or of all files below a folder: there may be very many."""
    total = 0
    with suppress(OSError):
        total += entry.lstat().st_size
    for at, _, names in os.walk(entry):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{at}/{name}").st_size
    return total
