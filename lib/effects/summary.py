"""One answer per family of metrics: its verdict, and how large what stands behind it is, in a line."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from lib.effects.clauses import Clauses, Row
from lib.effects.family_verdict import family_verdict, head, margin_verdict
from lib.effects.multiple_testing import GUARDRAIL
from lib.effects.rounding import rounding
from lib.effects.verdicts import shown_verdict
from lib.study import FAMILIES, Study

TITLES = {"reward": "Rewards", "loss": "Losses"}


@dataclass(frozen=True)
class FamilySummary:
    """What the data say of one family: its verdict in two words, and how much in a sentence or two."""

    family: str
    verdict: str
    text: str

    @property
    def title(self) -> str:
        """The family as a heading."""
        return TITLES[self.family]


def summary(effects: pl.DataFrame, study: Study) -> tuple[FamilySummary, ...]:
    """One line per family: the claims across tasks first, then those of the tasks.

    The headline is about primary metrics; secondary ones and guardrails are said apart.

    Parameters
    ----------
    effects : columns of `lib.effects.effects_table.EFFECTS`, judged.
    """
    clauses = Clauses(study, rounding(effects, study))
    by_family: dict[str, list[Row]] = {family: [] for family in FAMILIES}
    for row in effects.iter_rows(named=True):
        by_family[study.metric(row["metric"]).family].append(row)
    return tuple(_family(family, rows, clauses) for family, rows in by_family.items() if rows)


def _family(family: str, rows: Sequence[Row], clauses: Clauses) -> FamilySummary:
    by_role = {role: [row for row in rows if row["role"] == role] for role in ("primary", "secondary", GUARDRAIL)}
    first = next(role for role, of_role in by_role.items() if of_role)
    if is_exploratory(rows):
        sentences = [clauses.no_verdict(head(rows))]
    elif first == GUARDRAIL:
        sentences = [f"guardrail{'s' if _several_metrics(rows) else ''}: {_against_margin(rows, clauses)}"]
    else:
        sentences = [*clauses.sentences(by_role[first])]
    if first == "secondary":
        sentences[0] = f"secondary metrics: {sentences[0]}"
    elif first == "primary" and by_role["secondary"]:
        sentences.append(f"Secondary: {_counts(map(shown_verdict, by_role['secondary']))}")
    if first != GUARDRAIL and any(row["equivalence"] for row in by_role[first]):
        sentences.append(f"Against the margin: {_against_margin(by_role[first], clauses, is_short=True)}")
    if first != GUARDRAIL and by_role[GUARDRAIL] and not is_exploratory(rows):
        sentences.append(f"Guardrails: {_against_margin(by_role[GUARDRAIL], clauses)}")
    verdict = margin_verdict(rows) if first == GUARDRAIL else family_verdict(by_role[first])
    return FamilySummary(family, verdict, f"{'. '.join(sentences)}.")


def is_exploratory(rows: Iterable[Row]) -> bool:
    """Whether something was changed after looking, so that no claim has a verdict."""
    return all((row["reasons"] or "").startswith("exploratory") for row in rows)


def _several_metrics(rows: Sequence[Row]) -> bool:
    return len({row["metric"] for row in rows}) > 1


def _against_margin(rows: Sequence[Row], clauses: Clauses, is_short: bool = False) -> str:
    metrics = [clauses.study.metric(row["metric"]) for row in rows]
    rows = [row for row, metric in zip(rows, metrics, strict=True) if metric.margin_text]
    if not rows:
        return "no margin is declared"
    is_late = any(metric.margin_after_looking for metric in metrics)
    return clauses.against_margin(rows, is_short) + (", margin set after looking" if is_late else "")


def _counts(words: Iterable[str]) -> str:
    """How many of each: `2 supported, 1 not shown`."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())
