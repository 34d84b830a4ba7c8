"""Published learning curves to draw behind a task's rewards."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl

from lib.curves.aggregate import aligned_curves
from lib.curves.baseline_file import BaselineError, file_bytes, read_baseline
from lib.curves.view_settings import View
from lib.runs import HISTORY, LARGEST, History, Treatment, anchor, of_task
from lib.study import Baseline, Metric, Study, Task

#: One row per bin of a baseline: its mean over seeds with the view's spread; bounds are null where one seed is left.
BASELINES = pl.Schema(
    {
        "task": pl.String,
        "label": pl.String,
        "color": pl.String,
        "step": pl.Float64,
        "mean": pl.Float64,
        "lower": pl.Float64,
        "upper": pl.Float64,
        "n": pl.UInt32,
    }
)
#: Quiet colours, readable on white and on black, for baselines that name none.
GREYS = ("#888888", "#a5a5a5", "#707070")
#: Action repeats in use, and how far the last step may be from a multiple of the total.
_REPEATS, _NEAR = range(2, 9), 0.03
_METRIC = Metric("baseline", "reward", "increase", smooth=False)


def baseline_curve(
    rows: pl.DataFrame, task: Task, baseline: Baseline, treatments: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """A baseline as the task's own curves are drawn: one value per seed and bin, aggregated over seeds, on the view's x axis.

    Parameters
    ----------
    rows : as `read_baseline` gives them; those beyond the task's total steps are left out.
    treatments : the task's runs: bins are counted from the detach step that they share, and so is event time. Where they
        share none, a baseline has no place in event time.

    Returns
    -------
    Columns as `BASELINES`, by step. It is never smoothed.
    """
    usable_rows = rows.filter(pl.col("step") <= task.total_steps, pl.col("reward").abs() <= LARGEST)
    if usable_rows.is_empty():
        raise BaselineError(
            f"The baseline {baseline.name} has no row within the {task.total_steps:,} steps of {task.title}."
        )
    history = usable_rows.select(
        pl.col("seed").alias("run_id"),
        pl.lit(_METRIC.key).alias("metric"),
        "step",
        pl.col("reward").alias("value"),
        pl.lit(None, dtype=pl.Float64).alias("time"),
    ).match_to_schema(HISTORY)
    at = anchor(treatments) or None
    seeds = [_as_run(seed, task, at) for seed in usable_rows["seed"].unique().sort()]
    plain = replace(view, grid="aligned", arms=(), left_out=())
    curve = aligned_curves(History.of_frame(history), task, [_METRIC], seeds, plain)
    return curve.select(
        "task",
        pl.lit(baseline.name).alias("label"),
        pl.lit(baseline.color).alias("color"),
        *("step", "mean", "lower", "upper", "n"),
    ).match_to_schema(BASELINES)


def _as_run(seed: str, task: Task, at: int | None) -> Treatment:
    return Treatment(seed, task.key, "baseline", seed, at, "", None, "", None, "finished")


def task_baselines(
    study: Study, task: Task, treatments: Sequence[Treatment], view: View, warn: Callable[[str], None]
) -> pl.DataFrame:
    """Every baseline that the study names for a task: columns as `BASELINES`, in the study's order.

    `warn` takes a sentence for what is left out of a file, and for steps that seem to count something else.

    Raises
    ------
    BaselineError
        Where a file cannot be read or drawn.
    """
    curves = []
    for i, baseline in enumerate(task.baselines):
        rows = read_baseline(file_bytes(study.at(baseline.path)), baseline.name, baseline.step_scale, warn)
        if message := step_doubt(rows, task, baseline):
            warn(message)
        colored = replace(baseline, color=baseline.color or GREYS[i % len(GREYS)])
        curves.append(baseline_curve(rows, task, colored, treatments, view))
    return pl.concat(curves) if curves else BASELINES.to_frame()


def step_doubt(rows: pl.DataFrame, task: Task, baseline: Baseline) -> str:
    """A sentence where a baseline without a `step_scale` seems to count frames, of which a step has several; else "".

    With an action repeat of k its last step is k times the task's total steps.
    """
    last = int(rows["step"].max())  # type: ignore[arg-type]
    repeat = round(last / task.total_steps)
    if baseline.step_scale != 1 or repeat not in _REPEATS or abs(last / (repeat * task.total_steps) - 1) > _NEAR:
        return ""
    times = "twice" if repeat == 2 else f"{repeat} times"
    return (
        f"{baseline.name}: its last step, {last:,}, is {times} the total of {task.title}: set step_scale = {1 / repeat:.4g} "
        "if it counts frames."
    )


def study_baselines(
    study: Study, treatments: Sequence[Treatment], view: View, warn: Callable[[str], None]
) -> pl.DataFrame:
    """The baselines of every task: columns as `BASELINES`; `warn` and BaselineError as in `task_baselines`."""
    curves = [task_baselines(study, task, of_task(treatments, task.key), view, warn) for task in study.tasks]
    return pl.concat([BASELINES.to_frame(), *curves])
