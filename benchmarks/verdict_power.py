"""How many studies in which something happened get the right verdict, on the code at hand.

    python -m benchmarks.verdict_power      writes benchmarks/results/verdict_power.csv

Every study has one reward that rises by 25% at the detach, and goes through `analyse_runs`. It counts where its claim is
`supported`; with several tasks that is the claim across them. `verdict_power_before.csv` is the same on an earlier code:

    git worktree add --detach ../before f133715
    cp benchmarks/*.py ../before/benchmarks/
    cd ../before && python -m benchmarks.verdict_power --out verdict_power_before.csv
"""

import argparse
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import simulated as sim
from benchmarks.simulated_runs import SimulatedRun, as_study, cut, simulated_runs, study_metrics, task_runs
from benchmarks.simulated_studies import Mix, Plan, draw_studies
from benchmarks.study_tables import POWER
from lib.effects.study_analysis import analyse_runs
from lib.study import CONTROL, DETACHED

STUDIES, CHUNK = 400, 100
REWARD = "eval/reward"
LARGE, SLOW = sim.Effect(0.25), sim.Effect(0.25, gradual=True)


@dataclass(frozen=True)
class Case:
    """Studies with so many tasks of one design; the last run of each of the arms `crashed` ends at 60% of training."""

    name: str
    plan: Plan
    tasks: int = 1
    crashed: tuple[str, ...] = ()


CASES = (
    Case("3 fork pairs", Plan("fork", 3, effect=LARGE)),
    Case("6 fork pairs", Plan("fork", 6, effect=LARGE)),
    Case("6 fork pairs, gradual", Plan("fork", 6, effect=SLOW)),
    Case(
        "6 fork pairs, gradual, both runs of a pair crashed", Plan("fork", 6, effect=SLOW), crashed=(DETACHED, CONTROL)
    ),
    Case("6 fork pairs, gradual, a detached run crashed", Plan("fork", 6, effect=SLOW), crashed=(DETACHED,)),
    Case("arms, 3 against 3", Plan("did", 3, 3, effect=LARGE)),
    Case("arms, 5 against 5", Plan("did", 5, 5, effect=LARGE)),
    Case("arms, 5 against 5, gradual", Plan("did", 5, 5, effect=SLOW)),
    Case(
        "arms, 5 against 5, gradual, a run of each crashed", Plan("did", 5, 5, effect=SLOW), crashed=(DETACHED, CONTROL)
    ),
    Case("arms, 8 against 8", Plan("did", 8, 8, effect=LARGE)),
    Case("arms, 10 against 6", Plan("did", 10, 6, effect=LARGE)),
    Case("arms, 6 against 3", Plan("did", 6, 3, effect=LARGE)),
    Case("arms, 8 against 3", Plan("did", 8, 3, effect=LARGE)),
    Case("arms, 9 against 3", Plan("did", 9, 3, effect=LARGE)),
    Case("randomised onset, 5 runs", Plan("onset", 5, effect=LARGE)),
    Case("3 detached runs alone", Plan("jump", 3, effect=LARGE)),
    Case("8 detached runs alone", Plan("jump", 8, effect=LARGE)),
    Case("2 tasks of 3 fork pairs", Plan("fork", 3, effect=LARGE), 2),
    Case("2 tasks of 6 fork pairs", Plan("fork", 6, effect=LARGE), 2),
    Case("2 tasks of arms, 5 against 5", Plan("did", 5, 5, effect=LARGE), 2),
    Case("5 tasks of arms, 3 against 3", Plan("did", 3, 3, effect=LARGE), 5),
    Case("2 tasks of 3 detached runs alone", Plan("jump", 3, effect=LARGE), 2),
    Case("5 tasks of 2 detached runs alone", Plan("jump", 2, effect=LARGE), 5),
)


def run_case(case: Case, studies: int) -> dict[str, object]:
    """The share of supported claims of a case."""
    starts = range(0, studies, CHUNK)
    supported = [shown for start in starts for shown in _supported(case, start, min(CHUNK, studies - start))]
    return {"case": case.name, "studies": studies, "supported": float(np.mean(supported))}


def _supported(case: Case, start: int, studies: int) -> list[bool]:
    rng = np.random.default_rng([zlib.crc32(case.name.encode()), start])
    tasks = draw_studies(Mix(case.name, (case.plan,)), start // CHUNK, case.tasks, studies, rng)
    study = as_study(tasks, [m for m in study_metrics() if m.key == REWARD])
    supported = []
    for i in range(studies):
        runs = {task.key: task_runs(task.key, _runs(case, simulated_runs(task, i))) for task in tasks}
        effects = analyse_runs(study, runs).effects
        claim = effects.filter((pl.col("task") == "*") == (case.tasks > 1))
        supported.append("supported" in claim["verdict"])
    return supported


def _runs(case: Case, runs: list[SimulatedRun]) -> list[SimulatedRun]:
    """The runs with their reward alone, some cut where the case says so."""
    last = max(run.seed for run in runs)
    kept = [run.with_metrics([REWARD]) for run in runs]
    return [cut(run, 0.6) if run.arm in case.crashed and run.seed == last else run for run in kept]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=STUDIES, help="studies per case (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="processes at once (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=POWER, help="CSV file (default: %(default)s)")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        rows = list(pool.map(run_case, CASES, [options.studies] * len(CASES)))
    pl.DataFrame(rows).write_csv(options.out)


if __name__ == "__main__":
    main()
