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
    normalised,
    points_of,
    read_extra,
    run_file_name,
    stage,
    stage_run,
)
from lib.sources.cloud.history import Brought, Raw, RunPath, Since, brought
from lib.sources.cloud.http import Stopped, Watch, Wire
from lib.sources.cloud.limits import Desk, Room
from lib.sources.cloud.parquet import STEP
from lib.study import Study

#: States after which a run logs no more unless it is resumed.
ENDED = frozenset({"finished", "crashed", "failed", "killed", "preempted"})
_RAW = "raw"


@dataclass(frozen=True)
class Shelf:
    """Where the run files of a study lie, what the study wants of a run, and whether to begin anew."""

    folder: Path
    study: Study
    refresh: bool = False
    #: What downloads may hold, and how many histories are put in order at once: these bound the memory of a fetch.
    room: Room = field(default_factory=Room)
    desk: Desk = field(default_factory=Desk)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The keys the study needs."""
        return self.study.history_keys

    @property
    def steps(self) -> tuple[str, ...]:
        """The study's step keys."""
        return self.study.step_key

    def place(self, run: Run) -> RunPath:
        """Where the run is on the server."""
        return RunPath(self.study.source.entity, self.study.source.project, run.id)

    def rows_file(self, run: Run) -> Path:
        """The raw rows of a run that goes on."""
        return self.folder.parent / "raw" / self.folder.name / run_file_name(run.id)


@dataclass(frozen=True)
class _Held:
    """What the store has of a run."""

    run: Run
    raw: str


@dataclass(frozen=True)
class _Ready:
    """A run whose files are written aside."""

    run: Run
    files: tuple[Staged, ...]

    def settled(self) -> Run:
        """The run, once its files are in place."""
        for file in self.files:
            file.settle()
        return self.run


def bring(wire: Wire, shelf: Shelf, run: Run, watch: Watch) -> Run:
    """Bring a run's file up to date and describe the run; nothing is asked where nothing can have changed.

    Raises
    ------
    Failed, Stopped
        What is stored stays as it was.
    StoreError
        Where the store cannot be written.
    """
    held, damage = _held(shelf, run)
    if held and not shelf.refresh and held.run.step_key == shelf.steps:
        missing = [key for key in shelf.wanted if key not in held.run.fetched]
        unchanged = held.run.stamp == run.stamp and run.state in ENDED
        if unchanged and not missing:
            return replace(_described(held.run, run), fetched_at=now_utc())
        if unchanged:
            return _with_metrics(wire, shelf, run, held, missing, watch).settled()
        if not missing and (rows := _read_rows(shelf, run, held)) is not None:
            grown = _grown(wire, shelf, run, held, rows, watch)
            if grown is not None:
                return grown.settled()
    keys = tuple(dict.fromkeys([*shelf.wanted, *(held.run.fetched if held else ())]))
    with _reading(wire, shelf, run, keys, watch) as found:
        ready = shelf.desk.do(lambda: _write(shelf, run, found.raw(), keys, damage, watch))
    # Waiting for the disk takes no room.
    return ready.settled()


def _reading(
    wire: Wire, shelf: Shelf, run: Run, keys: Sequence[str], watch: Watch, since: Since | None = None
) -> AbstractContextManager[Brought]:
    """What is downloaded of a run."""
    place, columns = shelf.place(run), [*shelf.steps, *keys]
    return brought(wire, shelf.room, place, columns, watch, run.last_step, since)


def now_utc() -> str:
    """The time in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def held_run(shelf: Shelf, run: Run) -> Run:
    """The run as the listing and the store have it, without asking the server."""
    held, _ = _held(shelf, run)
    return _described(held.run if held else Run(run.id), run)


def _held(shelf: Shelf, run: Run) -> tuple[_Held | None, str]:
    """What is stored of a run, or None and what is wrong with it."""
    path = shelf.folder / run_file_name(run.id)
    if not path.exists():
        return None, ""
    try:
        found, extra = read_extra(path)
    except StoreError:
        return None, "its stored file was damaged and has been fetched anew"
    return _Held(found, extra.get(_RAW, "")), ""


def _described(found: Run, run: Run) -> Run:
    """A stored run with what the listing says of it now."""
    return replace(
        found,
        name=run.name,
        state=run.state,
        config=run.config,
        sweep_id=run.sweep_id,
        group=run.group,
        url=run.url,
        created_at=run.created_at,
        keys=run.keys,
    )


def _write(shelf: Shelf, run: Run, raw: Raw, keys: Sequence[str], damage: str, watch: Watch) -> _Ready:
    """Put the run's history in the store, and its raw rows where more may join them."""
    points, drops = normalised(raw.frame, keys, shelf.steps, raw.bad)
    warnings = (*raw.notes, *((damage,) if damage else ()))
    if not points:
        warnings += ("the run has no history",)
    elif not any(p.metric in shelf.wanted for p in points):
        warnings += ("the run logged none of the study's metrics",)
    token = "" if run.state in ENDED else secrets.token_hex(8)
    if watch.cancelled():
        raise Stopped
    before = _stage_rows(shelf, run, raw, token)
    ready = _store(shelf, run, points, drops, keys, warnings, token)
    return replace(ready, files=(*before, *ready.files))


