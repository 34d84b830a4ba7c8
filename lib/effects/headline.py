"""The sentence above all answers: what a study was made for and what it must not cost, together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from lib.effects.clauses import Clauses, Row
from lib.effects.compare import equivalence
from lib.effects.family_verdict import COMPARED, PARTLY, family_verdict, margin_verdict
from lib.effects.multiple_testing import GUARDRAIL
from lib.effects.rounding import rounding
from lib.effects.summary import is_exploratory
from lib.effects.verdicts import CANNOT_SAY, SUPPORTED
from lib.formatting import listing
from lib.study import FAMILIES, Study

#: What is open where nothing was compared with a control arm.
_JUMPS_ALONE = "Only jumps at the detach can be tested: neither what caused them nor a gradual change can be said"
#: Metrics that are named; more are called what their family is.
_NAMES = 2


def headline(effects: pl.DataFrame, study: Study) -> str:
    """Primary metrics and guardrails in one sentence: `Loss 28% lower [21, 34], reward no worse than 5%.`

    Without any control arm it is what jumps leave open. Empty where a study has not both kinds, or where something was
    changed after looking.

    Parameters
    ----------
    effects : columns of `lib.effects.effects_table.EFFECTS`, judged.
    """
    rows = effects.to_dicts()
    if not rows or is_exploratory(rows):
        return ""
    primary = [row for row in rows if row["role"] == "primary"]
    guardrails = [row for row in rows if row["role"] == GUARDRAIL and study.metric(row["metric"]).margin_text]
    parts = _Parts(study, Clauses(study, rounding(effects, study)), primary, guardrails)
    if {row["design"] for row in rows} - {"none"} == {"jump"}:
        return f"{', nor '.join([_JUMPS_ALONE, *(f'whether {text}' for text in parts.wishes())])}."
    if not primary or not guardrails:
        return ""
    sentence = parts.sentence()
    return f"{sentence[0].upper()}{sentence[1:]}."


@dataclass(frozen=True)
class _Parts:
    """What is said of each family, losses first."""

    study: Study
    clauses: Clauses
    primary: Sequence[Row]
    guardrails: Sequence[Row]

    def sentence(self) -> str:
        """Gains, then costs, with a "but" where a gain has a cost that is not ruled out."""
        gains, costs = self._by_family(self.primary), self._by_family(self.guardrails)
        is_kept = all(margin_verdict(rows) == equivalence.NO_WORSE for rows in costs)
        has_gain = any(family_verdict(rows) in (SUPPORTED, PARTLY) for rows in gains)
        first, *others = map(self._cost, costs)
        link = "" if is_kept else "but " if has_gain else "and "
        texts = [*map(self._gain, gains), f"{link}{first}", *others]
        has_commas = any(", " in re.sub(r"\[.*?\]", "", text) for text in texts)
        return ("; " if has_commas else ", ").join(texts)

    def wishes(self) -> list[str]:
        """What guardrails ask: `reward is no worse than 5%`."""
        return [f"{self._subject(rows)} is {self.clauses.no_worse(rows)}" for rows in self._by_family(self.guardrails)]

    def _by_family(self, rows: Sequence[Row]) -> list[list[Row]]:
        groups = ([row for row in rows if self._family(row) == family] for family in reversed(FAMILIES))
        return [group for group in groups if group]

    def _family(self, row: Row) -> str:
        return self.study.metric(row["metric"]).family

    def _subject(self, rows: Sequence[Row]) -> str:
        """A family, or its metrics where it has metrics of the other kind too."""
        family, others = self._family(rows[0]), self.guardrails if rows[0]["role"] == "primary" else self.primary
        names = list(dict.fromkeys(self.study.metric(row["metric"]).name for row in rows))
        is_shared = any(self._family(row) == family for row in others)
        return listing(names) if is_shared and len(names) <= _NAMES else family

    def _gain(self, rows: Sequence[Row]) -> str:
        compared = [row for row in rows if row["design"] in COMPARED]
        text, subject = self.clauses.by_arm(compared or rows, is_short=True), self._subject(rows)
        if not compared and {row["design"] for row in rows} & {"jump"}:
            return f"{subject}, only a jump at the detach: {text}"
        return f"{subject}: {text}" if text.startswith("no") else f"{subject} {text}"

    def _cost(self, rows: Sequence[Row]) -> str:
        subject, text = self._subject(rows), self.clauses.against_margin(rows, is_short=True)
        is_unsaid = margin_verdict(rows) == CANNOT_SAY
        wish = f"whether {subject} is {self.clauses.no_worse(rows)} cannot be said"
        is_late = any(self.study.metric(row["metric"]).margin_after_looking for row in rows)
        return (wish if is_unsaid else f"{subject} {text}") + (" (margin set after looking)" if is_late else "")
