"""The verdict of several claims together: which of them answer the question, and what they say."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lib.effects.compare import equivalence
from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.verdicts import CANNOT_SAY, CONTRADICTED, JUMP_SHOWN, NOT_SHOWN, SUPPORTED

Row = Mapping[str, Any]

PARTLY = "partly supported"
PARTLY_NOT = "partly contradicted"
MIXED = "mixed"

#: The designs that compare with a control arm; a randomised onset is its own control, a jump has none.
COMPARED = ("fork", "did")
_EFFECTS = (*COMPARED, "onset")


def family_verdict(rows: Sequence[Row]) -> str:
    """The verdict of the claims that answer the question, with "partly" where not all of them have it.

    It is mixed where one claim is supported and another contradicted. Where nothing was compared it is that of the jumps.
    """
    effects = [row for row in rows if row["design"] in _EFFECTS]
    if not effects:
        return _jump_verdict([row["verdict"] for row in rows if row["design"] == "jump"])
    answers, every = (Counter(row["verdict"] for row in claims) for claims in (head(effects), effects))
    if every[CONTRADICTED] and every[SUPPORTED]:
        return MIXED
    for verdict, partly in ((SUPPORTED, PARTLY), (CONTRADICTED, PARTLY_NOT)):
        if every[verdict]:
            return verdict if answers[verdict] == answers.total() else partly
    return NOT_SHOWN if every[NOT_SHOWN] else CANNOT_SAY


def _jump_verdict(verdicts: Sequence[str]) -> str:
    if {SUPPORTED, CONTRADICTED} & set(verdicts):
        return JUMP_SHOWN
    return NOT_SHOWN if NOT_SHOWN in verdicts else CANNOT_SAY


def head(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows that answer the study's question: those across tasks, else those with a control arm, else all."""
    compared = [row for row in rows if row["design"] in COMPARED]
    across = [row for row in compared or rows if row["task"] == ALL_TASKS]
    return next((claims for claims in (across, compared) if are_judged(claims)), compared or rows)


def are_judged(rows: Iterable[Row]) -> bool:
    """Whether some of these claims have a verdict."""
    return any(row["verdict"] != CANNOT_SAY for row in rows)


def margin_head(rows: Sequence[Row]) -> Sequence[Row]:
    """The claims that answer to a margin: those across tasks where they can, else those of the tasks with a control arm."""
    compared = [row for row in rows if row["design"] in COMPARED]
    across = [row for row in compared if row["task"] == ALL_TASKS and row["equivalence"]]
    return across or [row for row in compared if row["task"] != ALL_TASKS]


def margin_verdict(rows: Sequence[Row]) -> str:
    """The answer of all claims to their margins: one that is worse decides, and no worse are they together alone."""
    answers = {row["equivalence"] for row in margin_head(rows)}
    if equivalence.WORSE in {row["equivalence"] for row in rows}:
        return equivalence.WORSE
    if answers and answers <= {equivalence.NO_WORSE, equivalence.EQUIVALENT}:
        return equivalence.NO_WORSE
    return NOT_SHOWN if answers - {None} else CANNOT_SAY
