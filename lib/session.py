"""Streamlit's side: the current study, whose key may be used, the fetch in the background, and the caches.

What was fetched with somebody's key is cached for their session alone. Cached functions get strings, numbers and
frozen dataclasses; the manifest is handed through unhashed, and its `stamp` stands for it in the cache's key.
"""

import hashlib
import runpy
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from lib import audit, report
from lib.curves import View
from lib.detach import Treatment, of_task, treatments
from lib.history import Manifest
from lib.sources import Progress, Request, fetch
from lib.sources.bundle import bundled_study, write_bundle
from lib.store import Usage, put, store_root, usage
from lib.study import STUDIES, Evidence, InputError, Study, StudyError, load_study, parse_study, shipped_studies

_OWN = "own_studies"
_KEYS = "keys_by_server"
_JOBS = "fetch_jobs"
_GENERATIONS = "generations"
_UPLOADS = "uploads"
_CHOICE = "chosen_study"
NO_PATHS = "This deployment opens no local paths: upload the runs as a bundle instead."


@dataclass(frozen=True)
class Current:
    """What a page shows: the study, its runs, how to draw them, and a stamp that changes when the runs do."""

    study: Study
    manifest: Manifest
    view: View
    stamp: str

    @property
    def treated(self) -> tuple[Treatment, ...]:
        """Every run's treatment, those left out included."""
        return treated_runs(self.study, self.stamp, self.manifest)


class Job:
    """A fetch in a thread of its own: its progress, a way to stop it, and how it ended."""

    def __init__(self) -> None:
        self.progress = Progress(0, 0, "Asking for the list of runs")
        self.error = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, study: Study, generation: int, request: Request) -> None:
        """Begin; the result lands in the session's cache under this generation."""
        request = replace(request, progress=self._report, cancelled=self._stop.is_set)
        self._thread = threading.Thread(target=self._run, args=(study, generation, request), daemon=True)
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

    def _run(self, study: Study, generation: int, request: Request) -> None:
        try:
            _fetched(study, identity(request.key), generation, request)
        except InputError as error:
            self.error = str(error)


def identity(key: str | None) -> str:
    """What stands for a key where the key itself must not be: a hash that is only ever held in memory."""
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


@st.cache_data(scope="session", max_entries=16, show_spinner=False)
def _fetched(study: Study, who: str, generation: int, _request: Request) -> Manifest:
    return fetch(study, _request)


# ---- which study -------------------------------------------------------------------------------------------------


def study_names() -> list[str]:
    """The names to choose from: the shipped studies, then those opened in this session."""
    return [*shipped_studies(), *st.session_state.get(_OWN, {})]


def open_study(study: Study) -> str:
    """Add a study to this session; the name it is chosen by."""
    taken = study.name in shipped_studies()
    study = replace(study, name=f"{study.name}-own") if taken else study
    st.session_state.setdefault(_OWN, {})[study.name] = study
    forget_fetch(study)
    return study.name


def open_text(text: str) -> str:
    """Open the text of a study file; StudyError where it is not one, or names a local path it may not."""
    study = parse_study(text, "The study file")
    if not may_name_paths(study):
        raise StudyError(NO_PATHS)
    return open_study(study)


def open_upload(name: str, content: bytes) -> str:
    """Open an uploaded study file or bundle; InputError where it is neither."""
    if not name.endswith(".zip"):
        try:
            return open_text(content.decode())
        except UnicodeDecodeError:
            raise StudyError(f"{name} is not a text file: a study is a TOML file in UTF-8.") from None
    path = store_root() / "uploads" / f"{hashlib.sha256(content).hexdigest()[:32]}.zip"
    put(path, content)
    st.session_state.setdefault(_UPLOADS, set()).add(str(path.resolve()))
    return open_study(bundled_study(path))


def choose(name: str) -> None:
    """Make a study the current one on the next run."""
    st.session_state[_CHOICE] = name


def apply_choice() -> None:
    """Set the picker, before it is drawn, to the study that was just opened."""
    name = st.session_state.pop(_CHOICE, None)
    if name is not None:
        st.session_state["study"] = name
        for key in ("out", "arms", "task"):
            st.session_state.pop(key, None)


def study_named(name: str) -> Study:
    """The study chosen by that name; StudyError where its file is not valid."""
    own: dict[str, Study] = st.session_state.get(_OWN, {})
    return own[name] if name in own else load_study(name)


