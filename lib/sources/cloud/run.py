"""One run between the server and the store: which rows are missing, and how new rows join the stored ones."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from lib.runs import (
    HISTORY,
    REPEATED_STEP,
    Drop,
    Points,
    Run,
    StagedFile,
    StoreError,
    describe,
    normalise,
    points_of,
    read_extra,
    run_file_name,
    stage,
    stage_run,
)
from lib.sources.cloud.forks import ENDED, AncestorRows, Ancestors, Ancestry, AncestryText, SharedDownload, run_rows
from lib.sources.cloud.history import Checkpoint, Download, RawHistory, join_rows
from lib.sources.cloud.limits import Deadline, RequestError, in_compute_thread
from lib.sources.cloud.parquet import STEP
from lib.study import Study

#: The checksum of the raw rows of a run that goes on, which ties them to its stored history.
_RAW = "raw"
#: Which rows of a fork's ancestors are not in its stored history, and why.
_MISSING = "missing"
#: Whether rows of the run were superseded, as JSON; files of earlier versions do not say.
_SUPERSEDED = "superseded"


@dataclass(frozen=True)
class RunStore:
    """The folder of a study's run files, what the study needs of a run, and whether to ignore what is stored."""

    folder: Path
    study: Study
    refresh: bool = False

    def raw_file(self, run: Run) -> Path:
        """The raw rows of a run that goes on."""
        return self.folder.parent / "raw" / self.folder.name / run_file_name(run.id)

    def read(self, run: Run) -> tuple[Run | None, dict[str, str], str]:
        """What is stored of a run, or None; what `RunUpdate` wrote beside it; and what is wrong with its file."""
        path = self.folder / run_file_name(run.id)
        if not path.exists():
            return None, {}, ""
        try:
            stored, extra = read_extra(path)
        except StoreError:
            return None, {}, "its stored file was damaged and has been fetched anew"
        # Files of earlier versions keep the stamp beside the run.
        return replace(stored, stamp=stored.stamp or extra.get("stamp", "")), extra, ""

    def without_fetch(self, run: Run) -> Run:
        """A listed run with what the store has of its history."""
        stored = self.read(run)[0]
        return _relisted(stored, run) if stored else replace(run, last_step=None, last_values={}, stamp="")


def now_utc() -> str:
    """The time in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _relisted(stored: Run, run: Run) -> Run:
    """A stored run with what the listing says of it now."""
    return replace(
        stored,
        name=run.name,
        state=run.state,
        config=run.config,
        sweep_id=run.sweep_id,
        group=run.group,
        url=run.url,
        created_at=run.created_at,
        keys=run.keys,
        branch_point=run.branch_point,
    )


@dataclass(frozen=True)
class _Content:
    """The points of a run's rows, what later rows superseded, and what else was left out."""

    points: Sequence[Points]
    superseded: tuple[Drop, ...] = ()
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True)
class _StagedRun:
    """A run whose files are staged, and what there is to say of its ancestors."""

    run: Run
    files: tuple[StagedFile, ...]
    ancestry: AncestryText


#: Begins the download of columns of a run's own rows, all of them or those since a checkpoint.
ReadRows = Callable[[Sequence[str], Checkpoint | None], AbstractContextManager[Download]]


