"""One metric of one arm, compared by the design its data allow: fork pairs, arms, a randomised onset or the jump."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.effects.compare import comparison as result
from lib.effects.compare import estimators
from lib.effects.compare.comparison import FEWEST, FORK_PAIRS, Comparison, Exclusion
from lib.effects.compare.fork_pairs import Pair, fork_pairs
from lib.effects.compare.jumps import jump, onset
from lib.effects.compare.units import WHOLE, Rows, RunRows, Unit, Windows, measure, run_rows, windows
from lib.runs import History, Treatment, arms_of
from lib.study import Evidence, Metric, Study, Task


@dataclass(frozen=True)
class TaskData:
    """A task's runs and raw rows, read once: what every comparison of the task is made from.

    `rows` has steps and values by run and metric, `window` are the windows to look at and `pairs` the fork pairs of each
    detached arm.
    """

    study: Study
    task: Task
    treated: tuple[Treatment, ...]
    rows: Rows
    window: Windows
    pairs: Mapping[str, tuple[Pair, ...]]

    @property
    def arms(self) -> tuple[str, ...]:
        """The detached arms."""
        return detached_arms(self.treated)

    def arm_rows(self, metric: Metric, arm: str) -> list[RunRows]:
        """The rows of a detached arm's runs, in an order of their own: no draw depends on how runs were listed."""
        runs = [(t, t.detach_step) for t in self.treated if t.arm == arm and t.detach_step is not None]
        return sorted((run_rows(self.rows, metric, t, step) for t, step in runs), key=_order)

    def control_rows(self, metric: Metric, steps: Mapping[str, int], default: int) -> list[RunRows]:
        """The rows of the controls, each beside the detach step of its counterpart (`steps`) or the default."""
        runs = [(t, steps.get(t.run_id, default)) for t in self.treated if t.is_control]
        return sorted((run_rows(self.rows, metric, t, step) for t, step in runs), key=_order)

    def unit_rows(self, metric: Metric, unit: Unit) -> RunRows:
        """The rows behind a unit of a comparison."""
        return run_rows(self.rows, metric, unit, unit.detach_step)


def _order(run: RunRows) -> tuple[str, str]:
    return run.seed, run.run_id


def detached_arms(treated: Sequence[Treatment]) -> tuple[str, ...]:
    """The arms of the runs that were detached."""
    return arms_of([t for t in treated if t.detach_step is not None])


def task_data(study: Study, task: Task, history: History, treated: Sequence[Treatment], evidence: Evidence) -> TaskData:
    """Read what a task's comparisons need.

    Parameters
    ----------
    history : raw rows; other runs' rows do no harm.
    treated : the treatments of this task's runs.
    evidence : the windows to look at.
    """
    keys = [metric.key for metric in study.metrics]
    rows = {(t.run_id, key): history.series(t.run_id, key) for t in treated for key in keys}
    pairs = {
        arm: fork_pairs(rows, keys, [t for t in treated if t.arm == arm or t.is_control])
        for arm in detached_arms(treated)
    }
    return TaskData(study, task, tuple(treated), rows, windows(task, evidence), pairs)


