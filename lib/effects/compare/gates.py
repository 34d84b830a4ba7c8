"""The conditions of a verdict that a comparison may fail, whatever its p."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.effects.compare.comparison import Comparison, Gate, change
from lib.effects.compare.confounders import Difference
from lib.formatting import is_or_are, numbers, plural
from lib.runs import RUNNING, Treatment
from lib.study import CONTROL

#: What the checklist calls the conditions.
STEPS_DRAWN, SAME_SETTINGS = "Detach steps drawn", "Same settings"
RUNS_FINISHED, RUNS_TO_THE_END = "Runs finished", "Runs to the end"
_ROUNDING = 1e-12


def with_gates(comparison: Comparison, gates: Iterable[Gate]) -> Comparison:
    """The comparison with the conditions that it fails; one that a verdict needs takes its p."""
    gates = tuple(gates)
    caveats = (*(gate.reason for gate in gates if not gate.needed), *comparison.caveats)
    reasons = [gate.reason for gate in gates if gate.needed]
    comparison = replace(comparison, caveats=caveats, gates=gates)
    if not reasons:
        return comparison
    return replace(comparison, p=None, refusal="; ".join(filter(None, (comparison.refusal, *reasons))))


def gates_of_ends(comparison: Comparison, cut: Comparison | None, treatments: Sequence[Treatment]) -> Iterator[Gate]:
    """What running runs and runs that ended early forbid.

    Parameters
    ----------
    cut : the comparison with the runs that ended early, up to where the first of them ends; None where none did.
    treatments : the treatments of the task's runs, for their states.
    """
    ids = {unit.run_id for unit in comparison.runs}
    running = sum(t.run_id in ids and t.state == RUNNING for t in treatments)
    if running:
        yield Gate(RUNS_FINISHED, f"{plural(running, 'run')} {is_or_are(running)} still running")
    early = [run.arm == CONTROL for run in comparison.excluded if run.ended_early]
    controls, detached = sum(early), len(early) - sum(early)
    has_control_arm = any(t.is_control for t in treatments)
    if controls != detached and has_control_arm and comparison.design != "onset":
        counts = f"{detached} detached, {controls} control"
        reason = f"runs ended early in unequal numbers ({counts}): what stops a run may be what was done to it"
        yield Gate(RUNS_TO_THE_END, reason)
    if cut and is_other_sign(cut.estimate, comparison.estimate):
        yield Gate(RUNS_TO_THE_END, f"{_cut_at(cut)} has the other sign")


def cut_note(comparison: Comparison, cut: Comparison | None) -> tuple[str, ...]:
    """The change with the runs that ended early, up to where the first of them ends, beside that of the runs left.

    What ends a run may be how well it does: then those that are left spread too little, and may differ from all.
    """
    if cut is None or cut.interval is None or math.isnan(comparison.estimate):
        return ()
    metric = cut.metric
    values = [change(metric, value) or 0.0 for value in (cut.estimate, *cut.interval)]
    is_log = metric.scale == "log"
    middle, low, high = (
        text + ("%" if is_log else "") for text in numbers([value * (100 if is_log else 1) for value in values], "+")
    )
    return (f"{_cut_at(cut)} is {middle} (95% CI {low} to {high})",)


def _cut_at(cut: Comparison) -> str:
    return f"cut at step {cut.end:,.0f}, with the runs that ended early, the change"


def is_other_sign(cut: ArrayLike, estimate: ArrayLike) -> NDArray[np.bool_]:
    """Whether an estimate cut at the shortest run (NaN: none) has another sign; what is 0 but for rounding has none."""
    cut, estimate = np.asarray(cut), np.asarray(estimate)
    return np.asarray(cut * estimate < -_ROUNDING * estimate**2)


def gates_of_settings(differences: Iterable[Difference]) -> Iterator[Gate]:
    """What settings that differ between the arms forbid: a number or a flag takes the verdict, a minor difference does not."""
    for difference in differences:
        yield Gate(SAME_SETTINGS, difference.text, needed=not difference.is_minor)
