"""The detach rule of a task, proposed from configs and the logged signal, and what its ratio counts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from lib.discover import key_names
from lib.discover.evidence import Evidence, spread, value_text
from lib.discover.find_keys import DETACH_STEP, RATIO, SIGNAL, TOTAL, Finding, number_of
from lib.formatting import listing, plural
from lib.runs import Run
from lib.study import DetachRule, Signal, config_value, has_config_key

Counts = Literal["elapsed", "remaining"]
#: Config keys with the value that each must have.
Conditions = tuple[tuple[str, str | bool | int | float], ...]
_READINGS: tuple[Counts, ...] = ("elapsed", "remaining")


def ratio_counts(evidence: Evidence, names: Sequence[str]) -> tuple[Counts, list[Finding], list[str]]:
    """Whether the ratio counts what has elapsed or what remains, and the question where nothing tells."""
    key = evidence.key(RATIO)
    runs = [(run, evidence.total_of(run, name)) for name in names for run in evidence.runs(name)]
    ratios = [(run, evidence.number(run, RATIO), total) for run, total in runs]
    fractions = [(run, ratio, total) for run, ratio, total in ratios if total and ratio and 0 < ratio <= 1]
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
        return only[0], [Finding(what, only[0], f"{telling[0][1]} says so in {plural(len(telling), 'run')}")], []
    scale = scale_key(key)
    if not telling and scale and any(has_config_key(run.config, scale) for run, _ in runs):
        where = f"by definition, where {scale} scales the learning rate"
        return "remaining", [Finding(what, "remaining", where)], []
    if not telling and all(ratio == 0.5 for _, ratio, _ in fractions):
        agreeing = next((f"; {reading[0]} agrees" for _, reading in readings if reading), "")
        where = f"every ratio is 0.5, where both readings give the same step{agreeing}"
        return "elapsed", [Finding(what, "elapsed", where, assumed=True)], []
    where = "neither a detach step in the config nor a signal tells"
    if telling:
        where = f"{telling[0][1]} of run {telling[0][0].id} and other runs fit neither reading alike"
    return "elapsed", [Finding(what, "elapsed", where, assumed=True, ask=True)], [_which(evidence, fractions)]


def scale_key(ratio_key: str) -> str:
    """The config key beside a ratio that scales the encoder's learning rate from then on, "" where it has none."""
    start = max(ratio_key.rfind("."), ratio_key.rfind("/")) + 1
    scale = key_names.FROZEN.get(ratio_key[start:], "")
    return ratio_key[:start] + scale if scale else ""


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
    typed = evidence.number(run, DETACH_STEP)
    if typed is not None:
        return f"config's {evidence.key(DETACH_STEP)}", tuple(c for c in _READINGS if abs(steps[c] - typed) <= 1)
    if fall := evidence.fall(run):
        above, at = fall
        fits = tuple(c for c in _READINGS if (above is None or above <= steps[c]) and steps[c] <= at)
        return f"the logged {evidence.key(SIGNAL)}", fits
    return None


def unchanged_when(evidence: Evidence, names: Sequence[str]) -> tuple[Conditions, list[Finding], list[str]]:
    """The value of the scale beside the ratio that leaves a run alone where the user says one, and the question.

    1 leaves a learning rate alone and less of it is a treatment; what another value does only the user can say.
    """
    key = scale_key(evidence.key(RATIO))
    values = [config_value(run.config, key) for name in names for run in evidence.runs(name)] if key else []
    others = {value_text(value): value for value in values if isinstance(value, str | bool | int | float)}
    others = {text: value for text, value in others.items() if not _is_part(value)}
    if not others:
        return (), [], []
    what, options, chosen = f"unchanged {key}", tuple(sorted(others)), evidence.choices.unchanged
    if chosen is None:
        finding = Finding(what, "", f"config: {spread(values)}", assumed=True, options=options, ask=True)
        question = (
            f"Which value of {key} leaves a run alone, besides 1: {listing(options, 'or')}, or none? Runs at a value that "
            "does not are an arm of their own and no control."
        )
        return (), [finding], [question]
    pairs: Conditions = tuple((key, value) for text, value in others.items() if text == chosen)
    return pairs, [Finding(what, chosen, "chosen by you", options=options)], []


