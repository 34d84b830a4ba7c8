"""effects_detail.csv: everything behind the claims in one long table."""

import math
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
import polars as pl

from lib.effects.chart_data import per_run_table
from lib.effects.compare import estimators
from lib.effects.compare.across_tasks import ALL_TASKS, Across
from lib.effects.compare.comparison import FEWEST, FEWEST_LABELS, FEWEST_SIGNS, Comparison, change
from lib.effects.compare.estimators import Estimate
from lib.effects.price import SPEED, Price
from lib.effects.study_analysis import StudyAnalysis, TaskAnalysis
from lib.study import Metric

#: One row per number. `kind` says what it is and `name` which of them:
#:
#: - `run`: `before`, `after`, `change` and `effect` of one run (`run_arm` is the arm of the run, `arm` the one compared), in the
#:   declared windows; `n` the rows it rests on;
#: - `excluded`: a run that is not counted for the metric, `note` says why;
#: - `unpaired`: a run without a fork pair, where pairs are compared;
#: - `sensitivity`: another look at the same question (ANCOVA, label permutation, sign-flip, the pairs taken as
#:   unpaired, labels within tasks), never the headline; a refused one has its floor and the reason in `note`;
#: - `jump`: b2 of one detached run, `n` the fewer of its rows on a side;
#: - `placebo`: the mean jump at a `real` or `pretended` step;
#: - `gap`: `before`, `after` and `change` of the train-to-validation gap, `metric` naming both;
#: - `price`: `after`, `without` the detach, and `change` of the training speed in steps per second, and the `hours saved` per
#:   run; `note` says what keeps it from being told. The speeds of its runs are rows of kind `speed`, with the names of `run`.
#:
#: Values are on the metric's own scale; changes and effects of log metrics are ratios minus 1. Rows across tasks have
#: task `*`.
DETAIL = pl.Schema(
    dict.fromkeys(("task", "metric", "arm", "kind", "name", "run_id", "seed", "run_arm", "pair"), pl.String)
    | {"step": pl.Float64, "n": pl.Int64}
    | dict.fromkeys(("value", "ci_low", "ci_high", "p_value", "p_floor"), pl.Float64)
    | {"note": pl.String}
)
Row = dict[str, Any]
_ROWS_AT_ONCE = 10_000
#: Relabelling runs and pooling the arms' variances ask for equal spreads, which only equal arms do without (measured in
#: benchmarks/calibration.py).
UNEQUAL_ARMS = "refused: with arms of unequal size it takes a difference in spread for an effect"


def effects_detail(analysis: StudyAnalysis) -> pl.DataFrame:
    """The table of `DETAIL` for every task of the study and across them."""
    of_tasks = (row for task in analysis.tasks for row in _task_rows(task))
    rows = chain(of_tasks, (row for across in analysis.across for row in _across_rows(across)))
    frames = [DETAIL.to_frame()]
    # A part after the other: as Python's values the rows of many runs take ten times the memory.
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        frames.append(pl.DataFrame(part, schema=DETAIL, orient="row"))
    return pl.concat(frames)


def _task_rows(task: TaskAnalysis) -> Iterator[Row]:
    yield from _run_rows(task.per_run, "run")
    for comparison in task.comparisons:
        claim = {"task": task.task.key, "metric": comparison.metric.key, "arm": comparison.arm}
        for out in comparison.excluded:
            run = {"run_id": out.run_id, "seed": out.seed, "run_arm": out.arm}
            yield claim | run | {"kind": "excluded", "name": "excluded", "note": out.reason}
        for run_id in comparison.unpaired:
            note = "no run that is compared shares its history"
            yield claim | {"run_id": run_id, "kind": "unpaired", "name": "unpaired", "note": note}
        for row in sensitivity(comparison):
            yield claim | row
    yield from _jump_rows(task.fits)
    yield from _placebo_rows(task.placebo)
    yield from _gap_rows(task.gap)
    for price in task.prices:
        yield from _run_rows(per_run_table(task.task.key, [price.comparison]), "speed")
        yield from _price_rows(task.task.key, price)


def _run_rows(per_run: pl.DataFrame, kind: str) -> Iterator[Row]:
    for row in per_run.iter_rows(named=True):
        run = _columns(row, "task", "metric", "run_id", "seed", "pair")
        run |= {"arm": row["compared"], "run_arm": row["arm"], "kind": kind, "step": row["detach_step"]}
        yield run | {"name": "before", "value": row["before"], "n": row["rows_before"]}
        yield run | {"name": "after", "value": row["after"], "n": row["rows_after"]}
        yield run | {"name": "change", "value": row["change"]}
        if row["effect"] is not None:
            yield run | {"name": "effect", "value": row["effect"]}


def _jump_rows(fits: pl.DataFrame) -> Iterator[Row]:
    for row in fits.iter_rows(named=True):
        run = _columns(row, "task", "metric", "arm", "run_id", "seed") | {"step": float(row["detach_step"])}
        n = min(row["rows_before"], row["rows_after"])
        yield run | {"kind": "jump", "name": "jump", "value": row["jump"], "n": n}


def _placebo_rows(placebo: pl.DataFrame) -> Iterator[Row]:
    for row in placebo.iter_rows(named=True):
        numbers = _columns(row, "task", "metric", "arm", "step", "n", "ci_low", "ci_high") | {"value": row["jump"]}
        note = "its window holds the real detach" if row["overlaps"] else None
        yield numbers | {"kind": "placebo", "name": "real" if row["real"] else "pretended", "note": note}


