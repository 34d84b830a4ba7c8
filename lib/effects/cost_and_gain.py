"""What detaching gained and cost, in one line: the claims that answer the question, and the training time."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from lib.effects.clauses import Clauses
from lib.effects.compare.across_tasks import ALL_TASKS, Across
from lib.effects.compare.comparison import Comparison, change
from lib.effects.encoder import change_and_interval, duration
from lib.effects.family_verdict import COMPARED, head
from lib.effects.headline import headline
from lib.effects.price import SPEED, Price
from lib.effects.rounding import Rounding, Size, rounding
from lib.effects.study_analysis import StudyAnalysis
from lib.effects.verdicts import CONTRADICTED, NOT_SHOWN, SUPPORTED
from lib.formatting import extent, listing
from lib.study import FAMILIES, Study

Row = Mapping[str, Any]
_EFFECTS = (*COMPARED, "onset")
_NOUNS = {"reward": "rewards", "loss": "losses"}


def cost_and_gain(analysis: StudyAnalysis, effects: pl.DataFrame, study: Study) -> str:
    """What was gained, what it cost and what it saved: `Losses 27-28% lower; rewards at most 10% lower; training 9% faster.`

    A cost that was not shown is at most the harmful end of its 95% interval. What the headline says is not said again: then,
    and without a control arm or randomised detach steps, it is the training time alone. Empty where nothing was detached.

    Parameters
    ----------
    effects : columns of `lib.effects.effects_table.EFFECTS`, judged, of the tasks and metrics that `study` shows.
    """
    if effects.is_empty():
        return ""
    primary = [row for row in effects.iter_rows(named=True) if row["role"] == "primary" and row["design"] in _EFFECTS]
    claims = [] if headline(effects, study) else _Claims(study, rounding(effects, study)).clauses(primary)
    line = "; ".join([*claims, _training_time(analysis, study)])
    return f"{line[0].upper()}{line[1:]}."


@dataclass(frozen=True)
class _Claims:
    """The clauses of claims, with the study's names and one rounding."""

    study: Study
    rounding: Rounding

    def clauses(self, rows: Sequence[Row]) -> Iterator[str]:
        """A clause per family and verdict: what was gained, what was lost, and at most what was not shown to be."""
        by_family = {f: [row for row in rows if self.study.metric(row["metric"]).family == f] for f in FAMILIES}
        # What was lost in a task, where the answers are across tasks: their mean hides it.
        losses = {f: self.lost_in_tasks(of_family) for f, of_family in by_family.items()}
        for verdict in (SUPPORTED, CONTRADICTED, NOT_SHOWN):
            for family, of_family in by_family.items():
                answers = head(of_family)
                alike = [row for row in answers if row["verdict"] == verdict]
                if alike and verdict != NOT_SHOWN:
                    yield f"{_NOUNS[family]} {self.sizes(alike)}{losses.pop(family, '')}"
                elif alike and not {SUPPORTED, CONTRADICTED} & {row["verdict"] for row in answers}:
                    yield f"{_NOUNS[family]} {self.at_most(alike)}{losses.pop(family, '')}"

    def lost_in_tasks(self, rows: Sequence[Row]) -> str:
        """What claims across tasks do not say: ` across tasks but 20% lower [11, 29] on Walk`; empty where they say all."""
        answers = head(rows)
        lost = [row for row in rows if row["verdict"] == CONTRADICTED and row not in answers]
        if not lost or any(row["task"] != ALL_TASKS for row in answers):
            return ""
        return f" across tasks but {self.sizes(lost)}{Clauses(self.study, self.rounding).on_tasks(lost)}"

    def sizes(self, rows: Sequence[Row]) -> str:
        """The changes that were shown, in percent as a range: `26-29% lower`, with its interval where it is one."""
        by_word: dict[tuple[str, str], list[Size]] = {}
        for row in rows:
            size, word = self.rounding.size(row, self.study.metric(row["metric"])), _direction(row, row["change"])
            by_word.setdefault((size.mark, word), []).append(size)
        return listing(_extent(mark, word, sizes) for (mark, word), sizes in by_word.items())

    def at_most(self, rows: Sequence[Row]) -> str:
        """How much worse claims that were not shown may be: the harmful ends of their intervals, the largest of a unit."""
        largest: dict[tuple[str, str], Size] = {}
        for row in rows:
            name: Literal["ci_low", "ci_high"] = "ci_low" if row["expectation"] == "increase" else "ci_high"
            end = row[name]
            if (end < 0) == (row["expectation"] == "increase"):
                size = self.rounding.size(row, self.study.metric(row["metric"]), name)
                key = (size.mark, _direction(row, end))
                largest[key] = max(size, largest.get(key, size), key=lambda of: of.value)
        texts = [f"{size.text}{mark} {word}" for (mark, word), size in largest.items()]
        return f"at most {listing(texts)} (95%)" if texts else "not shown to change"


def _direction(row: Row, value: float) -> str:
    return f"{'higher' if value > 0 else 'lower'}{' at once' if row['design'] == 'onset' else ''}"


def _extent(mark: str, word: str, sizes: Sequence[Size]) -> str:
    if len(sizes) == 1:
        return f"{sizes[0].text}{mark} {word} {sizes[0].interval}"
    smallest, *_, largest = sorted(sizes, key=lambda size: size.value)
    return f"{extent(smallest.text, largest.text)}{mark} {word}" if mark else word


def _training_time(analysis: StudyAnalysis, study: Study) -> str:
    """What the detach did to the training time: across tasks where that can be said, else task by task."""
    visible = {task.key for task in study.tasks}
    prices = [price for task in analysis.tasks if task.task.key in visible for price in task.prices]
    is_whole = all(task.task.key in visible for task in analysis.tasks)
    results: Sequence[Comparison | Across] = [speed for speed in analysis.speeds if is_whole and _is_told(speed)]
    results = results or [price.comparison for price in prices if _is_told(price.comparison)]
    if not any(result.interval for result in results):
        return "the runs do not tell what detaching saved in training time"
    faster, slower = ([r for r in results if r.interval and is_clear(r.interval)] for is_clear in _CLEAR)
    if len(results) == 1:
        return f"training speed {_speed_text(results[0])}{_saved(prices) if faster or slower else ''}"
    if not faster and not slower:
        return f"no change of training speed shown in {len(results)} comparisons"
    counts = [f"faster in {len(faster)}"] * bool(faster) + [f"slower in {len(slower)}"] * bool(slower)
    return f"training {listing(counts)} of {len(results)} comparisons"


_CLEAR = (lambda interval: interval[0] > 0, lambda interval: interval[1] < 0)


def _is_told(result: Comparison | Across) -> bool:
    return not math.isnan(result.estimate)


def _speed_text(result: Comparison | Across) -> str:
    """The change of the training speed with its interval: `+18% [+12, +25]`."""
    low, high = result.interval or (math.nan, math.nan)
    numbers = {"change": result.estimate, "ci_low": low, "ci_high": high}
    at_once = " at once" if result.design in ("jump", "onset") else ""
    return change_and_interval({name: change(SPEED, value) for name, value in numbers.items()}) + at_once


def _saved(prices: Sequence[Price]) -> str:
    """The hours per run, the mean over tasks."""
    hours = [price.saved[0] for price in prices if price.saved]
    mean = sum(hours) / len(hours)
    return f", {duration(abs(mean))} {'less' if mean > 0 else 'more'} per run"
