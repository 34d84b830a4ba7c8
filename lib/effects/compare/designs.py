"""One metric of one arm, compared by the design its data allow: fork pairs, arms, a randomised onset or the jump."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median_low

import numpy as np

from lib.effects.compare import comparison as result
from lib.effects.compare import estimators
from lib.effects.compare.comparison import FEWEST, FORK_PAIRS, Comparison, Exclusion, Gate
from lib.effects.compare.confounders import runs_differ_in, treatment_keys
from lib.effects.compare.fork_pairs import Pair
from lib.effects.compare.gates import STEPS_DRAWN, cut_note, gates_of_ends, gates_of_settings, with_gates
from lib.effects.compare.jumps import NARROW, jump, onset
from lib.effects.compare.planned import after_looking, before_planned, planned_gate
from lib.effects.compare.task_data import TaskData
from lib.effects.compare.units import RunRows, Unit, Units, Windows, measure
from lib.formatting import is_or_are, leading_names, listing, plural
from lib.runs import WHOLE, replicates
from lib.study import CONTROL, Metric

#: Settings on which replicates differ that are named at most.
_MOST_KEYS = 3


def compare(data: TaskData, metric: Metric, arm: str) -> Comparison:
    """Compare one metric of one arm by its design: onset, fork pairs, difference in differences, or the jump."""
    ends = data.compared_runs(metric, arm)
    comparison = _by_design(data, metric, arm, ends.whole)
    cut = _by_design(data, metric, arm, (*ends.whole, *ends.early)) if ends.early else None
    others = [run for run in data.uncounted if run.arm in (arm, CONTROL)]
    comparison = replace(
        comparison,
        excluded=(*others, *ends.excluded, *comparison.excluded),
        caveats=(*after_looking(data.study.evidence), *comparison.caveats, *_replicate_notes(data, comparison)),
    )
    gates = [*gates_of_ends(comparison, cut, data.treatments), *gates_of_settings(data.differences(comparison))]
    if reason := data.not_drawn(arm):
        gates.append(
            Gate(STEPS_DRAWN, f"no onset test, for the detach steps do not look drawn: {reason}", needed=False)
        )
    if gate := planned_gate(comparison, data.study.evidence):
        gates.append(gate)
    if gate is None or not gate.needed:  # what is cut has no interval that holds at every look
        comparison = replace(comparison, caveats=(*comparison.caveats, *cut_note(comparison, cut)))
    return before_planned(with_gates(comparison, gates))


def _by_design(data: TaskData, metric: Metric, arm: str, runs: Sequence[RunRows]) -> Comparison:
    """The comparison of these runs, up to where the first of them ends."""
    detached = [run for run in runs if run.arm == arm]
    if data.has_onset(arm):
        return onset(data.task, metric, arm, detached, data.window)
    if not any(t.is_control for t in data.treatments):
        return jump(metric, arm, detached, data.window)
    ids = {run.run_id for run in runs}
    pairs = [p for p in data.pairs[arm] if p.detached in ids and p.control in ids]
    if len(pairs) >= FORK_PAIRS:
        return _fork(metric, arm, runs, pairs, data.window)
    controls = [run for run in runs if run.arm != arm]
    comparison = _did(metric, arm, detached, controls, data.window)
    steps = sorted({t.detach_step for t in data.treatments if t.arm == arm and t.detach_step is not None})
    if len(steps) > 1 and comparison.design == "did":
        middle = median_low(t.detach_step for t in data.treatments if t.arm == arm and t.detach_step is not None)
        note = f"the runs' detach steps differ: controls without a pair are cut at {middle:,}"
        return replace(comparison, caveats=(*comparison.caveats, note))
    return comparison


def _replicate_notes(data: TaskData, comparison: Comparison) -> Iterator[str]:
    """The runs of one seed that count as runs of their own, by arm and seed."""
    ids = {unit.run_id for unit in comparison.runs}
    seeds: dict[tuple[str, str], list[str]] = {}
    for t in replicates([t for t in data.treatments if t.run_id in ids]):
        seeds.setdefault((t.arm, t.seed), []).append(t.run_id)
    ignore = treatment_keys(data.study, data.task, data.settings, data.treatments)
    for (arm, seed), run_ids in seeds.items():
        keys = runs_differ_in(data.settings, run_ids, ignore)
        differ = f", which differ in {listing(leading_names(keys, _MOST_KEYS))}" if keys else ""
        yield f"{arm} seed {seed} counts {len(run_ids)} times (runs {listing(run_ids)}{differ})"


def compare_jumps(data: TaskData, comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Each comparison's detached runs alone, by their jumps; a comparison that is one already is not made again."""
    jumps = [c if c.design == "jump" else jump(c.metric, c.arm, _detached(data, c), data.window) for c in comparisons]
    return [c for c in jumps if c.values]