def _gap_rows(gap: pl.DataFrame) -> Iterator[Row]:
    for row in gap.iter_rows(named=True):
        claim = _columns(row, "task", "metric", "arm") | {"kind": "gap", "n": row["n_arm"]}
        yield claim | {"name": "before", "value": row["before"]}
        yield claim | {"name": "after", "value": row["after"]}
        test = _columns(row, "ci_low", "ci_high", "p_value", "p_floor")
        yield claim | test | {"name": "change", "value": row["change"], "note": row["reasons"] or None}


def _price_rows(task: str, price: Price) -> Iterator[Row]:
    comparison = price.comparison
    row = {"task": task, "metric": SPEED.key, "arm": comparison.arm, "kind": "price", "n": len(comparison.units)}
    note = "; ".join(filter(None, (comparison.refusal, *price.caveats, *comparison.caveats))) or None
    if math.isnan(comparison.estimate):
        yield row | {"name": "change", "note": note}
        return
    yield row | {"name": "after", "value": price.after}
    yield row | {"name": "without", "value": price.without_detach}
    changes = (comparison.estimate, *(comparison.interval or (math.nan, math.nan)))
    for name, numbers in (("change", [change(SPEED, v) for v in changes]), ("hours saved", [*price.saved, None, None])):
        value, low, high, *_ = numbers
        yield row | {"name": name, "value": value, "ci_low": low, "ci_high": high, "note": note}


def _columns(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}


def sensitivity(comparison: Comparison) -> Iterator[Row]:
    """Other looks at the same comparison, one dict of `DETAIL` columns each; refused ones carry the reason."""
    n_t, n_c = len(comparison.units), len(comparison.controls)
    if comparison.design == "fork":
        floor = estimators.label_floor([(n_t, 0)])
        if n_t >= FEWEST_SIGNS:
            yield _permutation(comparison, "sign-flip", floor, p=float(estimators.sign_p(comparison.values)))
        else:
            yield _permutation(comparison, "sign-flip", floor, note=_refused(floor, f"{FEWEST_SIGNS} pairs", n_t))
        yield from _unpaired(comparison)
    if comparison.design == "did":
        floor = estimators.label_floor([(n_t, n_c)])
        if min(n_t, n_c) < FEWEST_LABELS:
            note = _refused(floor, f"{FEWEST_LABELS} runs in both arms", min(n_t, n_c))
            yield _permutation(comparison, "label permutation", floor, note=note)
        elif n_t != n_c:
            yield _permutation(comparison, "label permutation", floor, note=UNEQUAL_ARMS)
        else:
            p = float(estimators.label_p([comparison.values], [comparison.control_values]))
            yield _permutation(comparison, "label permutation", floor, p=p)
    if comparison.design in ("fork", "did"):
        yield _ancova(comparison)


def _refused(floor: float, condition: str, n: int) -> str:
    return f"refused: needs {condition} (n = {n}), its smallest p is {floor:.3g}"


def _unpaired(comparison: Comparison) -> Iterator[Row]:
    d_t, d_c = ([u.change for u in units] for units in (comparison.units, comparison.controls))
    if len(d_t) >= FEWEST and np.isfinite([*d_t, *d_c]).all() and np.ptp(d_t) + np.ptp(d_c) > 0:
        name = "difference in differences, the pairs taken as unpaired"
        yield _look(comparison, name) | _estimate(comparison.metric, estimators.difference(d_t, d_c))


def _ancova(comparison: Comparison) -> Row:
    row = _look(comparison, "ANCOVA")
    arms = (comparison.units, comparison.controls)
    if min(map(len, arms)) < FEWEST:
        return row | {"note": f"refused: needs {FEWEST} runs in both arms"}
    if len(arms[0]) != len(arms[1]):
        return row | {"note": UNEQUAL_ARMS}
    before_t, after_t, before_c, after_c = [
        level for units in arms for level in ([u.before for u in units], [u.after for u in units])
    ]
    spread = np.ptp(before_t) + np.ptp(before_c)
    if not np.isfinite([*before_t, *after_t, *before_c, *after_c]).all() or spread == 0:
        return row | {"note": "refused: the levels before the detach are missing or all equal"}
    return row | _estimate(comparison.metric, estimators.ancova(before_t, after_t, before_c, after_c))


def _look(comparison: Comparison, name: str) -> Row:
    return {"kind": "sensitivity", "name": name, "n": len(comparison.runs)}


def _permutation(
    comparison: Comparison, name: str, floor: float, *, p: float | None = None, note: str | None = None
) -> Row:
    value = None if p is None else change(comparison.metric, comparison.estimate)
    return _look(comparison, name) | {"value": value, "p_value": p, "p_floor": floor, "note": note}


def _estimate(metric: Metric, estimate: Estimate) -> Row:
    numbers = {"value": estimate.value, "ci_low": estimate.low, "ci_high": estimate.high}
    return {name: change(metric, float(v)) for name, v in numbers.items()} | {"p_value": float(estimate.p)}


def _across_rows(across: Across) -> Iterator[Row]:
    if across.p_floor is None:
        return
    yield {
        "task": ALL_TASKS,
        "metric": across.metric.key,
        "arm": across.arm,
        "kind": "sensitivity",
        "name": "labels within tasks",
        "value": change(across.metric, across.estimate),
        "n": across.n_arm + across.n_control,
        "p_value": across.stratified_p,
        "p_floor": across.p_floor,
        "note": _across_note(across) if across.stratified_p is None else None,
    }


def _across_note(across: Across) -> str:
    is_coarse = across.p_floor is not None and across.p_floor > estimators.ALPHA
    return "refused: its smallest p is above .05" if is_coarse else UNEQUAL_ARMS
