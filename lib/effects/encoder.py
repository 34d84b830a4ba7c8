"""What the encoder did beside the claims: whether it overfits once frozen, and what freezing it saved. No verdicts."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import polars as pl

from lib.effects.compare.comparison import change, level, mean
from lib.effects.compare.planned import NOT_DECLARED
from lib.effects.effects_table import NO_CONTROL
from lib.effects.family_verdict import COMPARED
from lib.effects.price import PIECES, SPEED, Price
from lib.effects.study_analysis import TaskAnalysis
from lib.formatting import fixed, interval_decimals, interval_ends, number, plural
from lib.study import Study

#: One row per task, arm and ratio of validation to train loss (`gap`), or training speed (`speed`). `before` and `after` are
#: the arm's levels in the declared windows, of speeds in environment steps per second; `without` is the level after the
#: detach that the design expects without it. `change` is a ratio minus 1, with its 95% interval. `saved` are hours of wall
#: time per run, `run_hours` those of a whole run without the detach. `text` says the row, `note` what limits it.
ENCODER = pl.Schema(
    dict.fromkeys(("task", "metric", "arm", "what", "name", "design"), pl.String)
    | dict.fromkeys(("n_arm", "n_control"), pl.Int64)
    | dict.fromkeys(("before", "after", "without", "change", "ci_low", "ci_high"), pl.Float64)
    | dict.fromkeys(("saved", "saved_low", "saved_high", "run_hours"), pl.Float64)
    | dict.fromkeys(("text", "note"), pl.String)
)
GAP_ROW, SPEED_ROW = "gap", "speed"
Row = dict[str, Any]


def encoder_table(tasks: Sequence[TaskAnalysis]) -> pl.DataFrame:
    """The table of `ENCODER` for these tasks of a study."""
    rows = [row for task in tasks for row in (*_gaps(task), *(_speed(task, price) for price in task.prices))]
    return pl.DataFrame([row | {"text": _text(row)} for row in rows], schema=ENCODER, orient="row")


def _gaps(task: TaskAnalysis) -> Iterator[Row]:
    for row in task.gap.iter_rows(named=True):
        without = None if row["change"] is None else row["after"] / (1 + row["change"])
        name, note = gap_name(row["metric"], task.study), _joined((row["reasons"] or "").split("; "))
        yield {column: row.get(column) for column in ENCODER} | {
            "what": GAP_ROW,
            "name": name,
            "without": without,
            "note": note,
        }


def is_gap(key: str) -> bool:
    """Whether a key is that of the ratio of two losses."""
    return " : " in key


def gap_name(key: str, study: Study) -> str:
    """The ratio of two losses by their names: `Val (All) Consistency over Train Consistency Loss`."""
    return " over ".join(study.metric(part).name for part in key.split(" : "))


def _joined(notes: Iterable[str]) -> str:
    """Notes as a sentence; the declared size is a matter of claims, and these are none."""
    text = "; ".join(note for note in notes if note and note != NOT_DECLARED)
    return text and f"{text[0].upper()}{text[1:]}."


def _speed(task: TaskAnalysis, price: Price) -> Row:
    comparison = price.comparison
    interval = comparison.interval or (math.nan, math.nan)
    row = {
        "task": task.task.key,
        "metric": SPEED.key,
        "arm": comparison.arm,
        "what": SPEED_ROW,
        "name": SPEED.name,
        "design": comparison.design,
        "n_arm": len(comparison.units),
        "n_control": len(comparison.controls),
        "before": level(SPEED, mean([unit.before for unit in comparison.units])),
        "after": level(SPEED, mean([unit.after for unit in comparison.units])),
        "without": None if math.isnan(price.without_detach) else price.without_detach,
        "change": change(SPEED, comparison.estimate),
        "ci_low": change(SPEED, interval[0]),
        "ci_high": change(SPEED, interval[1]),
        "run_hours": None if math.isnan(price.run_hours) else price.run_hours,
        "note": _joined(_notes(price)),
    }
    saved = price.saved or (None, None, None)
    return row | dict(zip_longest(("saved", "saved_low", "saved_high"), saved))


def _notes(price: Price) -> Iterator[str]:
    """What limits a price, or keeps it from being told."""
    comparison = price.comparison
    if not comparison.units:
        yield "no run tells its speed: rows have no usable times"
        return
    no_control = NO_CONTROL if comparison.design == "jump" else ""
    yield from filter(None, (comparison.refusal, no_control, *price.caveats, *comparison.caveats))
    if price.silent_runs:
        yield f"{plural(len(price.silent_runs), 'run')} without usable times"
    if price.left_out:
        pieces = plural(price.left_out, "piece")
        yield f"{pieces} of {1 / PIECES:.1%} of training left out, in which a run paused or evaluated for long"


def _text(row: Row) -> str:
    """A row's levels and its change in one line, in the same words for gaps and for speeds."""
    if row["change"] is None:
        return "cannot be told"
    before = "" if row["before"] is None else f"{number(row['before'])} before the detach, "
    level = number(row["after"])
    unit = f" step{'' if level == '1' else 's'} per second" if row["what"] == SPEED_ROW else ""
    after = f"{level}{unit} after {'it' if before else 'the detach'}"
    without = f" ({number(row['without'])} without it)" if row["design"] in COMPARED else ""
    change = "change" if without else "at once"
    saved = "" if row["saved"] is None else f"; {saved_text(row)} of {duration(row['run_hours'])} training per run"
    return f"{before}{after}{without}: {change} {change_and_interval(row)}, {_basis(row)}{saved}"


