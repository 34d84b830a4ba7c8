"""From bins to curves: the seeds of each arm together, bin by bin. Lazy frames in, lazy frames out.

The order matters. Runs rarely log at the same steps, so a mean over "the same step" is a mean over whoever logged
there. Each run is therefore smoothed on its own rows, on its own side of the detach, then brought onto one grid of
bins shared by the runs of a task, and only then averaged over seeds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from lib.curves.bins import bins, shown
from lib.curves.view_settings import Aggregate, Spread, View
from lib.runs import History, Treatment
from lib.study import Metric, Task

#: The columns of curves.
COLUMNS = ("task", "arm", "metric", "step", "mean", "std", "n", "lower", "upper")


def aligned_curves(
    history: History, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """Each metric over aligned bins, aggregated over the seeds of each arm.

    Returns
    -------
    Frame with the columns `COLUMNS`, sorted by arm, metric and bin. `step` is the mean step of the bin's points on the
    view's x axis (for wall time, the mean over its runs of their points' mean elapsed hours), `n` the number of seeds
    in it. std has ddof 1 and is null, as are the bounds, where n = 1. For log metrics the mean is geometric, `std` the
    factor exp(sd of logs) and the bounds multiplicative.
    """
    groups = seed_groups(bins(history, task, metrics, treated, view), treated, view)
    return aggregate(groups, task, metrics, treated, view).collect()


def seed_groups(binned: pl.DataFrame, treated: Sequence[Treatment], view: View) -> pl.LazyFrame:
    """The values of `bins` by arm, metric and bin: they serve every aggregate, band and choice of arms.

    Returns
    -------
    LazyFrame: arm, metric, step, values (one per seed, of their logs for log metrics), by arm, metric and bin.
    """
    return (
        _with_arms(binned, treated, replace(view, arms=()))
        .group_by("arm", "metric", "bin")
        # As sorted lists: sums of floats depend on their order, and the same runs must give the same digits.
        .agg(values=pl.col("value").sort(), xs=pl.col("x_sum").sort(), weight=pl.col("x_weight").sum())
        .with_columns(pl.col("metric").cast(pl.String))
        # The order of bins is that of steps: over wall time a curve steps back where only faster runs go on.
        .sort("arm", "metric", "bin")
        .select("arm", "metric", (pl.col("xs").list.sum() / pl.col("weight")).alias("step"), "values")
    )


def aggregate(
    groups: pl.LazyFrame, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The values of `seed_groups` as curves with a band, of the arms that the view shows: columns `COLUMNS`."""
    most = max(Counter(t.arm for t in treated).values(), default=0)
    log_keys = [m.key for m in metrics if m.scale == "log"]
    names = {"center": "mean", "sd": "std", "lower": "lower", "upper": "upper"}
    return (
        (groups.filter(pl.col("arm").is_in(view.arms)) if view.arms else groups)
        .with_columns(
            center=_center(view.aggregate),
            sd=pl.col("values").list.std(ddof=1),
            low=pl.col("values").list.first(),
            high=pl.col("values").list.last(),
            n=pl.col("values").list.len(),
        )
        .with_columns(half=_half_width(view.spread, most), log=pl.col("metric").is_in(log_keys))
        .with_columns(*_bounds(view.spread))
        .with_columns(
            pl.lit(task.key).alias("task"),
            *(pl.when("log").then(pl.col(c).exp()).otherwise(c).alias(name) for c, name in names.items()),
        )
        .select(COLUMNS)
    )


def run_curves(
    binned: pl.DataFrame, task: Task, metrics: Sequence[Metric], treated: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The values of `bins` as a curve per run, on the metrics' own scales.

    Returns
    -------
    LazyFrame: task, arm, metric, run_id, seed, step, value.
    """
    log_keys = [m.key for m in metrics if m.scale == "log"]
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
            pl.when(pl.col("metric").is_in(log_keys)).then(pl.col("value").exp()).otherwise("value").alias("value"),
        )
    )


def _with_arms(binned: pl.DataFrame, treated: Sequence[Treatment], view: View) -> pl.LazyFrame:
    """Bins with the arm and seed of their run, of the runs that the view shows."""
    rows = [(t.run_id, t.arm, t.seed) for t in shown(treated, view)]
    runs = pl.LazyFrame(rows, schema=dict.fromkeys(("run_id", "arm", "seed"), pl.String), orient="row")
    return binned.lazy().join(runs.cast({"run_id": binned["run_id"].dtype}), on="run_id")


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
