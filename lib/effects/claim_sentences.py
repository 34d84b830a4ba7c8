"""A row of effects.csv as a sentence to copy."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lib.effects.compare import equivalence
from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.compare.planned import ANYTIME
from lib.effects.compare.units import windows
from lib.effects.multiple_testing import GUARDRAIL
from lib.effects.verdicts import CANNOT_SAY, CONTRADICTED, NOT_SHOWN, SEE_EQUIVALENCE
from lib.formatting import number, numbers, plural
from lib.runs import Treatment
from lib.study import DETACHED, Metric, Study

Row = Mapping[str, Any]


def shared_reasons(rows: Sequence[Row]) -> list[str]:
    """The reasons that all of several claims have, to be said once: `sample size not declared`."""
    reasons = [_reasons(row) for row in rows]
    return [reason for reason in reasons[0] if all(reason in of_row for of_row in reasons)] if len(rows) > 1 else []


def claim(row: Row, study: Study, treatments: Sequence[Treatment] = (), shared: Sequence[str] = ()) -> str:
    """The sentence that a row of effects.csv allows, with effect, interval, runs, design, window and caveats.

    Parameters
    ----------
    row : columns of `lib.effects.effects_table.EFFECTS`, judged.
    treatments : the study's treatments, for the detach step; without, the typed step is named where there is one.
    shared : reasons that are said elsewhere, of `shared_reasons`.
    """
    metric = study.metric(row["metric"])
    sentence = _SENTENCES.get(row["verdict"], _supported)
    if metric.role == GUARDRAIL and metric.margin_text:
        sentence = _guardrail
    text = sentence(row, metric, _action(row, study, treatments), _basis(row, study))
    return f"{_place(row, study)}, {text}{_margin(row, metric)}{_caveats(row, shared)}"


def _place(row: Row, study: Study) -> str:
    if row["task"] != ALL_TASKS:
        return f"On {study.task(row['task']).title}"
    several = re.search(r"mean over (\d+ tasks?)", row["method"] or "")
    return f"Across {several[1]}" if several else "Across tasks"


def _action(row: Row, study: Study, treatments: Sequence[Treatment]) -> str:
    """What was done: `detaching the encoder at 50,000 steps`, `changing the encoder (enc_lr_step_scale 0.1) at …`."""
    runs = [t for t in treatments if t.arm == row["arm"] and row["task"] in (t.task, ALL_TASKS)]
    change = next((t.change for t in runs if t.change), "")
    action = f"changing the encoder ({change})" if change else "detaching the encoder"
    if row["arm"] not in (DETACHED, f"{DETACHED} {change}"):
        action += f" (arm '{row['arm']}')"
    if row["task"] == ALL_TASKS:
        return action
    typed = study.task(row["task"]).detach.step
    steps = {t.detach_step for t in runs if t.detach_step is not None} or ({typed} if typed is not None else set())
    ends = " to ".join(f"{step:,}" for step in sorted({min(steps), max(steps)})) if steps else ""
    return f"{action} at {ends} steps" if ends else action


def _basis(row: Row, study: Study) -> str:
    """Runs, design and window: `6 fork pairs, window: ...`."""
    n, controls = row["n_arm"], plural(row["n_control"] or 0, "control run")
    counts = {"fork": plural(n, "fork pair"), "did": f"{n} detached against {controls}"}
    runs = counts.get(row["design"], plural(n, "run"))
    if row["task"] == ALL_TASKS:
        return f"{runs}, {(row['method'] or '').partition(', ')[0]}"
    window = windows(study.task(row["task"]), study.evidence)
    texts = {
        "fork": f"{runs}, window: {window.after_text()}",
        "did": f"{runs}, difference in differences, window: {window.text()}",
        "jump": f"{runs}, {row['method']}",
        "onset": f"{runs} with randomised detach steps, permutation p = {row['p_value'] or 1:.2g}",
    }
    return texts.get(row["design"], "")


def _supported(row: Row, metric: Metric, action: str, basis: str) -> str:
    size, interval = _numbers(row, metric)
    if row["design"] == "jump":
        verb, comma = "rose" if row["change"] > 0 else "fell", "," if ", " in size else ""
        return (
            f"{metric.name} {verb} at once by {size}{comma} at the detach ({interval}, {basis}): "
            "without a control arm this is a jump at that step, which may have other causes."
        )
    return f"{action} {'raised' if row['change'] > 0 else 'lowered'} {metric.name} by {size} ({interval}, {basis})."


def _contradicted(row: Row, metric: Metric, action: str, basis: str) -> str:
    wish = "rise" if metric.expect == "increase" else "fall"
    return f"{_supported(row, metric, action, basis).rstrip('.')}; it was expected to {wish}."


def _not_shown(row: Row, metric: Metric, action: str, basis: str) -> str:
    change, interval = _numbers(row, metric, "+")
    if row["design"] == "jump":
        return f"no jump of {metric.name} at the detach was shown: it was {change} ({interval}, {basis})."
    wish = "raise" if metric.expect == "increase" else "lower"
    return f"{action} was not shown to {wish} {metric.name}: the change was {change} ({interval}, {basis})."


def _cannot_say(row: Row, metric: Metric, action: str, basis: str) -> str:
    observed = _observed(row, metric)
    if row["design"] == "jump":
        return f"it cannot be said whether {metric.name} jumped at the detach{observed}."
    return f"it cannot be said whether {action} changed {metric.name}{observed}."


def _observed(row: Row, metric: Metric) -> str:
    return "" if row["change"] is None else f" (observed: {', '.join(filter(None, _numbers(row, metric, '+')))})"


_SENTENCES = {CONTRADICTED: _contradicted, NOT_SHOWN: _not_shown, CANNOT_SAY: _cannot_say}


def _guardrail(row: Row, metric: Metric, action: str, basis: str) -> str:
    """Whether a metric that must not get worse did."""
    kept = f"{metric.name} {metric.no_worse_text}"
    if row["equivalence"] is None:
        return f"it cannot be said whether {action} left {kept}{_observed(row, metric)}."
    change, interval = _numbers(row, metric, "+")
    words = {
        equivalence.NO_WORSE: f"left {kept}",
        equivalence.WORSE: f"made {metric.name} worse by more than {metric.margin_text}",
        equivalence.NOT_SHOWN: f"was not shown to leave {kept}",
    }
    return f"{action} {words[row['equivalence']]}: the change was {change} ({interval}, {basis})."


def _margin(row: Row, metric: Metric) -> str:
    """What the margin adds to the sentence of an effect."""
    if row["equivalence"] is None or metric.role == GUARDRAIL:
        return ""
    margin = metric.margin_text
    words = {
        equivalence.EQUIVALENT: f"The change is within {margin} either way: equivalent.",
        equivalence.NO_WORSE: f"{metric.name} is {metric.no_worse_text}.",
        equivalence.WORSE: f"{metric.name} is worse by more than {margin}.",
        equivalence.NOT_SHOWN: f"That {metric.name} is {metric.no_worse_text} was not shown.",
    }
    return f" {words[row['equivalence']]}"


def _numbers(row: Row, metric: Metric, sign: str = "") -> tuple[str, str]:
    """The change with what it is measured in, and its interval (empty without one), in one precision.

    Without a sign, where a verb says the direction, they are sizes: those of a fall are turned round.
    """
    change, *ends = change_texts(row, metric, sign)
    kind = "anytime-valid 95% CI" if ANYTIME in (row["method"] or "") else "95% CI"
    return change + _measure(row, metric, sign), f"{kind} {' to '.join(ends)}" if ends else ""


def change_texts(row: Row, metric: Metric, sign: str = "+") -> list[str]:
    """A row's change and the ends of its interval, where it has one, in one precision: in percent where they are shares.

    Parameters
    ----------
    row : columns of `lib.effects.effects_table.EFFECTS` with a change.
    sign : "+" for signed numbers; empty for sizes, where those of a fall are turned round.
    """
    values = [row["change"]] if row["ci_low"] is None else [row["change"], row["ci_low"], row["ci_high"]]
    if not sign and row["change"] < 0:
        values = [-value for value in (values[0], *reversed(values[1:]))]
    if metric.scale == "log" or row["task"] == ALL_TASKS:
        return [f"{text}%" for text in numbers([100 * value for value in values], sign)]
    return numbers(values, sign)


def _measure(row: Row, metric: Metric, sign: str) -> str:
    """What a change of a linear metric is a part of: `, 14.5% lower than the control's level`."""
    if metric.scale == "log":
        return ""
    if row["task"] == ALL_TASKS:
        return " of the metric's range"
    if row["change_pct"] is None:
        return ""
    base = "the control's level" if row["design"] == "fork" else "the level before"
    relation = f" {'higher' if row['change'] > 0 else 'lower'} than" if sign and row["change"] else " of"
    return f", {number(abs(row['change_pct']))}%{relation} {base}"


#: Reasons that the sentence says by itself, or that are about a column of the table.
_UNSAID = ("no control arm: a jump", "no percent: ")


def _reasons(row: Row) -> list[str]:
    return [reason for reason in (row["reasons"] or "").split("; ") if reason and not reason.startswith(_UNSAID)]


def _caveats(row: Row, shared: Sequence[str]) -> str:
    is_answered = row["role"] == GUARDRAIL and row["equivalence"] is not None
    notes = _reasons(row)
    # Where a reason says why there is no answer, or there is one, nothing is to be looked up.
    if is_answered or len(notes) > 1:
        notes = [note for note in notes if note != SEE_EQUIVALENCE]
    notes = [note for note in notes if note not in shared]
    if not notes:
        return ""
    head = "Reason" if row["verdict"] in (CANNOT_SAY, NOT_SHOWN) and not is_answered else "Note"
    return f" {head}: {'; '.join(notes)}."
