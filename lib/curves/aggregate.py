"""From bins to curves: the seeds of each arm together, bin by bin.

The order matters. Runs rarely log at the same steps, so a mean over "the same step" is a mean over whoever logged
there. Each run is therefore smoothed on its own rows, on its own side of the detach, then brought onto one grid of
bins shared by the runs of a task, and only then averaged over seeds.
"""

from collections import Counter
from collections.abc import Sequence

import polars as pl

from lib.curves.bins import visible_runs
from lib.curves.seed_groups import seed_groups
from lib.curves.view_settings import Spread, View
from lib.runs import History, Treatment
from lib.study import Metric, Task

#: The columns of curves.
COLUMNS = ("task", "arm", "metric", "step", "mean", "std", "n", "lower", "upper")


def aligned_curves(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """Each metric over aligned bins, aggregated over the seeds of each arm.

    Returns
    -------
    Frame with the columns `COLUMNS`, sorted by arm, metric and bin. `step` is the mean step of the bin's points on the
    view's x axis (for wall time, the mean over its runs of their points' mean elapsed hours), `n` the number of seeds
    in it. std has ddof 1 and is null, as are the bounds, where n = 1. For log metrics the mean is geometric, `std` the
    factor exp(sd of logs) and the bounds multiplicative.
    """
    return aggregate(seed_groups(history, task, metrics, treatments, view), task, metrics, treatments, view).collect()


def aggregate(
    groups: pl.DataFrame, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The statistics of `seed_groups` as curves with a band, of the arms that the view shows: columns `COLUMNS`."""
    most = max(Counter(t.arm for t in treatments).values(), default=0)
    log_keys = [m.key for m in metrics if m.scale == "log"]
    names = {"center": "mean", "sd": "std", "lower": "lower", "upper": "upper"}
    return (
        (groups.lazy().filter(pl.col("arm").is_in(view.arms)) if view.arms else groups.lazy())
        .with_columns(pl.col(view.aggregate).alias("center"))
        .with_columns(half=_half_width(view.spread, most), log=pl.col("metric").is_in(log_keys))
        .with_columns(*_bounds(view.spread))
        .with_columns(
            pl.lit(task.key).alias("task"),
            *(pl.when("log").then(pl.col(c).exp()).otherwise(c).alias(name) for c, name in names.items()),
        )
        .select(COLUMNS)
    )


def run_curves(
    binned: pl.DataFrame, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.LazyFrame:
    """The values of `bins` as a curve per run, on the metrics' own scales.

    Returns
    -------
    LazyFrame: task, arm, metric, run_id, seed, step, value.
    """
    log_keys = [m.key for m in metrics if m.scale == "log"]
    return (
        _with_arms(binned, treatments, view)
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


def _with_arms(binned: pl.DataFrame, treatments: Sequence[Treatment], view: View) -> pl.LazyFrame:
    """Bins with the arm and seed of their run, of the runs that the view shows."""
    rows = [(t.run_id, t.arm, t.seed) for t in visible_runs(treatments, view)]
    runs = pl.LazyFrame(rows, schema=dict.fromkeys(("run_id", "arm", "seed"), pl.String), orient="row")
    return binned.lazy().join(runs.cast({"run_id": binned["run_id"].dtype}), on="run_id")


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
