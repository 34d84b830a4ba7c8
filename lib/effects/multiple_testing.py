"""Holm's correction of p-values, in families of claims."""

from collections.abc import Sequence
from itertools import compress

from lib.effects.compare.across_tasks import ALL_TASKS
from lib.study import Metric

GUARDRAIL = "guardrail"


def holm_family(task: str, metric: Metric) -> str | None:
    """Which claims a claim is corrected with: `across:<role>` or `tasks:<role>`; None for a guardrail, which claims no effect.

    The claims across tasks answer the study's question, those of its tasks are their parts: each family may be wrong in 5%.
    """
    if metric.role == GUARDRAIL:
        return None
    return f"{'across' if task == ALL_TASKS else 'tasks'}:{metric.role}"


def margin_family(task: str, role: str) -> str:
    """Which claims are corrected together when they are held against their margins."""
    return f"margin:{'across' if task == ALL_TASKS else 'tasks'}:{role}"


def family_text(family: str) -> str:
    """A family in words: `the primary claims across tasks`."""
    level, role = family.split(":")
    return f"the {role} claims {'across tasks' if level == 'across' else 'of all tasks'}"


def holm_by_family(p_values: Sequence[float | None], families: Sequence[str | None]) -> list[float | None]:
    """Holm's adjusted p within each family, in the given order; None for a claim without p or family."""
    adjusted: list[float | None] = [None] * len(p_values)
    for family in set(families) - {None}:
        members = [other == family for other in families]
        for i, p in zip(compress(range(len(families)), members), holm([*compress(p_values, members)]), strict=True):
            adjusted[i] = p
    return adjusted


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p of every claim that has one, in the given order; None stays None."""
    ascending = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, i) in enumerate(ascending):
        least = max(least, min(1.0, p * (len(ascending) - rank)))
        adjusted[i] = least
    return adjusted
