"""What a row of effects says, as a sentence to copy; and how many seeds it would take to say more."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from lib.across import ALL_TASKS
from lib.comparisons import FEWEST, Comparison
from lib.designs import Material
from lib.detach import Treatment
from lib.effects import CANNOT_SAY, CONTRADICTED, NOT_SHOWN, change_base, comparisons
from lib.estimators import ALPHA
from lib.samples import windows
from lib.study import DETACHED, Metric, Study

Row = Mapping[str, Any]

POWER = 0.8
SHOWN = (10, 25)  # percent
MOST = 200  # seeds an arm that a hint looks at

HINTS = pl.Schema(
    {
        "task": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "design": pl.String,
        "percent": pl.Int64,
        "seeds": pl.Int64,
        "text": pl.String,
    }
)


def claim(row: Row, study: Study, treated: Sequence[Treatment] = ()) -> str:
    """The sentence that a row of effects.csv allows, with effect, interval, runs, design, window and caveats.

    Parameters
    ----------
    row : columns of `lib.effects.EFFECTS`, judged by `study_effects`.
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
        return f"{_percent(abs(row['change']))}{of}", f"95% CI {_percent(low)} to {_percent(high)}"
    return f"{_number(abs(row['change']))}{_unit(row)}", f"95% CI {_number(low)} to {_number(high)}"


def _signed(row: Row, metric: Metric, value: float) -> str:
    if _in_percent(row, metric):
        return f"{_percent(value, '+')}{'' if metric.scale == 'log' else _RANGE}"
    return f"{_number(value, '+')}{_unit(row)}"


def _signed_interval(row: Row, metric: Metric) -> str:
    ends = (row["ci_low"], row["ci_high"])
    low, high = (_percent(v, "+") if _in_percent(row, metric) else _number(v, "+") for v in ends)
    return f"95% CI {low} to {high}"


def _unit(row: Row) -> str:
    """What a linear change is measured in, where that needs a word."""
    if row["change_pct"] is None:
        return ""
    return f", {_number(abs(row['change_pct']))}% of {_BASES.get(row['design'], 'the level before')}"


_BASES = {"fork": "the control's level"}
#: What a change of a linear metric across tasks is a percent of.
_RANGE = " of the metric's range"


def _in_percent(row: Row, metric: Metric) -> bool:
    return metric.scale == "log" or row["task"] == ALL_TASKS


def _percent(value: float, sign: str = "") -> str:
    return f"{_number(100 * value, sign)}%"


def _number(value: float, sign: str = "") -> str:
    """Three digits that matter, and every digit before the point."""
    return f"{value:{sign},.0f}" if abs(value) >= 100 else f"{value:{sign}.3g}"


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


def power_hints(given: Material) -> pl.DataFrame:
    """How many seeds would show a change of 10% or 25% in four studies of five, for every metric and arm.

    From the spread of the runs' own numbers seen so far, by the power of the design's t test (noncentral t, two-sided at
    5%): pairs for fork pairs, runs in each arm for a difference in differences, runs for a jump. Percent of the level
    that `change_pct` refers to; log metrics change by that ratio.

    Returns
    -------
    Columns as `HINTS`; `seeds` is null where it cannot be said or would take more than 200.
    """
    found = comparisons(given)
    rows = [(given.task.key, c.metric.key, c.arm, c.design, *hint) for c in found for hint in _hints(c)]
    return pl.DataFrame(rows, schema=HINTS, orient="row")


def _hints(found: Comparison) -> Iterator[tuple[int, int | None, str]]:
    what = {"fork": "fork pairs", "did": "seeds in each arm"}.get(found.design, "seeds")
    for percent in SHOWN:
        size = _target(found, percent)
        if len(found.values) < FEWEST or (found.design == "did" and len(found.control_values) < FEWEST):
            yield percent, None, f"{percent}%: too few runs to see their spread ({FEWEST} are needed)"
        elif size is None:
            yield percent, None, f"{percent}%: the level is too near 0 for a percent of it"
        else:
            seeds = seeds_needed(found, size)
            many = f"about {seeds} {what}" if seeds else f"more than {MOST} {what}"
            yield percent, seeds, f"{percent}%: {many} (t test, {POWER:.0%} power, spread as seen)"


def _target(found: Comparison, percent: int) -> float | None:
    """The change to show, on the scale of the comparison's numbers."""
    share = percent / 100
    if found.metric.scale == "log":
        return float(np.log1p(share if found.metric.expect == "increase" else -share))
    base, _ = change_base(found)
    return None if base is None else share * base


def seeds_needed(found: Comparison, size: float) -> int | None:
    """The fewest runs (an arm, or pairs) whose t test finds a change of `size` with 80% power; None above `MOST`."""
    from scipy import stats

    n = np.arange(FEWEST, MOST + 1)
    variance = np.var(found.values, ddof=1)
    df = n - 1
    if found.design == "did":
        variance, df = variance + np.var(found.control_values, ddof=1), 2 * df
    if variance == 0:
        return FEWEST
    shift = abs(size) / np.sqrt(variance / n)
    least = stats.t.ppf(1 - ALPHA / 2, df)
    enough = np.flatnonzero(stats.nct.sf(least, df, shift) >= POWER)
    return int(n[enough[0]]) if len(enough) else None
