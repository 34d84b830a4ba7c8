"""The verdict of each row of effects.csv."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from lib.effects.compare import equivalence
from lib.effects.compare.equivalence import MarginTest
from lib.effects.compare.estimators import ALPHA
from lib.effects.multiple_testing import GUARDRAIL, family_text, holm_by_family, margin_family
from lib.formatting import listing

EXPLORATORY = "exploratory: window changed after looking"
SEE_EQUIVALENCE = "guardrail: see equivalence"
NO_MARGIN = "guardrail without a margin"
SUPPORTED, CONTRADICTED, NOT_SHOWN, CANNOT_SAY = "supported", "contradicted", "not shown", "cannot say"
JUMP_SHOWN = "jump shown"


def exploratory(other_windows: bool, left_out: Sequence[str]) -> str:
    """What was changed after looking, as the reason for which no claim gets a verdict; empty where nothing was."""
    runs = f"exploratory: run{'s' if len(left_out) > 1 else ''} {listing(left_out)} left out by hand"
    return "; ".join([*([EXPLORATORY] if other_windows else []), *([runs] if left_out else [])])


def judge(rows: Iterable[Mapping[str, Any]], exploratory: str = "") -> list[dict[str, Any]]:
    """All the claims of a study with Holm's p and their verdicts, whose reasons come first.

    Parameters
    ----------
    rows : columns of `lib.effects.effects_table.EFFECTS`, and `margin_test`, which ends here.
    exploratory : what was changed after looking, so that no claim gets a verdict; empty where nothing was.
    """
    claims = [dict(row) for row in rows]
    tests = [row.pop("margin_test", MarginTest()) for row in claims]
    answers = _equivalences(claims, tests, exploratory)
    adjusted = holm_by_family([row["p_value"] for row in claims], [row["holm_family"] for row in claims])
    judged = []
    for claim, p_holm, test, (answer, note) in zip(claims, adjusted, tests, answers, strict=True):
        word, reason = (CANNOT_SAY, exploratory) if exploratory else verdict(claim, p_holm)
        if reason == SEE_EQUIVALENCE and test == MarginTest():
            reason = NO_MARGIN
        # Why a guardrail has no answer comes before the caveats of its effect.
        first = 1 if claim["role"] == GUARDRAIL and test.margin is None else 0
        parts = (reason, *test.notes[:first], note, claim["reasons"], *test.notes[first:])
        reasons = "; ".join(part for part in parts if part)
        judged.append({**claim, "p_holm": p_holm, "verdict": word, "equivalence": answer, "reasons": reasons})
    return judged


def _equivalences(
    claims: Sequence[Mapping[str, Any]], tests: Sequence[MarginTest], exploratory: str
) -> list[tuple[str | None, str]]:
    """Each claim's answer to its margin, None where there is none, and what Holm's correction says of it."""
    families = [margin_family(claim["task"], claim["role"]) for claim in claims]
    adjusted = (
        holm_by_family([getattr(test, name) for test in tests], families)
        for name in ("worse_p", "equivalent_p", "no_worse_p")
    )
    return [
        (None, "") if exploratory else _equivalence(claim, test, *p)
        for claim, test, *p in zip(claims, tests, *adjusted, strict=True)
    ]


def _equivalence(
    claim: Mapping[str, Any], test: MarginTest, worse: float | None, equivalent: float | None, no_worse: float | None
) -> tuple[str | None, str]:
    """What a claim's interval and Holm's p of its tests allow to be said.

    `worse` warns by the claim's interval alone. A guardrail must not get worse, and is never called equivalent.
    """
    if test.worse_p is None or worse is None or equivalent is None or no_worse is None:
        return None, ""
    family = family_text(margin_family(claim["task"], claim["role"]).removeprefix("margin:"))
    note = f"against the margin p = {{:.2g}} after Holm's correction over {family}"
    if test.worse_p < ALPHA:
        return equivalence.WORSE, "" if worse < ALPHA else note.format(worse)
    if equivalent < ALPHA and claim["role"] != GUARDRAIL:
        return equivalence.EQUIVALENT, ""
    if no_worse < ALPHA:
        return equivalence.NO_WORSE, ""
    is_lost = test.no_worse_p is not None and test.no_worse_p < ALPHA
    return equivalence.NOT_SHOWN, note.format(no_worse) if is_lost else ""


def verdict(row: Mapping[str, Any], p_holm: float | None) -> tuple[str, str]:
    """What a row of effects allows to be said, and why where that needs a word."""
    low, high, p = row["ci_low"], row["ci_high"], row["p_value"]
    if row["holm_family"] is None:
        return CANNOT_SAY, SEE_EQUIVALENCE
    if p is None or p_holm is None or low is None or high is None:
        return CANNOT_SAY, ""  # the row's reasons open with the refusal
    if low <= 0 <= high:
        return NOT_SHOWN, "the 95% interval includes 0"
    if p >= ALPHA:
        return NOT_SHOWN, f"the interval excludes 0 but the design's own test does not (p = {p:.2g})"
    if p_holm >= ALPHA:
        return NOT_SHOWN, f"p = {p_holm:.2g} after Holm's correction over {family_text(row['holm_family'])}"
    as_expected = (low > 0) == (row["expectation"] == "increase")
    return (SUPPORTED if as_expected else CONTRADICTED), ""


def shown_verdict(row: Mapping[str, Any]) -> str:
    """The verdict as readers see it.

    Without a control arm a change at the detach is a jump, whichever way, and no effect; a guardrail has its margin's answer.
    """
    if row["role"] == GUARDRAIL and row["equivalence"]:
        return str(row["equivalence"])
    is_jump = row["design"] == "jump" and row["verdict"] in (SUPPORTED, CONTRADICTED)
    return JUMP_SHOWN if is_jump else str(row["verdict"])


def with_shown_verdicts(effects: pl.DataFrame) -> pl.DataFrame:
    """Rows of effects.csv with the verdicts that readers see."""
    verdict = pl.struct("design", "verdict", "role", "equivalence").map_elements(shown_verdict, return_dtype=pl.String)
    return effects.with_columns(verdict.alias("verdict"))