def _is_part(value: object) -> bool:
    """Whether a scale is a number from 0 (frozen) to 1 (left alone)."""
    number = number_of(value)
    return number is not None and 0 <= number <= 1


def detach_rule(
    evidence: Evidence, name: str, counts: Counts, unchanged: Conditions
) -> tuple[DetachRule, list[Finding], list[str]]:
    """The detach rule of one task: a ratio or a step in its configs, else what the user or the signal says."""
    runs, what = evidence.runs(name), f"detach of {name}"
    signal = Signal(evidence.key(SIGNAL)) if evidence.key(SIGNAL) else None
    typed = evidence.choices.detach_steps.get(name)
    if key := _key_that_says(evidence, runs):
        rule = _rule_of_key(evidence, name, key, counts, typed, signal)
        rule = replace(rule, unchanged_when=unchanged if rule.frozen_when else ())
        lacking = sum(not has_config_key(run.config, key) for run in runs)
        values = [config_value(run.config, key) for run in runs]
        textual = sum(value is not None and number_of(value) is None for value in values)
        where = f"config {key}"
        where += f"; {plural(lacking, 'run')} without it taken as never detached" if lacking else ""
        where += f"; no number in {plural(textual, 'run')}" if textual else ""
        return rule, [Finding(what, spread(values), where, assumed=bool(lacking or textual)), *_scales(runs, rule)], []
    if typed:
        return DetachRule(typed, signal=signal), [Finding(f"detach step of {name}", f"{typed:,}", "typed by you")], []
    step, finding = _step_of_signal(evidence, name)
    return DetachRule(step, signal=signal), [finding], []


def _key_that_says(evidence: Evidence, runs: Sequence[Run]) -> str:
    """The config key that says when the runs of a task detach: the ratio, or the step where only that says of one."""
    keys = [
        (key, any(evidence.number(run, what) for run in runs))
        for what in (RATIO, DETACH_STEP)
        if (key := evidence.key(what)) and any(has_config_key(run.config, key) for run in runs)
    ]
    return next((key for key, says_one in keys if says_one), keys[0][0] if keys else "")


def _rule_of_key(
    evidence: Evidence, name: str, key: str, counts: Counts, typed: int | None, signal: Signal | None
) -> DetachRule:
    if key != evidence.key(RATIO):
        return DetachRule(typed, detach_step_key=key, signal=signal)
    scale = scale_key(key)
    has_scale = bool(scale) and any(has_config_key(run.config, scale) for run in evidence.runs(name))
    return DetachRule(
        step=typed,
        total_steps_key=evidence.key(TOTAL) if evidence.totals(name) else "",
        ratio_key=key,
        ratio_counts=counts,
        frozen_when=((scale, 0.0),) if has_scale else (),
        signal=signal,
    )


def _scales(runs: Sequence[Run], rule: DetachRule) -> list[Finding]:
    """What the runs scale the encoder's learning rate by, where the rule asks for it."""
    return [
        Finding(
            key,
            spread([config_value(run.config, key) for run in runs]),
            "config; 0 freezes the encoder, 1 changes nothing",
        )
        for key, _ in rule.frozen_when
    ]


def _step_of_signal(evidence: Evidence, name: str) -> tuple[int | None, Finding]:
    """The step at which the signal of all runs of a task falls to 0, where that is one."""
    what, falls = f"detach step of {name}", [evidence.fall(run) for run in evidence.runs(name)]
    first = {fall and fall[1] for fall in falls}
    if len(first) == 1 and (step := first.pop()) is not None:
        where = f"the first step at which {evidence.key(SIGNAL)} is 0 in each of its runs"
        return step, Finding(what, f"{step:,}", where, assumed=True)
    return None, Finding(what, "", "nothing says: every run counts as never detached", assumed=True)
