"""Tasks by metrics: the change of each with its position on the metric's scale, its verdict, and the levels behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.compare.comparison import Comparison, level, mean
from lib.effects.effects_table import visible_effects
from lib.effects.rounding import Rounding, rounding, unit
from lib.effects.study_analysis import StudyAnalysis
from lib.effects.verdicts import CANNOT_SAY, shown_verdict
from lib.formatting import number, plural, scientific
from lib.study import Metric, Study

Row = Mapping[str, Any]
Claim = tuple[str, str, str]  # task, metric, arm


@dataclass(frozen=True)
class Level:
    """The mean of an arm's runs before and after the detach, as text."""

    arm: str
    before: str
    after: str


@dataclass(frozen=True)
class Position:
    """A change and the ends of its interval on its scale: from -1 to 1, 0 in the middle; beyond them it is cut off."""

    low: float
    change: float
    high: float


@dataclass(frozen=True)
class MatrixRow:
    """One metric of one arm in one task, or across tasks (task `*`).

    `verdict` is what readers see, of a guardrail what its margin says. `scale` is how far its position reaches on either side
    of 0: `±46%`; rows of one metric share it. `margin` are the ends of the margin on that scale, `answer` what is said of it:
    `5%: no worse`.
    """

    task: str
    metric: str
    arm: str
    verdict: str
    change: str
    interval: str
    position: Position | None
    scale: str
    levels: tuple[Level, ...]
    runs: str
    method: str
    reasons: str
    margin: tuple[float, float] | None = None
    answer: str = ""


def matrix(analysis: StudyAnalysis, study: Study) -> tuple[MatrixRow, ...]:
    """The rows of a study's tasks and metrics, in its order, those across tasks first.

    Changes in percent share one precision, those of a linear metric that of its unit. A metric has one scale, in percent of
    what its changes are a percent of or, where one of them has no percent, in its unit; across tasks a linear metric, whose
    changes are there in percent of its range, has a scale of its own.

    Parameters
    ----------
    study : the tasks and metrics to show, of the study that was analysed.
    """
    effects = visible_effects(analysis.effects, study).filter(
        (pl.col("task") != ALL_TASKS) | (pl.col("design") != "none")
    )
    comparisons = {(task.task.key, c.metric.key, c.arm): c for task in analysis.tasks for c in task.comparisons}
    texts = rounding(effects, study)
    tasks = [ALL_TASKS, *(task.key for task in study.tasks)]
    rows = sorted(effects.to_dicts(), key=lambda row: tasks.index(row["task"]))
    matrix_rows = []
    for metric in study.metrics:
        of_metric = [row for row in rows if row["metric"] == metric.key]
        is_apart = metric.scale == "linear"
        groups = [
            [row for row in of_metric if (is_apart and row["task"] == ALL_TASKS) == across] for across in (True, False)
        ]
        for group in groups:
            scale = _scale(group, metric, comparisons)
            levels = _level_texts(
                {_claim(row): comparisons[_claim(row)] for row in group if _claim(row) in comparisons}
            )
            matrix_rows += [_matrix_row(row, metric, levels.get(_claim(row), ()), texts, scale) for row in group]
    return tuple(sorted(matrix_rows, key=lambda row: tasks.index(row.task)))


@dataclass(frozen=True)
class _Scale:
    """What a change is multiplied by to stand on the scale, by claim; the scale ends at +-1. `text` says how much that is."""

    factors: Mapping[Claim, float]
    text: str


def _scale(rows: Sequence[Row], metric: Metric, comparisons: Mapping[Claim, Comparison]) -> _Scale:
    """The scale that these rows share: it reaches as far as the intervals that carry a verdict or, without any, all of them."""
    changes = [row for row in rows if row["change"] is not None]
    factors, mark = {_claim(row): 100.0 for row in changes}, "%"
    if any(unit(row, metric) == "own" for row in changes):
        bases = {_claim(row): comparisons[_claim(row)].base[0] for row in changes}
        is_percent = all(bases.values())
        factors = {claim: 100 / base if is_percent and base else 1.0 for claim, base in bases.items()}
        mark = "%" if is_percent else ""
    judged = [row for row in changes if row["verdict"] != CANNOT_SAY] or changes
    ends = [factors[_claim(row)] * abs(value) for row in judged for value in _values(row) if value is not None]
    reach = max(ends, default=0.0) or 1.0
    return _Scale({claim: factor / reach for claim, factor in factors.items()}, f"±{number(reach, 2)}{mark}")


def _claim(row: Row) -> Claim:
    return row["task"], row["metric"], row["arm"]


def _values(row: Row) -> tuple[float | None, ...]:
    return row["ci_low"], row["change"], row["ci_high"]


def _matrix_row(row: Row, metric: Metric, levels: tuple[Level, ...], texts: Rounding, scale: _Scale) -> MatrixRow:
    return MatrixRow(
        row["task"],
        metric.key,
        row["arm"],
        shown_verdict(row),
        texts.change(row, metric),
        texts.interval(row, metric),
        _position(row, scale),
        scale.text if row["change"] is not None else "",
        levels,
        runs_text(row),
        row["method"],
        row["reasons"] or "",
        _margin(row, metric, scale),
        "" if row["margin"] is None else f"{metric.margin_text}: {row['equivalence'] or 'no verdict'}",
    )


def _margin(row: Row, metric: Metric, scale: _Scale) -> tuple[float, float] | None:
    """The largest changes either way that do not matter; those of a log metric are as far from 0 in logs."""
    if row["margin"] is None or row["change"] is None:
        return None
    factor, margin = scale.factors[_claim(row)], row["margin"]
    low = margin / (1 + margin) if metric.scale == "log" else margin
    return round(-factor * low, 4), round(factor * margin, 4)


def _position(row: Row, scale: _Scale) -> Position | None:
    if row["change"] is None:
        return None
    factor, change = scale.factors[_claim(row)], row["change"]
    low, high = (change, change) if row["ci_low"] is None else (row["ci_low"], row["ci_high"])
    return Position(*(round(factor * value, 4) for value in (low, change, high)))


def _level_texts(comparisons: Mapping[Claim, Comparison]) -> dict[Claim, tuple[Level, ...]]:
    """Before and after of each claim's arm and, where there is one, of its control, all of the metric written the same way."""
    levels = {claim: _levels(comparison) for claim, comparison in comparisons.items()}
    values = [value for arms in levels.values() for pair in arms.values() for value in pair]
    text = _scientific if any(value is not None and 0 < abs(value) < 1e-3 for value in values) else number
    return {
        claim: tuple(Level(arm, text(before), text(after)) for arm, (before, after) in arms.items())
        for claim, arms in levels.items()
    }


def _levels(comparison: Comparison) -> dict[str, list[float | None]]:
    arms = {comparison.arm: comparison.units, comparison.control: comparison.controls}
    return {
        arm: [level(comparison.metric, mean([getattr(unit, side) for unit in units])) for side in ("before", "after")]
        for arm, units in arms.items()
        if units
    }


def _scientific(value: float | None) -> str:
    return scientific(value, 3) if value else number(value)


def runs_text(row: Row) -> str:
    """How many runs a row of effects rests on: `6 pairs`, `6 vs 6`, `n = 8`."""
    if row["design"] == "fork":
        return plural(row["n_arm"], "pair")
    return f"{row['n_arm']} vs {row['n_control']}" if row["design"] == "did" else f"n = {row['n_arm']}"
