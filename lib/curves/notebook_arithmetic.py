"""The original notebook's arithmetic: exact steps, and a moving average over points."""

from collections.abc import Sequence

import polars as pl

from lib.curves.bins import kept, on_axis, run_frame
from lib.curves.schema import COLUMNS
from lib.curves.view_settings import View
from lib.runs import History, Treatment, anchor
from lib.study import Metric, Task


def exact(
    history: History, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The original notebook's arithmetic, so that its figures can be checked.

    Mean and sample std over the seeds of an arm that logged at exactly that step (std 0 where only one did); smoothed
    metrics are then averaged over `max(1, int(window / median step difference over all logged rows))` points, the
    mean and the std alike. Same columns as `curves`; log metrics are treated as linear ones.
    """
    window = view.smoothing(task)
    mine = history.lazy().join(run_frame(treated, view).lazy(), on="run_id")
    smoothed = [m.key for m in metrics if m.smoothed and window]
    increment = mine.select(pl.col("step").unique().sort().diff().median())
    points = (
        mine.filter("shown", "placed", pl.col("metric").is_in([m.key for m in metrics]), pl.col("value").is_not_nan())
        .group_by("arm", "metric", "step")
        .agg(values=pl.col("value").sort())
        .with_columns(
            mean=pl.col("values").list.mean(),
            std=pl.col("values").list.std(ddof=1).fill_nan(0).fill_null(0),
            n=pl.col("values").list.len(),
        )
        .sort("arm", "metric", "step")
    )
    points = _moving_average(points, increment, window, smoothed)
    return (
        points.with_columns(
            pl.lit(task.key).alias("task"),
            on_axis(pl.col("step").cast(pl.Float64), pl.lit(anchor(kept(treated, view))), task, view).alias("step"),
            (pl.col("mean") - pl.col("std")).alias("lower"),
            (pl.col("mean") + pl.col("std")).alias("upper"),
        )
        .select(COLUMNS)
        .sort("arm", "metric", "step")
    )


def _moving_average(
    points: pl.LazyFrame, increment: pl.LazyFrame, window: int, smoothed: Sequence[str]
) -> pl.LazyFrame:
    """The notebook's moving average over points; its length depends on the data, so the increment is read here.

    As in pandas, infinite values count for nothing in it.
    """
    if not smoothed:
        return points
    median = increment.collect().item()
    size = max(1, int(window / median)) if median else 1
    averaged = [
        pl.when(pl.col("metric").is_in(smoothed))
        .then(pl.when(pl.col(c).is_finite()).then(c).rolling_mean(size, min_samples=1).over("arm", "metric"))
        .otherwise(c)
        .alias(c)
        for c in ("mean", "std")
    ]
    return points.with_columns(averaged)
