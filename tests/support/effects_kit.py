"""Tiny studies for the tests of effects: runs written as numbers, with everything else filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from lib.effects import study_effects
from lib.runs import HISTORY, History, Treatment
from lib.study import CONTROL, DETACHED, DetachRule, Evidence, Metric, Source, Study, Task

REWARD = Metric("reward", "reward", "increase")
LOSS = Metric("loss", "loss", "decrease", scale="log")

Points = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Run:
    """One run: its seed, its detach step (None: control) and its points by metric."""

    seed: str
    at: int | None
    points: Points
    arm: str = ""

    @property
    def name(self) -> str:
        return f"{self.seed}-{self.arm or self.at}"


def task(total: int = 100, key: str = "walk", **detach) -> Task:
    return Task(name=key, total_steps=total, detach=DetachRule(step=total // 2, **detach))


def study(*tasks: Task, metrics: Sequence[Metric] = (REWARD,), evidence: Evidence = Evidence()) -> Study:  # noqa: B008
    return Study("kit", "Kit", Source("bundle", path="."), tuple(metrics), tasks or (task(),), evidence=evidence)


def history(runs: Sequence[Run]) -> History:
    rows = [
        (run.name, metric, step, float(value), float(step))
        for run in runs
        for metric, points in run.points.items()
        for step, value in points
    ]
    return History.of_frame(pl.DataFrame(rows, schema=HISTORY, orient="row"))


def treatments(runs: Sequence[Run], key: str = "walk") -> tuple[Treatment, ...]:
    return tuple(
        Treatment(
            run_id=run.name,
            task=key,
            arm=run.arm or (CONTROL if run.at is None else DETACHED),
            seed=run.seed,
            detach_step=run.at,
            detach_source="" if run.at is None else "typed",
            ratio=None if run.at is None else run.at / 100,
            signal="",
            last_step=max((s for p in run.points.values() for s, _ in p), default=None),
            state="finished",
        )
        for run in runs
    )


def one_task(runs: Sequence[Run], asked: Study | None = None, **options) -> pl.DataFrame:
    """study_effects of a study of one task."""
    asked = asked or study()
    key = asked.tasks[0].key
    return study_effects(asked, {key: (history(runs), treatments(runs, key))}, **options)


def steps_run(seed: str, at: int | None, before: float, after: float, metric: str = "reward", every: int = 10) -> Run:
    """A run over 0..100 that is `before` up to step 50 and `after` beyond it."""
    return Run(seed, at, {metric: [(s, before if s <= 50 else after) for s in range(0, 101, every)]})
