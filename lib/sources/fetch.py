"""Fetch the runs of a study from its source."""

from importlib import import_module

from lib.runs import Manifest
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
    module = import_module(f"lib.sources.{_MODULES[study.source.kind]}")
    manifest: Manifest = module.fetch(study, request or Request())
    return manifest
