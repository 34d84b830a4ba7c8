"""effects.csv: one row per claim."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from lib.effects import multiple_testing
from lib.effects.compare.across_tasks import ALL_TASKS, Across, across_tasks
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.designs import Material, compare, material
from lib.effects.compare.units import Series
from lib.effects.verdicts import verdict
from lib.runs import History, Treatment
from lib.study import Evidence, Study, Task

#: The columns of effects.csv: one row a task, metric and arm; nulls where something cannot be said.
EFFECTS = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "control": pl.String,
        "design": pl.String,
        "n_arm": pl.Int64,
        "n_control": pl.Int64,
        "before": pl.Float64,
        "after": pl.Float64,
        "change": pl.Float64,
        "change_pct": pl.Float64,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
        "p_value": pl.Float64,
        "p_holm": pl.Float64,
        "p_floor": pl.Float64,
        "method": pl.String,
        "expectation": pl.String,
        "verdict": pl.String,
        "reasons": pl.String,
    }
)
SMALL_BASE = 0.1  # of the metric's range: a percent change of less than this is refused

Tasks = Mapping[str, tuple[History, Sequence[Treatment]]]


def comparisons(given: Material) -> list[Comparison]:
    """Every metric of the study in every detached arm of a task, compared; in the order of metrics and arms."""
    return [compare(given, metric, arm) for metric in given.study.metrics for arm in given.arms]


def effects(
    study: Study,
    task: Task,
    history: History,
    treatments: Sequence[Treatment],
    seed: int = 0,
    evidence: Evidence | None = None,
) -> pl.DataFrame:
    """The rows of one task, columns as `EFFECTS`; p_holm and verdict are null until `study_effects` judges them all.

    Parameters are those of `lib.effects.material`.
    """
    given = material(study, task, history, treatments, seed, evidence)
    return effects_rows(given, comparisons(given))


def effects_rows(given: Material, found: Sequence[Comparison]) -> pl.DataFrame:
    """Comparisons of one task as rows of `EFFECTS`, not yet judged."""
    return _frame([_row(given.task.key, c, _notes(c, given.treated)) for c in found])


def study_effects(study: Study, tasks: Tasks, seed: int = 0, evidence: Evidence | None = None) -> pl.DataFrame:
    """Every claim of the study with its verdict: effects.csv.

    Parameters
    ----------
    tasks : by task id, the history and the treatments of that task.
    seed : of random draws.
    evidence : the windows to look at; where they are not the study's own, no row gets a verdict.

    Returns
    -------
    Columns as `EFFECTS`, the study's tasks in its order and then the rows across tasks (task `*`).
    """
    given = materials(study, tasks, seed, evidence)
    rows = [row for g in given for row in effects_rows(g, comparisons(g)).iter_rows(named=True)]
    rows += [_across_row(found) for found in across_tasks(study, given)]
    exploratory = evidence is not None and evidence != study.evidence
    for row, p_holm in zip(rows, multiple_testing.holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = p_holm
        row["verdict"], reason = verdict(row, exploratory=exploratory)
        row["reasons"] = "; ".join(part for part in (reason, row["reasons"]) if part)
    return _frame(rows)


def materials(study: Study, tasks: Tasks, seed: int = 0, evidence: Evidence | None = None) -> list[Material]:
    """What the comparisons of each task are made from, in the study's order of tasks."""
    return [material(study, t, *tasks[t.key], seed=seed, evidence=evidence) for t in study.tasks if t.key in tasks]


def _frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=EFFECTS, orient="row")


def _row(task: str, found: Comparison, notes: Iterable[str]) -> dict[str, Any]:
    """A comparison in the words and the scale of effects.csv."""
    log = found.metric.scale == "log"
    means = [_mean([u.before for u in found.units]), _mean([u.after for u in found.units])]
    percent, complaint = change_pct(found, found.estimate)
    return {
        "task": task,
        "metric": found.metric.key,
        "arm": found.arm,
        "control": found.control or None,
        "design": found.design,
        "n_arm": len(found.values) or len(found.units),
        "n_control": found.n_control,
        "before": natural(means[0], log=log),
        "after": natural(means[1], log=log),
        "change": as_change(found.estimate, log=log),
        "change_pct": percent,
        "ci_low": as_change(found.interval[0], log=log) if found.interval else None,
        "ci_high": as_change(found.interval[1], log=log) if found.interval else None,
        "p_value": found.p,
        "p_holm": None,
        "p_floor": found.p_floor,
        "method": found.method,
        "expectation": found.metric.expect,
        "verdict": None,
        "reasons": "; ".join(part for part in (found.refusal, *notes, complaint) if part),
    }


