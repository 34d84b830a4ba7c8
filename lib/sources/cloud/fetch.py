"""Runs on a W&B server: listed by the `wandb` client, histories from its Parquet exports, kept in the store.

A fetch is incremental: a finished run whose listing has not changed costs no request; of a run that still goes on only
the rows from the last stored one on are read; of a metric that is new to the study only that metric.
"""

import hashlib
import json
import queue
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib.runs import Manifest, Problem, Run, StoreError, manifest_from, put, read_run, shelf, writing
from lib.sources.cloud.client import Client, no_key_message, server_of
from lib.sources.cloud.http import Failed, Stopped, Watch, Wire
from lib.sources.cloud.limits import AT_ONCE
from lib.sources.cloud.run import Shelf, bring, held_run, now_utc
from lib.sources.request import Progress, Request, SourceError, missing_tasks, tasks_of
from lib.study import Study, Task

#: Runs under way at once: most of the time of each is waiting for answers.
WORKERS = 24

#: Runs by id, each with the ids of its tasks.
_Runs = dict[str, tuple[Run, tuple[str, ...]]]


def fetch(study: Study, request: Request) -> Manifest:
    """Bring the store up to date with the server.

    A run that fails keeps what is stored of it and is a `Problem` of the manifest; so is a task without runs. A fetch
    that is stopped returns what came.

    Raises
    ------
    Unreachable
        Where the server does not answer: `stored` may still serve.
    SourceError
        No key, a key that is not accepted, no such project or sweep, no run of any task; one sentence each.
    StoreError
        Where the store cannot be written.
    """
    server = server_of(study)
    if not request.key:
        raise SourceError(no_key_message(server))
    stop = threading.Event()
    watch = Watch(request.deadline, lambda: stop.is_set() or request.cancelled())
    source = study.source
    request.progress(Progress(0, 0, f"Asking {server} for the runs"))
    wire = Wire(server, request.key, AT_ONCE * WORKERS)
    try:
        runs = _listed(study, Client(server, request.key, source.entity, source.project, watch, wire, _asked(study)))
        return _brought(study, request, runs, wire, stop)
    except Stopped:
        raise SourceError("Stopped before the runs were listed; what is stored has not changed.") from None
    finally:
        stop.set()
        wire.close()


def _brought(study: Study, request: Request, runs: _Runs, wire: Wire, stop: threading.Event) -> Manifest:
    """Bring these runs into the store."""
    server, source = server_of(study), study.source
    base = _shelf(study, server, request.key or "")
    kept = Shelf(_runs(base, study), study, request.refresh)
    try:
        with writing(base, f"{source.entity}/{source.project}", request.cancelled):
            work = _Work(study, request, kept, wire, stop)
            manifest = work.manifest(server, runs, _before(base, study) if request.only else None)
            put(_file(base, study), manifest.to_json().encode())
        return manifest
    finally:
        kept.desk.close()


def stored(study: Study, request: Request) -> Manifest | None:
    """What this identity last brought for the study, without asking the server; None where that is nothing."""
    if not request.key:
        return None
    base = _shelf(study, server_of(study), request.key)
    manifest = _before(base, study)
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
        if tasks := _tasks_again(study, run):
            runs.append(replace(run, tasks=tasks))
    return replace(
        manifest, runs=tuple(runs), problems=(*problems, *missing_tasks(study, runs), *_lacking(study, runs))
    )


def _tasks_again(study: Study, run: Run) -> tuple[str, ...]:
    """The tasks of a stored run; what the server's filter chose stays chosen."""
    held = tasks_of(study, run.config, run.sweep_id, run.group)
    return tuple(key for key in held if not study.task(key).runs_filter or key in run.tasks)


# ---- where it is kept --------------------------------------------------------------------------------------------


def _shelf(study: Study, server: str, key: str) -> Path:
    return shelf(server, key, f"{study.source.entity}/{study.source.project}")


def _runs(base: Path, study: Study) -> Path:
    """The folder of the run files: histories under other step keys lie apart, other studies may use them."""
    if study.step_key == ("_step",):
        return base / "runs"
    return base / f"runs-{hashlib.sha256(json.dumps(study.step_key).encode()).hexdigest()[:8]}"


def _file(base: Path, study: Study) -> Path:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", study.name)[:60]
    return base / "studies" / f"{safe}-{hashlib.sha256(study.name.encode()).hexdigest()[:8]}.json"


def _before(base: Path, study: Study) -> Manifest | None:
    try:
        return manifest_from(_file(base, study).read_text(encoding="utf-8"), _runs(base, study))
    except (OSError, ValueError):
        return None


# ---- which runs --------------------------------------------------------------------------------------------------


def _listed(study: Study, client: Client) -> _Runs:
    """The runs of the study by id, each with the ids of its tasks; one listing for each distinct filter."""
    answers: dict[str, list[Run]] = {}
    found: dict[str, tuple[Run, tuple[str, ...]]] = {}
    for task in study.tasks:
        for wanted in _filters(study, task):
            asked = json.dumps(wanted, sort_keys=True)
            if asked not in answers:
                answers[asked] = client.runs(wanted)
                _see_sweep(study, client, wanted, answers[asked])
            for run in answers[asked]:
                if task.holds(run.config, run.sweep_id, run.group, study.task_key):
                    before = found[run.id][1] if run.id in found else ()
                    found[run.id] = (run, tuple(dict.fromkeys((*before, task.key))))
    if not found:
        raise SourceError(" ".join(p.message for p in missing_tasks(study, [])))
    return found


