"""Runs on a W&B server: listed, their histories read from its Parquet exports, kept in the store.

A fetch is incremental: a finished run whose listing has not changed costs no request; of a run that still goes on only
the rows from the last stored one on are read; of a metric that is new to the study only that metric.
"""

import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from lib.formatting import plural
from lib.runs import (
    Manifest,
    Problem,
    Run,
    StoreError,
    manifest_from,
    project_folder,
    put,
    read_run,
    silent_metric_text,
    writing,
)
from lib.sources.cloud.client import Client
from lib.sources.cloud.forks import Ancestors, fork_point, with_fork_stamps
from lib.sources.cloud.history import Checkpoint, Download, RunPath, read_history
from lib.sources.cloud.http import HttpClient
from lib.sources.cloud.keys import no_key_message
from lib.sources.cloud.limits import Deadline, MemoryBudget, RequestError, StopFetch, all_results, in_background
from lib.sources.cloud.remote import RemoteUpdate
from lib.sources.cloud.run import RunStore, RunUpdate, now_utc
from lib.sources.cloud.server_address import server_of
from lib.sources.request import Progress, Request, SourceError, missing_tasks, run_folder, stored_tasks_of
from lib.study import Study, Task
from lib.workers import ClusterError, WorkerError

_log = logging.getLogger(__name__)

#: Runs under way at once: most of the time of each is waiting for answers.
WORKERS = 24


def fetch(study: Study, request: Request) -> Manifest:
    """Bring the store up to date with the server.

    A run that fails keeps what is stored of it and is a `Problem` of the manifest; so is a task without runs, and a store
    that can be read but not written. A fetch that is stopped returns the runs that were read.

    Raises
    ------
    Unreachable
        Where the server does not answer: `stored` may still serve.
    SourceError
        No key, a key that is not accepted, no such project or sweep, no run of any task; one sentence each.
    StoreError
        Where the store cannot be written and holds nothing of the study.
    """
    server = server_of(study)
    if not request.key:
        raise SourceError(no_key_message(server))
    stop = threading.Event()
    cancelled = lambda: stop.is_set() or request.cancelled()  # noqa: E731
    source = study.source
    request.progress(Progress(0, 0, f"Asking {server} for the runs"))
    http = HttpClient(server, request.key, 4 * WORKERS)
    try:
        client = Client(http, source.entity, source.project, Deadline(request.deadline, cancelled))
        runs = with_fork_stamps(_list_runs(study, client))
        base = _folder(study, server, request.key)
        store = RunStore(base / run_folder(study.step_key), study, request.refresh)
        with writing(base, f"{source.entity}/{source.project}", request.cancelled):
            manifest = _Fetch(study, request, store, http, cancelled).manifest(runs, _stored_manifest(base, study))
            _store_manifest(base, study, manifest)
        return manifest
    except StoreError as error:
        left = None if request.cancelled() else stored(study, request)
        if left is None:
            raise
        message = f"{error} What the server holds now was not stored: what was fetched at {left.fetched_at} is used."
        return replace(left, problems=(Problem(message), *left.problems))
    except StopFetch:
        raise SourceError("Stopped before the runs were listed; what is stored has not changed.") from None
    finally:
        stop.set()
        http.close()


def stored(study: Study, request: Request) -> Manifest | None:
    """What this identity last fetched for the study, without asking the server; None where that is nothing."""
    if not request.key:
        return None
    base = _folder(study, server_of(study), request.key)
    manifest = _stored_manifest(base, study)
    if manifest is None:
        return None
    runs, problems = [], [p for p in manifest.problems if p.run_id]
    for run in manifest.runs:
        try:
            if run.file:
                read_run(Path(manifest.folder) / run.file)
        except StoreError as error:
            problems.append(Problem(f"Run {run.id}: {error} Fetch it again.", run_id=run.id))
            run = replace(run, file="", rows={}, first_step=None, last_step=None)
        if tasks := stored_tasks_of(study, run):
            runs.append(run if run.tasks == tasks else replace(run, tasks=tasks))
    return replace(
        manifest, runs=tuple(runs), problems=(*problems, *missing_tasks(study, runs), *_unlogged_metrics(study, runs))
    )


# ---- where it is kept --------------------------------------------------------------------------------------------


def _folder(study: Study, server: str, key: str) -> Path:
    return project_folder(server, key, f"{study.source.entity}/{study.source.project}")


