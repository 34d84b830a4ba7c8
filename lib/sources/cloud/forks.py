"""Whose rows a run's history is made of: those of its ancestors up to where it was forked, and its own."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from pathlib import Path

import polars as pl
import pyarrow as pa

from lib.runs import BranchPoint, Drop, Run, RunPart, drop_restarts, join_parts, stage, with_ancestors
from lib.sources.cloud.client import Client
from lib.sources.cloud.history import Download, RawHistory
from lib.sources.cloud.limits import Deadline, Once, RefusalError, RequestError
from lib.sources.cloud.parquet import STEP
from lib.sources.request import SourceError

#: States after which a run logs no more unless it is resumed.
ENDED = frozenset({"finished", "crashed", "failed", "killed", "preempted"})


class _Absent(RequestError):
    """A run that the server does not list."""


def fork_point(run: Run) -> BranchPoint | None:
    """Where the run was forked from another one; None where it was not. One that was rewound branches off itself."""
    point = run.branch_point
    return None if point is None or point.run_id == run.id else point


def with_fork_stamps(listed: Sequence[Run]) -> list[Run]:
    """The runs with stamps that change for a fork when its history may have.

    An ancestor that has ended and yet changes was resumed or written anew. What a running one logs lies beyond the
    branch point, and of one that is not listed nothing is known.
    """
    by_id = {run.id: run for run in listed}
    stamped = []
    for run in listed:
        stamps = [by_id[point.run_id].stamp for point in _fork_points(run, by_id) if _has_ended(by_id, point.run_id)]
        stamped.append(replace(run, stamp=json.dumps([run.stamp, *stamps])) if stamps else run)
    return stamped


def _has_ended(runs: Mapping[str, Run], run_id: str) -> bool:
    return run_id in runs and runs[run_id].state in ENDED


def _fork_points(run: Run, runs: Mapping[str, Run]) -> list[BranchPoint]:
    """Where a run was forked, then where its parent was, as far as the runs tell."""
    points, lineage = list[BranchPoint](), {run.id}
    parent: Run | None = run
    while parent and (point := fork_point(parent)) and point.run_id not in lineage:
        lineage.add(point.run_id)
        points.append(point)
        parent = runs.get(point.run_id)
    return points


# ---- the ancestors' rows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SharedDownload:
    """A run's download in files aside, for all who need its rows."""

    download: Download
    tables: tuple[Path, ...]
    live: Path

    def decode(self, until: float = inf) -> RawHistory:
        """The rows up to a `_step`, as `Download.decode` gives them."""
        tables = [pa.ipc.open_file(pa.OSFile(str(path))).read_all() for path in self.tables]
        live = json.loads(self.live.read_text(encoding="utf-8"))
        return replace(self.download, tables=tables, live=live).decode(until)


@dataclass(frozen=True)
class AncestryText:
    """What there is to say of a fork's ancestors.

    `notes` say whose rows the fork has; `missing` which cannot be had and why, or nothing; `failure` is the same where
    another try may help.
    """

    notes: tuple[str, ...] = ()
    missing: str = ""
    failure: str = ""


@dataclass(frozen=True)
class AncestorRows:
    """The raw rows that a fork's history begins with, the oldest first; their values that were no number, by column."""

    frame: pl.DataFrame = field(default_factory=pl.DataFrame)
    bad: dict[str, int] = field(default_factory=dict)
    text: AncestryText = AncestryText()


@dataclass(frozen=True)
class Ancestry:
    """A fork's ancestors, their downloads and the last `_step` that it has of each, its parent first."""

    parts: tuple[tuple[Run, SharedDownload, int], ...]
    text: AncestryText

    def decode(self, keys: Sequence[str], step_keys: Sequence[str]) -> AncestorRows:
        """The ancestors' rows as numbers."""
        frames, bad = list[tuple[pl.DataFrame, float]](), Counter[str]()
        for run, download, until in self.parts:
            history = download.decode(until)
            bad.update(history.bad)
            if STEP in history.frame.columns:
                frames.append((_without_rewound(run, history.frame, keys, step_keys)[0], until))
        return AncestorRows(with_ancestors(pl.DataFrame(), frames), dict(bad), self.text)


