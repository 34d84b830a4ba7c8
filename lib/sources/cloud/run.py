"""One run between the server and the store: which rows are missing, and how new rows join the stored ones."""

import json
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from lib.runs import (
    HISTORY,
    Drop,
    Points,
    Run,
    Staged,
    StoreError,
    describe,
    normalise,
    points_of,
    read_extra,
    run_file_name,
    stage,
    stage_run,
)
from lib.sources.cloud.history import Checkpoint, Download, RawHistory, RunPath, read_history
from lib.sources.cloud.http import HttpClient
from lib.sources.cloud.limits import Deadline, MemoryBudget, computed
from lib.sources.cloud.parquet import STEP
from lib.study import Study

#: States after which a run logs no more unless it is resumed.
ENDED = frozenset({"finished", "crashed", "failed", "killed", "preempted"})
#: Ties the raw rows of a run that goes on to its stored history.
_RAW = "raw"


@dataclass(frozen=True)
class RunStore:
    """The folder of a study's run files, what the study needs of a run, and whether to ignore what is stored."""

    folder: Path
    study: Study
    refresh: bool = False

    def raw_file(self, run: Run) -> Path:
        """The raw rows of a run that goes on."""
        return self.folder.parent / "raw" / self.folder.name / run_file_name(run.id)

    def read(self, run: Run) -> tuple[Run | None, str, str]:
        """What is stored of a run, or None; its token; and what is wrong with its file."""
        path = self.folder / run_file_name(run.id)
        if not path.exists():
            return None, "", ""
        try:
            stored, extra = read_extra(path)
        except StoreError:
            return None, "", "its stored file was damaged and has been fetched anew"
        # Files of earlier versions keep the stamp beside the run.
        return replace(stored, stamp=stored.stamp or extra.get("stamp", "")), extra.get(_RAW, ""), ""

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
    )


@dataclass(frozen=True)
class _Written:
    """A run whose files are written aside."""

    run: Run
    files: tuple[Staged, ...]