def natural(value: float, *, log: bool) -> float | None:
    """A level on the metric's own scale (a geometric mean for logs); None for NaN."""
    if math.isnan(value):
        return None
    return math.exp(value) if log else value


def as_change(value: float, *, log: bool) -> float | None:
    """A change as effects.csv has it: in the metric's unit, or a ratio minus 1 for logs; None for NaN."""
    if math.isnan(value):
        return None
    return math.expm1(value) if log else value


def change_pct(found: Comparison, change: float) -> tuple[float | None, str]:
    """A change in percent of its base, or None and why not; for a log metric the change is a ratio already."""
    if math.isnan(change):
        return None, ""
    if found.metric.scale == "log":
        return 100 * math.expm1(change), ""
    base, complaint = change_base(found)
    return (100 * change / base if base else None), complaint


def change_base(found: Comparison) -> tuple[float | None, str]:
    """What a change is a percent of, or None and why not: the controls' after for fork pairs, else the arm's before."""
    base = _mean([u.after for u in found.controls] if found.design == "fork" else [u.before for u in found.units])
    if math.isnan(base):
        return None, ""
    if base == 0 or abs(base) < SMALL_BASE * value_range([u.rows for u in (*found.units, *found.controls)]):
        return None, "no percent: what it would be a percent of is under 10% of the metric's range"
    return abs(base), ""


def value_range(rows: Sequence[Series]) -> float:
    """Largest minus smallest value over the runs; 0 where there is none."""
    values = [v for r in rows if len(r.values) for v in (r.values.min(), r.values.max())]
    return float(max(values) - min(values)) if values else 0.0


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return float(np.mean(known)) if known else math.nan


def _notes(found: Comparison, treatments: Sequence[Treatment]) -> list[str]:
    """Caveats of a comparison, in the order in which they matter."""
    notes = []
    if found.design == "jump":
        notes.append("no control arm: a jump at the detach is not yet its effect")
    notes += found.caveats
    notes += _left_out(found)
    counted = {u.run_id for u in (*found.units, *found.controls)}
    doubted = sum(t.signal == "disagrees" for t in treatments if t.run_id in counted)
    running = sum(t.state == "running" for t in treatments if t.run_id in counted)
    series = [u.rows for u in (*found.units, *found.controls)]
    lost, bad = sum(r.not_finite for r in series), sum(r.not_positive for r in series)
    notes += [f"the logged signal disagrees with the detach step in {doubted} runs"] if doubted else []
    notes += [f"{running} runs are still running"] if running else []
    notes += [f"{lost} rows that are not finite are left out"] if lost else []
    notes += [f"{bad} rows at or below 0 have no logarithm and are left out"] if bad else []
    return notes


def _left_out(found: Comparison) -> list[str]:
    """The runs that are not counted, those of one arm and reason together; the refusal's own reason is not said again."""
    alike: dict[tuple[str, str], list[str]] = {}
    for e in found.excluded:
        alike.setdefault((e.arm, e.reason), []).append(e.seed)
    return [
        f"left out: {arm} seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
        + ("" if reason and reason in found.refusal else f", {reason}")
        for (arm, reason), seeds in alike.items()
    ]


def _across_row(found: Across) -> dict[str, Any]:
    log = found.metric.scale == "log"
    interval = found.interval or (math.nan, math.nan)
    return {
        "task": ALL_TASKS,
        "metric": found.metric.key,
        "arm": found.arm,
        "control": found.control or None,
        "design": found.design,
        "n_arm": found.n_arm,
        "n_control": found.n_control,
        "before": None,
        "after": None,
        "change": as_change(found.estimate, log=log),
        "change_pct": 100 * math.expm1(found.estimate) if log and not math.isnan(found.estimate) else None,
        "ci_low": as_change(interval[0], log=log),
        "ci_high": as_change(interval[1], log=log),
        "p_value": found.p,
        "p_holm": None,
        "p_floor": found.p_floor,
        "method": found.method,
        "expectation": found.metric.expect,
        "verdict": None,
        "reasons": "; ".join(part for part in (found.refusal, *found.caveats) if part),
    }
