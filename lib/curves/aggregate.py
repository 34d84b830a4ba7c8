"""From a history to curves: align, smooth, aggregate. LazyFrames in, LazyFrames out; nothing is read before they are collected.

The order matters. Runs rarely log at the same steps, so a mean over "the same step" is a mean over whoever logged
there. Each run is therefore smoothed on its own rows, on its own side of the detach, then brought onto one grid of
bins shared by the runs of a task, and only then averaged over seeds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from lib.curves.bins import bins, shown
from lib.curves.notebook_arithmetic import exact
from lib.curves.schema import COLUMNS
from lib.curves.view_settings import Aggregate, Spread, View
from lib.runs import History, Treatment
from lib.study import Metric, Task


def curves(
    history: History, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """Each metric over steps, aggregated over the seeds of each arm.

    Parameters
    ----------
    task : the task whose runs `treated` are.
    metrics : what to draw.
    treated : the runs and their arms; others in the history are ignored.
    view : aggregate, spread, smoothing, grid, arms and x axis.

    Returns
    -------
    LazyFrame with the columns `COLUMNS`, sorted by arm, metric and bin. `step` is the mean step of the bin's points
    on the view's x axis (for wall time, the mean over its runs of their points' mean elapsed hours), `n` the number of
    seeds in it. Aligned: std has ddof 1 and is null, as are the bounds, where
    n = 1. For log metrics the mean is geometric, `std` the factor exp(sd of logs) and the bounds multiplicative.
    """
    if view.grid == "exact":
        return exact(history, task, metrics, treated, view)
    return aggregated(bins(history, task, metrics, treated, view).lazy(), task, metrics, treated, view)


def aggregated(
    binned: pl.LazyFrame, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The second half of `curves`: what `bins` gives, aggregated over the seeds of each arm that the view shows."""
    return summarised(grouped(binned, treated, view), task, metrics, treated, view)


def grouped(binned: pl.LazyFrame, treated: Sequence[Treatment], view: View) -> pl.LazyFrame:
    """What `bins` gives, by arm: one list serves every aggregate, band and choice of arms.

    Returns
    -------
    LazyFrame: arm, metric, step, values (one a seed, of their logs for log metrics), by arm and metric in the order of bins.
    """
    return (
        _with_arms(binned, treated, replace(view, arms=()))
        .group_by("arm", "metric", "bin")
        # As sorted lists: sums of floats depend on their order, and the same runs must give the same digits.
        .agg(values=pl.col("value").sort(), xs=pl.col("x_sum").sort(), weight=pl.col("x_weight").sum())
        .with_columns(pl.col("metric").cast(pl.String))
        # The order of bins is that of steps: over wall time a curve steps back where only faster runs go on.
        .sort("arm", "metric", "bin")
        .select(
            "arm",
            "metric",
            (pl.col("xs").list.sum() / pl.col("weight")).alias("step"),
            "values",
        )
    )


def summarised(
    groups: pl.LazyFrame, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The last part of `curves`: what `grouped` gives, aggregated as the view says; of its arms alone."""
    most = max(Counter(t.arm for t in treated).values(), default=0)
    logged = [m.key for m in metrics if m.scale == "log"]
    return (
        (groups.filter(pl.col("arm").is_in(view.arms)) if view.arms else groups)
        .with_columns(
            center=_center(view.aggregate),
            sd=pl.col("values").list.std(ddof=1),
            low=pl.col("values").list.first(),
            high=pl.col("values").list.last(),
            n=pl.col("values").list.len(),
        )
        .with_columns(_half_width(view.spread, most).alias("half"), pl.col("metric").is_in(logged).alias("log"))
        .with_columns(*_bounds(view.spread))
        .with_columns(
            pl.lit(task.key).alias("task"),
            *(pl.when("log").then(pl.col(c).exp()).otherwise(c).alias(to) for c, to in _OUT.items()),
        )
        .select(COLUMNS)
    )


_OUT = {"center": "mean", "sd": "std", "lower": "lower", "upper": "upper"}


def seed_curves(
    history: History, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """Each run's own curve on the same grid as `curves`, not aggregated.

    Returns
    -------
    LazyFrame: task, arm, metric, run_id, seed, step, value.
    """
    return per_seed(bins(history, task, metrics, treated, view).lazy(), task, metrics, treated, view)


def raw_curves(
    history: History, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The smoothed metrics of each run before smoothing, one value a bin: columns as `seed_curves`."""
    smoothed = [m for m in metrics if m.smoothed]
    return seed_curves(history, task, smoothed, treated, replace(view, smooth=False))


def per_seed(
    binned: pl.LazyFrame, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The second half of `seed_curves`: what `bins` gives, on the metrics' own scales."""
    logged = [m.key for m in metrics if m.scale == "log"]
    return (
        _with_arms(binned, treated, view)
        .with_columns(pl.col("metric", "run_id").cast(pl.String))
        .sort("arm", "metric", "run_id", "bin")
        .select(
            pl.lit(task.key).alias("task"),
            "arm",
            "metric",
            "run_id",
            "seed",
            (pl.col("x_sum") / pl.col("x_weight")).alias("step"),
            pl.when(pl.col("metric").is_in(logged)).then(pl.col("value").exp()).otherwise("value").alias("value"),
        )
    )


def _with_arms(binned: pl.LazyFrame, treated: Sequence[Treatment], view: View) -> pl.LazyFrame:
    """Bins with the arm and seed of their run, of the runs that the view shows."""
    rows = [(t.run_id, t.arm, t.seed) for t in shown(treated, view)]
    ids = pl.Enum(sorted({t.run_id for t in treated}))
    runs = pl.LazyFrame(rows, schema={"run_id": ids, "arm": pl.String, "seed": pl.String}, orient="row")
    return binned.join(runs, on="run_id")


def _center(aggregate: Aggregate) -> pl.Expr:
    """The aggregate of a sorted list over seeds; the IQM is the mean of its middle half (Agarwal et al. 2021)."""
    values = pl.col("values")
    if aggregate == "median":
        return values.list.median()
    if aggregate == "iqm":
        cut = values.list.len() // 4
        return values.list.slice(cut, values.list.len() - 2 * cut).list.mean()
    return values.list.mean()


def _t_quantile(most: int) -> pl.Expr:
    """The two-sided 95% t quantile of every row's n, of at most `most` seeds."""
    from scipy.special import stdtrit

    sizes = list(range(2, max(most, 2) + 1))
    quantiles = [float(stdtrit(n - 1, 0.975)) for n in sizes]
    return pl.col("n").replace_strict(sizes, quantiles, default=None, return_dtype=pl.Float64)


def _half_width(spread: Spread, most: int) -> pl.Expr:
    error = pl.col("sd") / pl.col("n").cast(pl.Float64).sqrt()
    if spread == "ci":
        return error * _t_quantile(most)
    return {"std": pl.col("sd"), "se": error, "minmax": pl.lit(None, dtype=pl.Float64)}[spread]


def _bounds(spread: Spread) -> tuple[pl.Expr, pl.Expr]:
    if spread == "minmax":
        several = pl.col("n") > 1
        return pl.when(several).then("low").alias("lower"), pl.when(several).then("high").alias("upper")
    return (pl.col("center") - pl.col("half")).alias("lower"), (pl.col("center") + pl.col("half")).alias("upper")
