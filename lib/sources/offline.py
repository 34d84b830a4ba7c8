"""Runs in local wandb folders: `.wandb` files, finished or still being written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import floor
from pathlib import Path
from typing import Any

import polars as pl

from lib.formatting import plural
from lib.runs import (
    TIMESTAMP,
    BranchPoint,
    Drop,
    Manifest,
    Problem,
    Run,
    RunPart,
    StoreError,
    describe,
    join_parts,
    normalise,
    project_folder,
    read_run,
    run_file_name,
    with_ancestors,
    write_run,
)
from lib.sources.request import Progress, Request, SourceError, missing_tasks, run_folder, tasks_of
from lib.sources.wandb_folder import LocalRun, LocalRuns
from lib.sources.wandb_log import STEP, Columns, Log
from lib.study import Study, is_folder


def fetch(study: Study, request: Request) -> Manifest:
    """Read every run below the study's folder that belongs to one of its tasks.

    What has been read before and has not changed since is taken from the store.

    Raises
    ------
    SourceError
        Where the folder is missing or holds no run that can be read and belongs to a task of the study.
    """
    root = study.source_path
    if not is_folder(root):
        raise SourceError(f"{root} is not a folder: source.path must name one that holds wandb run directories.")
    local = LocalRuns(root)
    if not local.runs and not local.messages:
        raise SourceError(f"{root} holds no .wandb file: source.path must name a folder with wandb run directories.")
    folder = project_folder("offline", "", str(root.resolve())) / run_folder(study.step_key)
    reader = _Reader(study, request.refresh, folder, local)
    runs: list[Run] = []
    problems = [Problem(message) for message in local.messages]
    for done, local_run in enumerate(local.runs):
        if request.cancelled():
            problems.append(Problem(f"Stopped after {done} of {plural(len(local.runs), 'run')}."))
            break
        request.progress(Progress(done, len(local.runs), local_run.files[0].parent.name))
        try:
            run = reader.read(local_run)
        except (SourceError, StoreError) as error:
            problems.append(Problem(str(error), run_id=local_run.id))
            continue
        except OSError as error:
            problems.append(Problem(f"Run {local_run.id} cannot be read ({error.strerror}).", run_id=local_run.id))
            continue
        if run is not None:
            runs.append(run)
            ancestors = local.ancestors(local_run)
            problems += [Problem(message, run_id=run.id) for message in _missing_rows(local_run, ancestors)]
    request.progress(Progress(len(local.runs), len(local.runs), "done"))
    if not runs and not request.cancelled():
        why = problems or missing_tasks(study, [], reader.others)
        raise SourceError(f"{root} gives no run: {why[0].message}")
    problems += [*reader.problems, *missing_tasks(study, runs)]
    return Manifest(
        study=study.name,
        source={"kind": "offline", "path": root.name},
        fetched_at=_now(),
        folder=str(folder),
        runs=tuple(runs),
        problems=tuple(problems),
    )


@dataclass
class _Reader:
    """Reads the runs of a folder for a study, from the store where their files are unchanged.

    `problems` are the runs that could not be stored as their files are now; `others` the configs of the runs that belong to
    none of its tasks.
    """

    study: Study
    refresh: bool
    folder: Path
    local: LocalRuns
    problems: list[Problem] = field(default_factory=list)
    parents: dict[tuple[str, tuple[str, ...]], pl.DataFrame] = field(default_factory=dict)
    others: list[dict[str, Any]] = field(default_factory=list)

    def read(self, local_run: LocalRun) -> Run | None:
        """The run of these files; None where it belongs to no task."""
        ancestors = self.local.ancestors(local_run)
        stamp = "; ".join(_stamp(file) for run in (local_run, *ancestors) for file in run.files)
        stored = _stored(self.folder / run_file_name(local_run.id))
        # A stored run serves where its files are as they were, and where it holds what the study asks for.
        if stored and not self.refresh and stored.stamp == stamp and {*self.study.history_keys} <= {*stored.fetched}:
            run = stored
        else:
            # What another study asked of the run stays in its file, which that study may still be reading.
            keys = tuple(dict.fromkeys((*self.study.history_keys, *(stored.fetched if stored else ()))))
            parts = local_run.read(lambda: Columns(self._columns(keys)))
            run = replace(local_run.described([log for log, _ in parts]), stamp=stamp, fetched_at=_now())
            if tasks_of(self.study, run):
                try:
                    run = self._write(run, local_run, parts, ancestors, keys)
                except StoreError as error:
                    if stored is None:
                        raise
                    message = f"Run {stored.id}: {error} What was read at {stored.fetched_at} is used."
                    self.problems.append(Problem(message, run_id=stored.id))
                    run = stored
        tasks = tasks_of(self.study, run)
        if not tasks:
            self.others.append(run.config)
            return None
        return replace(run, tasks=tasks, branch_point=_branch_point(local_run, ancestors))

    def _write(
        self,
        run: Run,
        local_run: LocalRun,
        parts: Sequence[tuple[Log, Columns]],
        ancestors: Sequence[LocalRun],
        keys: tuple[str, ...],
    ) -> Run:
        """Put the run's history in the store: its ancestors' rows up to where each was forked, then its own."""
        rows, bad, superseded = self._own_rows(parts, keys)
        branches = [line.branch[1] for line in (local_run, *ancestors) if line.branch]
        before = [(self._rows_of_parent(parent, keys), step) for parent, step in zip(ancestors, branches, strict=False)]
        points, drops = normalise(with_ancestors(rows, before), keys, self.study.step_key, bad)
        run = describe(run, points, (*superseded, *drops), keys, self.study.step_key)
        run = replace(run, warnings=(*run.warnings, *_missing_rows(local_run, ancestors)))
        run = write_run(self.folder, run, points)
        for other in local_run.other_ids:
            (self.folder / run_file_name(other)).unlink(missing_ok=True)
        return run

    def _columns(self, keys: Sequence[str]) -> list[str]:
        """The columns of raw rows: what tells the steps and times, and the keys asked for."""
        return list(dict.fromkeys([STEP, *self.study.step_key, TIMESTAMP, *keys]))

    def _own_rows(
        self, logs: Sequence[tuple[Log, Columns]], keys: tuple[str, ...]
    ) -> tuple[pl.DataFrame, dict[str, int], tuple[Drop, ...]]:
        """The rows of a run's files, joined; by key what was no number; and what was superseded."""
        parts, bad = [], dict[str, int]()
        for log, columns in logs:
            frame, lost = columns.frame()
            parts.append(RunPart(frame, log.rewound_to))
            bad = {key: bad.get(key, 0) + lost.get(key, 0) for key in {*bad, *lost}}
        rows, drops = join_parts(parts, keys, self.study.step_key)
        return rows, bad, drops

    def _rows_of_parent(self, parent: LocalRun, keys: tuple[str, ...]) -> pl.DataFrame:
        """A parent's own rows, read once for all of its forks."""
        if (parent.id, keys) not in self.parents:
            parts = parent.read(lambda: Columns(self._columns(keys)))
            self.parents[parent.id, keys] = self._own_rows(parts, keys)[0]
        return self.parents[parent.id, keys]


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


def _stored(file: Path) -> Run | None:
    """The stored run; None where its file is damaged, for the source is still there."""
    try:
        return read_run(file) if file.exists() else None
    except StoreError:
        return None


def _stamp(file: Path) -> str:
    """What changes whenever the file does: its time of change and its size."""
    state = file.stat()
    return f"{datetime.fromtimestamp(state.st_mtime, UTC).isoformat()} {state.st_size}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
