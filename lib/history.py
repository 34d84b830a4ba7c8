"""The one table every source yields: its schema, how raw rows become it, and the audit of what was dropped."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from pydantic import TypeAdapter

SCHEMA_VERSION = 1
T = TypeVar("T")

#: One row a logged point, in the order of steps. A logged step at which none of the study's keys was logged
#: is one row whose metric, value and time are null: the history keeps every step that a run logged.
HISTORY = pl.Schema(
    {
        "run_id": pl.String,
        "metric": pl.String,
        "step": pl.Int64,
        "value": pl.Float64,
        "time": pl.Float64,
    }
)

TIMESTAMP = "_timestamp"
_TEXT_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


@dataclass(frozen=True)
class Drop:
    """Points of one metric of a run that are not in the history, and why."""

    metric: str
    reason: str
    count: int


@dataclass(frozen=True)
class Run:
    """One run as a source describes it.

    `tasks` are the ids of the study's tasks it belongs to; `first_step` and `last_step` the range of every step
    it logged; `rows` the number of points in the history by metric; `keys` every key it is known to have logged
    `fetched` those of them
    that were asked for, under the step keys `step_key`; `file` its Parquet file, below the manifest's folder.
    """

    id: str
    name: str = ""
    state: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    sweep_id: str = ""
    group: str = ""
    url: str = ""
    created_at: str = ""
    tasks: tuple[str, ...] = ()
    first_step: int | None = None
    last_step: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    fetched: tuple[str, ...] = ()
    step_key: tuple[str, ...] = ()
    fetched_at: str = ""
    file: str = ""
    drops: tuple[Drop, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """Something that keeps the study from being whole: a sentence, and the run or task it is about."""

    message: str
    run_id: str = ""
    task: str = ""


@dataclass(frozen=True)
class Manifest:
    """What was brought for a study: its runs, the folder of their Parquet files, when, and what is missing.

    `source` names where the runs came from (kind, entity, project, server; never a key) and `fetched_at` is UTC in
    ISO 8601.
    """

    study: str
    source: dict[str, str]
    fetched_at: str
    folder: str
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def whole(self) -> bool:
        """Whether everything the study asks for came."""
        return not self.problems

    def of_task(self, task: str) -> tuple[Run, ...]:
        """The runs of one task, by its id."""
        return tuple(run for run in self.runs if task in run.tasks)

    def history(self, runs: Iterable[Run] | None = None) -> pl.LazyFrame:
        """The history of these runs (all by default), unread: columns as in `HISTORY`."""
        chosen = self.runs if runs is None else runs
        files = sorted({Path(self.folder) / run.file for run in chosen if run.file})
        if not files:
            return pl.LazyFrame(schema=HISTORY)
        return pl.scan_parquet(files, glob=False)

    def to_json(self) -> str:
        """The manifest as JSON text, without the folder it lies in."""
        tree = asdict(self)
        del tree["folder"]
        return json.dumps(tree, indent=1, sort_keys=True, default=str)


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """What checks trees for being of a kind: it takes longer to make than to use."""
    return TypeAdapter(kind)


def run_from(tree: Mapping[str, Any]) -> Run:
    """The run that `dataclasses.asdict` turned into this tree; ValueError where it is not one."""
    return _adapter(Run).validate_python(tree)


def manifest_from(text: str, folder: Path) -> Manifest:
    """The manifest that `Manifest.to_json` wrote; ValueError where it is not one."""
    tree = json.loads(text)
    if not isinstance(tree, dict):
        raise ValueError("a manifest is an object")
    return _adapter(Manifest).validate_python({**tree, "folder": str(folder)})


def as_number(value: object) -> float | None:
    """A logged value as a number: W&B writes NaN and the infinities as text; anything else is not one."""
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return inf if value > 0 else -inf
    return _TEXT_NUMBERS.get(value) if isinstance(value, str) else None


def raw_frame(rows: Iterable[Mapping[str, Any]], keys: Sequence[str]) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows as JSON gives them, as a frame of one Float64 column a key, and by key what was no number."""
    columns: dict[str, list[float | None]] = {key: [] for key in keys}
    bad: dict[str, int] = {}
    for row in rows:
        for key, column in columns.items():
            value = row.get(key)
            number = None if value is None else as_number(value)
            if value is not None and number is None:
                bad[key] = bad.get(key, 0) + 1
            column.append(number)
    return pl.DataFrame(columns, schema=dict.fromkeys(keys, pl.Float64)), bad


