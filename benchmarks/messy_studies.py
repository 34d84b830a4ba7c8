"""Studies in which nothing happened and whose runs are not as they should be: what the app says about them.

    python -m benchmarks.messy_studies                   writes benchmarks/results/messy_studies.csv
    python -m benchmarks.messy_studies --studies 50      a quick look

Every study has one task and goes through `analyse_runs`. Each case changes the runs of the same kind of study.
"""

import argparse
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from benchmarks import simulated as sim
from benchmarks.any_verdict import ARMS, FORKS, JUMPS, MANY_FORKS, MANY_JUMPS, MORE_ARMS, ONSET
from benchmarks.calibration_docs import write_docs
from benchmarks.simulated_runs import SimulatedRun, as_study, cut, simulated_runs, study_metrics, task_runs
from benchmarks.simulated_studies import REWARDS, Mix, Plan, draw_studies
from benchmarks.study_tables import MESSY
from lib.effects.study_analysis import analyse_runs
from lib.effects.verdicts import CANNOT_SAY, CONTRADICTED, SUPPORTED
from lib.study import CONTROL, DETACHED

STUDIES, CHUNK = 200, 100
Runs = list[SimulatedRun]

SCHEMA = pl.Schema(
    {
        "case": pl.String,
        "studies": pl.Int64,
        "any_verdict": pl.Float64,  # share of the studies with a claim supported or contradicted
        "refused": pl.Float64,  # share of the claims that cannot be said
        "designs": pl.String,  # of the claims, the most frequent first
    }
)


@dataclass(frozen=True)
class Case:
    """Studies of one design whose runs are changed; `keys` are the metrics (default: all), `refused`: no claim may be made."""

    name: str
    plan: Plan
    change: Callable[[Runs, np.random.Generator], Runs]
    keys: tuple[str, ...] = ()
    refused: bool = False


def _plain(runs: Runs, rng: np.random.Generator) -> Runs:
    return runs


def _copies(count: int) -> Callable[[Runs, np.random.Generator], Runs]:
    """Every run several times under ids of their own."""
    return lambda runs, rng: [replace(run, run_id=f"{run.run_id} copy {i}") for run in runs for i in range(count)]


def _sparse(runs: Runs, rng: np.random.Generator) -> Runs:
    """Rewards of 0 up to the detach."""
    return [replace(run, rows={key: np.where(sim.U > 0.5, y, 0) for key, y in run.rows.items()}) for run in runs]


def _crashes(runs: Runs, rng: np.random.Generator) -> Runs:
    """One run in six ends between 65 and 90% of training."""
    return [cut(run, rng.uniform(0.65, 0.9)) if rng.random() < 1 / 6 else run for run in runs]


def _crash_of_a_pair(runs: Runs, rng: np.random.Generator) -> Runs:
    """Both runs of the last pair end at 70%."""
    last = max(run.seed for run in runs)
    return [cut(run, 0.7) if run.seed == last else run for run in runs]


def _detached_crash(runs: Runs, rng: np.random.Generator) -> Runs:
    """Two detached runs end at 70%, no control does."""
    return [cut(run, 0.7) if run.arm == DETACHED and run.seed in ("0", "1") else run for run in runs]


def _reruns(runs: Runs, rng: np.random.Generator) -> Runs:
    """Beside every run the one that crashed before it: same config, other noise."""
    both: Runs = []
    for run in runs:
        config = {"seed": int(run.seed), "arm": run.arm}
        noise = {key: y + rng.normal(0, 0.1, y.shape) for key, y in run.rows.items()}
        crashed = cut(replace(run, run_id=f"{run.run_id} first", rows=noise, config=config), 0.7)
        both += [crashed, replace(run, config=config)]
    return both


def _every(rows: int) -> Callable[[Runs, np.random.Generator], Runs]:
    """A row logged every so many steps of the simulation."""
    logged = np.arange(1, sim.ROWS + 1) % rows == 0
    return lambda runs, rng: [
        replace(run, rows={key: np.where(logged, y, np.nan) for key, y in run.rows.items()}) for run in runs
    ]


