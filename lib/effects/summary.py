"""One answer per family of metrics."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.verdicts import CANNOT_SAY, CONTRADICTED, NOT_SHOWN, SUPPORTED
from lib.formatting import listing
from lib.study import FAMILIES, Metric, Study

Row = Mapping[str, Any]

PARTLY = "partly supported"
PARTLY_NOT = "partly contradicted"
MIXED = "mixed"
DESCRIPTIVE = "descriptive"

#: By design, what stands behind a change; a jump without a control arm is never called an effect.
_BASES = {
    "fork": "With a control arm",
    "did": "With a control arm",
    "onset": "With randomised detach steps",
    "jump": "Without a control arm, jumps at the detach",
    "none": "Without a comparison",
}
_DESIGNS_OF_EFFECTS = ("fork", "did", "onset")
_EFFECT, _JUMP = ("raised", "lowered"), ("jumped up", "jumped down")


@dataclass(frozen=True)
class FamilySummary:
    """What the data say of one family: its verdict in two words, and the counts in a sentence or two."""

    family: str
    verdict: str
    text: str


def summary(effects: pl.DataFrame, study: Study) -> tuple[FamilySummary, ...]:
    """One summary per family, from the rows of each task (those across tasks repeat them).

    Parameters
    ----------
    effects : columns of `lib.effects.effects_table.EFFECTS`, judged.
    """
    rows = effects.filter(pl.col("task") != ALL_TASKS).to_dicts()
    families = {family: [r for r in rows if study.metric(r["metric"]).family == family] for family in FAMILIES}
    return tuple(
        FamilySummary(family, _verdict(rows), " ".join(_sentences(rows, study, family)))
        for family, rows in families.items()
        if rows
    )


def _verdict(rows: Sequence[Row]) -> str:
    """The verdicts of one family as one; jumps alone are descriptive, whatever they are."""
    verdicts = Counter(row["verdict"] for row in rows if row["design"] in _DESIGNS_OF_EFFECTS)
    if not verdicts:
        return DESCRIPTIVE if any(row["design"] == "jump" for row in rows) else CANNOT_SAY
    if verdicts[CONTRADICTED] and verdicts[SUPPORTED]:
        return MIXED
    for verdict, partly in ((SUPPORTED, PARTLY), (CONTRADICTED, PARTLY_NOT)):
        if verdicts[verdict]:
            return verdict if verdicts[verdict] == verdicts.total() else partly
    return NOT_SHOWN if verdicts[NOT_SHOWN] else CANNOT_SAY


def _sentences(rows: Sequence[Row], study: Study, family: str) -> Iterator[str]:
    """One sentence per kind of comparison: `With a control arm: A and B lowered on 2 of 2 tasks; C on 1 of 2.`"""
    unit = "task" if len({row["arm"] for row in rows}) == 1 else "comparison"
    for basis in dict.fromkeys(_BASES.values()):
        by_metric: dict[str, list[Row]] = {}
        for row in rows:
            if _BASES[row["design"]] == basis:
                by_metric.setdefault(row["metric"], []).append(row)
        alike: dict[str, list[Metric]] = {}
        for key, claims in by_metric.items():
            metric = study.metric(key)
            alike.setdefault(_outcome(claims, metric, unit), []).append(metric)
        if alike:
            outcomes = [f"{_names(same, len(by_metric), family)} {outcome}" for outcome, same in alike.items()]
            yield f"{basis}: {'; '.join(outcomes)}."


def _names(metrics: Sequence[Metric], total: int, family: str) -> str:
    if len(metrics) == total and total > 2:
        return f"all {total} {family} metrics"
    return listing(metric.name for metric in metrics)


def _outcome(rows: Sequence[Row], metric: Metric, unit: str) -> str:
    """The verdicts of one metric in words: `lowered on 1 of 2 tasks, not shown on 1`."""
    counts, jump = Counter(row["verdict"] for row in rows), rows[0]["design"] == "jump"
    up, down = _JUMP if jump else _EFFECT
    wished, opposite = (up, down) if metric.expect == "increase" else (down, up)
    shown = counts[SUPPORTED] + counts[CONTRADICTED]
    phrases = {
        SUPPORTED: wished,
        CONTRADICTED: f"{opposite}, against what was expected,",
        NOT_SHOWN: "not shown" if shown else f"not shown to have {wished}" if jump else f"not shown to be {wished}",
        CANNOT_SAY: "without a verdict",
    }
    parts = [(words, counts[verdict]) for verdict, words in phrases.items() if counts[verdict]]
    first, *rest = parts
    return ", ".join([_first(*first, len(rows), unit), *(f"{words} on {count}" for words, count in rest)])


def _first(words: str, count: int, total: int, unit: str) -> str:
    """The first count, which says what is counted: `lowered on 2 of 2 tasks`, `not shown on any of 2 tasks`."""
    if total == 1:
        return f"{words} on 1 {unit}"
    none = count == total and words.startswith(("not shown", "without"))
    return f"{words} on {'any' if none else count} of {total} {unit}s"
