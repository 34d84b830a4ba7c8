"""effects_detail.csv: everything behind the claims in one long table."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from lib.effects.chart_data import gap_table, jump_fit_table, per_run_table, placebo_table
from lib.effects.compare import estimators
from lib.effects.compare.across_tasks import ALL_TASKS, Across, across_tasks
from lib.effects.compare.comparison import FEWEST, FEWEST_LABELS, FEWEST_SIGNS, Comparison
from lib.effects.compare.designs import Material
from lib.effects.compare.estimators import Estimate
from lib.effects.effects_table import Tasks, as_change, comparisons, materials
from lib.study import Evidence, Study

#: One row a number. `kind` says what it is and `name` which of them:
#:
#: - `run`: `before`, `after`, `change` and `effect` of one run (`run_arm` is its own arm, `arm` the one compared), in the
#:   declared windows; `n` the rows it rests on;
#: - `excluded`: a run that is not counted for the metric, `note` says why;
#: - `unpaired`: a run without a fork pair, where pairs are compared;
#: - `sensitivity`: another look at the same question (ANCOVA, label permutation, sign-flip, the pairs taken as
#:   unpaired, labels within tasks), never the headline; a refused one has its floor and the reason in `note`;
#: - `jump`: b2 of one detached run, `n` the fewer of its rows a side;
#: - `placebo`: the mean jump at a `real` or `pretended` step;
#: - `gap`: `before`, `after` and `change` of the train-to-validation gap, `metric` naming both.
#:
#: Values are on the metric's own scale; changes and effects of log metrics are ratios minus 1. Rows across tasks have
#: task `*`.
DETAIL = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "kind": pl.String,
        "name": pl.String,
        "run_id": pl.String,
        "seed": pl.String,
        "run_arm": pl.String,
        "pair": pl.String,
        "step": pl.Float64,
        "n": pl.Int64,
        "value": pl.Float64,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
        "p_value": pl.Float64,
        "p_floor": pl.Float64,
        "note": pl.String,
    }
)


def effects_detail(study: Study, tasks: Tasks, seed: int = 0, evidence: Evidence | None = None) -> pl.DataFrame:
    """The table of `DETAIL` for every task of the study and across them.

    Parameters
    ----------
    tasks : by task id, the history and the treatments of that task.
    seed : of random draws.
    evidence : the windows to look at; the study's own by default.
    """
    given = materials(study, tasks, seed, evidence)
    rows = [row for g in given for row in _task_rows(g)]
    rows += [row for found in across_tasks(study, given) for row in _across_rows(found)]
    return pl.DataFrame(rows, schema=DETAIL, orient="row")


def _task_rows(given: Material) -> Iterator[dict[str, Any]]:
    yield from _run_rows(per_run_table(given))
    for found in comparisons(given):
        here = {"task": given.task.key, "metric": found.metric.key, "arm": found.arm}
        for out in found.excluded:
            who = {"run_id": out.run_id, "seed": out.seed, "run_arm": out.arm}
            yield here | who | {"kind": "excluded", "name": "excluded", "note": out.reason}
        for run in found.unpaired:
            yield here | {"run_id": run, "kind": "unpaired", "name": "unpaired", "note": "no run shares its history"}
        for row in sensitivity(found, given.seed):
            yield here | row
    yield from _jump_rows(jump_fit_table(given))
    yield from _placebo_rows(placebo_table(given))
    yield from _gap_rows(gap_table(given))


def _run_rows(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    for row in frame.iter_rows(named=True):
        here = {k: row[k] for k in ("task", "metric", "run_id", "seed", "pair")}
        here |= {"arm": row["compared"], "run_arm": row["arm"], "kind": "run", "step": row["detach_step"]}
        yield here | {"name": "before", "value": row["before"], "n": row["rows_before"]}
        yield here | {"name": "after", "value": row["after"], "n": row["rows_after"]}
        yield here | {"name": "change", "value": row["change"]}
        if row["effect"] is not None:
            yield here | {"name": "effect", "value": row["effect"]}


def _jump_rows(fits: pl.DataFrame) -> Iterator[dict[str, Any]]:
    keys = ("task", "metric", "arm", "run_id", "seed")
    steps = pl.col("step").filter(pl.col("side") == "before").max()
    runs = fits.group_by(keys, maintain_order=True).agg(pl.col("jump").first(), pl.col("rows").min(), steps.alias("at"))
    for row in runs.iter_rows(named=True):
        here = {k: row[k] for k in keys}
        yield here | {"kind": "jump", "name": "jump", "step": row["at"], "value": row["jump"], "n": row["rows"]}


def _placebo_rows(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    for row in frame.iter_rows(named=True):
        here = {k: row[k] for k in ("task", "metric", "arm", "step", "n", "ci_low", "ci_high")}
        note = "its window holds the real detach" if row["overlaps"] else None
        name = "real" if row["real"] else "pretended"
        yield here | {"kind": "placebo", "name": name, "value": row["jump"], "note": note}


def _gap_rows(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    for row in frame.iter_rows(named=True):
        here = {k: row[k] for k in ("task", "metric", "arm")} | {"kind": "gap", "n": row["n_arm"]}
        yield here | {"name": "before", "value": row["before"]}
        yield here | {"name": "after", "value": row["after"]}
        tested = {k: row[k] for k in ("ci_low", "ci_high", "p_value", "p_floor")}
        yield here | tested | {"name": "change", "value": row["change"], "note": row["reasons"] or None}


def sensitivity(found: Comparison, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Other looks at the same comparison, one dict of `DETAIL` columns each; refused ones carry the reason."""
    n_t, n_c = len(found.units), len(found.controls)
    if found.design == "fork":
        floor, delta = estimators.sign_floor(n_t), found.values
        if n_t >= FEWEST_SIGNS:
            yield _look(found, "sign-flip", p=float(estimators.sign_p(delta, seed)), floor=floor)
        else:
            yield _look(found, "sign-flip", floor=floor, note=_refused(floor, f"{FEWEST_SIGNS} pairs", n_t))
        yield from _unpaired(found)
    if found.design == "did":
        floor = estimators.label_floor([(n_t, n_c)]) if n_t and n_c else math.nan
        if min(n_t, n_c) >= FEWEST_LABELS:
            p = float(estimators.label_p([found.values], [found.control_values], seed))
            yield _look(found, "label permutation", p=p, floor=floor)
        else:
            note = _refused(floor, f"{FEWEST_LABELS} runs in both arms", min(n_t, n_c))
            yield _look(found, "label permutation", floor=floor, note=note)
    if found.design in ("fork", "did"):
        yield _ancova(found)


