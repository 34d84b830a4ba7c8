"""A row of effects.csv as a sentence to copy."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.compare.units import windows
from lib.effects.verdicts import CANNOT_SAY, CONTRADICTED, NOT_SHOWN
from lib.formatting import number, percent
from lib.runs import Treatment
from lib.study import DETACHED, Metric, Study

Row = Mapping[str, Any]


def claim(row: Row, study: Study, treated: Sequence[Treatment] = ()) -> str:
    """The sentence that a row of effects.csv allows, with effect, interval, runs, design, window and caveats.

    Parameters
    ----------
    row : columns of `lib.effects.effects_table.EFFECTS`, judged.
    treated : the study's treatments, for the detach step; without, the typed step is named where there is one.
    """
    metric = study.metric(row["metric"])
    sentence = _SENTENCES.get(row["verdict"], _supported)
    text = sentence(row, metric, _action(row, study, treated), _basis(row, study))
    return f"{_place(row, study)}, {text}{_caveats(row)}"


def _place(row: Row, study: Study) -> str:
    if row["task"] != ALL_TASKS:
        return f"On {study.task(row['task']).title}"
    several = re.search(r"mean over (\d+) tasks", row["method"] or "")
    return f"Across {several[1]} tasks" if several else "Across tasks"


def _action(row: Row, study: Study, treated: Sequence[Treatment]) -> str:
    """What was done: `detaching the encoder at 50,000 steps`."""
    action = "detaching the encoder" + ("" if row["arm"] == DETACHED else f" (arm '{row['arm']}')")
    if row["task"] == ALL_TASKS:
        return action
    runs = [t for t in treated if (t.task, t.arm) == (row["task"], row["arm"])]
    typed = study.task(row["task"]).detach.step
    steps = {t.detach_step for t in runs if t.detach_step is not None} or ({typed} if typed is not None else set())
    ends = " to ".join(f"{step:,}" for step in sorted({min(steps), max(steps)})) if steps else ""
    return f"{action} at {ends} steps" if ends else action


def _basis(row: Row, study: Study) -> str:
    """Runs, design and window: `6 fork pairs, window: ...`."""
    n, against = row["n_arm"], f"{row['n_arm']} detached against {row['n_control']} control runs"
    if row["task"] == ALL_TASKS:
        runs = {"fork": f"{n} fork pairs", "jump": f"{n} runs"}.get(row["design"], against)
        return f"{runs}, {(row['method'] or '').partition(', ')[0]}"
    window = windows(study.task(row["task"]), study.evidence)
    texts = {
        "fork": f"{n} fork pairs, window: {window.after_text()}",
        "did": f"{against}, difference in differences, window: {window.text()}",
        "jump": f"{n} runs, {row['method']}",
        "onset": f"{n} runs with randomised detach steps, permutation p = {row['p_value'] or 1:.2g}",
    }
    return texts.get(row["design"], "")


def _supported(row: Row, metric: Metric, action: str, basis: str) -> str:
    change, low, high = row["change"], row["ci_low"], row["ci_high"]
    size = _amount(row, metric, abs(change))
    interval = _interval(row, metric, *((low, high) if change > 0 else (-high, -low)))
    if row["design"] == "jump":
        return (
            f"{metric.name} {'rose' if change > 0 else 'fell'} at once by {size} at the detach ({interval}, {basis}): "
            "without a control arm this is a jump at that step, not the effect of detaching."
        )
    return f"{action} {'raised' if change > 0 else 'lowered'} {metric.name} by {size} ({interval}, {basis})."


def _contradicted(row: Row, metric: Metric, action: str, basis: str) -> str:
    wish = "rise" if metric.expect == "increase" else "fall"
    return f"{_supported(row, metric, action, basis).rstrip('.')}; it was expected to {wish}."


def _not_shown(row: Row, metric: Metric, action: str, basis: str) -> str:
    change = _amount(row, metric, row["change"], "+")
    support = f"{_interval(row, metric, row['ci_low'], row['ci_high'], '+')}, {basis}"
    if row["design"] == "jump":
        return f"no jump of {metric.name} at the detach was shown: it was {change} ({support})."
    wish = "raise" if metric.expect == "increase" else "lower"
    return f"{action} was not shown to {wish} {metric.name}: the change was {change} ({support})."


def _cannot_say(row: Row, metric: Metric, action: str, basis: str) -> str:
    numbers = ""
    if row["change"] is not None:
        interval = "" if row["ci_low"] is None else f", {_interval(row, metric, row['ci_low'], row['ci_high'], '+')}"
        numbers = f" (observed: {_amount(row, metric, row['change'], '+')}{interval})"
    return f"it cannot be said whether {action} changed {metric.name}{numbers}."


_SENTENCES = {CONTRADICTED: _contradicted, NOT_SHOWN: _not_shown, CANNOT_SAY: _cannot_say}


def _amount(row: Row, metric: Metric, change: float, sign: str = "") -> str:
    """A change with what it is measured in, where that needs a word."""
    if metric.scale == "log":
        return percent(change, sign=sign)
    if row["task"] == ALL_TASKS:
        return f"{percent(change, sign=sign)} of the metric's range"
    base = "the control's level" if row["design"] == "fork" else "the level before"
    share = "" if row["change_pct"] is None else f", {number(abs(row['change_pct']))}% of {base}"
    return f"{number(change, sign=sign)}{share}"


def _interval(row: Row, metric: Metric, low: float, high: float, sign: str = "") -> str:
    text = percent if metric.scale == "log" or row["task"] == ALL_TASKS else number
    return f"95% CI {text(low, sign=sign)} to {text(high, sign=sign)}"


#: Reasons that the sentence says by itself, or that are about a column of the table.
_UNSAID = ("no control arm: a jump", "no percent: ")


def _caveats(row: Row) -> str:
    notes = [note for note in (row["reasons"] or "").split("; ") if note and not note.startswith(_UNSAID)]
    if not notes:
        return ""
    head = "Reason" if row["verdict"] in (CANNOT_SAY, NOT_SHOWN) else "Note"
    return f" {head}: {'; '.join(notes)}."
