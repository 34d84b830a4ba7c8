"""effects.csv: one row per claim."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

import polars as pl

from lib.effects.compare.across_tasks import ALL_TASKS, Across
from lib.effects.compare.comparison import Comparison, change, level, mean
from lib.effects.compare.equivalence import margin_test
from lib.effects.multiple_testing import holm_family
from lib.effects.price import SPEED
from lib.formatting import is_or_are, plural
from lib.runs import Treatment
from lib.study import UNKNOWN, Study

#: The columns of effects.csv: one row per task, metric and arm; nulls where something cannot be said.
EFFECTS = pl.Schema(
    dict.fromkeys(("task", "metric", "arm", "control", "design"), pl.String)
    | dict.fromkeys(("n_arm", "n_control"), pl.Int64)
    | dict.fromkeys(("before", "after", "change", "change_pct", "ci_low", "ci_high"), pl.Float64)
    | dict.fromkeys(("p_value", "p_holm", "p_floor"), pl.Float64)
    | dict.fromkeys(("method", "expectation", "verdict", "reasons", "role"), pl.String)
    | {"margin": pl.Float64}
    | dict.fromkeys(("equivalence", "holm_family"), pl.String)
)


#: The key of the gap between two metrics.
GAP = "{} : {}"
NO_CONTROL = "no control arm: a jump at the detach may have other causes"


def effects_frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame of `EFFECTS`."""
    return pl.DataFrame(list(rows), schema=EFFECTS, orient="row")


def visible_effects(effects: pl.DataFrame, visible: Study) -> pl.DataFrame:
    """The rows of effects, or of their details, that are about a part of their study; no number of them changes.

    Rows across tasks are about all tasks of the study: they are shown where all of these are. A gap between two metrics is
    shown where both are, the training speed always.
    """
    tasks, metrics = [task.key for task in visible.tasks], [metric.key for metric in visible.metrics]
    if set(effects["task"]) <= {*tasks, ALL_TASKS}:
        tasks.append(ALL_TASKS)
    metrics += [SPEED.key, *(GAP.format(*both) for both in permutations(metrics, 2))]
    return effects.filter(pl.col("task").is_in(tasks), pl.col("metric").is_in(metrics))


def task_rows(
    task: str, comparisons: Sequence[Comparison], treatments: Sequence[Treatment]
) -> Iterator[dict[str, Any]]:
    """Comparisons of one task in the words and the scale of effects.csv, without verdicts.

    Parameters
    ----------
    treatments : the treatments of the task's runs, for caveats.
    """
    for comparison in comparisons:
        metric = comparison.metric
        percent, reason = comparison.percent(comparison.estimate)
        yield _result(task, comparison) | {
            "n_arm": len(comparison.values) or len(comparison.units),
            "n_control": len(comparison.controls),
            "before": level(metric, mean([u.before for u in comparison.units])),
            "after": level(metric, mean([u.after for u in comparison.units])),
            "change_pct": percent,
            "reasons": _joined(comparison.refusal, *_notes(comparison, treatments), reason),
        }


def across_row(across: Across) -> dict[str, Any]:
    """A claim across tasks in the words and the scale of effects.csv, without its verdict."""
    log = across.metric.scale == "log" and not math.isnan(across.estimate)
    return _result(ALL_TASKS, across) | {
        "n_arm": across.n_arm,
        "n_control": across.n_control,
        "change_pct": 100 * math.expm1(across.estimate) if log else None,
        "reasons": _joined(across.refusal, *([NO_CONTROL] if across.design == "jump" else []), *across.caveats),
    }


def _result(task: str, result: Comparison | Across) -> dict[str, Any]:
    low, high = result.interval or (math.nan, math.nan)
    test = margin_test(result)
    return {
        "task": task,
        "metric": result.metric.key,
        "arm": result.arm,
        "control": result.control or None,
        "design": result.design,
        "change": change(result.metric, result.estimate),
        "ci_low": change(result.metric, low),
        "ci_high": change(result.metric, high),
        "p_value": result.p,
        "p_floor": result.p_floor,
        "method": result.method,
        "expectation": result.metric.expect,
        "role": result.metric.role,
        "margin": test.margin,
        "margin_test": test,
        "holm_family": holm_family(task, result.metric),
    }


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _notes(comparison: Comparison, treatments: Sequence[Treatment]) -> list[str]:
    """Caveats of a comparison, in the order in which they matter."""
    counted = {u.run_id for u in comparison.runs}
    doubted = sum(t.signal == "disagrees" for t in treatments if t.run_id in counted)
    unknown = sum(t.arm == UNKNOWN for t in treatments)
    not_finite = sum(u.not_finite for u in comparison.runs)
    not_positive = sum(u.not_positive for u in comparison.runs)
    steps = {u.detach_step for u in comparison.units}
    notes = {
        NO_CONTROL: comparison.design == "jump",
        **dict.fromkeys((*comparison.caveats, *_left_out(comparison)), True),
        f"its runs have {len(steps)} detach steps": len(steps) > 1 and comparison.design in ("fork", "jump"),
        f"the logged signal disagrees with the detach step in {plural(doubted, 'run')}": doubted,
        f"{plural(unknown, 'run')} of unknown arm {is_or_are(unknown)} not compared": unknown,
        f"{plural(not_finite, 'row')} that {is_or_are(not_finite)} not finite {is_or_are(not_finite)} left out": not_finite,
        f"{plural(not_positive, 'row')} at or below 0, without a logarithm, {is_or_are(not_positive)} left out": not_positive,
    }
    return [note for note, holds in notes.items() if holds]


def _left_out(comparison: Comparison) -> list[str]:
    """The runs that are not counted, grouped by arm and reason; the reason of the refusal is not repeated."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for run in comparison.excluded:
        seeds.setdefault((run.arm, run.reason), []).append(run.seed)
    return [
        f"left out: {arm} seed{'s' if len(alike) > 1 else ''} {', '.join(alike)}"
        + ("" if reason and reason in comparison.refusal else f", {reason}")
        for (arm, reason), alike in seeds.items()
    ]
