"""Runs in local wandb folders: `.wandb` files, finished or still being written."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from math import floor
from pathlib import Path
from typing import Any

import polars as pl

from lib.formatting import plural
from lib.processes import Processes
from lib.runs import (
    TIMESTAMP,
    BranchPoint,
    Drop,
    Manifest,
    Problem,
    Run,
    RunPart,
    StoreError,
    cpu_count,
    describe,
    join_parts,
    normalise,
    project_folder,
    read_run,
    run_file_name,
    with_ancestors,
    write_run,
)
from lib.sources.cloud.limits import StopFetch
from lib.sources.request import Progress, Request, SourceError, missing_tasks, run_folder, tasks_of
from lib.sources.wandb_folder import LocalRun, LocalRuns
from lib.sources.wandb_log import STEP, Columns, Log
from lib.study import Study, is_folder
from lib.workers import ClusterError, WorkerError, cancellation

#: Bytes of the files to read from which on processes are worth their start.
_PROCESSES_FROM = 64 << 20
_TICK = 0.1

#: The rows of runs, by the run and the keys that were read of it.
Parents = dict[tuple[LocalRun, tuple[str, ...]], pl.DataFrame]


def fetch(study: Study, request: Request) -> Manifest:
    """Read every run below the study's folder that belongs to one of its tasks.

    What has been read before and has not changed since is taken from the store. Large folders are read on all cores.

    Raises
    ------
    SourceError
        Where the folder is missing or holds no run that can be read and belongs to a task of the study, or where the fetch
        was stopped before the runs were listed.
    """
    root = study.source_path
    if not is_folder(root):
        raise SourceError(f"{root} is not a folder: source.path must name one that holds wandb run directories.")
    request.progress(Progress(0, 0, "Looking for runs"))
    try:
        local = LocalRuns(root, partial(_check_cancelled, request.cancelled))
    except StopFetch:
        raise SourceError("Stopped before the runs were listed; what is stored has not changed.") from None
    if not local.runs and not local.messages:
        raise SourceError(f"{root} holds no .wandb file: source.path must name a folder with wandb run directories.")
    folder = project_folder("offline", "", str(root.resolve())) / run_folder(study.step_key)
    reads = [_Read(study, request.refresh, folder, run, tuple(local.ancestors(run))) for run in local.runs]
    readings, problems = _readings(reads, request)
    problems = [*(Problem(message) for message in local.messages), *_not_applied(study), *problems]
    done = [readings[read.local_run.id] for read in reads if read.local_run.id in readings]
    runs = [reading.run for reading in done if reading.run is not None]
    problems += [problem for reading in done for problem in reading.problems]
    if not runs and not request.cancelled():
        why = problems or missing_tasks(study, [], [reading.other for reading in done if reading.other is not None])
        raise SourceError(f"{root} gives no run: {why[0].message}")
    return Manifest(
        study=study.name,
        source={"kind": "offline", "path": root.name},
        fetched_at=_now(),
        folder=str(folder),
        runs=tuple(runs),
        problems=(*problems, *missing_tasks(study, runs)),
    )


def _not_applied(study: Study) -> list[Problem]:
    """What the study asks for that only a server can do."""
    text = "The runs_filter of task '{}' is not applied: only a W&B server can."
    return [Problem(text.format(task.name), task=task.key) for task in study.tasks if task.runs_filter]


def _check_cancelled(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise StopFetch


# ---- where runs are read ---------------------------------------------------------------------------------------------


def _readings(reads: Sequence["_Read"], request: Request) -> tuple[dict[str, "_Reading"], list[Problem]]:
    """What comes of the runs, by id; and why some were not read.

    Those whose files have changed are read on the workers of a cluster, or in processes where that is faster than here.
    """
    readings: dict[str, _Reading] = {}
    changed = []
    for read in reads:
        stored = read.stored()
        if request.cancelled():
            break
        if stored is None:
            changed.append(read)
        else:
            readings[read.local_run.id] = read.of_run(stored)
            request.progress(Progress(len(readings), len(reads), read.name))
    size = sum(file.stat().st_size for read in changed for file in read.local_run.files if file.exists())
    cores = min(len(changed), cpu_count())
    problems: list[Problem] = []
    with ExitStack() as stack:
        workers: Executor | None = request.cluster
        if workers is None and cores > 1 and size > _PROCESSES_FROM:
            workers = stack.enter_context(Processes(cores))
        results = _from_workers(changed, workers, request.cancelled) if workers else _from_here(changed, request)
        try:
            for run_id, reading in results:
                readings[run_id] = reading
                request.progress(Progress(len(readings), len(reads), f"Run {run_id}"))
        except StopFetch:
            problems.append(Problem(f"Stopped after {len(readings)} of {plural(len(reads), 'run')}."))
        except ClusterError as error:
            problems.append(
                Problem(f"{error} {plural(len(reads) - len(readings), 'run')} of {len(reads)} were not read.")
            )
    return readings, problems


def _from_here(reads: Iterable["_Read"], request: Request) -> Iterator[tuple[str, "_Reading"]]:
    """The readings of runs by their ids, made one after the other."""
    parents: Parents = {}
    for read in reads:
        yield read.local_run.id, read.reading(parents, request.cancelled)


def _from_workers(
    reads: Iterable["_Read"], workers: Executor, cancelled: Callable[[], bool]
) -> Iterator[tuple[str, "_Reading"]]:
    """The same, made at the same time, as each is ready. Forks of one run follow each other: they need its rows."""
    ordered = sorted(reads, key=lambda read: [run.id for run in reversed((read.local_run, *read.ancestors))])
    pending = {workers.submit(_reading_of, read): read.local_run.id for read in ordered}
    try:
        while pending:
            _check_cancelled(cancelled)
            for future in wait(pending, _TICK, FIRST_COMPLETED).done:
                run_id = pending.pop(future)
                try:
                    yield run_id, future.result()
                except WorkerError as error:
                    yield run_id, _Reading(problems=(Problem(f"Run {run_id} was not read ({error}).", run_id=run_id),))
    finally:
        for future in pending:
            future.cancel()


#: The rows of the ancestors of the run that this worker read last.
_parents: Parents = {}


def _reading_of(read: "_Read") -> "_Reading":
    """What comes of a run, on a worker."""
    return read.reading(_parents, cancellation())


# ---- one run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    """What comes of the files of a run: the run, or the config of one that is of no task; and what is wrong with them."""

    run: Run | None = None
    other: dict[str, Any] | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Read:
    """Reads one run of a folder for a study, from the store where its files are unchanged."""

    study: Study
    refresh: bool
    folder: Path
    local_run: LocalRun
    ancestors: tuple[LocalRun, ...]

    @property
    def name(self) -> str:
        """What the run is called while it is read."""
        return self.local_run.files[0].parent.name

    def stored(self) -> Run | None:
        """The stored run where it serves: its files are as they were, and it holds what the study asks for."""
        try:
            stored = self._stored()
            serves = stored and not self.refresh and stored.stamp == self._stamp()
        except OSError:
            return None
        return stored if stored and serves and {*self.study.history_keys} <= {*stored.fetched} else None

    def of_run(self, run: Run, *problems: Problem) -> _Reading:
        """What comes of the run that these files are."""
        tasks = tasks_of(self.study, run)
        if not tasks:
            return _Reading(other=run.config, problems=problems)
        missing = [Problem(message, run_id=run.id) for message in _missing_rows(self.local_run, self.ancestors)]
        run = replace(run, tasks=tasks, branch_point=_branch_point(self.local_run, self.ancestors))
        return _Reading(run, problems=(*problems, *missing))

    def reading(self, parents: Parents, cancelled: Callable[[], bool]) -> _Reading:
        """Read the files and put the run into the store; the rows of `parents` are left to the next fork.

        Raises
        ------
        StopFetch
        """
        run_id = self.local_run.id
        try:
            return self._reading(parents, partial(_check_cancelled, cancelled))
        except SourceError as error:
            message = str(error)
        except StoreError as error:
            message = f"Run {run_id}: {error}"
        except OSError as error:
            message = f"Run {run_id} cannot be read ({error.strerror})."
        return _Reading(problems=(Problem(message, run_id=run_id),))

    def _reading(self, parents: Parents, check: Callable[[], None]) -> _Reading:
        stored, stamp = self._stored(), self._stamp()
        # What another study asked of the run stays in its file, which that study may still be reading.
        keys = tuple(dict.fromkeys((*self.study.history_keys, *(stored.fetched if stored else ()))))
        parts = self.local_run.read(lambda: Columns(self._columns(keys)), check)
        run = replace(self.local_run.described([log for log, _ in parts]), stamp=stamp, fetched_at=_now())
        if not tasks_of(self.study, run):
            return self.of_run(run)
        lines = {line: (line, keys) for line in self.ancestors}
        for other in {*parents} - {*lines.values()}:
            del parents[other]
        for line, key in lines.items():
            if key not in parents:
                parents[key] = self._joined_rows(line.read(lambda: Columns(self._columns(keys)), check), keys)[0]
        before = [parents[key] for key in lines.values()]
        try:
            return self.of_run(self._write(run, parts, before, keys))
        except StoreError as error:
            if stored is None:
                raise
            message = f"Run {stored.id}: {error} What was read at {stored.fetched_at} is used."
            return self.of_run(stored, Problem(message, run_id=stored.id))

    def _stored(self) -> Run | None:
        """The stored run; None where its file is damaged, for the source is still there."""
        file = self.folder / run_file_name(self.local_run.id)
        try:
            return read_run(file) if file.exists() else None
        except StoreError:
            return None

    def _stamp(self) -> str:
        """What changes whenever one of the run's files does."""
        return "; ".join(_stamp(file) for run in (self.local_run, *self.ancestors) for file in run.files)

    def _write(
        self, run: Run, parts: Sequence[tuple[Log, Columns]], before: Sequence[pl.DataFrame], keys: tuple[str, ...]
    ) -> Run:
        """Put the run's history in the store: its ancestors' rows up to where each was forked, then its own."""
        steps = [line.branch[1] for line in (self.local_run, *self.ancestors) if line.branch]
        rows, bad, superseded = self._joined_rows(parts, keys, list(zip(before, steps, strict=False)))
        points, drops = normalise(rows, keys, self.study.step_key, bad)
        run = describe(run, points, (*superseded, *drops), keys, self.study.step_key)
        run = replace(run, warnings=(*run.warnings, *_missing_rows(self.local_run, self.ancestors)))
        run = write_run(self.folder, run, points)
        for other in self.local_run.other_ids:
            (self.folder / run_file_name(other)).unlink(missing_ok=True)
        return run

    def _columns(self, keys: Sequence[str]) -> list[str]:
        """The columns of raw rows: what tells the steps and times, and the keys asked for."""
        return list(dict.fromkeys([STEP, *self.study.step_key, TIMESTAMP, *keys]))

    def _joined_rows(
        self,
        logs: Sequence[tuple[Log, Columns]],
        keys: tuple[str, ...],
        ancestors: Sequence[tuple[pl.DataFrame, float]] = (),
    ) -> tuple[pl.DataFrame, dict[str, int], tuple[Drop, ...]]:
        """The rows of a run's files, joined; by key what was no number; and what was superseded.

        A fork's first file supersedes nothing of its `ancestors`; a later one goes back as far as in any run.
        """
        parts, bad = list[RunPart](), dict[str, int]()
        for log, columns in logs:
            frame, lost = columns.frame()
            frame = frame if parts else with_ancestors(frame, ancestors)
            parts.append(RunPart(frame, log.rewound_to))
            bad = {key: bad.get(key, 0) + lost.get(key, 0) for key in {*bad, *lost}}
        rows, drops = join_parts(parts, keys, self.study.step_key)
        return rows, bad, drops