def _manifest_file(base: Path, study: Study) -> Path:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", study.name)[:60]
    return base / "studies" / f"{safe}-{hashlib.sha256(study.name.encode()).hexdigest()[:8]}.json"


def _store_manifest(base: Path, study: Study, manifest: Manifest) -> None:
    """Keep the manifest, its last line a checksum of those before."""
    text = manifest.to_json().encode()
    put(_manifest_file(base, study), text + b"\n" + _checksum(text))


def _stored_manifest(base: Path, study: Study) -> Manifest | None:
    """The manifest that was kept; None where there is none, or it is not what was written."""
    try:
        text, _, checksum = _manifest_file(base, study).read_bytes().rpartition(b"\n")
        # An earlier version wrote no checksum: its last line closes the manifest.
        if checksum not in (_checksum(text), b"}"):
            return None
        return manifest_from(text if checksum != b"}" else text + checksum, base / run_folder(study.step_key))
    except (OSError, ValueError, RecursionError):
        return None


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


# ---- which runs --------------------------------------------------------------------------------------------------


def _list_runs(study: Study, client: Client) -> list[Run]:
    """The runs of the study with the ids of their tasks; one listing for each distinct filter."""
    filters = {json.dumps(f, sort_keys=True): f for task in study.tasks for f in _filters(study, task)}
    listings = dict(zip(filters, all_results([partial(client.runs, f) for f in filters.values()]), strict=True))
    for text, runs in listings.items():
        _check_sweep(study, client, filters[text], runs)
    listed: dict[str, Run] = {}
    for task in study.tasks:
        for f in _filters(study, task):
            for run in listings[json.dumps(f, sort_keys=True)]:
                if task.holds(run.config, run.sweep_id, run.group, study.task_key):
                    tasks = listed[run.id].tasks if run.id in listed else ()
                    listed[run.id] = replace(run, tasks=tuple(dict.fromkeys((*tasks, task.key))))
    if not listed:
        others = [run.config for runs in listings.values() for run in runs]
        raise SourceError(" ".join(problem.message for problem in missing_tasks(study, [], others)))
    return list(listed.values())


def _filters(study: Study, task: Task) -> list[dict[str, Any]]:
    """What to ask the server for: a task's sweeps one by one, else its group, else its name; and its own filter."""
    base: list[dict[str, Any]] = [{"sweep": sweep} for sweep in task.sweeps]
    if not base and task.group:
        base = [{"group": task.group}]
    own = json.loads(task.runs_filter) if task.runs_filter else {}
    if own:
        return [{"$and": [part, own]} for part in base] or [own]
    # A filter does not reach into a table of a config by its dots: then every run is listed and told apart here.
    return base or [{} if "." in study.task_key else {f"config.{study.task_key}": task.name}]


def _check_sweep(study: Study, client: Client, filters: dict[str, Any], runs: list[Run]) -> None:
    """Tell a sweep that is not there from one without runs: the listing of both is empty."""
    sweep = filters.get("sweep")
    if sweep and not runs and not client.has_sweep(sweep):
        source = study.source
        raise SourceError(
            f"There is no sweep '{sweep}' in {source.entity}/{source.project}: check sweep_id in the study."
        )


def _unlogged_metrics(study: Study, runs: Sequence[Run]) -> list[Problem]:
    """The study's metrics without a point in any run: most often their key is mistyped."""
    if not any(run.file for run in runs):
        return []
    keys = [metric.key for metric in study.metrics if not any(run.rows.get(metric.key) for run in runs)]
    return [Problem(silent_metric_text(key, runs)) for key in keys]


