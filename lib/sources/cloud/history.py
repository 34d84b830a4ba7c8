"""The history of one run on a W&B server: the columns asked for, from its Parquet exports and its live rows."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from lib.runs import TIMESTAMP, numeric, raw_frame
from lib.sources.cloud.http import Failed, Refused, Watch, Wire
from lib.sources.cloud.limits import Room, together
from lib.sources.cloud.parquet import STEP, Part

_EXPORTS = """query RunParquetHistory($entity: String!, $project: String!, $runName: String!, $liveKeys: [String!]!) {
  project(name: $project, entityName: $entity) {
    run(name: $runName) { parquetHistory(liveKeys: $liveKeys) { parquetUrls liveData } }
  }
}"""
_PAGE = """query HistoryPage($entity: String!, $project: String!, $run: String!,
    $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
  }
}"""


class Gone(Failed):
    """The run is not on the server any more."""


@dataclass(frozen=True)
class RunPath:
    """Where a run is on the server."""

    entity: str
    project: str
    run: str


@dataclass(frozen=True)
class Raw:
    """Rows of a run as logged: Float64 columns; values that were no number, by column; every row the server holds.

    `exported` of the server's rows are in Parquet parts; where all rows were read they are the frame's first.
    """

    frame: pl.DataFrame
    bad: dict[str, int]
    total: int
    exported: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Exports:
    """The signed URLs of a run's parts (a secret: not shown) and the steps of its rows that are in none."""

    urls: tuple[str, ...] = field(repr=False)
    live: tuple[int, ...]


@dataclass(frozen=True)
class Since:
    """What is held of a run: every row below `step`, and all of the exports as long as these have so many rows."""

    step: int
    exported: int