def is_shipped(study: Study) -> bool:
    """Whether the study is one of studies/, and not one a visitor brought."""
    return bool(study.folder) and Path(study.folder) == STUDIES.resolve()


# ---- whose key, whose files --------------------------------------------------------------------------------------


def secret(name: str) -> Any:
    """A value of st.secrets, None where there is no secrets file or no such value.

    Loading the secrets also puts the top-level ones into the environment, where W&B's own tools read them.
    """
    try:
        return st.secrets.get(name)
    except StreamlitSecretNotFoundError:
        return None


def is_hosted() -> bool:
    """Whether the deployment says that strangers use it: `[deployment] hosted = true` in the secrets."""
    return bool((secret("deployment") or {}).get("hosted", False))


def may_name_paths(study: Study) -> bool:
    """Whether the study may read local paths: shipped ones may; others where the deployment allows it."""
    uploaded = study.source.path in st.session_state.get(_UPLOADS, set())
    if is_shipped(study) or uploaded or study.source.kind == "wandb":
        return True
    return bool((secret("deployment") or {}).get("local_paths", not is_hosted()))


def key_for(study: Study) -> str | None:
    """The W&B key that may be used for this study.

    The visitor's own key for that server comes first. The deployer's key (secrets, environment, W&B login) serves only
    the shipped studies.
    """
    if study.source.kind != "wandb":
        return None
    from lib.sources.cloud import resolve_key, server_of

    secret("WANDB_API_KEY")
    server = server_of(study)
    own: str | None = st.session_state.get(_KEYS, {}).get(server)
    return own or (resolve_key(server) if is_shipped(study) else None)


def remember_key(server: str, key: str) -> None:
    """Keep a visitor's key for one server, in this session's memory only; an empty one forgets it."""
    keys = st.session_state.setdefault(_KEYS, {})
    if key:
        keys[server] = key
    else:
        keys.pop(server, None)


def has_own_key(server: str) -> bool:
    """Whether the visitor gave a key for this server."""
    return server in st.session_state.get(_KEYS, {})


# ---- the fetch ---------------------------------------------------------------------------------------------------


def job_of(study: Study) -> Job | None:
    """The fetch of this study in this session, running or ended."""
    job: Job | None = st.session_state.setdefault(_JOBS, {}).get(study.name)
    return job


def start_fetch(study: Study, refresh: bool = False, only: tuple[str, ...] = ()) -> None:
    """Fetch the study in the background, unless that is under way."""
    running = job_of(study)
    if running and running.running:
        return
    job = Job()
    st.session_state[_JOBS][study.name] = job
    generations = st.session_state.setdefault(_GENERATIONS, {})
    generations[study.name] = generations.get(study.name, 0) + 1
    job.start(study, generations[study.name], Request(key=key_for(study), refresh=refresh, only=only))


def manifest_of(study: Study) -> Manifest | None:
    """The study's runs as last fetched, or as stored; None where there is nothing yet.

    Raises
    ------
    InputError
        Where a local source cannot be read, or the study may not name a local path.
    """
    if not may_name_paths(study):
        raise StudyError(NO_PATHS)
    generation = st.session_state.get(_GENERATIONS, {}).get(study.name, 0)
    request = Request(key=key_for(study))
    if study.source.kind != "wandb":
        return _fetched(study, "", generation, request)
    job = job_of(study)
    if generation and job and not job.running and not job.error:
        return _fetched(study, identity(request.key), generation, request)
    from lib.sources.cloud import stored

    return stored(study, request)


def forget_fetch(study: Study) -> None:
    """Read the study anew next time: its store was cleared, or another study took its name."""
    st.session_state.setdefault(_JOBS, {}).pop(study.name, None)
    generations = st.session_state.setdefault(_GENERATIONS, {})
    generations[study.name] = generations.get(study.name, 0) + 1


def stored_usage(study: Study) -> tuple[Usage, ...]:
    """What the store holds of this visitor's on the study's server."""
    if study.source.kind != "wandb":
        return usage(study.source.kind, "") if may_name_paths(study) and not is_hosted() else ()
    from lib.sources.cloud import server_of

    key = key_for(study)
    return usage(server_of(study), key) if key and (has_own_key(server_of(study)) or not is_hosted()) else ()


