"""Raw rows of a source to a history: numbers, steps, order; and a list of what was dropped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from lib.runs.model import REPEATED_STEP, Drop, Run
from lib.runs.schema import Points
from lib.study import NUMBER_PATTERN, as_number

TIMESTAMP = "_timestamp"
_TEXT_NUMBERS = {text: as_number(text) for text in ("NaN", "Infinity", "-Infinity")}


def raw_frame(rows: Iterable[Mapping[str, Any]], keys: Sequence[str]) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows as JSON gives them, as a frame of one Float64 column per key, and by key what was no number."""
    columns: dict[str, list[float | None]] = {key: [] for key in keys}
    bad: dict[str, int] = {}
    for row in rows:
        for key, column in columns.items():
            value = row.get(key)
            number = as_number(value)
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
            # A part in which a key was text once has all of its values as text; the same texts are numbers as in a row.
            plain = series.set(~series.str.contains(NUMBER_PATTERN), None).cast(pl.Float64, strict=False)
            number = series.replace_strict(_TEXT_NUMBERS, default=plain, return_dtype=pl.Float64)
        else:
            number = pl.Series(series.name, [None] * len(series), dtype=pl.Float64)
        lost = number.null_count() - series.null_count()
        if lost:
            bad[series.name] = lost
        columns.append(number)
    return pl.DataFrame(columns), bad


def normalise(
    raw: pl.DataFrame,
    metrics: Sequence[str],
    step_keys: Sequence[str] = ("_step",),
    bad: Mapping[str, int] | None = None,
) -> tuple[list[Points], tuple[Drop, ...]]:
    """Turn raw rows of one run into its points.

    Parameters
    ----------
    raw : one row per logged row, in the order logged, Float64 columns: the step keys, `_timestamp` and the metrics, absent
        ones left out. A null is a key that the row does not hold.
    metrics : the keys to keep.
    step_keys : tried in order for each metric: the first that any of the metric's own rows holds is its step.
    bad : by metric, the values that were already counted as no number.

    Returns
    -------
    points : by metric, sorted by step, one row per metric and step; last the steps without any. Of a repeated step the row
        logged last is kept, whatever `_timestamp` says: clocks of two machines differ. NaN and infinities are values and
        stay.
    drops : what was left out, by metric and reason.
    """
    steps = [key for key in step_keys if key in raw.columns]
    metrics = [metric for metric in metrics if metric in raw.columns]
    nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, len(raw))
    time = raw[TIMESTAMP] if TIMESTAMP in raw.columns else nothing
    sound = {key: _sound_steps(raw[key]) for key in steps}
    drops = [Drop(key, "not a number", count) for key, count in sorted((bad or {}).items()) if key in metrics]
    points_by_metric = []
    for metric in metrics:
        value = raw[metric]
        if value.null_count() == len(raw):
            continue
        logged = value.is_not_null()
        key = next((k for k in steps if sound[k] is not None or (logged & raw[k].is_not_null()).any()), None)
        ready = sound[key] if key else None
        step = raw[key] if key else nothing
        columns = [(step if ready is None else ready).alias("step"), value.alias("value"), time.alias("time")]
        points = pl.DataFrame(columns)
        points = points.filter(logged) if value.null_count() else points
        if ready is None:
            points, lost = _in_order(points, metric, step_keys)
            drops += lost
        points_by_metric.append(Points(metric, points))
    bare = _bare_steps(raw, metrics, steps)
    return [p for p in (*points_by_metric, Points(None, bare)) if len(p.frame)], tuple(drops)


def _sound_steps(step: pl.Series) -> pl.Series | None:
    """Steps as whole numbers where every row has one and each is beyond the last, as they mostly are."""
    if not len(step) or step.null_count():
        return None
    steps = step.to_numpy()
    ends = steps[[0, -1]]
    if not np.isfinite(ends).all() or np.abs(ends).max() >= 2**53 or not (steps[1:] > steps[:-1]).all():
        return None
    # Between two such ends, each beyond the last: none is a NaN or infinite.
    whole = steps.astype(np.int64)
    return pl.Series(whole) if (whole == steps).all() else None


def _in_order(points: pl.DataFrame, metric: str, step_keys: Sequence[str]) -> tuple[pl.DataFrame, list[Drop]]:
    """A metric's points with a whole step, sorted by it and one per step, and what was left out."""
    points, drops = _whole_steps(points, metric, step_keys)
    if (points["step"].diff(null_behavior="drop") > 0).all():
        return points, drops
    last = points.unique("step", keep="last", maintain_order=True)
    if len(last) < len(points):
        drops.append(Drop(metric, REPEATED_STEP, len(points) - len(last)))
    return last.sort("step"), drops


def _whole_steps(points: pl.DataFrame, metric: str, step_keys: Sequence[str]) -> tuple[pl.DataFrame, list[Drop]]:
    """Points whose step is a whole number, cast to it, and the count of the others."""
    drops: list[Drop] = []
    missing = points["step"].null_count()
    if missing:
        drops.append(Drop(metric, f"no step ({', '.join(step_keys)})", missing))
    whole = points.filter(_is_whole("step"))
    if len(whole) + missing < len(points):
        drops.append(Drop(metric, "step is not a whole number", len(points) - missing - len(whole)))
    return whole.with_columns(pl.col("step").cast(pl.Int64)), drops


def _is_whole(column: str) -> pl.Expr:
    step = pl.col(column)
    return step.is_finite() & (step == step.floor()) & (step.abs() < 2**53)


def _bare_steps(raw: pl.DataFrame, metrics: list[str], steps: list[str]) -> pl.DataFrame:
    """The steps of rows that hold none of the metrics, once each, without a value or a time."""
    if not steps or any(not raw[metric].null_count() for metric in metrics):
        return pl.DataFrame(schema={"step": pl.Int64, "value": pl.Float64, "time": pl.Float64})
    none = pl.all_horizontal([pl.col(m).is_null() for m in metrics]) if metrics else pl.lit(True)
    bare = (
        raw.filter(none)
        .select(pl.coalesce(steps).alias("step"))
        .drop_nulls()
        .filter(_is_whole("step"))
        .unique()
        .sort("step")
    )
    nothing = pl.lit(None, dtype=pl.Float64)
    return bare.select(pl.col("step").cast(pl.Int64), nothing.alias("value"), nothing.alias("time"))


def describe(
    run: Run,
    points: Sequence[Points],
    drops: Sequence[Drop],
    fetched: Sequence[str],
    step_key: Sequence[str],
) -> Run:
    """The run with what its history says of it: step range, points by metric, drops."""
    rows = {p.metric: len(p.frame) for p in points if p.metric is not None}
    steps = [int(step) for p in points if len(p.frame) for step in (p.frame["step"].min(), p.frame["step"].max())]  # type: ignore[arg-type]
    return replace(
        run,
        first_step=min(steps, default=None),
        last_step=max(steps, default=None),
        rows=dict(sorted(rows.items())),
        drops=tuple(drops),
        fetched=tuple(fetched),
        step_key=tuple(step_key),
    )
