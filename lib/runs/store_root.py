"""Where the store lies."""

import os
from pathlib import Path

import platformdirs

from lib.study import written_path

SCHEMA_VERSION = 1


def store_root() -> Path:
    """The store's folder: `DETACH_STORE`, or the platform's user cache folder."""
    named = os.environ.get("DETACH_STORE")
    return written_path(named) if named else Path(platformdirs.user_cache_dir("detach-encoder-study"))


def runs_root() -> Path:
    """The folder below which runs lie that were fetched, by server and key."""
    return store_root() / f"v{SCHEMA_VERSION}"
