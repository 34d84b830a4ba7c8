"""The on-disk store: one Parquet file a run, whole or absent, apart for each identity."""

import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import platformdirs
import polars as pl

from lib.history import SCHEMA_VERSION, Run, run_from
from lib.study import InputError

_META = "run"


class StoreError(InputError):
    """The store cannot be read or written."""


def store_root() -> Path:
    """The store's folder: `DETACH_STORE`, or the platform's user cache folder."""
    named = os.environ.get("DETACH_STORE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("detach-encoder-study"))


def shelf(server: str, key: str, project: str) -> Path:
    """The folder of one identity's runs of one project (`entity/project`, or a local folder).

    The identity is a keyed hash of server and key under a salt that stays in the store: the key cannot be read back.
    """
    root = store_root()
    mixed = f"{server}\0{key}".encode()
    identity = hmac.new(_salt(root), mixed, hashlib.sha256).hexdigest()[:24] if key else "local"
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", project)[-60:]
    digest = hashlib.sha256(project.encode()).hexdigest()[:8]
    return root / f"v{SCHEMA_VERSION}" / identity / f"{safe}-{digest}"


def _salt(root: Path) -> bytes:
    path = root / "salt"
    if not path.exists():
        write_atomically(path, lambda aside: aside.write_bytes(secrets.token_bytes(32)))
    return path.read_bytes()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file aside, then put it in place: a reader sees the old file or the new one, whole.

    Raises
    ------
    StoreError
        Where the folder cannot be written, naming it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        aside = Path(name)
        try:
            write(aside)
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be written ({error.strerror or error}).") from None


def write_run(folder: Path, run: Run, history: pl.DataFrame) -> Run:
    """Write a run's history and its description as one file; the run returned names it."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", run.id)
    run = replace(run, file=f"{safe}.parquet")
    meta = {_META: json.dumps(asdict(run), default=str)}
    write_atomically(
        folder / run.file,
        lambda aside: history.write_parquet(aside, compression="zstd", compression_level=9, metadata=meta),
    )
    return run


def read_run(path: Path) -> Run:
    """The description of a run that `write_run` put into its file.

    Raises
    ------
    StoreError
        Where the file is not one of the store's, or is damaged.
    """
    try:
        return run_from(json.loads(pl.read_parquet_metadata(path)[_META]))
    except (OSError, pl.exceptions.PolarsError, KeyError, ValueError, TypeError) as error:
        raise StoreError(f"{path.name} is damaged or not a run's file ({type(error).__name__}).") from None


def put(path: Path, content: bytes) -> None:
    """Write bytes atomically; StoreError where the folder cannot be written."""
    write_atomically(path, lambda aside: aside.write_bytes(content))