class Ancestors:
    """The ancestors of the listed forks and their rows, asked for once however many forks need them.

    Parameters
    ----------
    listed : the study's runs. Ancestors that are not among them are looked up when one is needed.
    client : opens a client of the project for that.
    download : begins the download of columns of a run.
    folder : where the downloads lie aside until `close`.
    """

    def __init__(
        self,
        listed: Sequence[Run],
        client: Callable[[], Client],
        download: Callable[[Run, Sequence[str]], AbstractContextManager[Download]],
        folder: Path,
    ) -> None:
        self._listed = {run.id: run for run in listed}
        self._parents = {point.run_id for run in listed if (point := fork_point(run))}
        self._client, self._download, self._folder = client, download, folder
        self._runs, self._downloads = Once[dict[str, Run]](), Once[SharedDownload]()
        self._files: list[Path] = []

    def has_fork(self, run: Run) -> bool:
        """Whether a listed run was forked from this one."""
        return run.id in self._parents

    def of(self, run: Run, keys: Sequence[str], deadline: Deadline) -> Ancestry:
        """The ancestors of a run with these columns of their rows; waiting for them does not count for the deadline.

        Raises
        ------
        StopFetch, StoreError
        """
        parts, rows, missing, failure = list[tuple[Run, SharedDownload, int]](), list[str](), "", ""
        until, lineage = inf, {run.id}
        while (point := fork_point(run)) and point.run_id not in lineage:
            lineage.add(point.run_id)
            until = min(until, point.step)
            try:
                with deadline.pause():
                    run = self._run(point.run_id)
                    parts.append((run, self.download(run, keys), int(until)))
            except RequestError as error:
                missing = f"its rows up to step {until:,}, those of run {point.run_id}, are missing: {error}"
                failure = "" if isinstance(error, RefusalError | _Absent) else missing
                break
            rows.append(f"up to step {until:,} {'' if rows else 'are '}those of run {point.run_id}")
        notes = (*((f"its rows {', '.join(rows)}",) if rows else ()), *((missing,) if missing else ()))
        return Ancestry(tuple(parts), AncestryText(notes, missing, failure))

    def download(self, run: Run, keys: Sequence[str]) -> SharedDownload:
        """Columns of a run's rows.

        Raises
        ------
        RequestError, StopFetch, StoreError
        """
        return self._downloads.get((run.id, *keys), lambda: self._shared(run, keys))

    def close(self) -> None:
        """Remove the downloads."""
        for path in self._files:
            path.unlink(missing_ok=True)

    def _run(self, run_id: str) -> Run:
        run = self._listed.get(run_id) or self._runs.get((), self._unlisted_ancestors).get(run_id)
        if run is None:
            raise _Absent("the project does not hold that run any more, or this key may not see it")
        return run

    def _unlisted_ancestors(self) -> dict[str, Run]:
        """The ancestors that the study's tasks do not list: one request per generation."""
        unlisted, runs = dict[str, Run](), dict(self._listed)
        try:
            client = self._client()
            requests = set[str]()
            while missing := sorted({p.run_id for run in runs.values() if (p := fork_point(run))} - {*runs, *requests}):
                requests |= {*missing}
                parents = {run.id: run for run in client.runs({"name": {"$in": missing}})}
                unlisted, runs = unlisted | parents, runs | parents
        except SourceError as error:
            raise RequestError(str(error).rstrip(".")) from None
        return unlisted

    def _shared(self, run: Run, keys: Sequence[str]) -> SharedDownload:
        with self._download(run, keys) as download:
            tables = tuple(self._temporary_file(partial(_write_table, table)) for table in download.tables)
            live = self._temporary_file(lambda path: path.write_text(json.dumps(download.live), encoding="utf-8"))
        return SharedDownload(replace(download, tables=(), live=()), tables, live)

    def _temporary_file(self, write: Callable[[Path], object]) -> Path:
        self._files.append(stage(self._folder / "ancestor", write).temporary)
        return self._files[-1]


def _write_table(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


# ---- a run's rows ----------------------------------------------------------------------------------------------------


def run_rows(
    run: Run, own: pl.DataFrame, ancestors: pl.DataFrame, keys: Sequence[str], step_keys: Sequence[str]
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """The rows that a run's history is made of, in the order logged, and what was superseded.

    Parameters
    ----------
    own, ancestors : raw rows: of the run itself, and those that a fork begins with.
    keys, step_keys : the metrics and the study's step keys.
    """
    own, rewound = _without_rewound(run, own, keys, step_keys)
    rows, restarted = drop_restarts(with_ancestors(own, [(ancestors, inf)]) if len(ancestors) else own, keys, step_keys)
    return rows, (*rewound, *restarted)


def _without_rewound(
    run: Run, rows: pl.DataFrame, keys: Sequence[str], step_keys: Sequence[str]
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """The rows of a run that was rewound without those that it logged beyond the branch point before it went back."""
    point = run.branch_point
    if point is None or point.run_id != run.id or STEP not in rows.columns:
        return rows, ()
    step = rows[STEP]
    places = ((step.diff() <= 0) & (step > point.step)).arg_true()
    if not len(places):
        return rows, ()
    return join_parts([RunPart(rows[: places[-1]]), RunPart(rows[places[-1] :], point.step)], keys, step_keys)
