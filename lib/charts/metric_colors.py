"""A colour for each metric of a study."""

import itertools
from dataclasses import replace

from lib.charts.color_vision import difference
from lib.charts.default_metrics import default_metrics
from lib.charts.style import PALETTE
from lib.study import Study


def metric_colors(study: Study) -> dict[str, str]:
    """A colour for every metric key: the study's, or else the palette's, those first that are least like the study's.

    The metrics that charts draw by default have the first of these.
    """
    named = [metric.color for metric in study.metrics if metric.color]
    free = sorted(PALETTE, key=lambda color: -min((difference(color, other) for other in named), default=0))
    spare = itertools.cycle(free)
    default = default_metrics(study, [metric.key for metric in study.metrics])
    first = sorted(study.metrics, key=lambda metric: metric not in default)
    colors = {metric.key: metric.color or next(spare) for metric in first}
    return {metric.key: colors[metric.key] for metric in study.metrics}


def with_colors(study: Study) -> Study:
    """The study with the colour of every metric, so that a part of the study has the same ones."""
    colors = metric_colors(study)
    return replace(study, metrics=tuple(replace(metric, color=colors[metric.key]) for metric in study.metrics))