# ---- their histories ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fetch:
    """One fetch: threads update the runs, the thread that asked collects them."""

    study: Study
    request: Request
    store: RunStore
    http: HttpClient
    cancelled: Callable[[], bool]
    budget: MemoryBudget = field(default_factory=MemoryBudget)

    @property
    def _at_once(self) -> int:
        """Runs under way together: those that a cluster's workers have wait for little here."""
        cluster = self.request.cluster
        return max(WORKERS, 2 * cluster.size) if cluster else WORKERS

    def manifest(self, listed: Sequence[Run], before: Manifest | None) -> Manifest:
        """Update every run that is asked for, and describe all of them."""
        study, only, fetched_at = self.study, self.request.only, now_utc()
        with closing(self._ancestors(listed)) as ancestors:
            updated, failures, lost = self._update([run for run in listed if not only or run.id in only], ancestors)
        runs, problems = [], [Problem(lost)] if lost else []
        for listing in listed:
            run, missing = updated.get(listing.id) or (self.store.without_fetch(listing), "")
            if missing:
                problems.append(Problem(f"Run {run.id}: {missing}.", run_id=run.id))
            if reason := failures.get(run.id):
                state = f"what was fetched at {run.fetched_at} is used" if run.file else "nothing of it is stored yet"
                message = f"Run {run.id} was not brought up to date ({reason}): {state}; fetch it again."
                problems.append(Problem(message, run_id=run.id))
                run = replace(run, warnings=(*run.warnings, message))
            runs.append(replace(run, tasks=listing.tasks, branch_point=fork_point(run)))
        if only and before:
            ids = {run.id for run in listed} - {*only}
            problems += [problem for problem in before.problems if problem.run_id in ids]
        problems += [*missing_tasks(study, runs), *_unlogged_metrics(study, runs)]
        source = {
            "kind": "wandb", "entity": study.source.entity, "project": study.source.project, "server": self.http.server
        }  # fmt: skip
        return Manifest(study.name, source, fetched_at, str(self.store.folder), tuple(runs), tuple(problems))

    def _ancestors(self, listed: Sequence[Run]) -> Ancestors:
        """The ancestors of forks; whatever is asked for them has a deadline of its own."""
        source = self.study.source

        def client() -> Client:
            return Client(self.http, source.entity, source.project, self._deadline())

        def download(run: Run, columns: Sequence[str]) -> AbstractContextManager[Download]:
            path = RunPath(source.entity, source.project, run.id)
            return read_history(self.http, self.budget, path, columns, self._deadline(), run.last_step)

        return Ancestors(listed, client, download, self.store.folder)

    def _deadline(self) -> Deadline:
        return Deadline(self.request.deadline, self.cancelled)

    def _run_update(self, run: Run, ancestors: Ancestors) -> Callable[[], tuple[Run, str]]:
        """What brings one run up to date, here or on a worker of a cluster."""
        source, deadline = self.study.source, self._deadline()
        path = RunPath(source.entity, source.project, run.id)

        def read_rows(columns: Sequence[str], since: Checkpoint | None) -> AbstractContextManager[Download]:
            return read_history(self.http, self.budget, path, columns, deadline, run.last_step, since)

        update = RunUpdate(self.store, run, deadline, ancestors, read_rows)
        cluster = self.request.cluster
        return RemoteUpdate(update, self.http, path, cluster) if cluster else update

    def _update(
        self, runs: Sequence[Run], ancestors: Ancestors
    ) -> tuple[dict[str, tuple[Run, str]], dict[str, str], str]:
        """What the updates return by run id, why other runs could not be updated, and why the rest was given up."""
        updated, failures = dict[str, tuple[Run, str]](), dict[str, str]()
        if self.request.cluster and not self.request.cluster.size:
            self.request.progress(Progress(0, len(runs), "Waiting for a worker of the cluster"))
        queue, pending = iter(runs), dict[Future[tuple[Run, str]], str]()
        while len(updated) + len(failures) < len(runs):
            for run in islice(queue, max(0, self._at_once - len(pending))):
                pending[in_background(self._run_update(run, ancestors))] = run.id
            if self.request.cancelled():
                return (
                    updated,
                    failures | {run.id: "the fetch was stopped" for run in runs if run.id not in {*updated, *failures}},
                    "",
                )
            for future in wait(pending, 0.1, FIRST_COMPLETED).done:
                run_id = pending.pop(future)
                error = future.exception()
                if error is None:
                    updated[run_id] = future.result()
                elif isinstance(error, StoreError):
                    raise error
                elif isinstance(error, ClusterError):
                    left = len(runs) - len(updated) - len(failures)
                    return updated, failures, f"{error} {plural(left, 'run')} of {len(runs)} stayed as stored."
                else:
                    failures[run_id] = _reason(run_id, error)
                finished = len(updated) + len(failures)
                self.request.progress(Progress(finished, len(runs), f"Run {run_id}"))
        return updated, failures, ""


def _reason(run_id: str, error: BaseException) -> str:
    """Why a run failed: whatever ended its thread is that run's problem and no other's."""
    if isinstance(error, RequestError | StopFetch | WorkerError):
        return str(error) or "the fetch was stopped"
    _log.error("Run %s cannot be read", run_id, exc_info=error)
    return f"it cannot be read: {type(error).__name__}"
