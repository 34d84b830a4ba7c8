"""What the app says of a change against its margin where runs crashed.

    python -m benchmarks.crashed_margins                   writes benchmarks/results/crashed_margins.csv
    python -m benchmarks.crashed_margins --studies 50      a quick look
    python -m benchmarks.crashed_margins --seed 1          other studies

Every study goes through `analyse_runs`. Its change is minus the margin, or none.
"""

import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from benchmarks import simulated as sim
from benchmarks.calibration_cells import mean_level
from benchmarks.command_line import run_from_command_line
from benchmarks.margin_studies import HISTORY, LOG, analysed, effect_size, metric_of, simulated_runs
from benchmarks.margin_tables import CRASHED_MARGINS
from benchmarks.margins import STUDY_MARGIN, draw_runs, scales_of
from benchmarks.simulated_runs import SimulatedRun, cut, task_runs
from lib.effects.compare.equivalence import EQUIVALENT, NO_WORSE
from lib.study import CONTROL, DETACHED, Metric

STUDIES = 25
FAMILIES = ("saturating", "sigmoid", "loss", sim.SPARSE)

SCHEMA = pl.Schema(
    {
        "case": pl.String,
        "family": pl.String,
        "change": pl.Float64,
        "studies": pl.Int64,
        "answered": pl.Float64,  # share with an answer to the margin
        "no_worse": pl.Float64,  # share that are no worse, or equivalent
        "covered": pl.Float64,  # share of the 95% intervals that hold the truth
    }
)


@dataclass(frozen=True)
class Case:
    """Studies of one design some of whose runs end between 65 and 90% of training."""

    name: str
    design: str
    n: int
    ends: Callable[[list[SimulatedRun], np.random.Generator], set[str]]


def _any_run(runs: list[SimulatedRun], rng: np.random.Generator) -> set[str]:
    """One run in six, whichever it is."""
    return {run.run_id for run in runs if rng.random() < 1 / 6}


def _worst(arms: tuple[str, ...]) -> Callable[[list[SimulatedRun], np.random.Generator], set[str]]:
    """The run of each of these arms that ends worst."""

    def ends(runs: list[SimulatedRun], rng: np.random.Generator) -> set[str]:
        def level(run: SimulatedRun) -> float:
            key = next(iter(run.rows))
            return float(run.rows[key][-sim.ROWS // 4 :].mean()) * (1 if "reward" in key else -1)

        return {min((run for run in runs if run.arm == arm), key=level).run_id for arm in arms}

    return ends


def _pair(runs: list[SimulatedRun], rng: np.random.Generator) -> set[str]:
    """Both runs of the pair whose control ends worst."""
    [control] = _worst((CONTROL,))(runs, rng)
    seed = next(run.seed for run in runs if run.run_id == control)
    return {run.run_id for run in runs if run.seed == seed}


CASES = (
    Case("6 fork pairs, 1 run in 6 crashed", "fork", 6, _any_run),
    Case("6 fork pairs, the worst pair crashed", "fork", 6, _pair),
    Case("6 fork pairs, the worst detached run crashed", "fork", 6, _worst((DETACHED,))),
    Case("arms, 8 against 8, 1 run in 6 crashed", "did", 8, _any_run),
    Case("arms, 8 against 8, the worst run of each crashed", "did", 8, _worst((DETACHED, CONTROL))),
)


def run_cell(case: Case, family: str, change: float, studies: int, seed: int) -> dict[str, object]:
    """What the app says of so many studies: columns `SCHEMA`."""
    rng = np.random.default_rng([zlib.crc32(f"{case.name} {family} {change}".encode()), seed])
    scale, size = scales_of(family)[0], effect_size(case.design, family, change)
    drawn = draw_runs(case.design, family, studies, case.n, rng)
    treated = drawn.treated(sim.Effect(size))
    metric = metric_of(family, scale, STUDY_MARGIN, case.design)
    metrics = [metric, Metric(HISTORY, "loss", "decrease", scale="log")]
    true = size * mean_level(family)
    words, covered = [], []
    for rows in zip(treated, drawn.control, strict=True):
        runs = simulated_runs("task", metric.key, *rows, is_fork=case.design == "fork")
        ended = case.ends(runs, rng)
        left = [cut(run, rng.uniform(0.65, 0.9)) if run.run_id in ended else run for run in runs]
        effects = analysed(metrics, {"task": task_runs("task", left)}).effects
        row = effects.filter(metric=metric.key).row(0, named=True)
        words.append(row["equivalence"])
        if row["ci_low"] is not None:
            covered.append(row["ci_low"] <= (np.expm1(true) if scale == LOG else true) <= row["ci_high"])
    return {
        "case": case.name,
        "family": family,
        "change": change,
        "studies": studies,
        "answered": float(np.mean([word is not None for word in words])),
        "no_worse": float(np.mean([word in (NO_WORSE, EQUIVALENT) for word in words])),
        "covered": float(np.mean(covered)),
    }


def run(studies: int, seed: int, processes: int) -> None:
    """Run every case, family and change, and write the results."""
    with ProcessPoolExecutor(processes) as pool:
        cells = product(CASES, FAMILIES, (-STUDY_MARGIN, 0.0))
        futures = [pool.submit(run_cell, *cell, studies, seed) for cell in cells]
        pl.DataFrame([future.result() for future in futures], schema=SCHEMA).write_csv(CRASHED_MARGINS)


if __name__ == "__main__":
    run_from_command_line(__doc__, run, STUDIES)
