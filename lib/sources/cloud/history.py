"""The history of one run on a W&B server: the columns asked for, from its Parquet exports and its live rows."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import Any

import polars as pl
import pyarrow as pa

from lib.runs import TIMESTAMP, numeric, raw_frame
from lib.sources.cloud.answers import MAX_ROWS, Exports, Rows, answer_of
from lib.sources.cloud.http import FileClient, HttpClient
from lib.sources.cloud.limits import Deadline, MemoryBudget, RefusalError, RequestError, all_results
from lib.sources.cloud.parquet import STEP, ExportPart, RemoteFile

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


@dataclass(frozen=True)
class RunPath:
    """Where a run is on the server."""

    entity: str
    project: str
    run: str


@dataclass(frozen=True)
class RawHistory:
    """Rows of a run as logged: Float64 columns; values that were no number, by column; every row the server holds.

    `exported` of the server's rows are in Parquet parts; where all rows were read they are the frame's first.
    """

    frame: pl.DataFrame
    bad: dict[str, int]
    total: int
    exported: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """What is stored of a run: every row below `step`, and all of the exports as long as these have so many rows."""

    step: int
    exported: int


@dataclass(frozen=True)
class RunExports:
    """The signed URLs of a run's parts (a secret: not shown) and the steps of its rows that are in none."""

    urls: tuple[str, ...] = field(repr=False)
    live: tuple[int, ...]


@dataclass(frozen=True)
class Download:
    """What was asked for of a run, still to be decoded: the tables of its parts and its live rows."""

    columns: Sequence[str]
    since: Checkpoint | None
    tables: Sequence[pa.Table]
    live: Sequence[dict[str, Any]]
    total: int
    exported: int
    notes: tuple[str, ...]

    def decode(self, until: float = inf) -> RawHistory:
        """The rows as numbers, in the order logged: the parts, then the live rows; none beyond a `_step`.

        Raises
        ------
        RequestError
            Where a part holds what polars cannot read. It panics at some.
        """
        try:
            return self._decoded(until)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            raise RequestError("an export is damaged") from None

    def _decoded(self, until: float) -> RawHistory:
        frames, bad = [], Counter[str]()
        first = self.since.step if self.since else -inf
        for table in self.tables:
            part = pl.DataFrame(pl.from_arrow(table))
            numbers, lost = numeric(_between(part, first, until))
            frames.append(numbers)
            # Of the row at the checkpoint nothing is counted again.
            bad.update(numeric(_between(part, first + 1, until))[1] if self.since else lost)
        frames = _in_order_logged(frames)
        live = [row for row in self.live if _step(row, first) <= until]
        if live or not frames:
            new = [row for row in live if _step(row, first) > first] if self.since else live
            bad.update(raw_frame(new, self.columns)[1])
            frames.append(_without_copies(raw_frame(live, self.columns)[0], frames))
        frame = pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]
        columns = [column for column in self.columns if column in frame.columns]
        return RawHistory(frame.select(columns), dict(bad), self.total, self.exported, self.notes)