def across_part(data: TaskData, comparison: Comparison) -> Comparison:
    """A comparison as it enters across tasks: a jump by the narrow h, for tasks together have many runs."""
    half = NARROW * data.window.total
    if comparison.design != "jump" or comparison.half_width == half or len(data.study.tasks) < 2:
        return comparison
    narrow = jump(comparison.metric, comparison.arm, _detached(data, comparison), data.window, half)
    return replace(narrow, gates=comparison.gates)


def _detached(data: TaskData, comparison: Comparison) -> list[RunRows]:
    """The detached runs that a comparison could count."""
    ends = data.compared_runs(comparison.metric, comparison.arm)
    return [run for run in ends.whole if run.arm == comparison.arm]


def _measured(
    runs: Sequence[RunRows], window: Windows, end: float, *, need_before: bool
) -> tuple[list[Unit], list[Exclusion]]:
    usable, out = [], []
    for unit in measure(runs, window, end):
        if unit.n_after and (unit.n_before or not need_before):
            usable.append(unit)
        else:
            reason = f"no row in the window {'before' if unit.n_after else 'after'} the detach"
            remedy = "Log the metric in both windows, or declare wider ones in [evidence]."
            out.append(Exclusion(unit.run_id, unit.seed, unit.arm, reason, remedy=remedy))
    return usable, out


def _fork(metric: Metric, arm: str, runs: Sequence[RunRows], pairs: list[Pair], window: Windows) -> Comparison:
    by_id = {run.run_id: run for run in runs}
    in_pairs = [by_id[run_id] for p in pairs for run_id in (p.detached, p.control)]
    end = result.end_of(in_pairs)
    measured, empty = _measured(in_pairs, window, end, need_before=False)
    units = {u.run_id: u for u in measured}
    whole = [p for p in pairs if p.detached in units and p.control in units]
    if 0 < len(whole) < len(pairs):  # what is not compared does not end what is
        left = _fork(metric, arm, runs, whole, window)
        return replace(left, excluded=(*empty, *left.excluded))
    pairs = whole
    paired = {run_id for p in pairs for run_id in (p.detached, p.control)}
    unpaired = tuple(run.run_id for run in runs if run.run_id not in paired)
    treated, controls = [units[p.detached] for p in pairs], [units[p.control] for p in pairs]
    alone = len(unpaired)
    note = (f"{plural(alone, 'run')} without a fork pair {is_or_are(alone)} not in it",) if unpaired else ()
    comparison = Comparison(
        metric,
        arm,
        controls[0].arm if controls else "",
        "fork",
        "fork pairs: paired t on after",
        Units(treated),
        Units(controls),
        tuple(pairs),
        unpaired,
        tuple(empty),
        end,
        values=tuple(t.after - c.after for t, c in zip(treated, controls, strict=True)),
        p_floor=estimators.label_floor([(len(pairs), 0)]) if pairs else None,
        span=result.span(metric, [run for run in in_pairs if run.run_id in paired], end),
        caveats=note + _end_note(end, window),
    )
    return result.over_runs(comparison, "pairs")


def _did(metric: Metric, arm: str, runs: list[RunRows], controls: list[RunRows], window: Windows) -> Comparison:
    end = result.end_of([*runs, *controls])
    units, empty = _measured(runs, window, end, need_before=True)
    control_units, empty_controls = _measured(controls, window, end, need_before=True)
    if units and control_units and (empty or empty_controls):  # what is not compared does not end what is
        counted = {unit.run_id for unit in (*units, *control_units)}
        whole, whole_controls = ([run for run in some if run.run_id in counted] for some in (runs, controls))
        left = _did(metric, arm, whole, whole_controls, window)
        return replace(left, excluded=(*empty, *empty_controls, *left.excluded))
    d_t, d_c = [u.change for u in units], [u.change for u in control_units]
    comparison = Comparison(
        metric,
        arm,
        controls[0].arm if controls else "",
        "did",
        _did_method(len(d_t), len(d_c)),
        Units(units),
        Units(control_units),
        excluded=(*empty, *empty_controls),
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
    return result.judged(comparison, "runs", lambda: estimators.difference(d_t, d_c))


def _did_method(n_t: int, n_c: int) -> str:
    if min(n_t, n_c) < FEWEST or not estimators.welch_fails(n_t, n_c):
        return "difference in differences: Welch t on each run's change"
    df = f"df = {min(n_t, n_c) - 1}, the smaller arm's n - 1"
    return f"difference in differences: t on each run's change with Welch's standard error, {df}"


def _refuse_small(comparison: Comparison) -> str:
    arms = (comparison.values, comparison.control_values)
    n_t, n_c = map(len, arms)
    if min(n_t, n_c) < FEWEST:
        numbers = " against ".join(result.listed(comparison.metric, values) for values in arms)
        return f"n = {min(n_t, n_c)}: too few runs for a verdict ({n_t} detached, {n_c} control, changes {numbers})"
    return ""


def _end_note(end: float, window: Windows) -> tuple[str, ...]:
    short = end < WHOLE * window.total
    return (f"compared up to step {end:,.0f} of {window.total:,}, where the shortest run ends",) if short else ()
