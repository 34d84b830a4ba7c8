"""The original notebook's arithmetic: exact steps, and a moving average over points."""

from collections.abc import Sequence

import polars as pl

from lib.curves.aggregate import COLUMNS
from lib.curves.bins import included_runs, on_axis, run_frame
from lib.curves.view_settings import View
from lib.runs import History, Treatment, anchor
from lib.study import Metric, Task


def exact_curves(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """The original notebook's curves, so that its figures can be checked.

    Mean and sample std over the seeds of an arm that logged at exactly that step (std 0 where only one did); smoothed
    metrics are then averaged over `max(1, int(window / median step difference over all logged rows))` points, the
    mean and the std alike. Log metrics are treated as linear ones.

    Returns
    -------
    Frame with the columns `COLUMNS`, sorted by arm, metric and step.

    Raises
    ------
    StoreError
        Where a run's file is gone.
    """
    with history.store_errors():
        return _curves(history, task, metrics, treatments, view)


def _curves(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    rows = history.lazy().join(run_frame(treatments, view).lazy(), on="run_id")
    points = (
        rows.filter("shown", "placed", pl.col("metric").is_in([m.key for m in metrics]), pl.col("value").is_not_nan())
        .group_by("arm", "metric", "step")
        .agg(values=pl.col("value").sort())
        .with_columns(
            mean=pl.col("values").list.mean(),
            std=pl.col("values").list.std(ddof=1).fill_nan(0).fill_null(0),
            n=pl.col("values").list.len(),
        )
        .sort("arm", "metric", "step")
    )
    window = view.smoothing(task)
    smoothed = [m.key for m in metrics if m.smoothed and window]
    return (
        (_moving_average(points, _window_points(rows, window), smoothed) if smoothed else points)
        .with_columns(
            pl.lit(task.key).alias("task"),
            on_axis(pl.col("step").cast(pl.Float64), pl.lit(anchor(included_runs(treatments, view))), task, view).alias(
                "step"
            ),
            (pl.col("mean") - pl.col("std")).alias("lower"),
            (pl.col("mean") + pl.col("std")).alias("upper"),
        )
        .select(COLUMNS)
        .sort("arm", "metric", "step")
        .collect()
    )


def _window_points(rows: pl.LazyFrame, window: int) -> int:
    """The length of the moving average in points, for a window in environment steps."""
    median = rows.select(pl.col("step").unique().sort().diff().median()).collect().item()
    return max(1, int(window / median)) if median else 1


def _moving_average(points: pl.LazyFrame, size: int, smoothed: Sequence[str]) -> pl.LazyFrame:
    """The notebook's moving average over `size` points; as in pandas, infinite values count for nothing in it."""
    averages = [
        pl.when(pl.col("metric").is_in(smoothed))
        .then(pl.when(pl.col(c).is_finite()).then(c).rolling_mean(size, min_samples=1).over("arm", "metric"))
        .otherwise(c)
        .alias(c)
        for c in ("mean", "std")
    ]
    return points.with_columns(averages)