def change_and_interval(row: Mapping[str, Any]) -> str:
    """A change with its 95% interval in percent, `+5% [-2, +11]`."""
    ends = () if row["ci_low"] is None else (row["ci_low"], row["ci_high"])
    return _with_interval([100 * value for value in (row["change"], *ends)], "%")


def _with_interval(values: Sequence[float], unit: str) -> str:
    """A signed number with its unit and, where it has one, its interval, in as few digits as the interval allows."""
    if len(values) == 1:
        return f"{number(values[0], 2, '+')}{unit}"
    size, low, high = values
    decimals = interval_decimals(low, high)
    ends = ", ".join(interval_ends((low, high), decimals, "+"))
    return f"{fixed(size, decimals, '+')}{unit} [{ends}]"


def _basis(row: Row) -> str:
    runs = plural(row["n_arm"], "run")
    texts = {
        "fork": plural(row["n_arm"], "fork pair"),
        "did": f"{row['n_arm']} against {plural(row['n_control'], 'run')}",
    }
    return texts.get(
        row["design"], f"{runs}, randomised steps" if row["design"] == "onset" else f"{runs}, no control arm"
    )


_UNITS = ((1.0, "h"), (60.0, "min"), (3600.0, "s"))


def saved_text(row: Mapping[str, Any]) -> str:
    """How much longer or shorter a run trains, with its interval in the same unit: `-1.2 h [-2.1, -0.4]`."""
    ends = () if row["saved_low"] is None else (-row["saved_high"], -row["saved_low"])
    hours = (-row["saved"], *ends)
    factor, unit = _unit(max(map(abs, hours)))
    return _with_interval([factor * value for value in hours], f" {unit}")


def duration(hours: float) -> str:
    """An amount of time in hours, minutes or seconds, two digits: `5.7 min`."""
    factor, unit = _unit(hours)
    return f"{number(factor * hours, 2)} {unit}"


def _unit(hours: float) -> tuple[float, str]:
    """The largest unit in which an amount of hours is at least 2, and how many of it are an hour; seconds below."""
    return next(((factor, unit) for factor, unit in _UNITS if factor * hours >= 2), _UNITS[-1])
