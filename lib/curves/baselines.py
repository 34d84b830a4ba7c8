"""Published learning curves to draw behind a task's rewards: CSV files of step, reward and seed."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from lib.curves.aggregate import aligned_curves
from lib.curves.view_settings import View
from lib.runs import HISTORY, History, Treatment, anchor, of_task
from lib.study import Baseline, InputError, Metric, Study, Task

#: Columns of a baseline file; others are ignored.
FILE = ("step", "reward", "seed")
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
MAX_BYTES = 20 * 1024**2
#: Quiet colours, readable on white and on black, for baselines that name none.
GREYS = ("#888888", "#a5a5a5", "#707070")
_METRIC = Metric("baseline", "reward", "increase", smooth=False)


class BaselineError(InputError):
    """A baseline file that cannot be drawn, in one sentence."""


def read_baseline(content: bytes, name: str) -> pl.DataFrame:
    """The rows of a baseline file.

    Parameters
    ----------
    content : CSV with a header; columns other than `FILE` are ignored, their order is free.
    name : what errors call the file.

    Returns
    -------
    Frame: step (Int64, environment steps), reward (Float64, may be NaN), seed (String).

    Raises
    ------
    BaselineError
        Where the file is too large, no CSV, lacks a column or a row, or holds something that is not a number.
    """
    if len(content) > MAX_BYTES:
        raise BaselineError(f"{name} is larger than {MAX_BYTES // 1024**2} MB: a baseline is a small file.")
    try:
        text = content.decode("utf-8-sig")
        rows = pl.read_csv(io.StringIO(text), infer_schema=False)
    except (UnicodeDecodeError, pl.exceptions.PolarsError):
        raise BaselineError(f"{name} is not a CSV file of the columns {', '.join(FILE)}.") from None
    columns = {column.strip().lower(): column for column in reversed(rows.columns)}
    missing = [column for column in FILE if column not in columns]
    if missing:
        raise BaselineError(
            f"{name} has no column {' or '.join(missing)}: a baseline is a CSV file of the columns {', '.join(FILE)}."
        )
    if rows.is_empty():
        raise BaselineError(f"{name} holds no row below its header.")
    rows = rows.select(pl.col(columns[column]).str.strip_chars().alias(column) for column in FILE)
    step = _numbers(rows["step"], name)
    bad = step.is_nan() | step.is_infinite() | (step < 0) | (step > 2**53)
    if bad.any():
        line = (bad.arg_true()[0] or 0) + 2
        raise BaselineError(f"{name}, line {line}: step is {rows['step'][line - 2]}, which no step can be.")
    return pl.DataFrame(
        {
            "step": step.round(0).cast(pl.Int64),
            "reward": _numbers(rows["reward"], name),
            "seed": rows["seed"].fill_null(""),
        }
    )


def _numbers(column: pl.Series, name: str) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    bad = numbers.is_null()
    if bad.any():
        at = bad.arg_true()[0]
        value = "empty" if not column[at] else f"'{column[at][:40]}'"
        raise BaselineError(f"{name}, line {at + 2}: {column.name} is {value}, not a number.")
    return numbers


def file_bytes(path: Path) -> bytes:
    """What a baseline file holds; BaselineError where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BaselineError(f"There is no baseline at {path}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BaselineError(f"The baseline {path} cannot be read ({reason}).") from None


def baseline_curve(
    rows: pl.DataFrame, task: Task, baseline: Baseline, treated: Sequence[Treatment], view: View
) -> pl.DataFrame:
    """A baseline as the task's own curves are drawn: one value per seed and bin, aggregated over seeds, on the view's x axis.

    Parameters
    ----------
    rows : as `read_baseline` gives them; those beyond the task's total steps are left out.
    treated : the task's runs: bins are counted from the detach step that they share, and so is event time. Where they
        share none, a baseline has no place in event time.

    Returns
    -------
    Columns as `BASELINES`, by step. It is never smoothed.
    """
    kept = rows.filter(pl.col("step") <= task.total_steps, pl.col("reward").is_finite())
    if kept.is_empty():
        raise BaselineError(
            f"The baseline {baseline.name} has no row within the {task.total_steps:,} steps of {task.title}."
        )
    history = kept.select(
        pl.col("seed").alias("run_id"),
        pl.lit(_METRIC.key).alias("metric"),
        "step",
        pl.col("reward").alias("value"),
        pl.lit(None, dtype=pl.Float64).alias("time"),
    ).match_to_schema(HISTORY)
    at = anchor(treated) or None
    seeds = [_as_run(seed, task, at) for seed in kept["seed"].unique().sort()]
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


def task_baselines(study: Study, task: Task, treated: Sequence[Treatment], view: View) -> pl.DataFrame:
    """Every baseline that the study names for a task: columns as `BASELINES`, in the study's order.

    Raises
    ------
    BaselineError
        Where a file cannot be read or drawn.
    """
    curves = []
    for i, baseline in enumerate(task.baselines):
        rows = read_baseline(file_bytes(study.at(baseline.path)), baseline.name)
        colored = replace(baseline, color=baseline.color or GREYS[i % len(GREYS)])
        curves.append(baseline_curve(rows, task, colored, treated, view))
    return pl.concat(curves) if curves else BASELINES.to_frame()


def study_baselines(study: Study, treated: Sequence[Treatment], view: View) -> pl.DataFrame:
    """The baselines of every task: columns as `BASELINES`; BaselineError as in `task_baselines`."""
    curves = [task_baselines(study, task, of_task(treated, task.key), view) for task in study.tasks]
    return pl.concat([BASELINES.to_frame(), *curves])
