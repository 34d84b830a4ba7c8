"""What a proposed study holds, in one sentence."""

import polars as pl

from lib.formatting import listing, plural
from lib.study import CONTROL, UNKNOWN, Study


def sentence(study: Study, runs: pl.DataFrame) -> str:
    """Runs, tasks, sweeps, arms with their detach step, and metrics.

    Parameters
    ----------
    runs : what `preview` returns: one row per run and task.
    """
    tasks, sweeps = len(study.tasks), len({sweep for task in study.tasks for sweep in task.sweeps})
    places = f" in {plural(sweeps, 'sweep')}" if sweeps else ""
    counts = f"{plural(runs['run'].n_unique(), 'run')} of {plural(tasks, 'task')}{places}"
    return f"{counts}: {_arms(runs, tasks)}; {plural(len(study.metrics), 'metric')}."


def _arms(runs: pl.DataFrame, tasks: int) -> str:
    """The runs of each arm, of each task where all tasks have as many."""
    sizes = runs.group_by("arm", "task").len()
    is_same = runs["task"].n_unique() == tasks and all(
        len(of_arm) == tasks and of_arm["len"].n_unique() == 1 for _, of_arm in sizes.group_by("arm")
    )
    parts = []
    for arm in sorted(runs["arm"].unique(maintain_order=True), key=[CONTROL, UNKNOWN].count):
        of_arm = runs.filter(pl.col("arm") == arm)
        steps = of_arm["detach step"].drop_nulls().unique()
        at = f" at {steps[0]:,}" if len(steps) == 1 else ""
        name = "of unknown arm" if arm == UNKNOWN else arm
        parts.append(f"{len(of_arm) // tasks if is_same else len(of_arm)} {name}{at}")
    return listing(parts) + (" each" if is_same and tasks > 1 else "")
