"""The tables that a curve chart draws, one per layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from lib.charts import axes, thinning
from lib.charts.curves.series_style import SeriesStyle

#: Rows a chart sends at most, so that it stays under 300 KB however long the history is.
CURVE_ROWS = 3600
SEED_ROWS = 2400
RAW_ROWS = 1800
_NUMBERS = ("step", "mean", "lower", "upper")

Bounds = tuple[float, float] | None


@dataclass(frozen=True)
class Curve:
    """One series: a metric's key, an arm, and by step its mean, its band (NaN where there is none) and n."""

    metric: str
    arm: str
    step: np.ndarray
    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: np.ndarray

    def along_x(self) -> "Curve":
        """The curve's points that have a mean, in the order of x: over wall time it may step back."""
        gaps = np.isnan(self.mean)
        if not gaps.any() and (self.step[1:] >= self.step[:-1]).all():
            return self
        drawn = np.flatnonzero(~gaps)
        order = drawn[np.argsort(self.step[drawn], kind="stable")]
        columns = (getattr(self, name)[order] for name in (*_NUMBERS, "n"))
        return Curve(self.metric, self.arm, *columns)


#: The series of one task by metric and arm.
Curves = Mapping[tuple[str, str], Curve]


def split(curves: pl.DataFrame, task: str) -> Curves:
    """The series of one task, by metric and arm: NaN for what is not finite.

    A NaN or an infinity in a column would stretch the axis over everything else.
    """
    parts = curves.filter(pl.col("task") == task).partition_by("metric", "arm", as_dict=True)
    series = {}
    for (metric, arm), part in parts.items():
        step, mean, lower, upper = (_finite(part[name].to_numpy()) for name in _NUMBERS)
        series[metric, arm] = Curve(metric, arm, step, mean, lower, upper, part["n"].to_numpy())
    return series


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def x_range(curves: Curves) -> tuple[float, float] | None:
    """The x range of every curve of a task, to be shared by its charts; None where it has no curve."""
    steps = [curve.step for curve in curves.values() if len(curve.step)]
    if not steps:
        return None
    low, high = float(min(step.min() for step in steps)), float(max(step.max() for step in steps))
    # Training starts at 0 even where the first row is logged a little later.
    return (0.0 if 0 < low < 0.1 * high else low), high


def shown_range(whole: tuple[float, float] | None, span: tuple[float, float] | None) -> tuple[float, float] | None:
    """The x range to draw: the view's span where the task has any of it, for tasks of other lengths share a view."""
    return span if span and (whole is None or (span[0] < whole[1] and whole[0] < span[1])) else whole


def log_bounds(curves: Sequence[Curve], more: Sequence[pl.Series]) -> tuple[float, float]:
    """The y range of a log axis; a lower bound near or below 0 has no place on it and must not stretch it."""
    columns = [part for curve in curves for part in (curve.mean, curve.upper)]
    columns += [curve.lower[curve.lower > curve.mean / 100] for curve in curves]
    columns += [values.to_numpy() for values in more]
    return axes.log_domain(pl.Series(_joined(columns)))


def linear_bounds(curves: Sequence[Curve], more: Sequence[pl.Series]) -> tuple[float, float]:
    """The y range of a linear axis."""
    columns = [part[~np.isnan(part)] for curve in curves for part in (curve.mean, curve.lower, curve.upper)]
    return axes.linear_domain(pl.Series(_joined([*columns, *(values.to_numpy() for values in more)])))


def curve_table(curves: Sequence[Curve], style: SeriesStyle, bounds: Bounds) -> pl.DataFrame:
    """Lines and bands: metric, arm, step, mean, lower, upper, n.

    On a log axis (with `bounds`) a band that reaches 0 ends at the axis, and a mean of 0 is a gap.
    """
    numbers = {name: _joined([getattr(curve, name) for curve in curves]) for name in (*_NUMBERS, "n")}
    if bounds:
        numbers["mean"] = np.where(numbers["mean"] > 0, numbers["mean"], np.nan)
        numbers |= {name: np.maximum(numbers[name], bounds[0]) for name in ("lower", "upper")}
    sizes = [len(curve.step) for curve in curves]
    table = pl.DataFrame(
        [
            names_column("metric", [style.label(curve.metric) for curve in curves], sizes, style.labels),
            names_column("arm", [curve.arm for curve in curves], sizes, style.arms[::-1]),
            *(pl.Series(name, values, nan_to_null=name != "n") for name, values in numbers.items()),
        ]
    )
    return thinning.round_for_screen(
        thinning.downsample(table, ("metric", "arm"), "mean", CURVE_ROWS // style.families)
    )


def middle_spacing(steps: np.ndarray) -> float:
    """The middle one of the distances between sorted steps, 0 where there is none."""
    gaps = np.sort(np.diff(steps))
    return float(gaps[len(gaps) // 2]) if len(gaps) else 0.0


def _joined(columns: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(columns) if columns else np.empty(0)


def names_column(name: str, values: list[str], sizes: list[int], names: Sequence[str]) -> pl.Series:
    """A column of names, each repeated so many times."""
    codes = np.repeat([names.index(value) for value in values], sizes).astype(np.uint8)
    return pl.Series(name, codes).cat.to(pl.Enum(names))


def run_table(frame: pl.DataFrame, style: SeriesStyle, limit: int, *columns: str) -> pl.DataFrame:
    """Values of each run: metric, arm, run_id, step, value, and these columns.

    Parameters
    ----------
    frame : of every task.
    limit : rows of a chart at most; its families share them.
    """
    points = style.rows(frame).select("metric", "arm", "run_id", *columns, "step", "value")
    points = thinning.downsample(points, ("metric", "arm", "run_id"), "value", limit // style.families)
    return thinning.round_for_screen(points).with_columns(
        pl.col("run_id").cast(pl.Enum(sorted(points["run_id"].unique())))
    )
