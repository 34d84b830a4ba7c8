"""The seeds of each arm together, bin by bin: statistics that serve every aggregate and band, whatever the number of runs."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import polars as pl

from lib.curves.bins import BIN, run_bins
from lib.curves.view_settings import View
from lib.runs import History, Treatment, open_spool
from lib.study import Metric, Task

#: Bins of runs that are brought together at a time.
_TOGETHER = 100_000
#: A bin of a run with the place of its arm.
_ROW = np.dtype([("arm", "<u4"), *BIN.descr])


def seed_groups(
    history: History, task: Task, metrics: Sequence[Metric], treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """What the seeds of each arm say in each bin: it serves every aggregate, band and choice of arms.

    Returns
    -------
    Frame by arm, metric and bin: arm, metric, step (the mean step of the bin's points on the view's x axis), n (seeds),
    and of the seeds' values (of their logs for log metrics) mean, median, iqm, sd (ddof 1), low and high.
    """
    names = sorted({t.arm for t in treatments})
    arms = {t.run_id: names.index(t.arm) for t in treatments}
    width = max(1, _TOGETHER // max(1, len(arms)))
    with open_spool(_ROW, lambda rows: rows["bin"] // width) as spool:
        for run_id, arrays in run_bins(history, task, metrics, treatments, view):
            for metric, array in zip(metrics, arrays, strict=True):
                spool.add(metric.key, _rows(arms[run_id], array))
        groups = [
            _statistics(part, names).with_columns(pl.lit(metric.key).alias("metric"))
            for metric in metrics
            for part in chain([np.empty(0, dtype=_ROW)], spool.parts(metric.key))
        ]
    # The order of bins is that of steps: over wall time a curve steps back where only faster runs go on.
    return pl.concat(groups).sort("arm", "metric", "bin").select("arm", "metric", pl.exclude("arm", "metric", "bin"))


def _rows(arm: int, bins: np.ndarray) -> np.ndarray:
    """The bins of a run of an arm."""
    rows = np.empty(len(bins), dtype=_ROW)
    rows["arm"] = arm
    for name in BIN.names or ():
        rows[name] = bins[name]
    return rows


def _statistics(rows: np.ndarray, arms: Sequence[str]) -> pl.DataFrame:
    """The statistics of some bins by arm and bin."""
    bins = pl.DataFrame({name: np.ascontiguousarray(rows[name]) for name in _ROW.names or ()})
    values = pl.col("values")
    cut = values.list.len() // 4
    return (
        bins.lazy()
        .group_by("arm", "bin")
        # As sorted lists: sums of floats depend on their order, and the same runs must give the same digits.
        .agg(values=pl.col("value").sort(), xs=pl.col("x_sum").sort(), weight=pl.col("x_weight").sum())
        .select(
            pl.col("arm").replace_strict(range(len(arms)), arms, return_dtype=pl.String),
            "bin",
            step=pl.col("xs").list.sum() / pl.col("weight"),
            n=values.list.len(),
            mean=values.list.mean(),
            median=values.list.median(),
            # The mean of the middle half (Agarwal et al. 2021).
            iqm=values.list.slice(cut, values.list.len() - 2 * cut).list.mean(),
            sd=values.list.std(ddof=1),
            low=values.list.first(),
            high=values.list.last(),
        )
        .collect()
    )
