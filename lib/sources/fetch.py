"""Fetch the runs of a study from its source."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

from lib.runs import Manifest, remove_leftovers, store_root
from lib.sources.request import Request, Unreachable
from lib.study import Study

_MODULES = {"wandb": "cloud.fetch", "offline": "offline", "bundle": "bundle"}


def fetch(study: Study, request: Request | None = None) -> Manifest:
    """Read the study's runs into the store and say where they lie.

    Raises
    ------
    SourceError
        One sentence, where nothing can be read. A part that fails is a `Problem` of the manifest instead.
    """
    _clean(store_root())
    module = import_module(f"lib.sources.{_MODULES[study.source.kind]}")
    manifest: Manifest = module.fetch(study, request or Request())
    return manifest


def fetch_or_stored(study: Study, request: Request, say: Callable[[str], None]) -> Manifest:
    """Fetch the study's runs; where its server cannot be reached, what this identity has stored, which is said.

    Raises
    ------
    SourceError
        As of `fetch`; where the server cannot be reached and nothing is stored too.
    """
    try:
        return fetch(study, request)
    except Unreachable as error:
        from lib.sources.cloud.fetch import stored

        manifest = stored(study, request)
        if manifest is None:
            raise
        say(f"{error} Using what is stored, fetched at {manifest.fetched_at}.")
        return manifest


@cache
def _clean(store: Path) -> None:
    """Remove what killed programs left in the store, once in the life of this one."""
    with suppress(OSError):
        remove_leftovers(store.rglob(".*"))
