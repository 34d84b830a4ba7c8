"""Tiny studies for the tests of effects: runs written as numbers, with everything else filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

import polars as pl

from lib.effects.study_analysis import StudyAnalysis, TaskRuns, analyse_runs
from lib.runs import HISTORY, BranchPoint, History, Treatment
from lib.study import CONTROL, DETACHED, DetachRule, Evidence, Metric, Source, Study, Task

REWARD = Metric("reward", "reward", "increase")
LOSS = Metric("loss", "loss", "decrease", scale="log")

Points = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Run:
    """One run: its seed, its detach step (None: control) and its points by metric.

    `again` tells runs of one seed and arm apart; `end` is its last step where it logged more than its points.
    """

    seed: str
    detach_step: int | None
    points: Points
    arm: str = ""
    again: str = ""
    state: str = "finished"
    config: Mapping[str, object] = field(default_factory=dict)
    branch_point: BranchPoint | None = None
    end: int | None = None

    @property
    def name(self) -> str:
        return f"{self.seed}-{self.arm or self.detach_step}{self.again}"

    @property
    def last_step(self) -> int | None:
        return self.end or max((s for p in self.points.values() for s, _ in p), default=None)

    def upto(self, end: int, **changes) -> "Run":
        """The same run, cut at a step."""
        return replace(self, points={k: [p for p in v if p[0] <= end] for k, v in self.points.items()}, **changes)


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


def treatments_of(runs: Sequence[Run], key: str = "walk") -> tuple[Treatment, ...]:
    return tuple(
        Treatment(
            run_id=run.name,
            task=key,
            arm=run.arm or (CONTROL if run.detach_step is None else DETACHED),
            seed=run.seed,
            detach_step=run.detach_step,
            detach_source="" if run.detach_step is None else "typed",
            ratio=None if run.detach_step is None else run.detach_step / 100,
            signal="",
            last_step=run.last_step,
            state=run.state,
            branch_point=run.branch_point,
        )
        for run in runs
    )


def analysed(
    runs: Sequence[Run] | Mapping[str, Sequence[Run]],
    of: Study | None = None,
    evidence: Evidence | None = None,
    **options,
) -> StudyAnalysis:
    """The analysis of a study: runs of its only task, or by task; `options` are fields of `TaskRuns`."""
    of = of or study()
    by_task = runs if isinstance(runs, Mapping) else {of.tasks[0].key: runs}
    tasks = {
        key: TaskRuns(
            history(some), treatments_of(some, key), **({"configs": {r.name: r.config for r in some}} | options)
        )
        for key, some in by_task.items()
    }
    return analyse_runs(of, tasks, evidence)


def one_task(runs: Sequence[Run], of: Study | None = None, evidence: Evidence | None = None) -> pl.DataFrame:
    """The claims of a study of one task."""
    return analysed(runs, of, evidence).effects


def steps_run(seed: str, at: int | None, before: float, after: float, metric: str = "reward", every: int = 10) -> Run:
    """A run over 0..100 that is `before` up to step 50 and `after` beyond it.

    Its rows up to 20, before every window, tell its seed's runs from those of other seeds.
    """
    own = before + crc32(seed.encode()) % 997 / 1e5
    early = {0: own, every: (own + before) / 2}
    return Run(seed, at, {metric: [(s, early.get(s, before if s <= 50 else after)) for s in range(0, 101, every)]})