@dataclass(frozen=True)
class _Server:
    """What takes the key: where a run's exports are, and the rows that are in none yet."""

    client: HttpClient
    path: RunPath
    deadline: Deadline

    def _query(self, query: str, **variables: Any) -> Any:
        """What a query says of the run."""
        names = {"entity": self.path.entity, "project": self.path.project}
        project = self.client.graphql(query, names | variables, self.deadline).get("project")
        run = project.get("run") if isinstance(project, dict) else None
        if run is None:
            raise RequestError("the server does not hold it any more")
        return run

    def exports(self) -> RunExports:
        """The exports of the run."""
        run = self._query(_EXPORTS, runName=self.path.run, liveKeys=[STEP])
        history = answer_of(Exports, run).parquetHistory
        if history is None:
            return RunExports((), ())
        live = [row.step for row in history.liveData or [] if row.step is not None]
        return RunExports(tuple(history.parquetUrls or ()), tuple(sorted(live)))

    def live(self, steps: Sequence[int], last_step: int | None) -> list[dict[str, Any]]:
        """The rows that are in no export yet, asked for again in halves where a page was cut short."""
        rows: list[dict[str, Any]] = []
        spans = [(steps[0], max(steps[-1], last_step or 0) + 1)] if steps else []
        while spans:
            low, high = spans.pop()
            # Rows of one step may repeat, so that a page may hold more of them than it has steps.
            window = {"minStep": low, "maxStep": high, "pageSize": 2 * (high - low) + 1000}
            page = answer_of(Rows, self._query(_PAGE, run=self.path.run, **window)).history or []
            inside = [step for step in steps if low <= step < high]
            middle = inside[len(inside) // 2] if inside else low
            if page and low < middle and not {*inside} <= {row.get(STEP) for row in page}:
                spans += [(middle, high), (low, middle)]
            else:
                rows += page
        return rows


@dataclass(frozen=True)
class _Reader:
    """One read of one run's history; see `read_history`. `live` brings the rows of the steps that are in no export."""

    client: FileClient
    columns: Sequence[str]
    deadline: Deadline
    since: Checkpoint | None
    live: Callable[[Sequence[int]], list[dict[str, Any]]]

    def read(self, exports: RunExports, stack: ExitStack, budget: MemoryBudget) -> Download:
        """The download; the stack holds the files and the memory that they take."""
        parts = all_results([partial(self._part, url, stack, len(exports.urls)) for url in exports.urls])
        exported = sum(part.rows for part in parts)
        if (rows := exported + len(exports.live)) > MAX_ROWS:
            raise RequestError(f"it holds {rows:,} rows, more than {MAX_ROWS:,}")
        unread = [] if self.since and self.since.exported == exported else parts
        memory = sum(part.select(self.columns, self.since.step if self.since else None) for part in unread)
        stack.enter_context(budget.reserve(memory, self.deadline))
        tables = all_results([part.read for part in unread])
        live = self.live([step for step in exports.live if self.since is None or step >= self.since.step])
        whole = any(part.is_download for part in parts)
        notes = ("the server does not serve parts of files: the exports were downloaded whole",) if whole else ()
        return Download(self.columns, self.since, tables, live, exported + len(exports.live), exported, notes)

    def _part(self, url: str, stack: ExitStack, count: int) -> ExportPart:
        part = ExportPart(RemoteFile(self.client, url, self.deadline, count))
        stack.callback(part.close)
        return part


def _step(row: Mapping[str, Any], default: float) -> float:
    """The `_step` of a live row, a default where it has none."""
    step = row.get(STEP)
    return default if step is None else float(step)


def _between(frame: pl.DataFrame, first: float, last: float) -> pl.DataFrame:
    """The rows from one `_step` to another."""
    if STEP not in frame.columns or (first, last) == (-inf, inf):
        return frame
    return frame.filter(pl.col(STEP).cast(pl.Float64, strict=False).is_between(first, last))


def _in_order_logged(parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """The parts, which the server gives in any order, by `_step`; a run that was rewound logged some steps twice.

    The next part is the one that goes on from what the run had reached, or an earlier one that goes back behind it:
    then time tells, of these alone. Rows that two parts hold are left out of the later one.
    """
    left = sorted(parts, key=lambda part: (_first(part, STEP), _first(part, TIMESTAMP)))
    ordered, reached = list[pl.DataFrame](), -inf
    while left:
        behind = sum(_first(part, STEP) <= reached for part in left)
        times = [_first(part, TIMESTAMP) for part in left[: behind + 1]]
        part = left.pop(times.index(min(times)))
        ordered.append(_without_copies(part, ordered) if behind else part)
        reached = max(reached, _limits(part)[1])
    return ordered


def _first(part: pl.DataFrame, column: str) -> float:
    """The first value of a column, infinity where it has none."""
    values = part[column].drop_nulls() if column in part.columns else pl.Series([], dtype=pl.Float64)
    return float(values[0]) if len(values) else inf


def _without_copies(rows: pl.DataFrame, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows that no part holds: a row may lie in two parts, or have been exported between two requests."""
    first = _limits(rows)[0]
    exported = [part.filter(pl.col(STEP) >= first) for part in parts if STEP in part.columns]
    if not any(map(len, exported)):
        return rows
    both = pl.concat([rows.clear(), *exported], how="diagonal")
    missing = [pl.lit(None, dtype=pl.Float64).alias(column) for column in both.columns if column not in rows.columns]
    others = rows.with_columns(missing).join(both, on=both.columns, how="anti", nulls_equal=True, maintain_order="left")
    return others.select(rows.columns)


def _limits(rows: pl.DataFrame) -> tuple[float, float]:
    """The lowest and the highest `_step`, infinities where there is none."""
    step = rows[STEP].drop_nulls() if STEP in rows.columns else pl.Series([], dtype=pl.Float64)
    return (float(step.min()), float(step.max())) if len(step) else (inf, -inf)  # type: ignore[arg-type]


def list_exports(client: HttpClient, path: RunPath, deadline: Deadline) -> RunExports:
    """Where a run's exports are.

    Raises
    ------
    RequestError, StopFetch
    """
    return _Server(client, path, deadline).exports()


@contextmanager
def read_exports(
    client: FileClient,
    budget: MemoryBudget,
    exports: RunExports,
    columns: Sequence[str],
    deadline: Deadline,
    since: Checkpoint | None = None,
) -> Iterator[Download]:
    """`read_history` of a run all of whose rows are in exports, for which no key is needed.

    Raises
    ------
    RefusalError
        Where a signed URL has expired.
    RequestError, StopFetch
    """
    with ExitStack() as stack:
        yield _Reader(client, _read_order(columns), deadline, since, lambda _: []).read(exports, stack, budget)


@contextmanager
def read_history(
    client: HttpClient,
    budget: MemoryBudget,
    path: RunPath,
    columns: Sequence[str],
    deadline: Deadline,
    last_step: int | None = None,
    since: Checkpoint | None = None,
) -> Iterator[Download]:
    """Download columns of a run's history, all rows or those since a checkpoint; they count as memory in the context.

    Parameters
    ----------
    columns : keys to read, the step keys among them. `_step` and `_timestamp` are read in any case.
    last_step : the last `_step` that the listing knows.
    since : rows with a lower `_step` are left out, as are exports that have not grown. Of the row at that step nothing
        is counted as bad again.

    Raises
    ------
    RequestError, StopFetch
    """
    server = _Server(client, path, deadline)
    reader = _Reader(client, _read_order(columns), deadline, since, partial(server.live, last_step=last_step))
    with ExitStack() as stack:
        try:
            download = reader.read(server.exports(), stack, budget)
        except RefusalError:
            # Signed URLs expire: new ones may be good.
            stack.close()
            download = reader.read(server.exports(), stack, budget)
        yield download


def _read_order(columns: Sequence[str]) -> list[str]:
    """The columns to read: those that tell steps and times come first."""
    return list(dict.fromkeys([STEP, TIMESTAMP, *columns]))


def join_rows(before: RawHistory, new: RawHistory, since: Checkpoint) -> RawHistory | None:
    """The stored rows of a run and the new ones; None where they are not one history.

    They are not where together they are not all that the server holds, in its order, and where the row at the checkpoint is
    another one: a run that is begun anew with the same id has other rows at the same steps.
    """
    count = since.exported if new.exported == since.exported else 0
    exports, others = before.frame.head(count), before.frame.slice(count)
    is_settled = others[STEP] < since.step
    if not is_settled.is_sorted(descending=True) or count + is_settled.sum() + len(new.frame) != new.total:
        return None
    if not _begins_with(new.frame.filter(pl.col(STEP) == since.step), others.filter(others[STEP] == since.step)):
        return None
    frames = [exports, others.filter(is_settled), new.frame]
    bad = Counter(before.bad) + Counter(new.bad)
    return replace(new, frame=pl.concat(frames, how="diagonal"), bad=dict(bad))


def _begins_with(rows: pl.DataFrame, stored: pl.DataFrame) -> bool:
    """Whether rows begin with the stored ones; what these lack may have come since."""
    if len(rows) < len(stored):
        return False
    first = rows.head(len(stored))
    present = [column for column in stored if column.null_count() < len(stored)]
    return all(
        column.name in first.columns and (column.is_null() | column.eq_missing(first[column.name])).all()
        for column in present
    )
