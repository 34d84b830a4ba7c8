"""The runs of studies: fetched in the background for this session alone; of the shipped bundle, read once for all."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import streamlit as st

from lib.app.session import widget_keys
from lib.app.session.access import (
    check_source,
    is_hosted,
    is_public,
    key_for,
    own_key,
    scheduler,
    server_for,
    shipped_study,
)
from lib.app.session.caches import cached_for_all, file_stamp
from lib.app.session.job import FetchResult, Job, StudyFetches
from lib.app.session.state import session_state
from lib.curves import View, study_curves
from lib.runs import Manifest, Usage, computing_on, store_root, usage
from lib.sources import Request, fetch, stored
from lib.study import STUDIES, InputError, Study
from lib.workers import ClusterError, open_cluster

DEADLINE = 60
#: Seconds in which a small folder is read: of a larger one the page shows the progress.
_SHORT = 2.0


@st.cache_data(scope="session", max_entries=16, show_spinner=False)
def _fetched(study: Study, identity: str, generation: int, _request: Request) -> Manifest:
    return fetch(study, _request)


@cached_for_all
def _public_result(name: str, stamp: str) -> FetchResult:
    manifest = fetch(shipped_study(name))
    return FetchResult(manifest, f"{stamp} {stamp_of(manifest)}")


def _identity(key: str | None) -> str:
    """A hash that stands for a key, held in memory only."""
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


def _fetches(study: Study, key: str | None) -> StudyFetches:
    return session_state().fetches.setdefault((study, _identity(key)), StudyFetches())


def job_of(study: Study) -> Job[None] | None:
    """The last fetch of this study in this session, running or ended."""
    return _fetches(study, key_for(study)).job


def is_fetching(study: Study) -> bool:
    """Whether a fetch of this study is under way."""
    job = job_of(study)
    return job is not None and job.is_running


def start_fetch(
    study: Study, refresh: bool = False, only: tuple[str, ...] = (), is_quiet: bool = False, wait: float = 0.0
) -> None:
    """Fetch the study in the background, unless that is under way, and wait so many seconds for its end."""
    key = key_for(study)
    fetches = _fetches(study, key)
    if fetches.job and fetches.job.is_running:
        return
    fetches.generation += 1
    generation = fetches.generation
    job = fetches.job = Job("The fetch", is_quiet)
    deadline = float(st.session_state.get(widget_keys.DEADLINE) or DEADLINE)
    request = Request(
        key=key, refresh=refresh, only=only, deadline=deadline, progress=job.report, cancelled=job.is_stopped
    )

    address = scheduler() if study.source.kind != "bundle" else ""

    def work() -> None:
        """Bring the runs into the session's cache."""
        if not address:
            _fetched(study, _identity(key), generation, request)
            return
        with open_cluster(address, store_root()) as cluster, computing_on(cluster):
            manifest = _fetched(study, _identity(key), generation, replace(request, cluster=cluster))
            # The workers keep each run's bins beside it, where pages find them. What is not there a page makes.
            with suppress(ClusterError):
                study_curves(study, manifest, View())

    job.start(work)
    job.wait(wait)


def fetch_result(study: Study) -> FetchResult | None:
    """The study's runs as last fetched, or as stored; None where there are none yet.

    While a fetch runs, and after one that failed, the runs from before it stay.

    Raises
    ------
    InputError
        Where a local source cannot be read, or the study may not name its local path or its server.
    """
    check_source(study)
    if is_public(study):
        files = STUDIES / f"{study.name}.toml", study.source_path / "manifest.json", study.source_path
        result = _public_result(study.name, file_stamp(*files))
        # A run that could not be read is read again by every session, and by its button.
        if result.manifest.whole:
            return result
    key = key_for(study)
    fetches = _fetches(study, key)
    if fetches.job is None and study.source.kind == "offline":
        start_fetch(study, wait=_SHORT)
        if fetches.job and fetches.job.error:
            message, fetches.job = fetches.job.error, None
            raise InputError(message)
    job = fetches.job
    shown = fetches.shown[1] if fetches.shown else None
    if shown and study.source.kind == "bundle" and not Path(shown.manifest.folder).is_dir():
        # What the bundle was unpacked to made room for another's: it is unpacked again.
        fetches.generation += 1
    # Read once: the fetch may end at any moment, and its runs must not be taken for shown then.
    fetches.was_running = job is not None and job.is_running
    if fetches.shown and (fetches.shown[0] == fetches.generation or fetches.was_running or (job and job.error)):
        return fetches.shown[1]
    manifest = _manifest(study, key, fetches)
    result = None if manifest is None else FetchResult(manifest, stamp_of(manifest))
    if result is not None and not fetches.was_running:
        fetches.shown = (fetches.generation, result)
    return result


def has_runs(study: Study) -> bool:
    """Whether runs of the study are in: shown in this session, stored, or on this machine.

    Raises
    ------
    InputError
        Where the study may not name its server.
    """
    key = key_for(study)
    if (shown := _fetches(study, key).shown) and shown[1] is not None:
        return bool(shown[1].manifest.runs)
    if study.source.kind != "wandb":
        return study.source_path.exists()
    manifest = stored(study, Request(key=key))
    return manifest is not None and bool(manifest.runs)


def has_just_ended(study: Study) -> bool:
    """Whether a fetch has ended since this run asked for its runs: the page must run again."""
    fetches = _fetches(study, key_for(study))
    return fetches.was_running and not (fetches.job and fetches.job.is_running)


def _manifest(study: Study, key: str | None, fetches: StudyFetches) -> Manifest | None:
    job, is_local = fetches.job, study.source.kind != "wandb"
    if (is_local and job is None) or (job is not None and not fetches.was_running and not job.error):
        return _fetched(study, _identity(key), fetches.generation, Request(key=key))
    return None if is_local else stored(study, Request(key=key))


def stamp_of(manifest: Manifest) -> str:
    """A text that differs whenever the manifest or its runs do."""
    return hashlib.sha256(f"{manifest.folder}\0{manifest.to_json()}".encode()).hexdigest()[:16]


def forget_fetch(study: Study) -> None:
    """Read the study anew next time: its store was cleared."""
    session_state().fetches.pop((study, _identity(key_for(study))), None)
    _fetched.clear()


def stored_usage(study: Study) -> tuple[Usage, ...]:
    """What the store holds of this visitor's on the study's server; nothing of the deployer's where strangers look."""
    if study.source.kind == "bundle":
        return ()
    if study.source.kind == "offline":
        return () if is_hosted() else usage("offline", "")
    key = key_for(study)
    if not key:
        return ()
    server = server_for(study)
    return usage(server, key) if own_key(server) or not is_hosted() else ()
