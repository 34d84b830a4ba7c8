"""A task's runs and raw rows: what every comparison of the task is made from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import median_low
from typing import Any

from lib.effects.compare.comparison import Comparison, Exclusion
from lib.effects.compare.confounders import Difference, Settings, differences, treatment_keys
from lib.effects.compare.ends import Ends, by_ends
from lib.effects.compare.fork_pairs import Pair, fork_pairs
from lib.effects.compare.jumps import not_drawn
from lib.effects.compare.units import Logged, Rows, RunRows, Unit, Windows, windows
from lib.formatting import number_order
from lib.runs import History, Treatment, arms_of, counted, row_counts, settings, uncounted, with_duplicates
from lib.study import Evidence, Metric, Study, Task

#: Bytes of rows that stay in memory: those of a small study are read once.
CACHE_BYTES = 32 << 20


@dataclass(frozen=True)
class TaskData:
    """A task's counted runs and their raw rows: what every comparison of the task is made from.

    `uncounted` are the other runs: copies, superseded and left out by declaration. `rows` gives the runs' rows by metric,
    from `history`, `settings` what each run's config says, `window` are the windows to look at and `pairs` the fork pairs of
    each detached arm.
    """

    study: Study
    task: Task
    treatments: tuple[Treatment, ...]
    uncounted: tuple[Exclusion, ...]
    history: History
    rows: Rows
    settings: Settings
    window: Windows
    pairs: Mapping[str, tuple[Pair, ...]]

    @property
    def arms(self) -> tuple[str, ...]:
        """The detached arms."""
        return detached_arms(self.treatments)

    def arm_rows(self, metric: Metric, arm: str) -> list[RunRows]:
        """The rows of a detached arm's runs, in an order of their own: no draw depends on how runs were listed."""
        runs = [(t, t.detach_step) for t in self.treatments if t.arm == arm and t.detach_step is not None]
        return sorted(self.rows.of_runs(metric, runs), key=_order)

    def control_rows(self, metric: Metric, steps: Mapping[str, int]) -> list[RunRows]:
        """The rows of the controls, each beside the detach step of its counterpart."""
        runs = [(t, steps[t.run_id]) for t in self.treatments if t.is_control]
        return sorted(self.rows.of_runs(metric, runs), key=_order)

    def unit_rows(self, metric: Metric, units: Iterable[Unit]) -> list[RunRows]:
        """The rows behind units of a comparison."""
        return self.rows.of_runs(metric, [(self.by_id[unit.run_id], unit.detach_step) for unit in units])

    @cached_property
    def by_id(self) -> dict[str, Treatment]:
        """The counted runs by their ids."""
        return {t.run_id: t for t in self.treatments}

    def compared_runs(self, metric: Metric, arm: str) -> Ends:
        """The runs of an arm and of its controls, each control beside its pair's detach step or the arm's middle one.

        Where a number of runs is declared, those that are still running wait: it counts finished ones.
        """
        steps = self.detach_steps(arm)
        controls = [] if self.has_onset(arm) else self.control_rows(metric, steps)
        return by_ends([*self.arm_rows(metric, arm), *controls], self.window, self.study.evidence.planned is not None)

    def detach_steps(self, arm: str) -> dict[str, int]:
        """By run of a detached arm and of the controls, its detach step: a control's is its pair's, or the arm's middle one."""
        steps = {t.run_id: t.detach_step for t in self.treatments if t.arm == arm and t.detach_step is not None}
        counterparts = {p.control: p.detach_step for p in self.pairs[arm]}
        middle = median_low(steps.values())
        return steps | {t.run_id: counterparts.get(t.run_id, middle) for t in self.treatments if t.is_control}

    def differences(self, comparison: Comparison) -> list[Difference]:
        """What the arms of a comparison differ in besides the treatment."""
        arms = [{unit.run_id for unit in units} for units in (comparison.units, comparison.controls)]
        runs = [t for t in self.treatments if t.run_id in arms[0] | arms[1]]
        ignore = treatment_keys(self.study, self.task, self.settings, runs)
        return differences(self.settings, arms[0], arms[1], ignore)

    def not_drawn(self, arm: str) -> str:
        """Why the detach steps of an arm are no random draws, where the study says so; empty where they can be."""
        steps = [t.detach_step for t in self.treatments if t.arm == arm and t.detach_step is not None]
        return not_drawn(self.task, steps) if self.task.detach.randomised else ""

    def has_onset(self, arm: str) -> bool:
        """Whether an arm's detach steps were drawn at random."""
        return self.task.detach.randomised is not None and not self.not_drawn(arm)


def _order(run: RunRows) -> tuple[tuple[float, str], str]:
    return number_order(run.seed), run.run_id


def detached_arms(treatments: Sequence[Treatment]) -> tuple[str, ...]:
    """The arms of the runs that were detached."""
    return arms_of([t for t in treatments if t.detach_step is not None])


def task_data(
    study: Study,
    task: Task,
    history: History,
    treatments: Sequence[Treatment],
    configs: Mapping[str, Mapping[str, Any]],
    evidence: Evidence,
) -> TaskData:
    """What a task's comparisons need.

    Parameters
    ----------
    history : raw rows; other runs' rows do no harm.
    treatments : the treatments of this task's runs.
    configs : of the runs, by id; a run without one has no settings.
    evidence : the windows to look at.
    """
    keys = [metric.key for metric in study.metrics]
    history, ids = history.with_cache(CACHE_BYTES), [t.run_id for t in treatments]
    few_first = sorted(keys, key=lambda key: sum(row_counts(history, ids, key)))
    marked = with_duplicates(study, task, treatments, configs, history, few_first)
    reasons, runs = uncounted(marked), counted(marked)
    excluded = (Exclusion(t.run_id, t.seed, t.arm, reasons[t.run_id]) for t in marked if t.run_id in reasons)
    of_runs = {t.run_id: settings(configs.get(t.run_id, {})) for t in runs}
    pairs = {
        arm: fork_pairs(history, keys, [t for t in runs if t.arm == arm or t.is_control]) for arm in detached_arms(runs)
    }
    rows = Rows(partial(Logged, history))
    return TaskData(study, task, runs, tuple(excluded), history, rows, of_runs, windows(task, evidence), pairs)
