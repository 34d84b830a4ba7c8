"""One metric of one arm, compared by the design its data allows: fork pairs, arms, a randomised onset or the jump."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lib.effects.compare import estimators
from lib.effects.compare.comparison import (
    FEWEST,
    FORK_PAIRS,
    Comparison,
    Exclusion,
    end_of,
    judged,
    listed,
    over_runs,
    too_short,
    unequal,
)
from lib.effects.compare.jumps import jump, onset
from lib.effects.compare.units import WHOLE, Pair, Rows, Unit, Windows, fork_pairs, load, measure, series, windows
from lib.runs import History, Treatment, arms_of
from lib.study import Evidence, Metric, Study, Task


@dataclass(frozen=True)
class Material:
    """A task's runs and raw rows, read once: what every comparison of the task is made from.

    `rows` are as `units.load` gives them, for every metric of the study; `window` are the windows to look at and `seed`
    that of random draws.
    """

    study: Study
    task: Task
    treated: tuple[Treatment, ...]
    rows: Rows
    window: Windows
    seed: int = 0
    _pairs: dict[str, tuple[Pair, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def arms(self) -> tuple[str, ...]:
        """The detached arms."""
        return arms_of([t for t in self.treated if t.detach_step is not None])

    def pairs(self, arm: str) -> tuple[Pair, ...]:
        """The fork pairs of a detached arm, looked for once: whole histories are compared."""
        if arm not in self._pairs:
            runs = [t for t in self.treated if t.arm == arm or t.detach_step is None]
            self._pairs[arm] = fork_pairs(self.rows, [m.key for m in self.study.metrics], runs)
        return self._pairs[arm]


def material(
    study: Study,
    task: Task,
    history: History,
    treatments: Sequence[Treatment],
    seed: int = 0,
    evidence: Evidence | None = None,
) -> Material:
    """Read what a task's comparisons need.

    Parameters
    ----------
    history : raw rows; other runs' rows do no harm.
    treatments : of this task.
    seed : of random draws.
    evidence : the windows to look at; the study's own by default.
    """
    rows = load(history, [t.run_id for t in treatments], [m.key for m in study.metrics])
    return Material(study, task, tuple(treatments), rows, windows(task, evidence or study.evidence), seed)


def compare(given: Material, metric: Metric, arm: str, *, pairing: bool = True) -> Comparison:
    """Compare one metric of one arm by its design: onset, fork pairs, difference in differences, or the jump.

    Parameters
    ----------
    pairing : whether fork pairs are looked for; without, a control arm gives a difference in differences.
    """
    task, treated, rows, window = given.task, given.treated, given.rows, given.window
    runs = [t for t in treated if t.arm == arm]
    controls = [t for t in treated if t.detach_step is None]
    steps = sorted(t.detach_step for t in runs if t.detach_step is not None)
    units = _units(metric, runs, {}, 0, rows)
    if task.detach.randomised:
        return onset(task, metric, arm, units, window, given.seed)
    if not controls:
        return jump(metric, arm, units, window)
    pairs = given.pairs(arm) if pairing else ()
    middle = steps[(len(steps) - 1) // 2]
    others = _units(metric, controls, {p.control: p.at for p in pairs}, middle, rows)
    found = _with_control(metric, arm, units, others, pairs, window)
    if steps[0] != steps[-1] and found.design == "did":
        note = f"the runs' detach steps differ: controls without a pair are cut at {middle:,}"
        found = replace(found, caveats=(*found.caveats, note))
    return found


def _units(metric: Metric, runs: Sequence[Treatment], own: dict[str, int], default: int, rows: Rows) -> list[Unit]:
    """The runs with their rows, in an order of their own: no draw depends on how they were listed."""
    return [
        Unit(
            t.run_id,
            t.seed,
            t.arm,
            t.detach_step if t.detach_step is not None else own.get(t.run_id, default),
            series(rows, t.run_id, metric),
        )
        for t in sorted(runs, key=lambda t: (t.seed, t.run_id))
    ]


def _measured(
    units: Sequence[Unit], window: Windows, end: float, *, need_before: bool
) -> tuple[list[Unit], list[Exclusion]]:
    kept, out = [], []
    for unit in (measure(u, window, end) for u in units):
        if not unit.n_after:
            out.append(Exclusion(unit.run_id, unit.seed, unit.arm, "no row in the window after the detach"))
        elif need_before and not unit.n_before:
            out.append(Exclusion(unit.run_id, unit.seed, unit.arm, "no row in the window before the detach"))
        else:
            kept.append(unit)
    return kept, out


def _with_control(
    metric: Metric, arm: str, units: list[Unit], controls: list[Unit], pairs: Sequence[Pair], window: Windows
) -> Comparison:
    units, short = too_short(units, window)
    controls, short_controls = too_short(controls, window)
    excluded = short + short_controls
    counted = {u.run_id for u in (*units, *controls)}
    whole = [p for p in pairs if p.detached in counted and p.control in counted]
    if len(whole) >= FORK_PAIRS:
        return _fork(metric, arm, units, controls, whole, window, excluded)
    return _did(metric, arm, units, controls, window, excluded)


def _fork(
    metric: Metric,
    arm: str,
    units: list[Unit],
    controls: list[Unit],
    pairs: list[Pair],
    window: Windows,
    excluded: list[Exclusion],
) -> Comparison:
    by_id = {u.run_id: u for u in (*units, *controls)}
    in_pairs = [i for p in pairs for i in (p.detached, p.control)]
    end = end_of([by_id[i] for i in in_pairs])
    measured, empty = _measured([by_id[i] for i in in_pairs], window, end, need_before=False)
    by_id = {u.run_id: u for u in measured}
    pairs = [p for p in pairs if p.detached in by_id and p.control in by_id]
    paired = {i for p in pairs for i in (p.detached, p.control)}
    unpaired = tuple(u.run_id for u in (*units, *controls) if u.run_id not in paired)
    treated, kept = [by_id[p.detached] for p in pairs], [by_id[p.control] for p in pairs]
    values = [t.after - c.after for t, c in zip(treated, kept, strict=True)]
    found = Comparison(
        metric,
        arm,
        kept[0].arm if kept else "",
        "fork",
        "fork pairs: paired t on after",
        tuple(treated),
        tuple(kept),
        tuple(pairs),
        unpaired,
        tuple(excluded + empty),
        end,
        values=tuple(values),
        p_floor=estimators.sign_floor(len(pairs)) if pairs else None,
        caveats=_unpaired_note(len(unpaired)) + _end_note(end, window),
    )
    return over_runs(found, "pairs")


def _did(
    metric: Metric,
    arm: str,
    units: list[Unit],
    controls: list[Unit],
    window: Windows,
    excluded: list[Exclusion],
) -> Comparison:
    end = end_of([*units, *controls])
    control = controls[0].arm if controls else ""
    units, empty = _measured(units, window, end, need_before=True)
    controls, empty_controls = _measured(controls, window, end, need_before=True)
    d_t, d_c = [u.change for u in units], [u.change for u in controls]
    found = Comparison(
        metric,
        arm,
        control,
        "did",
        "difference in differences: Welch t on each run's d",
        tuple(units),
        tuple(controls),
        excluded=tuple(excluded + empty + empty_controls),
        end=end,
        values=tuple(d_t),
        control_values=tuple(d_c),
        caveats=_end_note(end, window),
    )
    if not d_t or not d_c:
        return replace(
            found, design="none", method="", refusal=f"no {'run of the arm' if not d_t else 'control run'} counts"
        )
    found = replace(
        found,
        estimate=float(np.mean(d_t) - np.mean(d_c)),
        p_floor=estimators.label_floor([(len(d_t), len(d_c))]),
    )
    refusal = _refuse_welch(found)
    if refusal:
        return replace(found, refusal=refusal)
    return judged(found, lambda: estimators.welch(d_t, d_c))


def _refuse_welch(found: Comparison) -> str:
    n_t, n_c = len(found.values), len(found.control_values)
    if min(n_t, n_c) < FEWEST:
        numbers = " against ".join(listed(found.metric, v) for v in (found.values, found.control_values))
        return f"n = {min(n_t, n_c)}: too few runs for a verdict ({n_t} detached, {n_c} control, d {numbers})"
    if unequal(n_t, n_c):
        return f"unequal arms ({n_t} against {n_c} runs): Welch's test finds what is not there when they differ so much"
    return ""


def _unpaired_note(count: int) -> tuple[str, ...]:
    return (f"{count} runs without a fork pair are not in it",) if count else ()


def _end_note(end: float, window: Windows) -> tuple[str, ...]:
    short = end < WHOLE * window.total
    return (f"compared up to step {end:,.0f} of {window.total:,}, where the shortest run ends",) if short else ()