@dataclass(frozen=True)
class RunUpdate:
    """Brings one run's file up to date."""

    client: HttpClient
    store: RunStore
    run: Run
    deadline: Deadline
    budget: MemoryBudget = field(default_factory=MemoryBudget)

    def __call__(self) -> Run:
        """Bring the file up to date and describe the run; nothing is asked where nothing can have changed.

        Raises
        ------
        Failed, Stopped
            What is stored stays as it was.
        StoreError
            Where the store cannot be written.
        """
        study, run = self.store.study, self.run
        stored, token, damage = self.store.read(run)
        written = None
        if stored and not self.store.refresh and stored.step_key == study.step_key:
            missing = [key for key in study.history_keys if key not in stored.fetched]
            unchanged = stored.stamp == run.stamp and run.state in ENDED
            if unchanged and not missing:
                return replace(_relisted(stored, run), fetched_at=now_utc())
            if unchanged:
                written = self._more_metrics(stored, missing)
            elif not missing and (rows := self._raw_rows(token)) is not None:
                written = self._more_rows(stored, rows)
        if written is None:
            keys = tuple(dict.fromkeys([*study.history_keys, *(stored.fetched if stored else ())]))
            with self._read(keys) as download:
                written = computed(lambda: self._write(download.decode(), keys, damage))
        # Waiting for the disk takes no memory.
        for file in written.files:
            file.settle()
        return written.run

    def _read(self, keys: Sequence[str], since: Checkpoint | None = None) -> AbstractContextManager[Download]:
        source = self.store.study.source
        path = RunPath(source.entity, source.project, self.run.id)
        columns = [*self.store.study.step_key, *keys]
        return read_history(self.client, self.budget, path, columns, self.deadline, self.run.last_step, since)

    def _write(self, history: RawHistory, keys: Sequence[str], damage: str = "") -> _Written:
        """Put the run's history in the store, and its raw rows where more may join them."""
        points, drops = normalise(history.frame, keys, self.store.study.step_key, history.bad)
        warnings = (*history.notes, *((damage,) if damage else ()))
        if not points:
            warnings += ("the run has no history",)
        elif not any(p.metric in self.store.study.history_keys for p in points):
            warnings += ("the run logged none of the study's metrics",)
        self.deadline.check_wanted()
        token = "" if self.run.state in ENDED else secrets.token_hex(8)
        raw = self._stage_raw_rows(history, token)
        written = self._stage(points, drops, keys, warnings, token)
        return replace(written, files=(*raw, *written.files))

    def _stage(
        self,
        points: Sequence[Points],
        drops: Sequence[Drop],
        keys: Sequence[str],
        warnings: tuple[str, ...],
        token: str = "",
    ) -> _Written:
        run = describe(replace(self.run, last_values={}), points, drops, keys, self.store.study.step_key)
        run = replace(run, warnings=warnings, fetched_at=now_utc())
        run, file = stage_run(self.store.folder, run, points, {_RAW: token})
        return _Written(run, (file,))

    # ---- a metric more -------------------------------------------------------------------------------------------

    def _more_metrics(self, stored: Run, missing: list[str]) -> _Written:
        """The stored history with metrics that the study did not name before: only these are read."""
        with self._read(missing) as download:
            return computed(lambda: self._joined_metrics(stored, missing, download.decode()))

    def _joined_metrics(self, stored: Run, missing: list[str], history: RawHistory) -> _Written:
        more, drops = normalise(history.frame, missing, self.store.study.step_key, history.bad)
        old = points_of(pl.read_parquet(self.store.folder / stored.file, schema=HISTORY))
        new = [p for p in more if p.metric is not None]
        points = [*(p for p in old if p.metric is not None), *new]
        # Steps at which none of the old metrics was logged may hold one of the new.
        steps = pl.concat([pl.Series("step", [], dtype=pl.Int64), *(p.frame["step"] for p in new)])
        bare = [p.frame.filter(~pl.col("step").is_in(steps.implode())) for p in old if p.metric is None]
        points += [Points(None, frame) for frame in bare if len(frame)]
        self.deadline.check_wanted()
        return self._stage(points, (*stored.drops, *drops), (*stored.fetched, *missing), stored.warnings)

    # ---- a run that goes on --------------------------------------------------------------------------------------

    def _more_rows(self, stored: Run, before: RawHistory) -> _Written | None:
        """The history with the rows since the last stored one; None where older rows have changed as well."""
        last = before.frame[STEP].max() if STEP in before.frame.columns else None
        if last is None:
            return None
        since = Checkpoint(int(last), before.exported)  # type: ignore[arg-type]
        with self._read(stored.fetched, since) as download:
            joined = computed(lambda: _joined(before, download.decode(), since))
            return computed(lambda: self._write(joined, stored.fetched)) if joined else None

    def _stage_raw_rows(self, history: RawHistory, token: str) -> tuple[Staged, ...]:
        path = self.store.raw_file(self.run)
        if not token:
            path.unlink(missing_ok=True)
            return ()
        meta = {_RAW: token, "bad": json.dumps(history.bad), "exported": str(history.exported)}
        return (stage(path, lambda aside: history.frame.write_parquet(aside, compression="lz4", metadata=meta)),)

    def _raw_rows(self, token: str) -> RawHistory | None:
        """The raw rows that belong to the stored history, where they are there and whole."""
        path = self.store.raw_file(self.run)
        try:
            meta = pl.read_parquet_metadata(path)
            if not token or meta.get(_RAW) != token:
                return None
            frame = pl.read_parquet(path)
            return RawHistory(frame, json.loads(meta["bad"]), len(frame), int(meta["exported"]))
        except (OSError, pl.exceptions.PolarsError, KeyError, ValueError):
            return None


def _joined(before: RawHistory, new: RawHistory, since: Checkpoint) -> RawHistory | None:
    """The stored rows and the new ones; None where together they are not all that the server holds."""
    below = pl.col(STEP) < since.step
    settled = before.frame.filter(below)
    if new.exported == since.exported:
        exports, live = before.frame.head(since.exported), before.frame.slice(since.exported)
        settled = pl.concat([exports, live.filter(below)])
    if len(settled) + len(new.frame) != new.total:
        return None
    bad = {key: before.bad.get(key, 0) + new.bad.get(key, 0) for key in {*before.bad, *new.bad}}
    return replace(new, frame=pl.concat([settled, new.frame], how="diagonal"), bad=bad)