def _store(
    shelf: Shelf,
    run: Run,
    points: Sequence[Points],
    drops: Sequence[Drop],
    keys: Sequence[str],
    warnings: tuple[str, ...],
    token: str = "",
) -> _Ready:
    described = describe(replace(run, last_values={}), points, drops, keys, shelf.steps)
    described = replace(described, warnings=warnings, fetched_at=now_utc())
    written, file = stage_run(shelf.folder, described, points, {_RAW: token})
    return _Ready(written, (file,))


# ---- a metric more -----------------------------------------------------------------------------------------------


def _with_metrics(wire: Wire, shelf: Shelf, run: Run, held: _Held, missing: list[str], watch: Watch) -> _Ready:
    """The stored history with metrics that the study did not name before: only these are read."""

    def joined() -> _Ready:
        raw = found.raw()
        more, drops = normalised(raw.frame, missing, shelf.steps, raw.bad)
        old = points_of(pl.read_parquet(shelf.folder / held.run.file, schema=HISTORY))
        logged = [p for p in more if p.metric is not None]
        points = [*(p for p in old if p.metric is not None), *logged]
        # Steps at which none of the old metrics was logged may hold one of the new.
        taken = pl.concat([pl.Series("step", [], dtype=pl.Int64), *(p.frame["step"] for p in logged)])
        bare = [p.frame.filter(~pl.col("step").is_in(taken.implode())) for p in old if p.metric is None]
        points += [Points(None, frame) for frame in bare if len(frame)]
        if watch.cancelled():
            raise Stopped
        keys = (*held.run.fetched, *missing)
        return _store(shelf, run, points, (*held.run.drops, *drops), keys, held.run.warnings)

    with _reading(wire, shelf, run, missing, watch) as found:
        return shelf.desk.do(joined)


# ---- a run that goes on ------------------------------------------------------------------------------------------


def _grown(wire: Wire, shelf: Shelf, run: Run, held: _Held, before: Raw, watch: Watch) -> _Ready | None:
    """The history with the rows since the last stored one; None where older rows have changed as well."""
    last = before.frame[STEP].max() if STEP in before.frame.columns else None
    if last is None:
        return None
    keys, since = held.run.fetched, Since(int(last), before.exported)  # type: ignore[arg-type]
    with _reading(wire, shelf, run, keys, watch, since) as found:
        return shelf.desk.do(lambda: _joined(shelf, run, before, found.raw(), since, keys, watch))


def _joined(
    shelf: Shelf, run: Run, before: Raw, new: Raw, since: Since, keys: Sequence[str], watch: Watch
) -> _Ready | None:
    below = pl.col(STEP) < since.step
    settled = before.frame.filter(below)
    if new.exported == since.exported:
        exports, live = before.frame.head(since.exported), before.frame.slice(since.exported)
        settled = pl.concat([exports, live.filter(below)])
    if len(settled) + len(new.frame) != new.total:
        return None
    bad = {k: before.bad.get(k, 0) + new.bad.get(k, 0) for k in {*before.bad, *new.bad}}
    rows = pl.concat([settled, new.frame], how="diagonal")
    return _write(shelf, run, replace(new, frame=rows, bad=bad), keys, "", watch)


def _stage_rows(shelf: Shelf, run: Run, raw: Raw, token: str) -> tuple[Staged, ...]:
    path = shelf.rows_file(run)
    if not token:
        path.unlink(missing_ok=True)
        return ()
    meta = {_RAW: token, "bad": json.dumps(raw.bad), "exported": str(raw.exported)}
    return (stage(path, lambda aside: raw.frame.write_parquet(aside, compression="lz4", metadata=meta)),)


def _read_rows(shelf: Shelf, run: Run, held: _Held) -> Raw | None:
    """The raw rows that belong to the stored history, where they are there and whole."""
    path = shelf.rows_file(run)
    try:
        meta = pl.read_parquet_metadata(path)
        if not held.raw or meta.get(_RAW) != held.raw:
            return None
        frame = pl.read_parquet(path)
        return Raw(frame, json.loads(meta["bad"]), len(frame), int(meta["exported"]))
    except (OSError, pl.exceptions.PolarsError, KeyError, ValueError):
        return None
