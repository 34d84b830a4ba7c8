"""How far the numbers of runs spread, by design: what a plan of more runs rests on."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.compare.comparison import FEWEST, Comparison
from lib.effects.price import HOUR
from lib.effects.study_analysis import StudyAnalysis, TaskAnalysis
from lib.study import DETACHED, Metric, Study, Task

#: The designs of a plan, the strongest first.
DESIGNS = ("fork", "did", "jump")


@dataclass(frozen=True)
class Spread:
    """The variances, over runs, of the numbers that a design's estimate is made of, and what one more of each costs.

    `design` is `fork` (differences of pairs), `did` (each arm's after - before) or `jump`. `variances` has one for each
    group of runs, scaled so that their sum / n is the variance of the estimate with n runs in each group (or n pairs).
    `runs`, `steps` (environment steps) and `hours` of training (NaN where no run tells them) are what each n takes.
    `base` is what a change by this design is a percent of, on the scale of the estimate; None where there is no percent.
    """

    design: str
    variances: tuple[float, ...]
    runs: int
    steps: float
    hours: float = math.nan
    base: float | None = None

    def cost(self, n: int) -> tuple[int, int, float | None]:
        """The runs, the environment steps and the hours of training of a size."""
        return n * self.runs, round(n * self.steps), None if math.isnan(self.hours) else n * self.hours


@dataclass(frozen=True)
class Pace:
    """How fast runs train, in environment steps per second: as they are, and after a detach."""

    attached: float = math.nan
    detached: float = math.nan


def task_spread(
    design: str,
    variances: Sequence[float],
    total: int,
    detach: float,
    pace: Pace | None = None,
    base: float | None = None,
) -> Spread:
    """The spread of one task's runs, which train for `total` steps: a fork's second run from the detach on alone."""
    runs = {"fork": (1.0, 0.0), "did": (1.0, 1.0), "jump": (0.0, 1.0)}[design]
    whole, before, after = runs[0] * total, runs[1] * detach, total - detach
    pace = pace or Pace()
    hours = ((whole + before) / pace.attached + after / pace.detached) / HOUR
    return Spread(design, tuple(variances), 1 if design == "jump" else 2, whole + before + after, hours, base)


@dataclass(frozen=True)
class Pilot:
    """What runs tell of one claim that is to be planned: a metric of an arm in a task, or across tasks (`*`).

    `span` is the scale of the task, on that of the estimate: in logs for a log metric.
    """

    task: str
    metric: Metric
    arm: str
    spreads: tuple[Spread, ...]
    span: float = math.nan
    tasks: int = 1
    pace: Pace = Pace()


def planned_detach(task: Task) -> int:
    """The step at which a planned run is detached: the typed one, or half of the training."""
    return task.detach.step or task.total_steps // 2


def fixed_step_note(task: Task) -> str:
    """What a plan says of a task whose detach steps are random: its designs are those of a fixed step; else ""."""
    if task.detach.randomised is None:
        return ""
    return (
        f"{task.title} draws its detach steps: this plan is for new runs that are detached at step "
        f"{planned_detach(task):,}, by a t test; there is none for the onset test."
    )


def pilots(analysis: StudyAnalysis) -> tuple[Pilot, ...]:
    """A pilot for every claim of a study with runs, those across its tasks last."""
    own = tuple(_pilot(task, comparison) for task in analysis.tasks for comparison in task.comparisons)
    return own + across_pilots(analysis.study, own)


def pilots_of(study: Study, analysis: StudyAnalysis) -> tuple[Pilot, ...]:
    """A pilot for every claim of a study without runs, from the runs of another that has its metrics.

    A task takes those of the task of its name, or else, design by design, of the task that spreads most. Margins, total
    steps and detach steps are the study's own.
    """
    others = [p for p in pilots(analysis) if p.task != ALL_TASKS]
    own = tuple(p for task in study.tasks for metric in study.metrics for p in _borrowed(task, metric, others))
    return own + across_pilots(study, own)


def typed_pilot(task: Task, metric: Metric, deviations: Mapping[str, float], in_percent: bool) -> Pilot:
    """The pilot of one task's metric with typed standard deviations over seeds, by design.

    Parameters
    ----------
    deviations : of one pair's difference, of one run's change or of one run's jump: in percent of what a change is a
        percent of, or in the metric's unit.
    """
    log, groups = metric.scale == "log", {"fork": 1, "did": 2, "jump": 1}
    level = 100.0 if in_percent and not log else None
    of_designs = (
        task_spread(
            design,
            [(math.log1p(deviations[design] / 100) if log else deviations[design]) ** 2] * groups[design],
            task.total_steps,
            planned_detach(task),
            base=level,
        )
        for design in DESIGNS
        if design in deviations
    )
    return Pilot(task.key, metric, DETACHED, tuple(of_designs), level or 1.0)


def _pilot(task: TaskAnalysis, comparison: Comparison) -> Pilot:
    pace = _pace(task, comparison.arm)
    of_designs = tuple(spreads(task, comparison, pace))
    return Pilot(task.task.key, comparison.metric, comparison.arm, of_designs, comparison.span, pace=pace)


def _pace(task: TaskAnalysis, arm: str) -> Pace:
    """How fast the runs of an arm trained, from what the detach saved."""
    return next(
        (Pace(price.without_detach, price.after) for price in task.prices if price.comparison.arm == arm), Pace()
    )


def _borrowed(task: Task, metric: Metric, others: Sequence[Pilot]) -> Iterator[Pilot]:
    same = [p for p in others if p.metric.key == metric.key and p.metric.scale == metric.scale]
    named = [p for p in same if p.task in (task.key, task.name)] or same
    for arm in dict.fromkeys(p.arm for p in named):
        if pilot := _widest([p for p in named if p.arm == arm]):
            total, detach = task.total_steps, planned_detach(task)
            own = tuple(task_spread(s.design, s.variances, total, detach, pilot.pace, s.base) for s in pilot.spreads)
            yield replace(pilot, task=task.key, metric=metric, spreads=own)


def _widest(task_pilots: Sequence[Pilot]) -> Pilot | None:
    """The pilot that spreads most by the strongest design of all, as a share of what a change is a percent of."""
    for design in DESIGNS:
        shares = {
            p: sum(s.variances) / ((1.0 if p.metric.scale == "log" else s.base) or math.inf) ** 2
            for p in task_pilots
            for s in p.spreads
            if s.design == design
        }
        if shares:
            return max(shares, key=lambda p: shares[p])
    return None


def across_pilots(study: Study, task_pilots: Iterable[Pilot]) -> tuple[Pilot, ...]:
    """A pilot across the tasks for every metric and arm that at least two tasks have, with n runs in each.

    Tasks whose detach steps are random are no part of it, as in `lib.effects.compare.across_tasks`.
    """
    by_claim: dict[tuple[str, str], list[Pilot]] = {}
    for pilot in task_pilots:
        if pilot.span > 0 and study.task(pilot.task).detach.randomised is None:
            by_claim.setdefault((pilot.metric.key, pilot.arm), []).append(pilot)
    return tuple(_across(parts) for parts in by_claim.values() if len({p.task for p in parts}) > 1)


def _across(parts: Sequence[Pilot]) -> Pilot:
    tasks = len({pilot.task for pilot in parts})
    of_designs = []
    for design in DESIGNS:
        rows = [(pilot, spread) for pilot in parts for spread in pilot.spreads if spread.design == design]
        if len(rows) == tasks:
            variances = [v / (pilot.span * tasks) ** 2 for pilot, spread in rows for v in spread.variances]
            runs, steps, hours = (sum(getattr(s, name) for _, s in rows) for name in ("runs", "steps", "hours"))
            levels = [spread.base / pilot.span for pilot, spread in rows if spread.base is not None]
            base = float(np.mean(levels)) if len(levels) == tasks else None
            of_designs.append(Spread(design, tuple(variances), runs, steps, hours, base))
    return Pilot(ALL_TASKS, parts[0].metric, parts[0].arm, tuple(of_designs), 1.0, tasks)


def spreads(task: TaskAnalysis, comparison: Comparison, pace: Pace | None = None) -> Iterator[Spread]:
    """The spread of each design that the counted runs of a comparison tell of, with three runs or more.

    Without a control arm its runs are taken to spread as the detached ones do.
    """
    total = task.task.total_steps
    steps = [unit.detach_step for unit in comparison.units]
    detach = float(np.mean(steps)) if steps else math.nan

    def spread(design: str, *groups: Sequence[float]) -> Iterator[Spread]:
        finite = [[v for v in group if math.isfinite(v)] for group in groups]
        if min(map(len, finite)) >= FEWEST:
            base, _ = replace(comparison, design=design).base
            yield task_spread(design, [float(np.var(group, ddof=1)) for group in finite], total, detach, pace, base)

    if comparison.design == "fork":
        yield from spread("fork", comparison.values)
    detached = [unit.change for unit in comparison.units]
    yield from spread("did", detached, [unit.change for unit in comparison.controls] or detached)
    yield from spread("jump", _jumps(task, comparison))


def _jumps(task: TaskAnalysis, comparison: Comparison) -> list[float]:
    """Each detached run's jump, on the scale of the estimate."""
    of_claim = (pl.col("metric") == comparison.metric.key) & (pl.col("arm") == comparison.arm)
    jumps = task.fits.filter(of_claim)["jump"].to_list()
    return [math.log1p(jump) for jump in jumps] if comparison.metric.scale == "log" else jumps
