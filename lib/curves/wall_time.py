"""Wall time as an x axis: hours since each run's first timestamp, and when each run passed its detach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from lib.formatting import listing
from lib.runs import History, Treatment
from lib.study import Metric, Task

HOUR = 3600.0
#: A run that logged its first tenth of steps or more within this share of its time was given them, not trained on them.
COPIED = 0.01


@dataclass(frozen=True)
class Clocks:
    """The wall times of one task's runs.

    `passed` is by run the hours from its first timestamp until its detach step; runs that end before it, or have no
    timestamps, are not in it. `untimed` is by run the metrics without timestamps (empty: none of its metrics has any);
    `copied` are runs whose timestamps up to the detach are one moment, as where a fork logs the history it continues.
    """

    passed: Mapping[str, float] = field(default_factory=dict)
    untimed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    copied: tuple[str, ...] = ()


def first_timestamps(history: History) -> dict[str, float]:
    """Every run's first timestamp, in seconds; runs without any are left out."""
    first = history.lazy().filter(pl.col("time").is_finite()).group_by("run_id").agg(pl.col("time").min())
    with history.store_errors():
        return dict(first.collect(engine="streaming").iter_rows())


def elapsed(step: np.ndarray, time: np.ndarray, start: float | None) -> np.ndarray | None:
    """Hours since a run's start at each point of one of its metrics, None where it has no timestamps.

    Parameters
    ----------
    step, time : of the metric's rows, by step; a time that is missing is interpolated between its neighbours, or is that
        of the nearest where it has a neighbour on one side only.
    start : the run's first timestamp.
    """
    timed = np.isfinite(time)
    if start is None or not timed.any():
        return None
    if not timed.all():
        time = np.interp(step, step[timed], time[timed])
    return (time - start) / HOUR


def clocks(history: History, treatments: Sequence[Treatment], metrics: Sequence[Metric]) -> Clocks:
    """When each run passed its detach step, interpolated on all its own rows, and the runs that cannot be placed."""
    at = {t.run_id: t.detach_step for t in treatments}
    runs = pl.LazyFrame(list(at.items()), schema={"run_id": pl.String, "detach": pl.Int64}, orient="row")
    rows = history.lazy().join(runs, on="run_id")
    timed, before = pl.col("time").is_finite(), pl.col("step") <= pl.col("detach")
    around = (
        rows.filter(timed)
        .group_by("run_id")
        .agg(
            pl.col("detach").first(),
            pl.col("time").min().alias("began"),
            pl.col("time").max().alias("ended"),
            pl.col("step").max().alias("last"),
            *_row_nearest(pl.col("step").filter(before).max(), "low"),
            *_row_nearest(pl.col("step").filter(~before).min(), "high"),
        )
    )
    timed_metrics = (
        rows.filter(pl.col("metric").is_in([m.key for m in metrics]))
        .group_by("run_id", "metric")
        .agg(timed.fill_null(False).any().alias("timed"))
    )
    with history.store_errors():
        passages, metrics_timed = pl.collect_all([around, timed_metrics], engine="streaming")
    by_run = {
        row["run_id"]: (row, hours) for row in passages.iter_rows(named=True) if (hours := _passage(row)) is not None
    }
    return Clocks(
        passed={run: hours for run, (_, hours) in by_run.items()},
        untimed=_untimed(metrics_timed),
        copied=tuple(sorted(run for run, (row, hours) in by_run.items() if _is_copied(row, hours))),
    )


def _untimed(metrics_timed: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """By run the metrics without a timestamp; none named where there is no other."""
    untimed = {}
    for run, metrics in metrics_timed.sort("run_id", "metric").group_by("run_id", maintain_order=True):
        lacking = metrics.filter(~pl.col("timed"))["metric"].to_list()
        if lacking:
            untimed[str(run[0])] = tuple(lacking) if len(lacking) < len(metrics) else ()
    return untimed


def _is_copied(row: Mapping[str, float], hours: float) -> bool:
    late = row["detach"] > 0.1 * row["last"]
    return late and hours < COPIED * (row["ended"] - row["began"]) / HOUR


def _row_nearest(step: pl.Expr, name: str) -> tuple[pl.Expr, pl.Expr]:
    """A step of a run, and the time of the latest of its rows."""
    return step.alias(name), pl.col("time").filter(pl.col("step") == step).max().alias(f"{name}_time")


def _passage(row: Mapping[str, float | None]) -> float | None:
    """Hours until a run was at its detach step, between its last timed row up to it and its first one after it."""
    detach, low, high = row["detach"], row["low"], row["high"]
    if detach is None or low is None or (high is None and low < detach):
        return None
    steps, times = ([row[f"{side}{what}"] for side in ("low", "high")] for what in ("", "_time"))
    sides = slice(0, 2 if high is not None else 1)
    return (float(np.interp(detach, steps[sides], times[sides])) - (row["began"] or 0.0)) / HOUR  # type: ignore[arg-type]


def notes(task: Task, treatments: Sequence[Treatment], clocks: Clocks) -> list[str]:
    """One sentence for each thing of a task that a wall time axis cannot show.

    Parameters
    ----------
    treatments : the task's runs, without those left out.
    """
    lines = []
    ids = {t.run_id for t in treatments}
    untimed = [
        f"{run} ({', '.join(lacking)})" if lacking else run for run, lacking in clocks.untimed.items() if run in ids
    ]
    if untimed:
        lines.append(f"{task.title}: without timestamps, so not drawn over wall time: {', '.join(untimed)}.")
    if copied := [run for run in clocks.copied if run in ids]:
        lines.append(
            f"{task.title}: {len(copied)} {'run has' if len(copied) == 1 else 'runs have'} one moment's timestamps up to "
            f"the detach, as forks do that log the history they continue: what came before the rule lies at the start."
        )
    steps = {t.detach_step for t in treatments if t.detach_step is not None}
    unseen = steps - {t.detach_step for t in treatments if t.run_id in clocks.passed}
    if unseen:
        lines.append(f"{task.title}: no run with timestamps passed {_steps(unseen)}, so no rule is drawn there.")
    if task.baselines:
        names = ", ".join(baseline.name for baseline in task.baselines)
        lines.append(f"{task.title}: baselines have steps but no timestamps, so not drawn over wall time: {names}.")
    return lines


def _steps(steps: set[int]) -> str:
    return "the detach at " + listing((f"{step:,}" for step in sorted(steps)), "or")