def numeric(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """A columnar export with every column as Float64, and by column how many values were no number."""
    columns, bad = [], {}
    for series in frame:
        if series.dtype.is_numeric() or series.dtype == pl.Boolean:
            number = series.cast(pl.Float64)
        elif series.dtype == pl.String:
            # A part in which a key was text once has all of its values as text.
            plain = series.cast(pl.Float64, strict=False)
            number = series.replace_strict(_TEXT_NUMBERS, default=plain, return_dtype=pl.Float64)
        else:
            number = pl.Series(series.name, [None] * len(series), dtype=pl.Float64)
        lost = number.null_count() - series.null_count()
        if lost:
            bad[series.name] = lost
        columns.append(number)
    return pl.DataFrame(columns), bad


def normalise(
    run_id: str,
    raw: pl.DataFrame,
    metrics: Sequence[str],
    step_keys: Sequence[str] = ("_step",),
    bad: Mapping[str, int] | None = None,
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Turn raw rows of one run into its history.

    Parameters
    ----------
    run_id : the run.
    raw : one row a logged row, Float64 columns: the step keys, `_timestamp` and the metrics, absent ones left out.
        A null is a key that the row does not hold.
    metrics : the keys to keep.
    step_keys : tried in order for each metric: the first that any of the metric's own rows holds is its step.
    bad : by metric, the values that were already found to be no number.

    Returns
    -------
    history : frame with the columns of `HISTORY`, sorted by metric and step, one row a (metric, step). Of repeated
        steps the one with the latest `_timestamp` is kept, the later row where that is equal or missing. NaN and
        infinities are values and stay.
    drops : what was left out, by metric and reason.
    """
    raw = raw.with_row_index("_row")
    steps = [key for key in step_keys if key in raw.columns]
    time = pl.col(TIMESTAMP) if TIMESTAMP in raw.columns else pl.lit(None, dtype=pl.Float64)
    drops = [Drop(key, "not a number", count) for key, count in sorted((bad or {}).items()) if key in metrics]
    kept = [pl.DataFrame(schema=HISTORY)]
    for metric in metrics:
        if metric not in raw.columns:
            continue
        logged = raw[metric].is_not_null()
        if not logged.any():
            continue
        key = next((k for k in steps if (logged & raw[k].is_not_null()).any()), None)
        step = pl.col(key) if key else pl.lit(None, dtype=pl.Float64)
        points = raw.select(step.alias("step"), pl.col(metric).alias("value"), time.alias("time"), "_row").filter(
            logged
        )
        points, lost = _whole_steps(points, metric, step_keys)
        drops += lost
        if not (points["step"].diff(null_behavior="drop") > 0).all():
            last = points.sort("time", "_row", nulls_last=False).unique("step", keep="last", maintain_order=True)
            if len(last) < len(points):
                drops.append(Drop(metric, "repeated step", len(points) - len(last)))
            points = last.sort("step")
        names = pl.lit(run_id).alias("run_id"), pl.lit(metric).alias("metric")
        kept.append(points.select(*names, "step", "value", "time"))
    kept.append(_bare_steps(run_id, raw, [m for m in metrics if m in raw.columns], steps))
    return pl.concat(kept), tuple(drops)


def _whole_steps(points: pl.DataFrame, metric: str, step_keys: Sequence[str]) -> tuple[pl.DataFrame, list[Drop]]:
    """Points whose step is a whole number, cast to it, and the count of the others."""
    drops: list[Drop] = []
    if points.select(_is_whole("step").all(ignore_nulls=False)).item():
        return points.with_columns(pl.col("step").cast(pl.Int64)), drops
    missing = points["step"].null_count()
    if missing:
        drops.append(Drop(metric, f"no step ({', '.join(step_keys)})", missing))
    points = points.filter(pl.col("step").is_not_null())
    whole = points.filter(_is_whole("step"))
    if len(whole) < len(points):
        drops.append(Drop(metric, "step is not a whole number", len(points) - len(whole)))
    return whole.with_columns(pl.col("step").cast(pl.Int64)), drops


def _is_whole(column: str) -> pl.Expr:
    step = pl.col(column)
    return step.is_finite() & (step == step.floor()) & (step.abs() < 2**53)


def _bare_steps(run_id: str, raw: pl.DataFrame, metrics: list[str], steps: list[str]) -> pl.DataFrame:
    """The steps of rows that hold none of the metrics, once each, as rows without a metric."""
    if not steps:
        return pl.DataFrame(schema=HISTORY)
    none = pl.all_horizontal([pl.col(m).is_null() for m in metrics]) if metrics else pl.lit(True)
    bare = (
        raw.filter(none)
        .select(pl.coalesce(steps).alias("step"))
        .drop_nulls()
        .filter(_is_whole("step"))
        .unique()
        .sort("step")
        .with_columns(pl.col("step").cast(pl.Int64))
    )
    return bare.select(
        pl.lit(run_id).alias("run_id"),
        pl.lit(None, dtype=pl.String).alias("metric"),
        "step",
        pl.lit(None, dtype=pl.Float64).alias("value"),
        pl.lit(None, dtype=pl.Float64).alias("time"),
    )


def describe(
    run: Run, history: pl.DataFrame, drops: Sequence[Drop], fetched: Sequence[str], step_key: Sequence[str]
) -> Run:
    """The run with what its history says of it: step range, points by metric, drops."""
    counts = history.select("metric").drop_nulls().group_by("metric").len().sort("metric")
    first, last = history.select(pl.col("step").min().alias("first"), pl.col("step").max().alias("last")).row(0)
    return replace(
        run,
        first_step=first,
        last_step=last,
        rows=dict(counts.iter_rows()),
        drops=tuple(drops),
        fetched=tuple(fetched),
        step_key=tuple(step_key),
    )