@dataclass(frozen=True)
class RunUpdate:
    """Brings one run's file up to date."""

    store: RunStore
    run: Run
    deadline: Deadline
    ancestors: Ancestors
    read_rows: ReadRows

    def __call__(self) -> tuple[Run, str]:
        """`stored_if_current`, else `updated`."""
        return self.stored_if_current() or self.updated()

    def stored_if_current(self) -> tuple[Run, str] | None:
        """What `updated` would return where nothing can have changed, without asking; None where something may have."""
        stored, extra, _ = self._stored
        if stored and self._is_current and not self._missing_keys:
            return replace(_relisted(stored, self.run), fetched_at=now_utc()), extra.get(_MISSING, "")
        return None

    def updated(self) -> tuple[Run, str]:
        """Bring the file up to date.

        Returns
        -------
        run : as it is stored.
        missing : which rows of a fork cannot be had, or nothing.

        Raises
        ------
        RequestError, StopFetch
            What is stored stays as it was; but a fork whose ancestors cannot be read is stored with its own rows.
        StoreError
            Where the store cannot be written.
        """
        stored, extra, damage = self._stored
        staged, missing = None, self._missing_keys
        if stored and self._is_current:
            staged = self._more_metrics(stored, missing)
        elif stored and self._can_grow and not missing and (rows := self._raw_rows(extra.get(_RAW, ""))) is not None:
            staged = self._more_rows(stored, *rows)
        if staged is None:
            keys = tuple(dict.fromkeys([*self.store.study.history_keys, *(stored.fetched if stored else ())]))
            staged = self._all_rows(keys, damage, has_ancestors=self._is_whole and not extra.get(_MISSING))
        # Waiting for the disk takes no memory.
        for file in staged.files:
            file.settle()
        if staged.ancestry.failure:
            raise RequestError(staged.ancestry.failure)
        return staged.run, staged.ancestry.missing

    @cached_property
    def _stored(self) -> tuple[Run | None, dict[str, str], str]:
        return self.store.read(self.run)

    @property
    def _is_whole(self) -> bool:
        """Whether the store has the run's rows as they were listed: a fork that lacks rows which may come has no stamp."""
        stored, extra, _ = self._stored
        if stored is None or not stored.stamp or _is_outdated(stored, extra):
            return False
        return stored.branch_point == self.run.branch_point

    @property
    def _can_grow(self) -> bool:
        """Whether what is stored may stay."""
        stored = self._stored[0]
        is_usable = stored is not None and stored.step_key == self.store.study.step_key
        return is_usable and self._is_whole and not self.store.refresh

    @property
    def _is_current(self) -> bool:
        """Whether the run has no other rows than those of which the stored history is made."""
        stored = self._stored[0]
        return self._can_grow and stored is not None and stored.stamp == self.run.stamp and self.run.state in ENDED

    @property
    def _missing_keys(self) -> list[str]:
        """The study's keys that were not asked for before."""
        stored = self._stored[0]
        return [key for key in self.store.study.history_keys if stored is None or key not in stored.fetched]

    def _all_rows(self, keys: tuple[str, ...], damage: str, has_ancestors: bool) -> _StagedRun:
        """The whole history. A stored fork that has its ancestors' rows does not lose them."""
        ancestry = self.ancestors.of(self.run, self._columns(keys), self.deadline)
        if ancestry.text.missing and has_ancestors:
            raise RequestError(ancestry.text.missing)
        with self._read(keys) as download:
            return in_compute_thread(
                lambda: self._write(download.decode(), self._ancestor_rows(ancestry, keys), keys, damage)
            )

    def _ancestor_rows(self, ancestry: Ancestry, keys: Sequence[str]) -> AncestorRows:
        return ancestry.decode(keys, self.store.study.step_key)

    def _columns(self, keys: Sequence[str]) -> list[str]:
        return [*self.store.study.step_key, *keys]

    @contextmanager
    def _read(self, keys: Sequence[str], since: Checkpoint | None = None) -> Iterator[Download | SharedDownload]:
        columns = self._columns(keys)
        if since is None and self.ancestors.has_fork(self.run):
            yield self.ancestors.download(self.run, columns)
            return
        with self.read_rows(columns, since) as download:
            yield download

    def _write(self, own: RawHistory, ancestors: AncestorRows, keys: Sequence[str], damage: str = "") -> _StagedRun:
        """Put the run's history in the store, and its raw rows where more may join them."""
        content = self._content(own, ancestors, keys)
        points = content.points
        warnings = (*ancestors.text.notes, *own.notes, *((damage,) if damage else ()))
        if not points:
            warnings += ("the run has no history",)
        elif not any(p.metric in self.store.study.history_keys for p in points):
            warnings += ("the run logged none of the study's metrics",)
        self.deadline.check_cancelled()
        raw = self._stage_raw_rows(own, ancestors)
        checksum = _checksum(raw[0].temporary) if raw else ""
        staged = self._stage(content, keys, warnings, ancestors.text, checksum)
        return replace(staged, files=(*raw, *staged.files))

    def _content(self, own: RawHistory, ancestors: AncestorRows, keys: Sequence[str]) -> _Content:
        step_keys = self.store.study.step_key
        rows, superseded = run_rows(self.run, own.frame, ancestors.frame, keys, step_keys)
        points, drops = normalise(rows, keys, step_keys, Counter(own.bad) + Counter(ancestors.bad))
        return _Content(points, tuple(superseded), tuple(drops))

    def _stage(
        self, content: _Content, keys: Sequence[str], warnings: tuple[str, ...], ancestry: AncestryText, raw: str = ""
    ) -> _StagedRun:
        drops = (*content.superseded, *content.drops)
        run = describe(replace(self.run, last_values={}), content.points, drops, keys, self.store.study.step_key)
        run = replace(run, warnings=warnings, fetched_at=now_utc(), stamp="" if ancestry.failure else run.stamp)
        extra = {_RAW: raw, _MISSING: ancestry.missing, _SUPERSEDED: json.dumps(bool(content.superseded))}
        run, file = stage_run(self.store.folder, run, content.points, extra)
        return _StagedRun(run, (file,), ancestry)

    # ---- a metric more -------------------------------------------------------------------------------------------

    def _more_metrics(self, stored: Run, missing: list[str]) -> _StagedRun | None:
        """The stored history with metrics that the study did not name before: only these are read.

        None where rows are, or may be, superseded: which these are takes all metrics to tell.
        """
        if json.loads(self._stored[1].get(_SUPERSEDED, "true")):
            return None
        ancestry = self.ancestors.of(self.run, self._columns(missing), self.deadline)
        if ancestry.text.failure:
            raise RequestError(ancestry.text.failure)
        with self._read(missing) as download:
            return in_compute_thread(
                lambda: self._joined_metrics(stored, missing, download.decode(), self._ancestor_rows(ancestry, missing))
            )

    def _joined_metrics(
        self, stored: Run, missing: list[str], own: RawHistory, ancestors: AncestorRows
    ) -> _StagedRun | None:
        more = self._content(own, ancestors, missing)
        if more.superseded:
            return None
        old = points_of(pl.read_parquet(self.store.folder / stored.file, schema=HISTORY))
        new = [p for p in more.points if p.metric is not None]
        points = [*(p for p in old if p.metric is not None), *new]
        # Steps at which none of the old metrics was logged may hold one of the new.
        steps = pl.concat([pl.Series("step", [], dtype=pl.Int64), *(p.frame["step"] for p in new)])
        bare = [p.frame.filter(~pl.col("step").is_in(steps.implode())) for p in old if p.metric is None]
        points += [Points(None, frame) for frame in bare if len(frame)]
        self.deadline.check_cancelled()
        content = _Content(points, drops=(*stored.drops, *more.drops))
        return self._stage(content, (*stored.fetched, *missing), stored.warnings, ancestors.text)

    # ---- a run that goes on --------------------------------------------------------------------------------------

    def _more_rows(self, stored: Run, before: RawHistory, ancestors: AncestorRows) -> _StagedRun | None:
        """The history with the rows since the last stored one; None where older rows have changed as well."""
        last = before.frame[STEP].max() if STEP in before.frame.columns else None
        if last is None:
            return None
        since = Checkpoint(int(last), before.exported)  # type: ignore[arg-type]
        with self._read(stored.fetched, since) as download:
            joined = in_compute_thread(lambda: join_rows(before, download.decode(), since))
            return in_compute_thread(lambda: self._write(joined, ancestors, stored.fetched)) if joined else None

    def _stage_raw_rows(self, own: RawHistory, ancestors: AncestorRows) -> tuple[StagedFile, ...]:
        """The raw rows of a run that goes on, those of its ancestors first."""
        path = self.store.raw_file(self.run)
        if self.run.state in ENDED:
            path.unlink(missing_ok=True)
            return ()
        meta = {"bad": json.dumps(own.bad), "exported": str(own.exported)}
        meta["ancestors"] = json.dumps([len(ancestors.frame), ancestors.bad, asdict(ancestors.text)])
        frame = pl.concat([ancestors.frame, own.frame], how="diagonal") if len(ancestors.frame) else own.frame
        return (stage(path, lambda temporary: frame.write_parquet(temporary, compression="lz4", metadata=meta)),)

    def _raw_rows(self, checksum: str) -> tuple[RawHistory, AncestorRows] | None:
        """The raw rows that belong to the stored history, where they are there and whole."""
        path = self.store.raw_file(self.run)
        try:
            if not checksum or _checksum(path) != checksum:
                return None
            meta, frame = pl.read_parquet_metadata(path), pl.read_parquet(path)
            count, bad, text = json.loads(meta["ancestors"])
            own = frame[count:]
            ancestors = AncestorRows(frame[:count], bad, AncestryText(tuple(text["notes"]), text["missing"]))
            return RawHistory(own, json.loads(meta["bad"]), len(own), int(meta["exported"])), ancestors
        except (OSError, pl.exceptions.PolarsError, KeyError, ValueError):
            return None


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_outdated(stored: Run, extra: Mapping[str, str]) -> bool:
    """Whether an earlier version stored the run, and it may hold rows that a restart superseded: these repeat steps."""
    return _MISSING not in extra and any(drop.reason == REPEATED_STEP for drop in stored.drops)
