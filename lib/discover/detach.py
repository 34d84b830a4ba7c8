"""The detach rule of a task, proposed from configs and the logged signal, and what its ratio counts."""

from collections.abc import Sequence
from typing import Literal

from lib.discover import key_names
from lib.discover.find_keys import DETACH_STEP, RATIO, SIGNAL, TOTAL, Evidence, Finding, is_number
from lib.runs import Run
from lib.study import DetachRule, Signal

Counts = Literal["elapsed", "remaining"]
_READINGS: tuple[Counts, ...] = ("elapsed", "remaining")


def ratio_counts(evidence: Evidence, names: Sequence[str]) -> tuple[Counts, list[Finding], list[str]]:
    """Whether the ratio counts what has elapsed or what remains, and the question where nothing tells."""
    key = evidence.key(RATIO)
    runs = [(run, evidence.total_of(run, name)) for name in names for run in evidence.runs(name)]
    fractions = [(run, float(run.config[key]), total) for run, total in runs if total and _is_fraction(run, key)]
    if not key or not fractions:
        return "elapsed", [], []
    what = f"{key} counts"
    if evidence.choices.ratio_counts in _READINGS:
        counts: Counts = "remaining" if evidence.choices.ratio_counts == "remaining" else "elapsed"
        return counts, [Finding(what, counts, "chosen by you")], []
    readings = [(run, _readings(evidence, run, ratio, total)) for run, ratio, total in fractions]
    telling = [(run, *reading) for run, reading in readings if reading and len(reading[1]) < len(_READINGS)]
    fitting = {counts for _, _, counts in telling}
    if len(fitting) == 1 and (only := fitting.pop()):
        return only[0], [Finding(what, only[0], f"{telling[0][1]} says so in {len(telling)} runs")], []
    if not telling and key in key_names.FROZEN and any(key_names.FROZEN[key] in run.config for run, _ in runs):
        where = f"by definition, where {key_names.FROZEN[key]} scales the learning rate"
        return "remaining", [Finding(what, "remaining", where)], []
    if not telling and all(ratio == 0.5 for _, ratio, _ in fractions):
        agreeing = next((f"; {reading[0]} agrees" for _, reading in readings if reading), "")
        where = f"every ratio is 0.5, where both readings give the same step{agreeing}"
        return "elapsed", [Finding(what, "elapsed", where, assumed=True)], []
    where = "neither a detach step in the config nor a signal tells"
    if telling:
        where = f"{telling[0][1]} of run {telling[0][0].id} and other runs fit neither reading alike"
    return "elapsed", [Finding(what, "elapsed", where, assumed=True, ask=True)], [_which(evidence, fractions)]


def _is_fraction(run: Run, key: str) -> bool:
    value = run.config.get(key)
    return is_number(value) and 0 < value <= 1


def _steps(ratio: float, total: int) -> dict[Counts, int]:
    return {"elapsed": round(ratio * total), "remaining": round((1 - ratio) * total)}


def _which(evidence: Evidence, fractions: list[tuple[Run, float, int]]) -> str:
    run, ratio, total = next((f for f in fractions if f[1] != 0.5), fractions[0])
    steps = _steps(ratio, total)
    return (
        f"Does {evidence.key(RATIO)} count the part of training that has elapsed or that remains? At {ratio:g} (run "
        f"{run.id}) elapsed detaches at step {steps['elapsed']:,}, remaining at step {steps['remaining']:,}."
    )


def _readings(evidence: Evidence, run: Run, ratio: float, total: int) -> tuple[str, tuple[Counts, ...]] | None:
    """What tells a run's detach step, and the readings that agree with it; None where nothing does."""
    steps = _steps(ratio, total)
    typed = run.config.get(evidence.key(DETACH_STEP))
    if is_number(typed):
        return f"config's {evidence.key(DETACH_STEP)}", tuple(c for c in _READINGS if abs(steps[c] - typed) <= 1)
    if run.id in evidence.inspection.falls and evidence.key(SIGNAL):
        above, at = evidence.inspection.falls[run.id]
        fits = tuple(c for c in _READINGS if (above is None or above <= steps[c]) and steps[c] <= at)
        return f"the logged {evidence.key(SIGNAL)}", fits
    return None


def detach_rule(evidence: Evidence, name: str, counts: Counts) -> tuple[DetachRule, list[Finding], list[str]]:
    """The detach rule of one task: a ratio in its configs, else a step that they, the signal or the user say."""
    runs, ratio, total = evidence.runs(name), evidence.key(RATIO), evidence.key(TOTAL)
    signal = Signal(evidence.key(SIGNAL)) if evidence.key(SIGNAL) else None
    typed = evidence.choices.detach_steps.get(name)
    if ratio and any(ratio in run.config for run in runs):
        frozen = key_names.FROZEN.get(ratio, "")
        rule = DetachRule(
            step=typed,
            total_steps_key=total if evidence.totals(name) else "",
            ratio_key=ratio,
            ratio_counts=counts,
            frozen_when=((frozen, 0.0),) if any(frozen in run.config for run in runs) else (),
            signal=signal,
        )
        lacking = sum(ratio not in run.config for run in runs)
        where = f"config {ratio}" + (f"; {lacking} runs lack it and count as never detached" if lacking else "")
        return rule, [Finding(f"detach of {name}", _spread(runs, ratio), where, assumed=bool(lacking))], []
    if typed:
        return DetachRule(typed, signal=signal), [Finding(f"detach step of {name}", f"{typed:,}", "typed by you")], []
    step, finding, questions = _typed_step(evidence, name)
    return DetachRule(step, signal=signal), [finding], questions


def _spread(runs: Sequence[Run], key: str) -> str:
    """The values of a config key with how many runs have each."""
    values = [run.config.get(key) for run in runs]
    texts = ["missing or null" if v is None else f"{v:g}" if is_number(v) else str(v) for v in values]
    return ", ".join(f"{text} ({texts.count(text)} runs)" for text in sorted(set(texts)))


def _typed_step(evidence: Evidence, name: str) -> tuple[int | None, Finding, list[str]]:
    """The step at which all runs of a task detach, where their config or their signal says one."""
    runs, key, what = evidence.runs(name), evidence.key(DETACH_STEP), f"detach step of {name}"
    values = [run.config.get(key) for run in runs]
    steps = [int(value) for value in values if is_number(value) and value >= 1]
    if len({*steps}) == 1 and len(steps) == len(runs):
        return steps[0], Finding(what, f"{steps[0]:,}", f"config {key} of its {len(runs)} runs"), []
    if steps:
        where = f"config {key} differs: {_spread(runs, key)}; a study reads a ratio, or one step for all runs"
        question = (
            f"The runs of {name} differ in {key}, which a study cannot read: choose a config key that holds a ratio, or "
            "type one step if every run detached there (runs that never did would count as detached)."
        )
        return None, Finding(what, "", where, assumed=True), [question]
    falls = evidence.inspection.falls
    first = {falls[run.id][1] for run in runs if run.id in falls}
    if len(first) == 1 and all(run.id in falls for run in runs):
        (step,) = first
        where = f"the first step at which {evidence.key(SIGNAL)} is 0 in each of its runs"
        return step, Finding(what, f"{step:,}", where, assumed=True), []
    return None, Finding(what, "", "nothing says: every run counts as never detached", assumed=True), []
