"""Whether the power that the app plans with is the power that studies have.

    python -m benchmarks.planned_power                    writes benchmarks/results/planned_power.parquet
    python -m benchmarks.planned_power --studies 1000     a quick look
    python -m benchmarks.planned_power --seed 1           other studies

Each cell has the power at every size by `lib.effects.plan` from the true spread, and the share of simulated studies of that
size whose test finds the change, or calls no change no worse. Then every study's first runs are a pilot: the size that the plan
gives from them has a power that the true spread tells. The plan of the first pilots also goes through the app.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import offered_methods as offered
from benchmarks import simulated as sim
from benchmarks.batches import Array, Batch
from benchmarks.calibration_cells import mean_level
from benchmarks.command_line import run_from_command_line
from benchmarks.looks import numbers_of
from benchmarks.margin_studies import (
    HISTORY,
    analysed,
    answers,
    bound_answers,
    bound_of,
    compared,
    effect_size,
    metric_of,
    numbers,
    runs_of,
)
from benchmarks.margins import FAMILIES, draw_runs, save, scales_of
from benchmarks.offered_methods import jumps_of
from benchmarks.size_tables import PLANNED_POWER
from benchmarks.task_draws import POOLED, draw_tasks, kind_of
from lib.effects.compare import estimators as est
from lib.effects.compare.comparison import FEWEST
from lib.effects.compare.estimators import ALPHA
from lib.effects.compare.jumps import MANY, half_width
from lib.effects.plan import MOST, fewest, plan, power
from lib.effects.spread import Spread, pilots, task_spread
from lib.study import Metric

_GROUPS = {"pairs": offered.scaled_deltas, "arms": offered.scaled_changes, "jumps": offered.scaled_jumps}
STUDIES, CHUNK = 1_000, 500
SIZES = (3, 4, 5, 6, 8, 12, 16)
CHANGES = (0.05, 0.10, 0.25)
MARGIN = 0.10
PILOTS = (3, 5, 8)
EVERY = np.arange(FEWEST, MOST + 1)
PILOT_STUDIES = 1_000

SCHEMA = pl.Schema(
    {
        "design": pl.String,
        "family": pl.String,
        "target": pl.String,  # change or margin
        "change": pl.Float64,  # to be shown; of a margin the margin, where nothing changes
        "n": pl.Int64,  # of the study, or of the pilot
        "is_pilot": pl.Boolean,
        "studies": pl.Int64,
        "planned": pl.Float64,  # power by the plan from the true spread; of pilots that at the largest size
        "simulated": pl.Float64,  # share of studies; of pilots the mean power at the size that each one gives
    }
)


Runs = tuple[Array, Array, Array, Array]  # numbers by the h of few runs and of many, of controls, and levels


def run_cell(design: str, family: str, studies: int, seed: int) -> pl.DataFrame:
    """Every target of a cell: columns `SCHEMA`."""
    drawn: dict[float, list[Runs]] = {change: [] for change in (0.0, *CHANGES)}
    no_worse: list[Array] = []
    for start in range(0, studies, CHUNK):
        rng = np.random.default_rng([zlib.crc32(f"{design} {family}".encode()), seed, start])
        draw = draw_runs(design, family, min(CHUNK, studies - start), max(SIZES), rng)
        for change, parts in drawn.items():
            treated = draw.treated(sim.Effect(true_size(design, family, change)))
            parts.append(_runs(design, treated, draw.control))
            if not start:
                check_product(design, family, change or MARGIN, (treated, draw.control), parts[0], is_margin=not change)
            if not change and design != "jump":
                no_worse.append(_no_worse(design, family, treated, draw.control))
    runs = {change: [np.concatenate(arrays) for arrays in zip(*parts, strict=True)] for change, parts in drawn.items()}
    rows = [row for change in CHANGES for row in _rows(design, family, change, runs[change], None)]
    if no_worse:
        rows += _rows(design, family, MARGIN, runs[0.0], np.concatenate(no_worse))
    return pl.DataFrame([(design, family, *row) for row in rows], schema=SCHEMA, orient="row", strict=False)


def run_tasks(design: str, family: str, studies: int, seed: int) -> pl.DataFrame:
    """The planned and the simulated power over tasks, with so many pairs or runs in each: columns `SCHEMA`.

    Of losses that of their margin, without a change; of rewards that of every change.
    """
    rng = np.random.default_rng([zlib.crc32(f"{design} {family} plan".encode()), seed])
    families, draws = draw_tasks(design, family, studies, max(SIZES), rng)
    rows: list[tuple[object, ...]] = []
    for change in (0.0,) if family == "loss" else CHANGES:
        tasks = [
            Batch(draw.treated(sim.Effect(change)), draw.control, change * mean_level(each))
            for each, draw in zip(families, draws, strict=True)
        ]
        for n in SIZES:
            first = [Batch(task.treated[:, :n], task.control[:, :n], task.truth) for task in tasks]
            powers = (_margin_powers if family == "loss" else _change_powers)(design, first, n)
            target = ("margin", MARGIN) if family == "loss" else ("change", change)
            rows.append((design, family, *target, n, False, studies, *powers))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row", strict=False)


def _change_powers(design: str, tasks: Sequence[Batch], n: int) -> tuple[float, float]:
    """The planned and the simulated power of the change of tasks, each in units of its range."""
    has_scale = np.all([offered.scale(task)[:, 0] > 0 for task in tasks], axis=0)
    of_scale = [Batch(t.treated[has_scale], t.control[has_scale], t.truth) for t in tasks]
    treated, control = _GROUPS[kind_of(design)](of_scale)
    true = float(offered.across_truth(of_scale).mean())
    estimate = est.across(treated, control)
    result = ((estimate.p < ALPHA) & (estimate.value * true > 0)).sum() / len(has_scale)
    return _planned([*treated, *control], len(tasks), true, n), float(result)


def _margin_powers(design: str, tasks: Sequence[Batch], n: int) -> tuple[float, float]:
    """The same of the margin of losses."""
    kind = "fork" if kind_of(design) == "pairs" else "did"
    parts = [compared(kind, numbers(task.treated), numbers(task.control)) for task in tasks]
    treated, control, bound = [part.values for part in parts], [part.others for part in parts], np.log1p(MARGIN)
    estimate, enough = est.across(treated, control), np.full(len(parts[0].values), True)
    answer = bound_answers(estimate, bound, enough, is_loss=True, is_wide=False)
    planned = _planned([*treated, *control], len(tasks), bound, n, ALPHA)
    return planned, float((answer.no_worse_p < ALPHA).mean())


def _planned(groups: Sequence[Array], tasks: int, size: float, n: int, level: float = ALPHA / 2) -> float:
    """The power that the plan gives from the true spread of the groups of all tasks."""
    variances = tuple(float(group.var()) / tasks**2 for group in groups if group.size)
    return float(power(Spread("did", variances, 0, 0), size, np.array([n]), level)[0])


def true_size(design: str, family: str, change: float) -> float:
    """The size of an effect that changes the mean level, or a loss, by a fraction as the plan means it."""
    return math.log1p(-change) / mean_level(family) if family == "loss" else effect_size(design, family, change)


def _runs(design: str, treated: Array, control: Array) -> Runs:
    before, after = numbers(treated).before, numbers(control).after
    if design == "jump":
        few, many = (jumps_of(treated, half_width(sim.TOTAL, n)) for n in (FEWEST, MANY))
        return few, many, few[:, :0], before
    values, others = numbers_of(design, treated, control)
    return values, values, others, after if design == "fork" else before


def _no_worse(design: str, family: str, treated: Array, control: Array) -> Array:
    """Whether each study of each size (studies, sizes) is called no worse."""
    arms, scale = (numbers(treated), numbers(control)), scales_of(family)[0]
    sizes = [compared(design, *(arm.first(n) for arm in arms)) for n in SIZES]
    return np.stack([answers(runs, family, scale, MARGIN).no_worse_p < ALPHA for runs in sizes], axis=1)


def _rows(
    design: str, family: str, change: float, runs: Sequence[Array], no_worse: Array | None
) -> Iterator[tuple[object, ...]]:
    """The power at every size and after every pilot; of a margin where `no_worse` says which studies keep it."""
    few, many, others, _ = runs
    is_margin, target = no_worse is not None, "change" if no_worse is None else "margin"
    true = bound_of(design, family, change) if is_margin else true_size(design, family, change) * mean_level(family)
    level = ALPHA if is_margin else ALPHA / 2  # the margin is no wide one
    by_width = [power(spread_of(design, values, others), true, EVERY, level) for values in (few, many)]
    planned = np.where(EVERY < MANY, *by_width)
    for k, n in enumerate(SIZES):
        if no_worse is None:
            estimate = est.across([(few if n < MANY else many)[:, :n]], [others[:, :n]])
            share = ((estimate.p < ALPHA) & (estimate.value * true > 0)).mean()
        else:
            share = no_worse[:, k].mean()
        yield target, change, n, False, len(few), float(planned[n - FEWEST]), float(share)
    for n in PILOTS:
        sizes = pilot_sizes(design, family, change, [part[:PILOT_STUDIES, :n] for part in runs], is_margin=is_margin)
        yield target, change, n, True, len(sizes), float(planned[-1]), float(planned[sizes - FEWEST].mean())


def spread_of(design: str, values: Array, others: Array) -> Spread:
    """The spread over all runs."""
    variances = [float(values.var()), *([float(others.var())] if others.size else [])]
    return task_spread(design, variances, sim.TOTAL, sim.HALF)


def pilot_sizes(
    design: str, family: str, change: float, pilot: Sequence[Array], *, is_margin: bool
) -> NDArray[np.int64]:
    """The size that each pilot (studies, n) gives for a change, or for a margin of it."""
    few, many, others, levels = pilot
    groups = [few if few.shape[1] < MANY else many, *([others] if others.shape[1] else [])]
    size = change * np.abs(levels.mean(axis=1))
    if family == "loss":
        size = np.full(len(few), np.log1p(change) if is_margin else np.log1p(-change))
    variances = np.stack([group.var(axis=1, ddof=1) for group in groups], axis=1)
    level = ALPHA if is_margin else ALPHA / 2
    sizes = [
        fewest(task_spread(design, of_pilot, sim.TOTAL, sim.HALF), change, level) or MOST
        for of_pilot, change in zip(variances.tolist(), size.tolist(), strict=True)
    ]
    return np.array(sizes)


def check_product(
    design: str, family: str, change: float, rows: tuple[Array, Array], runs: Runs, *, is_margin: bool
) -> None:
    """Raise where the app's own plan from a pilot gives another size."""
    if is_margin and design == "jump":
        return
    metric = metric_of(family, scales_of(family)[0], MARGIN, design)
    for n in PILOTS[::2]:
        [expected, *_] = pilot_sizes(design, family, change, [part[:1, :n] for part in runs], is_margin=is_margin)
        control = rows[1][0, : 0 if design == "jump" else n]
        pilot = {"task": runs_of("task", metric.key, rows[0][0, :n], control, is_fork=design == "fork")}
        analysis = analysed([metric, Metric(HISTORY, "loss", "decrease", scale="log")], pilot)
        target = f"no worse than {100 * MARGIN:g}%" if is_margin else f"a change of {100 * change:g}%"
        planned = plan(analysis.study, pilots(analysis), [100 * change])
        row = planned.filter(metric=metric.key, design=design, target=target).row(0, named=True)
        if "too near 0" not in row["text"] and (row["n"] or MOST) != expected:
            raise AssertionError(f"{design}, {family}: the app plans {row['text']} from {n}, not {expected}")


def run(studies: int, seed: int, processes: int) -> None:
    """Run every cell and write the results."""
    with ProcessPoolExecutor(processes) as pool:
        cells = product(("fork", "did", "jump"), FAMILIES)
        futures = [pool.submit(run_cell, *cell, studies, seed) for cell in cells]
        with_margin = [design for design in POOLED if not design.endswith("jumps")]
        pooled = [*product(POOLED, ("mixed", sim.SPARSE)), *product(with_margin, ("loss",))]
        futures += [pool.submit(run_tasks, *cell, studies, seed) for cell in pooled]
        save(futures, PLANNED_POWER)


if __name__ == "__main__":
    run_from_command_line(__doc__, run, STUDIES)
