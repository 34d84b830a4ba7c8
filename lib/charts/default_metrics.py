"""The metrics that charts of curves draw where nobody chose any: no more than can be told apart."""

from collections.abc import Collection, Iterator, Sequence

from lib.formatting import listing, plural
from lib.study import FAMILIES, Metric, Study

#: Metrics of a family that one panel holds, and those that it draws of more.
_MOST, _FEW = 5, 3
_NOUNS = {"reward": "reward metric", "loss": "loss metric"}


def default_metrics(study: Study, logged: Collection[str]) -> tuple[Metric, ...]:
    """The study's metrics that charts draw, in its order: of a family of more than five, three.

    Primary metrics come first, and those of what the first of them measures, which is what its key ends with: a success
    rate beside a reward is a line at 0.

    Parameters
    ----------
    logged : the keys that some run has; all metrics of a family are there where no run has any of it.
    """
    keys = {metric.key for family in FAMILIES for metric in _of_family(study.family(family), logged)}
    return tuple(metric for metric in study.metrics if metric.key in keys)


def _of_family(metrics: Sequence[Metric], logged: Collection[str]) -> Sequence[Metric]:
    some = [metric for metric in metrics if metric.key in logged]
    if len(some) <= _MOST:
        return metrics
    ranked = sorted(some, key=lambda metric: metric.role != "primary")
    alike = [metric for metric in ranked if _quantity(metric) == _quantity(ranked[0])]
    return (alike if len(alike) > 1 else ranked)[:_FEW]


def _quantity(metric: Metric) -> str:
    return metric.key.rsplit("/", 1)[-1]


def default_metrics_text(study: Study, metrics: Sequence[Metric], *families: str) -> str:
    """A sentence on which of these families' metrics charts draw; "" where they draw all."""
    parts = list(_shares(study, metrics, families))
    return f"Charts draw {'; '.join(parts)}. Choose others under Metrics." if parts else ""


def _shares(study: Study, metrics: Sequence[Metric], families: Sequence[str]) -> Iterator[str]:
    for family in families:
        names = [metric.name for metric in metrics if metric.family == family]
        if len(names) < len(study.family(family)):
            yield f"{len(names)} of {plural(len(study.family(family)), _NOUNS[family])}: {listing(names)}"
