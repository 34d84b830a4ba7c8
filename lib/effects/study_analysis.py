"""The analysis of a study: every comparison once, and the frames that need the raw rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lib.effects.chart_data import jump_fit_table, pair_difference_table, per_run_table, placebo_table, with_gaps
from lib.effects.compare.across_tasks import Across, Part, across_tasks, combine
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.confounders import Settings
from lib.effects.compare.designs import across_part, compare, compare_jumps
from lib.effects.compare.task_data import task_data
from lib.effects.compare.units import Windows
from lib.effects.effects_table import across_row, effects_frame, task_rows
from lib.effects.price import Price, prices
from lib.effects.verdicts import exploratory, judge
from lib.runs import History, Manifest, Treatment, of_task, treatments_of
from lib.study import Evidence, Study, Task


@dataclass(frozen=True)
class TaskRuns:
    """The runs of a task that are analysed.

    `configs` are by run id: what arms differ in, reruns and replicates are told from them. `left_out` are the ids of runs
    that are not in `treatments` because they are left out by hand.
    """

    history: History
    treatments: Sequence[Treatment]
    configs: Mapping[str, Mapping[str, Any]]
    left_out: Sequence[str] = ()


@dataclass(frozen=True)
class TaskAnalysis:
    """One task's comparisons and what charts draw of them; no raw rows.

    `treatments` are the runs that are counted, `settings` what their configs say, `left_out` the ids of runs left out by hand.
    `comparisons` are in the order of the study's metrics and the task's arms, and `parts` the same as they enter across tasks.
    The frames have the columns of `lib.effects.chart_data` (`gap`: of `EFFECTS`, unjudged, for it is no claim); `prices` has
    what the detach saved, by arm.
    """

    study: Study
    task: Task
    treatments: tuple[Treatment, ...]
    settings: Settings
    left_out: tuple[str, ...]
    window: Windows
    comparisons: tuple[Comparison, ...]
    parts: tuple[Part, ...]
    per_run: pl.DataFrame
    differences: pl.DataFrame
    fits: pl.DataFrame
    placebo: pl.DataFrame
    gap: pl.DataFrame
    prices: tuple[Price, ...]


@dataclass(frozen=True)
class StudyAnalysis:
    """Every comparison of a study, by task and across tasks, and the claims: columns of `EFFECTS`, judged."""

    study: Study
    tasks: tuple[TaskAnalysis, ...]
    across: tuple[Across, ...]
    effects: pl.DataFrame

    def task(self, key: str) -> TaskAnalysis:
        """The analysis of one task, by its id."""
        return next(task for task in self.tasks if task.task.key == key)

    @property
    def speeds(self) -> tuple[Across, ...]:
        """The change of the training speed of every arm that several tasks have, across them."""
        by_arm: dict[str, list[Part]] = {}
        for task in self.tasks:
            for price in task.prices:
                by_arm.setdefault(price.comparison.arm, []).append(Part(task.task.key, price.comparison))
        return tuple(combine(parts) for parts in by_arm.values() if len(parts) > 1)

    @property
    def per_run(self) -> pl.DataFrame:
        """Every counted run of every task: columns `lib.effects.chart_data.PER_RUN`."""
        return pl.concat([task.per_run for task in self.tasks])


def analyse(
    study: Study, manifest: Manifest, left_out: Collection[str] = (), evidence: Evidence | None = None
) -> StudyAnalysis:
    """Compare everything that a study claims something about.

    Parameters
    ----------
    left_out : ids of runs left out by hand, which makes the analysis exploratory; those that the study declares are not.
    evidence : the windows to look at; where they are not the study's own, no claim gets a verdict.
    """
    declared = dict(study.evidence.leave_out)
    by_hand = [run_id for run_id in left_out if run_id not in declared]
    treatments = treatments_of(study, manifest, by_hand)
    tasks = {}
    for task in study.tasks:
        runs = manifest.of_task(task.key)
        configs = {run.id: run.config for run in runs}
        of_task_by_hand = [run_id for run_id in by_hand if run_id in configs]
        tasks[task.key] = TaskRuns(manifest.history(runs), of_task(treatments, task.key), configs, of_task_by_hand)
    return analyse_runs(study, tasks, evidence)


def analyse_runs(study: Study, tasks: Mapping[str, TaskRuns], evidence: Evidence | None = None) -> StudyAnalysis:
    """The same for runs in memory, by the ids of their tasks."""
    windows = evidence or study.evidence
    by_hand = sorted({run_id for runs in tasks.values() for run_id in runs.left_out})
    analyses = tuple(_task(study, task, tasks[task.key], windows) for task in study.tasks if task.key in tasks)
    across = across_tasks(study, [part for analysis in analyses for part in analysis.parts])
    rows = [row for a in analyses for row in task_rows(a.task.key, a.comparisons, a.treatments)]
    rows += map(across_row, across)
    effects = effects_frame(judge(rows, exploratory(windows != study.evidence, by_hand)))
    return StudyAnalysis(study, analyses, across, effects)


def _task(study: Study, task: Task, runs: TaskRuns, evidence: Evidence) -> TaskAnalysis:
    """Read a task's history and make its comparisons; the rows are let go with the return."""
    data = task_data(study, task, runs.history, runs.treatments, runs.configs, evidence)
    comparisons = [compare(data, metric, arm) for metric in study.metrics for arm in data.arms]
    jumps = compare_jumps(data, comparisons)
    with_gap, gaps = with_gaps(data)
    gap_rows = [compare(with_gap, gap, arm) for gap in gaps for arm in data.arms]
    return TaskAnalysis(
        study,
        task,
        data.treatments,
        data.settings,
        tuple(runs.left_out),
        data.window,
        tuple(comparisons),
        tuple(Part(task.key, across_part(data, c)) for c in comparisons),
        per_run_table(task.key, comparisons),
        pair_difference_table(data, comparisons),
        jump_fit_table(data, jumps),
        placebo_table(data, jumps),
        effects_frame(task_rows(task.key, gap_rows, data.treatments)),
        prices(data),
    )
