"""Fetch the runs of a study from its source."""

from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

from lib.runs import Manifest, remove_leftovers, store_root
from lib.sources.request import Request
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


@cache
def _clean(store: Path) -> None:
    """Remove what killed programs left in the store, once in the life of this one."""
    with suppress(OSError):
        remove_leftovers(store.rglob(".*"))