def bundle_bytes(study: Study, manifest: Manifest) -> bytes:
    """The study and its runs as a .zip."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.zip"
        write_bundle(study, manifest, path)
        return path.read_bytes()


# ---- cached frames -----------------------------------------------------------------------------------------------


def stamp_of(manifest: Manifest) -> str:
    """A text that differs whenever the manifest or its runs do."""
    return hashlib.sha256(f"{manifest.folder}\0{manifest.to_json()}".encode()).hexdigest()[:16]


@st.cache_data(scope="session", max_entries=32, show_spinner=False)
def treated_runs(study: Study, stamp: str, _manifest: Manifest) -> tuple[Treatment, ...]:
    """Every run's treatment."""
    return treatments(study, _manifest)


@st.cache_data(scope="session", max_entries=256, show_spinner=False)
def _curves(study: Study, task: str, stamp: str, view: View, _manifest: Manifest) -> pl.DataFrame:
    return report.task_curves(study, _manifest, study.task(task), view)


def curves(current: Current, task: str) -> pl.DataFrame:
    """The curves of one task, all metrics: columns of `lib.curves.COLUMNS`."""
    view = replace(current.view, seeds=False)
    return _curves(current.study, task, current.stamp, view, current.manifest)


@st.cache_data(scope="session", max_entries=64, show_spinner=False)
def _seed_curves(study: Study, task: str, stamp: str, view: View, _manifest: Manifest) -> pl.DataFrame:
    return report.task_seed_curves(study, _manifest, study.task(task), view)


def seed_curves(current: Current, task: str) -> pl.DataFrame:
    """Each run's own curve of one task, all metrics."""
    return _seed_curves(current.study, task, current.stamp, current.view, current.manifest)


def shown_treated(current: Current, task: str) -> tuple[Treatment, ...]:
    """The treatments of one task's runs, without those left out."""
    return tuple(t for t in of_task(current.treated, task) if t.run_id not in current.view.left_out)


@st.cache_data(scope="session", max_entries=32, show_spinner=False)
def _effects(study: Study, stamp: str, view: View, evidence: Evidence | None, _manifest: Manifest) -> pl.DataFrame:
    from lib.effects import study_effects

    return study_effects(study, report.effect_inputs(study, _manifest, view), evidence=evidence)


def effects(current: Current, evidence: Evidence | None = None) -> pl.DataFrame:
    """The study's effects, one row a task, metric and arm: columns of `lib.effects.EFFECTS`."""
    view = View(arms=current.view.arms, left_out=current.view.left_out)
    return _effects(current.study, current.stamp, view, evidence, current.manifest)


@st.cache_data(scope="session", max_entries=32, show_spinner=False)
def _runs(study: Study, stamp: str, left_out: tuple[str, ...], _manifest: Manifest) -> pl.DataFrame:
    return audit.runs_table(study, _manifest, left_out)


def runs(current: Current) -> pl.DataFrame:
    """The audit, one row a run and task: columns of `lib.audit.runs_table`."""
    return _runs(current.study, current.stamp, current.view.left_out, current.manifest)


@st.cache_data(scope="session", max_entries=64, show_spinner=False)
def _points(stamp: str, run_id: str, keys: tuple[str, ...], _manifest: Manifest) -> pl.DataFrame:
    chosen = [run for run in _manifest.runs if run.id == run_id]
    return _manifest.history(chosen).filter(pl.col("metric").is_in(keys)).sort("metric", "step").collect()


def points(current: Current, run_id: str) -> pl.DataFrame:
    """One run's raw points of the study's metrics: columns of `lib.history.HISTORY`."""
    keys = tuple(m.key for m in current.study.metrics)
    return _points(current.stamp, run_id, keys, current.manifest)


# ---- what the pages read -----------------------------------------------------------------------------------------


def hold(study: Study | None, manifest: Manifest | None, complaint: str, view: View) -> None:
    """Keep what the frame opened, for the page that runs next."""
    st.session_state["_opened"] = (study, manifest, complaint, view)


def opened() -> tuple[Study | None, Manifest | None, str]:
    """The study, its runs and what went wrong, as the frame opened them.

    The first visitor of a fresh server who comes by a link to a page gets that page without its frame: until
    `st.navigation` has run once, Streamlit takes pages/ for an app of its own. The frame is then run from here.
    """
    if "_opened" not in st.session_state:
        runpy.run_path(str(STUDIES.parent / "streamlit_app.py"), run_name="__main__")
        st.stop()
    study, manifest, complaint, _ = st.session_state["_opened"]
    return study, manifest, complaint


def current() -> Current:
    """The study with its runs; only where both are there."""
    study, manifest, _, view = st.session_state["_opened"]
    return Current(study, manifest, view, stamp_of(manifest))