def _count(counts: dict[str, int], more: dict[str, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def _exports(wire: Wire, place: RunPath, watch: Watch) -> _Exports:
    names = {"entity": place.entity, "project": place.project, "runName": place.run, "liveKeys": [STEP]}
    history = _run(wire.graphql(_EXPORTS, names, watch)).get("parquetHistory") or {}
    live = [row[STEP] for row in history.get("liveData") or [] if row.get(STEP) is not None]
    return _Exports(tuple(history.get("parquetUrls") or ()), tuple(sorted(int(step) for step in live)))


def _run(data: dict[str, Any]) -> dict[str, Any]:
    run = (data.get("project") or {}).get("run")
    if run is None:
        raise Gone("the server does not hold it any more")
    return run


def _since(frame: pl.DataFrame, step: int | None, after: bool = False) -> pl.DataFrame:
    if step is None or STEP not in frame.columns:
        return frame
    column = pl.col(STEP).cast(pl.Float64, strict=False)
    return frame.filter(column > step if after else column >= step)


def _span(frame: pl.DataFrame) -> tuple[float, float]:
    """What orders the parts, which the server gives in any order."""
    if STEP not in frame.columns or frame[STEP].null_count() == len(frame):
        return (float("inf"), float("inf"))
    return (frame[STEP].min(), frame[STEP].max())  # type: ignore[return-value]


def _live(
    wire: Wire,
    place: RunPath,
    wanted: list[str],
    watch: Watch,
    steps: tuple[int, ...],
    from_step: int | None,
    last_step: int | None,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that are in no export yet, from a step on, asked for again in halves where a page was cut short."""
    steps = tuple(s for s in steps if from_step is None or s >= from_step)
    rows: list[dict[str, Any]] = []
    spans = [(steps[0], max(steps[-1], last_step or 0) + 1)] if steps else []
    while spans:
        low, high = spans.pop()
        names = {"entity": place.entity, "project": place.project, "run": place.run}
        # Rows of one step may repeat, so that a page may hold more of them than it has steps.
        window = {"minStep": low, "maxStep": high, "pageSize": 2 * (high - low) + 1000}
        found = [json.loads(r) for r in _run(wire.graphql(_PAGE, names | window, watch)).get("history") or []]
        inside = [s for s in steps if low <= s < high]
        middle = inside[len(inside) // 2] if inside else low
        if found and low < middle and not {*inside} <= {row.get(STEP) for row in found}:
            spans += [(middle, high), (low, middle)]
        else:
            rows += found
    frame, _ = raw_frame(rows, wanted)
    _, bad = raw_frame([r for r in rows if from_step is None or r.get(STEP, from_step) > from_step], wanted)
    return frame, bad


def _new(live: pl.DataFrame, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The live rows that no part holds: a row may have been exported between two requests."""
    same = [STEP, TIMESTAMP]
    held = [p.select(same) for p in parts if set(same) <= set(p.columns)]
    return live.join(pl.concat(held), on=same, how="anti", maintain_order="left") if held and len(live) else live


@dataclass(frozen=True)
class Brought:
    """What was asked for of a run, downloaded and still to be decoded."""

    parts: Sequence[Part]
    read: Sequence[Part]
    live: tuple[pl.DataFrame, dict[str, int]] | None
    rows: int
    wanted: Sequence[str]
    low: int | None

    def raw(self) -> Raw:
        """The rows."""
        frames, bad = [], dict[str, int]()
        for part in self.read:
            frame = _since(part.read(), self.low)
            numbers, lost = numeric(frame)
            frames.append(numbers)
            _count(bad, lost if self.low is None else numeric(_since(frame, self.low, after=True))[1])
        if len(frames) > 1:
            frames.sort(key=_span)
        if self.live is not None or not frames:
            live, lost = self.live or raw_frame([], self.wanted)
            _count(bad, lost)
            frames.append(_new(live, frames))
        frame = pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]
        whole = any(part.whole for part in self.parts)
        notes = ("the server does not serve parts of files: the exports were downloaded whole",) if whole else ()
        exported = sum(part.rows for part in self.parts)
        kept = [c for c in self.wanted if c in frame.columns]
        return Raw(frame.select(kept), bad, exported + self.rows, exported, notes)


@contextmanager
def brought(
    wire: Wire,
    room: Room,
    place: RunPath,
    columns: Sequence[str],
    watch: Watch,
    last_step: int | None = None,
    since: Since | None = None,
) -> Iterator[Brought]:
    """Download columns of a run's history, every row of it or what is new since; they take room while the context lasts.

    Parameters
    ----------
    columns : keys to read, the step keys among them. `_step` and `_timestamp` come in any case.
    last_step : the last `_step` that the listing knows.
    since : rows with a lower `_step` are left out, as are exports that have not grown. Of the row at that step nothing
        is counted as bad again.

    Raises
    ------
    Failed, Gone, Stopped
    """
    wanted = list(dict.fromkeys([STEP, TIMESTAMP, *columns]))
    with ExitStack() as stack:
        try:
            found = stack.enter_context(_brought(wire, room, place, wanted, watch, last_step, since))
        except Refused:
            # Signed URLs expire: new ones may be good.
            found = stack.enter_context(_brought(wire, room, place, wanted, watch, last_step, since))
        yield found


@contextmanager
def _brought(
    wire: Wire, room: Room, place: RunPath, wanted: list[str], watch: Watch, last_step: int | None, since: Since | None
) -> Iterator[Brought]:
    exports = _exports(wire, place, watch)
    asks = [partial(wire.read, url, watch) for url in exports.urls]
    parts = together([partial(Part, ask) for ask in asks])
    grown = since is None or since.exported != sum(part.rows for part in parts)
    low = since.step if since else None
    read = parts if grown else []
    sizes = [part.plan(wanted, low) for part in read]
    with room.take(sum(sizes), watch) as buffer:
        places = [buffer[sum(sizes[:i]) :][:size] for i, size in enumerate(sizes)]
        together([ask for part, own in zip(read, places, strict=True) for ask in part.downloads(own)])
        live = _live(wire, place, wanted, watch, exports.live, low, last_step) if exports.live else None
        yield Brought(parts, read, live, len(exports.live), wanted, low)
