"""Simulated runs as the app takes them: a study, and each task's histories, treatments and configs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks import simulated as sim
from benchmarks.batches import Array
from benchmarks.offered_methods import ONSET_TASK
from benchmarks.simulated_studies import LOSSES, METRICS, REWARDS, TaskDraw
from lib.effects.study_analysis import TaskRuns
from lib.runs import HISTORY, History, Treatment
from lib.study import CONTROL, DETACHED, DetachRule, Metric, Source, Study, Task


@dataclass(frozen=True)
class SimulatedRun:
    """One run: its rows by metric, on the first steps of `simulated.STEPS` and with losses as logs; NaN where it logs none.

    The detach step of a control is that of the others.
    """

    run_id: str
    arm: str
    seed: str
    detach_step: int
    rows: Mapping[str, Array]
    config: Mapping[str, Any] = field(default_factory=dict)
    state: str = "finished"

    @property
    def last_step(self) -> int:
        """The last step of any row."""
        return int(sim.STEPS[max(map(len, self.rows.values())) - 1])

    def with_metrics(self, keys: Sequence[str]) -> "SimulatedRun":
        """The run with some of its metrics."""
        return replace(self, rows={key: self.rows[key] for key in keys})

    def history(self) -> pl.DataFrame:
        """The rows as a history."""
        values = [np.exp(y) if key in LOSSES else y for key, y in self.rows.items()]
        steps = [sim.STEPS[: len(y)] for y in values]
        frame = {
            "run_id": np.repeat(self.run_id, sum(map(len, steps))),
            "metric": np.repeat(list(self.rows), list(map(len, steps))),
            "step": np.concatenate(steps),
            "value": np.concatenate(values),
            "time": np.concatenate(steps).astype(float),
        }
        return pl.DataFrame(frame, schema=HISTORY).filter(pl.col("value").is_not_nan())

    def treatment(self, task: str) -> Treatment:
        """The run's place in the study."""
        step = None if self.arm == CONTROL else self.detach_step
        return Treatment(
            run_id=self.run_id,
            task=task,
            arm=self.arm,
            seed=self.seed,
            detach_step=step,
            detach_source="" if step is None else "typed",
            ratio=None if step is None else step / sim.TOTAL,
            signal="",
            last_step=self.last_step,
            state=self.state,
        )


def cut(run: SimulatedRun, end: float) -> SimulatedRun:
    """The run as it is when it crashes at this fraction of training."""
    return replace(run, rows={key: y[: int(end * sim.ROWS)] for key, y in run.rows.items()}, state="crashed")


def simulated_runs(task: TaskDraw, study: int) -> list[SimulatedRun]:
    """The runs of a task in one of the studies."""
    steps = task.metrics[0].detach_steps
    runs = []
    for arm in (DETACHED, CONTROL):
        arrays = [batch.treated if arm == DETACHED else batch.control for batch in task.metrics]
        for i in range(arrays[0].shape[1]):
            at = sim.HALF if steps is None else int(steps[study, i])
            rows = {key: array[study, i] for key, array in zip(METRICS, arrays, strict=True)}
            runs.append(SimulatedRun(f"{task.key} {arm} {i}", arm, str(i), at, rows))
    return runs


def as_study(tasks: Sequence[TaskDraw], metrics: Sequence[Metric]) -> Study:
    """The study that the tasks' runs belong to."""
    return Study("simulated", "Simulated", Source("bundle", path="."), tuple(metrics), tuple(map(_task, tasks)))


def _task(task: TaskDraw) -> Task:
    rule = ONSET_TASK.detach if task.plan.design == "onset" else DetachRule(step=sim.HALF)
    return Task(name=task.key, total_steps=sim.TOTAL, detach=rule)


def study_metrics(*, two_roles: bool = False) -> list[Metric]:
    """The metrics of a simulated study; with two roles its losses are secondary."""
    role = {"role": "secondary"} if two_roles else {}
    rewards = [Metric(key, "reward", "increase") for key in REWARDS]
    return rewards + [Metric(key, "loss", "decrease", scale="log", **role) for key in LOSSES]


def task_runs(task: str, runs: Sequence[SimulatedRun]) -> TaskRuns:
    """Runs as those of a task."""
    history = History({run.run_id: run.history() for run in runs})
    return TaskRuns(history, [run.treatment(task) for run in runs], {run.run_id: run.config for run in runs})
