"""Train the demo study's runs: ``python -m examples.detach_agent.make_demo --seeds 1-6 --jobs 2 --out DIR``."""

import argparse
import logging
import multiprocessing
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from examples.detach_agent.config import RunConfig, draw_detach_step
from examples.detach_agent.runs import Job, finished, run_job

logger = logging.getLogger(__name__)

STEPS = 100_000
PAIR_TASKS = {"cart0001": "cartpole-swingup", "acro0001": "acrobot-swingup"}
ONSET_TASK, ONSET_SWEEP = "cartpole-swingup", "cart0002"
ONSET_SEEDS = range(11, 19)


def parse_seeds(text: str) -> list[int]:
    """Read seeds such as ``1-6`` or ``1,3,5-7``; sorted, each once."""
    seeds: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds |= set(range(int(first), int(last or first) + 1))
    return sorted(seeds)


def demo_jobs(seeds: list[int]) -> list[Job]:
    """Fork pairs of both tasks, seed by seed, and then the runs with a drawn detach step.

    The drawn steps have seeds of their own, so that no run of theirs shares a history with a fork pair.
    """
    pairs = [
        Job(_run(task, seed, STEPS // 2), sweep, fork=True) for seed in seeds for sweep, task in PAIR_TASKS.items()
    ]
    onsets = [
        Job(_run(ONSET_TASK, seed, draw_detach_step(seed, STEPS)), ONSET_SWEEP, fork=False) for seed in ONSET_SEEDS
    ]
    return pairs + onsets


def _run(task: str, seed: int, detach_step: int) -> RunConfig:
    return RunConfig(task=task, seed=seed, steps=STEPS, detach_step=detach_step)


def train_all(jobs: list[Job], out: Path, workers: int) -> None:
    """Train the jobs that `out` does not hold yet, `workers` at a time, saying on stderr how far it is."""
    waiting = [job for job in jobs if not all(finished(run_id, out) for run_id in job.arms)]
    logger.info("%d jobs, %d of them finished before", len(jobs), len(jobs) - len(waiting))
    begun, done, total = time.monotonic(), 0, sum(job.new_steps for job in waiting)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_set_up_process) as pool:
        futures: dict[Future[None], Job] = {pool.submit(run_job, job, out): job for job in waiting}
        for future in as_completed(futures):
            future.result()
            done += futures[future].new_steps
            minutes = (time.monotonic() - begun) / 60
            left = minutes * (total - done) / done
            logger.info("%.0f%% in %.0f min, about %.0f min left", 100 * done / total, minutes, left)


def _set_up_process() -> None:
    """Send progress to stderr; dm_control has set up the root logger on import, hence `force`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=parse_seeds, default="1-6", help="seeds of the fork pairs (1-6)")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side (1)")
    parser.add_argument("--out", type=Path, required=True, help="where the runs go; start again to resume")
    args = parser.parse_args()
    _set_up_process()
    args.out.mkdir(parents=True, exist_ok=True)
    train_all(demo_jobs(args.seeds), args.out.resolve(), args.jobs)


if __name__ == "__main__":
    main()
