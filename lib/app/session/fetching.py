"""Fetches in the background, and their results, for this session alone."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from lib.app.session.access import NO_PATHS, has_own_key, is_hosted, key_for, may_name_paths
from lib.runs import Manifest, Usage, usage
from lib.sources import Progress, Request, fetch, server_of, stored
from lib.study import InputError, Study, StudyError

_FETCHES = "fetches"
DEADLINE = 60


@dataclass(frozen=True)
class Brought:
    """A manifest, and a stamp that changes whenever it or its runs do."""

    manifest: Manifest
    stamp: str


class Job:
    """A fetch in a thread of its own: its progress, a way to stop it, and how it ended."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.progress = Progress(0, 0, "Asking for the list of runs")
        self.error = ""
        self.ended = 0.0
        self.told = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[Request], Manifest], request: Request) -> None:
        """Begin; the result lands in the session's cache."""
        request = replace(request, progress=self._report, cancelled=self._stop.is_set)
        self._thread = threading.Thread(target=self._run, args=(work, request), daemon=True)
        add_script_run_ctx(self._thread, get_script_run_ctx())
        self._thread.start()

    def stop(self) -> None:
        """Ask the fetch to end; what came stays."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """Whether the fetch has not ended yet."""
        return self._thread is not None and self._thread.is_alive()

    def _report(self, progress: Progress) -> None:
        self.progress = progress

    def _run(self, work: Callable[[Request], Manifest], request: Request) -> None:
        try:
            work(request)
        except InputError as error:
            self.error = str(error)
        finally:
            self.ended = time.monotonic()


class Fetches:
    """What this session fetched of one study as one identity: the last job, and what it brought."""

    def __init__(self) -> None:
        self.generation = 0
        self.job: Job | None = None
        self.shown: tuple[int, Brought | None] | None = None
        self.awaited = False


@st.cache_data(scope="session", max_entries=16, show_spinner=False)
def _fetched(study: Study, who: str, generation: int, _request: Request) -> Manifest:
    return fetch(study, _request)


def identity(key: str | None) -> str:
    """What stands for a key where the key itself must not be: a hash that is only ever held in memory."""
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


def _fetches(study: Study, key: str | None) -> Fetches:
    held: dict[tuple[Study, str], Fetches] = st.session_state.setdefault(_FETCHES, {})
    return held.setdefault((study, identity(key)), Fetches())


def job_of(study: Study) -> Job | None:
    """The last fetch of this study in this session, running or ended."""
    return _fetches(study, key_for(study)).job


def is_fetching(study: Study) -> bool:
    """Whether a fetch of this study is under way."""
    job = job_of(study)
    return job is not None and job.running


def start_fetch(study: Study, refresh: bool = False, only: tuple[str, ...] = (), quiet: bool = False) -> None:
    """Fetch the study in the background, unless that is under way."""
    key = key_for(study)
    fetches = _fetches(study, key)
    if fetches.job and fetches.job.running:
        return
    fetches.generation += 1
    generation = fetches.generation
    fetches.job = Job(quiet)
    deadline = float(st.session_state.get("deadline") or DEADLINE)
    request = Request(key=key, refresh=refresh, only=only, deadline=deadline)
    fetches.job.start(lambda request: _fetched(study, identity(key), generation, request), request)


def brought(study: Study) -> Brought | None:
    """The study's runs as last fetched, or as stored; None where there is nothing yet.

    While a fetch runs, and after one that failed, what was there before stays.

    Raises
    ------
    InputError
        Where a local source cannot be read, or the study may not name a local path.
    """
    if not may_name_paths(study):
        raise StudyError(NO_PATHS)
    key = key_for(study)
    fetches = _fetches(study, key)
    job = fetches.job
    # Looked at once: the fetch may end at any moment, and what it brings must not be taken for shown then.
    fetches.awaited = job is not None and job.running
    if fetches.shown and (fetches.shown[0] == fetches.generation or fetches.awaited or (job and job.error)):
        return fetches.shown[1]
    manifest = _manifest(study, key, fetches)
    found = None if manifest is None else Brought(manifest, stamp_of(manifest))
    if found is not None and not fetches.awaited:
        fetches.shown = (fetches.generation, found)
    return found


def just_ended(study: Study) -> bool:
    """Whether a fetch has ended since this run looked for what it brings: the page must look again."""
    fetches = _fetches(study, key_for(study))
    return fetches.awaited and not (fetches.job and fetches.job.running)


def _manifest(study: Study, key: str | None, fetches: Fetches) -> Manifest | None:
    job = fetches.job
    done = job is not None and not fetches.awaited and not job.error
    if study.source.kind != "wandb" or done:
        return _fetched(study, identity(key), fetches.generation, Request(key=key))
    return stored(study, Request(key=key))


def stamp_of(manifest: Manifest) -> str:
    """A text that differs whenever the manifest or its runs do."""
    return hashlib.sha256(f"{manifest.folder}\0{manifest.to_json()}".encode()).hexdigest()[:16]


def forget_fetch(study: Study) -> None:
    """Read the study anew next time: its store was cleared."""
    held: dict[tuple[Study, str], Fetches] = st.session_state.setdefault(_FETCHES, {})
    held.pop((study, identity(key_for(study))), None)
    _fetched.clear()


def stored_usage(study: Study) -> tuple[Usage, ...]:
    """What the store holds of this visitor's on the study's server; nothing of the deployer's where strangers look."""
    if study.source.kind == "bundle":
        return ()
    if study.source.kind == "offline":
        return () if is_hosted() else usage("offline", "")
    key, server = key_for(study), server_of(study)
    return usage(server, key) if key and (has_own_key(server) or not is_hosted()) else ()