def _asked(study: Study) -> list[dict[str, Any]]:
    """Each filter that any task asks for, once."""
    wanted = [part for task in study.tasks for part in _filters(study, task)]
    return [part for i, part in enumerate(wanted) if part not in wanted[:i]]


def _filters(study: Study, task: Task) -> list[dict[str, Any]]:
    """What to ask the server for: a task's sweeps one by one, else its group, else its name; and its own filter."""
    base: list[dict[str, Any]] = [{"sweep": sweep} for sweep in task.sweeps]
    if not base and task.group:
        base = [{"group": task.group}]
    own = json.loads(task.runs_filter) if task.runs_filter else {}
    if own:
        return [{"$and": [part, own]} for part in base] or [own]
    return base or [{f"config.{study.task_key}": task.name}]


def _see_sweep(study: Study, client: Client, wanted: dict[str, Any], answer: list[Run]) -> None:
    """Tell a sweep that is not there from one without runs: the listing of both is empty."""
    sweep = wanted.get("sweep")
    if sweep and not answer and not client.has_sweep(sweep):
        source = study.source
        raise SourceError(
            f"There is no sweep '{sweep}' in {source.entity}/{source.project}: check sweep_id in the study."
        )


def _said_failed(run: Run, reason: str) -> str:
    kept = f"what was fetched at {run.fetched_at} is used" if run.file else "nothing of it is stored yet"
    return f"Run {run.id} was not brought up to date ({reason}): {kept}; fetch it again."


def _lacking(study: Study, runs: Sequence[Run]) -> list[Problem]:
    """The study's metrics that no run has logged, which is likely a mistyped key."""
    if not any(run.file for run in runs):
        return []
    lacking = [m.key for m in study.metrics if not any(run.rows.get(m.key) for run in runs)]
    return [Problem(f"No run logged '{key}': check the metric's key in the study.") for key in lacking]


# ---- their histories ---------------------------------------------------------------------------------------------


@dataclass
class _Work:
    """One fetch: workers bring runs, the thread that asked collects them."""

    study: Study
    request: Request
    shelf: Shelf
    wire: Wire
    stop: threading.Event

    def manifest(self, server: str, runs: _Runs, before: Manifest | None) -> Manifest:
        """Bring every run and say what came."""
        study, now = self.study, now_utc()
        chosen = [run for run, _ in runs.values() if not self.request.only or run.id in self.request.only]
        came, failed = self._bring(chosen)
        kept, problems = [], []
        for run, tasks in runs.values():
            one = came.get(run.id)
            if one is None:
                one = held_run(self.shelf, run)
                if run.id in failed:
                    message = _said_failed(one, failed[run.id])
                    problems.append(Problem(message, run_id=run.id))
                    one = replace(one, warnings=(*one.warnings, message))
            kept.append(replace(one, tasks=tasks))
        if before:
            problems += [p for p in before.problems if p.run_id in runs and p.run_id not in self.request.only]
        problems += [*missing_tasks(study, kept), *_lacking(study, kept)]
        source = {"kind": "wandb", "entity": study.source.entity, "project": study.source.project, "server": server}
        return Manifest(study.name, source, now, str(self.shelf.folder), tuple(kept), tuple(problems))

    def _bring(self, runs: Sequence[Run]) -> tuple[dict[str, Run], dict[str, str]]:
        """Runs that came by id, and why the others did not."""
        todo: queue.SimpleQueue[Run] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[str, Run | Exception]] = queue.SimpleQueue()
        for run in runs:
            todo.put(run)
        # Not a ThreadPoolExecutor: Python waits for its threads at exit, and a server may keep one of them waiting.
        for _ in range(min(WORKERS, len(runs))):
            threading.Thread(target=self._worker, args=(todo, done), daemon=True).start()
        came, failed = dict[str, Run](), dict[str, str]()
        while len(came) + len(failed) < len(runs):
            if self.request.cancelled():
                failed |= {run.id: "the fetch was stopped" for run in runs if run.id not in {*came, *failed}}
                break
            try:
                run_id, result = done.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(result, Run):
                came[run_id] = result
            elif isinstance(result, Stopped):
                failed[run_id] = "the fetch was stopped"
            elif isinstance(result, Failed):
                failed[run_id] = str(result)
            else:
                raise result
            self.request.progress(Progress(len(came) + len(failed), len(runs), f"Run {run_id}"))
        return came, failed

    def _worker(self, todo: "queue.SimpleQueue[Run]", done: "queue.SimpleQueue[tuple[str, Run | Exception]]") -> None:
        cancelled: Callable[[], bool] = lambda: self.stop.is_set() or self.request.cancelled()  # noqa: E731
        while True:
            try:
                run = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((run.id, bring(self.wire, self.shelf, run, Watch(self.request.deadline, cancelled))))
            except Exception as error:  # noqa: BLE001 - handed on to the thread that collects
                done.put((run.id, error))