def _refused(floor: float, needed: str, n: int) -> str:
    return f"refused: needs {needed} (n = {n}), its smallest p is {floor:.3g}"


def _unpaired(found: Comparison) -> Iterator[dict[str, Any]]:
    d_t, d_c = ([u.change for u in units] for units in (found.units, found.controls))
    if len(d_t) >= FEWEST and np.isfinite([*d_t, *d_c]).all() and np.ptp(d_t) + np.ptp(d_c) > 0:
        yield _look(found, "difference in differences, the pairs taken as unpaired", estimators.welch(d_t, d_c))


def _ancova(found: Comparison) -> dict[str, Any]:
    columns = [
        [getattr(u, side) for u in units] for units in (found.units, found.controls) for side in ("before", "after")
    ]
    if min(len(found.units), len(found.controls)) < FEWEST:
        return _look(found, "ANCOVA", note=f"refused: needs {FEWEST} runs in both arms")
    spread = np.ptp(columns[0]) + np.ptp(columns[2])
    if not np.isfinite(np.concatenate(columns)).all() or spread == 0:
        return _look(found, "ANCOVA", note="refused: the levels before the detach are missing or all equal")
    return _look(found, "ANCOVA", estimators.ancova(*columns))


def _look(
    found: Comparison,
    name: str,
    estimate: Estimate | None = None,
    *,
    p: float | None = None,
    floor: float | None = None,
    note: str | None = None,
) -> dict[str, Any]:
    log = found.metric.scale == "log"
    row: dict[str, Any] = {"kind": "sensitivity", "name": name, "p_floor": floor, "note": note}
    row |= {"n": len(found.units) + len(found.controls), "p_value": p}
    if estimate is None:
        return row | {"value": as_change(found.estimate, log=log) if p is not None else None}
    ends = {k: as_change(float(v), log=log) for k, v in (("ci_low", estimate.low), ("ci_high", estimate.high))}
    return row | ends | {"value": as_change(float(estimate.value), log=log), "p_value": float(estimate.p)}


def _across_rows(found: Across) -> Iterable[dict[str, Any]]:
    log = found.metric.scale == "log"
    here = {"task": ALL_TASKS, "metric": found.metric.key, "arm": found.arm, "kind": "sensitivity"}
    rows: Sequence[dict[str, Any]] = ()
    if found.tasks:
        label = {"name": "labels within tasks", "value": as_change(found.estimate, log=log), "p_floor": found.p_floor}
        note = None if found.stratified_p is not None else "refused: its smallest p is above .05"
        rows = [here | label | {"n": found.n_arm + found.n_control, "p_value": found.stratified_p, "note": note}]
        if found.paired is not None:
            pair = {"name": "fork pairs where a task has them", "n": found.n_arm, "p_value": float(found.paired.p)}
            ends = {"ci_low": float(found.paired.low), "ci_high": float(found.paired.high)}
            pair |= {k: as_change(v, log=log) for k, v in ends.items()}
            rows = [*rows, here | pair | {"value": as_change(float(found.paired.value), log=log)}]
    return rows