def compare(data: TaskData, metric: Metric, arm: str) -> Comparison:
    """Compare one metric of one arm by its design: onset, fork pairs, difference in differences, or the jump."""
    if data.task.detach.randomised:
        return onset(data.task, metric, arm, data.arm_rows(metric, arm), data.window)
    if not any(t.is_control for t in data.treated):
        return jump(metric, arm, data.arm_rows(metric, arm), data.window)
    steps = sorted(t.detach_step for t in data.treated if t.arm == arm and t.detach_step is not None)
    middle = steps[(len(steps) - 1) // 2]
    pairs = data.pairs[arm]
    runs, short = result.too_short(data.arm_rows(metric, arm), data.window)
    counterparts = {p.control: p.detach_step for p in pairs}
    controls, short_controls = result.too_short(data.control_rows(metric, counterparts, middle), data.window)
    excluded = short + short_controls
    long_enough = {run.run_id for run in (*runs, *controls)}
    whole = [p for p in pairs if p.detached in long_enough and p.control in long_enough]
    if len(whole) >= FORK_PAIRS:
        return _fork(metric, arm, [*runs, *controls], whole, data.window, excluded)
    comparison = _did(metric, arm, runs, controls, data.window, excluded)
    if steps[0] != steps[-1] and comparison.design == "did":
        note = f"the runs' detach steps differ: controls without a pair are cut at {middle:,}"
        return replace(comparison, caveats=(*comparison.caveats, note))
    return comparison


def compare_jumps(data: TaskData, comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Each comparison's detached runs alone, by their jumps; a comparison that is one already is not made again."""
    jumps = [
        c if c.design == "jump" else jump(c.metric, c.arm, data.arm_rows(c.metric, c.arm), data.window)
        for c in comparisons
    ]
    return [c for c in jumps if c.values]


def _measured(
    runs: Sequence[RunRows], window: Windows, end: float, *, need_before: bool
) -> tuple[list[Unit], list[Exclusion]]:
    kept, out = [], []
    for unit in (measure(run, window, end) for run in runs):
        if unit.n_after and (unit.n_before or not need_before):
            kept.append(unit)
        else:
            reason = f"no row in the window {'before' if unit.n_after else 'after'} the detach"
            out.append(Exclusion(unit.run_id, unit.seed, unit.arm, reason))
    return kept, out


def _fork(
    metric: Metric, arm: str, runs: list[RunRows], pairs: list[Pair], window: Windows, excluded: list[Exclusion]
) -> Comparison:
    by_id = {run.run_id: run for run in runs}
    in_pairs = [by_id[run_id] for p in pairs for run_id in (p.detached, p.control)]
    end = result.end_of(in_pairs)
    measured, empty = _measured(in_pairs, window, end, need_before=False)
    units = {u.run_id: u for u in measured}
    pairs = [p for p in pairs if p.detached in units and p.control in units]
    paired = {run_id for p in pairs for run_id in (p.detached, p.control)}
    unpaired = tuple(run.run_id for run in runs if run.run_id not in paired)
    treated, controls = [units[p.detached] for p in pairs], [units[p.control] for p in pairs]
    note = (f"{len(unpaired)} runs without a fork pair are not in it",) if unpaired else ()
    comparison = Comparison(
        metric,
        arm,
        controls[0].arm if controls else "",
        "fork",
        "fork pairs: paired t on after",
        tuple(treated),
        tuple(controls),
        tuple(pairs),
        unpaired,
        tuple(excluded + empty),
        end,
        values=tuple(t.after - c.after for t, c in zip(treated, controls, strict=True)),
        p_floor=estimators.label_floor([(len(pairs), 0)]) if pairs else None,
        span=result.span(metric, [run for run in in_pairs if run.run_id in paired], end),
        caveats=note + _end_note(end, window),
    )
    return result.over_runs(comparison, "pairs")


def _did(
    metric: Metric, arm: str, runs: list[RunRows], controls: list[RunRows], window: Windows, excluded: list[Exclusion]
) -> Comparison:
    end = result.end_of([*runs, *controls])
    units, empty = _measured(runs, window, end, need_before=True)
    control_units, empty_controls = _measured(controls, window, end, need_before=True)
    d_t, d_c = [u.change for u in units], [u.change for u in control_units]
    comparison = Comparison(
        metric,
        arm,
        controls[0].arm if controls else "",
        "did",
        _did_method(len(d_t), len(d_c)),
        tuple(units),
        tuple(control_units),
        excluded=tuple(excluded + empty + empty_controls),
        end=end,
        values=tuple(d_t),
        control_values=tuple(d_c),
        caveats=_end_note(end, window),
    )
    if not d_t or not d_c:
        refusal = f"no {'run of the arm' if not d_t else 'control run'} counts"
        return replace(comparison, design="none", method="", refusal=refusal)
    counted = {u.run_id for u in comparison.runs}
    comparison = replace(
        comparison,
        estimate=float(np.mean(d_t) - np.mean(d_c)),
        p_floor=estimators.label_floor([(len(d_t), len(d_c))]),
        span=result.span(metric, [run for run in (*runs, *controls) if run.run_id in counted], end),
    )
    if refusal := _refuse_small(comparison):
        return replace(comparison, refusal=refusal)
    return result.judged(comparison, lambda: estimators.difference(d_t, d_c))


def _did_method(n_t: int, n_c: int) -> str:
    if not estimators.welch_fails(n_t, n_c):
        return "difference in differences: Welch t on each run's d"
    df = f"df = {min(n_t, n_c) - 1}, the smaller arm's n - 1"
    return f"difference in differences: t on each run's d with Welch's standard error, {df}"


def _refuse_small(comparison: Comparison) -> str:
    arms = (comparison.values, comparison.control_values)
    n_t, n_c = map(len, arms)
    if min(n_t, n_c) < FEWEST:
        numbers = " against ".join(result.listed(comparison.metric, values) for values in arms)
        return f"n = {min(n_t, n_c)}: too few runs for a verdict ({n_t} detached, {n_c} control, d {numbers})"
    return ""


def _end_note(end: float, window: Windows) -> tuple[str, ...]:
    short = end < WHOLE * window.total
    return (f"compared up to step {end:,.0f} of {window.total:,}, where the shortest run ends",) if short else ()
