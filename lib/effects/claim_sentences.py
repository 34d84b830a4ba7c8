"""A row of effects.csv as a sentence to copy."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    sentence = _SENTENCES.get(row["verdict"], _supported)(row, metric, _subject(row, study, treated))
    return f"{_place(row, study)}, {sentence}{_caveats(row)}"


@dataclass(frozen=True)
class _Subject:
    """Who did what: `detaching the encoder at 50,000 steps`, and the window it was looked at in."""

    action: str
    window: str


def _subject(row: Row, study: Study, treated: Sequence[Treatment]) -> _Subject:
    arm = "" if row["arm"] == DETACHED else f" (arm '{row['arm']}')"
    if row["task"] == ALL_TASKS:
        return _Subject(f"detaching the encoder{arm}", "")
    task = study.task(row["task"])
    steps = sorted(
        {t.detach_step for t in treated if t.task == task.key and t.arm == row["arm"] and t.detach_step is not None}
    )
    if not steps and task.detach.step is not None:
        steps = [task.detach.step]
    at = (
        ""
        if not steps
        else f" at {steps[0]:,} steps"
        if len(steps) == 1
        else f" at {steps[0]:,} to {steps[-1]:,} steps"
    )
    window = windows(task, study.evidence)
    return _Subject(
        f"detaching the encoder{arm}{at}", window.after_text() if row["design"] == "fork" else window.text()
    )


def _place(row: Row, study: Study) -> str:
    if row["task"] != ALL_TASKS:
        return f"On {study.task(row['task']).title}"
    many = re.search(r"mean over (\d+) tasks", row["method"] or "")
    return f"Across {many[1]} tasks" if many else "Across tasks"


def _supported(row: Row, metric: Metric, subject: _Subject) -> str:
    size, interval = _size(row, metric)
    if row["design"] == "jump":
        up = "rose" if row["change"] > 0 else "fell"
        return (
            f"{metric.name} {up} at once by {size} at the detach ({interval}, {_basis(row, subject)}): "
            "without a control arm this is a jump at that step, not the effect of detaching."
        )
    verb = "raised" if row["change"] > 0 else "lowered"
    return f"{subject.action} {verb} {metric.name} by {size} ({interval}, {_basis(row, subject)})."


def _contradicted(row: Row, metric: Metric, subject: _Subject) -> str:
    wish = "rise" if metric.expect == "increase" else "fall"
    return f"{_supported(row, metric, subject).rstrip('.')}; it was expected to {wish}."


def _not_shown(row: Row, metric: Metric, subject: _Subject) -> str:
    change, interval = _signed(row, metric, row["change"]), _signed_interval(row, metric)
    basis = f"{interval}, {_basis(row, subject)}"
    if row["design"] == "jump":
        return f"no jump of {metric.name} at the detach was shown: it was {change} ({basis})."
    wish = "raise" if metric.expect == "increase" else "lower"
    return f"{subject.action} was not shown to {wish} {metric.name}: the change was {change} ({basis})."


def _cannot_say(row: Row, metric: Metric, subject: _Subject) -> str:
    numbers = ""
    if row["change"] is not None:
        interval = f", {_signed_interval(row, metric)}" if row["ci_low"] is not None else ""
        numbers = f" (observed: {_signed(row, metric, row['change'])}{interval})"
    return f"it cannot be said whether {subject.action} changed {metric.name}{numbers}."


_SENTENCES = {CONTRADICTED: _contradicted, NOT_SHOWN: _not_shown, CANNOT_SAY: _cannot_say}


def _size(row: Row, metric: Metric) -> tuple[str, str]:
    """The size of a change without its sign, and its interval turned the same way."""
    down = row["change"] < 0
    low, high = (-row["ci_high"], -row["ci_low"]) if down else (row["ci_low"], row["ci_high"])
    if _in_percent(row, metric):
        of = "" if metric.scale == "log" else _RANGE
        return f"{percent(abs(row['change']))}{of}", f"95% CI {percent(low)} to {percent(high)}"
    return f"{number(abs(row['change']))}{_unit(row)}", f"95% CI {number(low)} to {number(high)}"


def _signed(row: Row, metric: Metric, value: float) -> str:
    if _in_percent(row, metric):
        return f"{percent(value, sign='+')}{'' if metric.scale == 'log' else _RANGE}"
    return f"{number(value, sign='+')}{_unit(row)}"


def _signed_interval(row: Row, metric: Metric) -> str:
    ends = (row["ci_low"], row["ci_high"])
    low, high = (percent(v, sign="+") if _in_percent(row, metric) else number(v, sign="+") for v in ends)
    return f"95% CI {low} to {high}"


def _unit(row: Row) -> str:
    """What a linear change is measured in, where that needs a word."""
    if row["change_pct"] is None:
        return ""
    return f", {number(abs(row['change_pct']))}% of {_BASES.get(row['design'], 'the level before')}"


_BASES = {"fork": "the control's level"}
#: What a change of a linear metric across tasks is a percent of.
_RANGE = " of the metric's range"


def _in_percent(row: Row, metric: Metric) -> bool:
    return metric.scale == "log" or row["task"] == ALL_TASKS


def _basis(row: Row, subject: _Subject) -> str:
    """Runs, design and window: `6 fork pairs, window: ...`."""
    n, n_control = row["n_arm"], row["n_control"]
    against = f"{n} detached against {n_control} control runs"
    parts = {
        "fork": [f"{n} fork pairs"],
        "did": [f"{against}, difference in differences"],
        "jump": [f"{n} runs, {row['method']}"],
        "onset": [f"{n} runs with randomised detach steps, permutation p = {row['p_value'] or 1:.2g}"],
    }.get(row["design"], [])
    if row["task"] == ALL_TASKS:
        parts = [against, "mean of the tasks' differences in differences"]
    elif row["design"] in ("fork", "did"):
        parts.append(f"window: {subject.window}")
    return ", ".join(parts)


#: Reasons that the sentence says by itself, or that are about a column of the table.
_UNSAID = ("no control arm: a jump", "no percent: ")


def _caveats(row: Row) -> str:
    notes = [note for note in (row["reasons"] or "").split("; ") if note and not note.startswith(_UNSAID)]
    if not notes:
        return ""
    head = "Reason" if row["verdict"] in (CANNOT_SAY, NOT_SHOWN) else "Note"
    return f" {head}: {'; '.join(notes)}."