def _one_step(runs: Runs, rng: np.random.Generator) -> Runs:
    """Steps said to be drawn at random, all at half of training."""
    return [replace(run, detach_step=sim.HALF) for run in runs]


def _close_steps(runs: Runs, rng: np.random.Generator) -> Runs:
    """Steps said to be drawn from 30 to 70% of training, all within a tenth of it."""
    return [replace(run, detach_step=int(sim.HALF + rng.uniform(-0.05, 0.05) * sim.TOTAL)) for run in runs]


def _confounded(runs: Runs, rng: np.random.Generator) -> Runs:
    """Another batch size in each arm."""
    return [replace(run, config={"batch_size": 128 if run.arm == CONTROL else 256}) for run in runs]


CASES = (
    Case("6 fork pairs", MANY_FORKS, _plain),
    Case("6 fork pairs, every run twice", MANY_FORKS, _copies(2)),
    Case("3 fork pairs, every run three times", FORKS, _copies(3)),
    Case("arms, 5 against 5, every run twice", MORE_ARMS, _copies(2)),
    Case("arms, 3 against 3, every run three times", ARMS, _copies(3)),
    Case("3 detached runs alone, each three times", JUMPS, _copies(3)),
    Case("arms, 5 against 5, rewards of 0 before the detach", MORE_ARMS, _sparse, REWARDS),
    Case("arms, 5 against 5, 1 run in 6 crashed", MORE_ARMS, _crashes),
    Case("6 fork pairs, 1 run in 6 crashed", MANY_FORKS, _crashes),
    Case("6 fork pairs, 1 pair crashed", MANY_FORKS, _crash_of_a_pair),
    Case("arms, 5 against 5, a crashed run beside each", MORE_ARMS, _reruns),
    Case("arms, 3 against 3, a row every 2%", ARMS, _every(4)),
    Case("3 detached runs alone, 5 rows a side", JUMPS, _every(4)),
    Case("8 detached runs alone, 5 rows a side", MANY_JUMPS, _every(2)),
    Case("arms, 5 against 5, 2 detached runs crashed", MORE_ARMS, _detached_crash, refused=True),
    Case("onset said to be randomised, all at one step", ONSET, _one_step),
    Case("onset said to be randomised, all within 10%", ONSET, _close_steps),
    Case("arms, 5 against 5, of another batch size", MORE_ARMS, _confounded, refused=True),
)


def run_case(case: Case, studies: int) -> dict[str, object]:
    """What the app says of so many studies of a case: columns `SCHEMA`."""
    starts = range(0, studies, CHUNK)
    frames = [frame for start in starts for frame in _effects(case, start, min(CHUNK, studies - start))]
    effects = pl.concat(frames)
    shown = pl.col("verdict").is_in([SUPPORTED, CONTRADICTED])
    return {
        "case": case.name,
        "studies": studies,
        "any_verdict": float(np.mean([frame.select(shown.any()).item() for frame in frames])),
        "refused": effects.select((pl.col("verdict") == CANNOT_SAY).mean()).item(),
        "designs": ", ".join(effects["design"].value_counts(sort=True)["design"]),
    }


def _effects(case: Case, start: int, studies: int) -> Iterator[pl.DataFrame]:
    """The effects of each of some studies."""
    rng = np.random.default_rng([zlib.crc32(case.name.encode()), start])
    task = draw_studies(Mix(case.name, (case.plan,)), 0, 1, studies, rng)[0]
    metrics = [m for m in study_metrics() if m.key in case.keys or not case.keys]
    study = as_study([task], metrics)
    for i in range(studies):
        runs = [run.with_metrics([m.key for m in metrics]) for run in case.change(simulated_runs(task, i), rng)]
        yield analyse_runs(study, {task.key: task_runs(task.key, runs)}).effects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=STUDIES, help="studies per case (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="processes at once (default: %(default)s)")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        rows = pool.map(run_case, CASES, [options.studies] * len(CASES))
        pl.DataFrame(list(rows), schema=SCHEMA).write_csv(MESSY)
    write_docs()


if __name__ == "__main__":
    main()