def _branch_point(local_run: LocalRun, ancestors: Sequence[LocalRun]) -> BranchPoint | None:
    if local_run.branch is None:
        return None
    run_id, step = local_run.branch
    return BranchPoint(ancestors[0].id if ancestors else run_id, floor(step))


def _missing_rows(local_run: LocalRun, ancestors: Sequence[LocalRun]) -> list[str]:
    """A sentence for each part of the run's history that lies in no file of the folder."""
    line = [local_run, *ancestors]
    steps = [run.branch[1] for run in line if run.branch]
    messages = []
    if branch := line[-1].branch:
        what, step = "descends from" if ancestors else "is a fork of", f"{min(steps):,.0f}"
        messages.append(
            f"Run {local_run.id} {what} {branch[0]} at step {step}, whose files are not in this folder: "
            f"its rows before step {step} are missing."
        )
    if (rewound_to := line[-1].rewound_to) is not None:
        messages.append(
            f"Run {line[-1].id} was rewound to step {rewound_to:,.0f}, and its earlier file is not in this folder: "
            f"its rows before that step are missing."
        )
    return messages


def _stamp(file: Path) -> str:
    """What changes whenever the file does: its time of change and its size."""
    state = file.stat()
    return f"{datetime.fromtimestamp(state.st_mtime, UTC).isoformat()} {state.st_size}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
