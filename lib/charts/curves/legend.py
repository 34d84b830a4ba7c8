"""One legend for several curve charts."""

from dataclasses import dataclass

import polars as pl

from lib.charts.curves.contents import family_metrics, one_metric_each
from lib.charts.line_signs import metric_signs, with_sign
from lib.charts.metric_colors import metric_colors
from lib.charts.style import QUIET, UNCOMPARED, arm_colors, arm_dashes, arm_order, metric_label
from lib.curves import View
from lib.study import FAMILIES, UNKNOWN, Study


@dataclass(frozen=True)
class LegendEntry:
    """What a line of this colour and dash is; `dash` are the pixels of lines and gaps in turn."""

    label: str
    color: str
    dash: tuple[int, ...]


def legend_entries(curves: pl.DataFrame, study: Study, view: View) -> tuple[LegendEntry, ...]:
    """What the lines of charts without a legend are: their metrics, then their arms where there are several, or one unknown.

    Where no family has more than one metric, the axes name these, and colour tells arms apart.

    Parameters
    ----------
    curves : columns of `lib.curves.COLUMNS`, of any tasks. A moving average has its window where that of all tasks is one.
    """
    arms = arm_order(curves["arm"].to_list())
    by_arm = one_metric_each(study) and len(arms) > 1 and not view.color_by
    entries = [] if by_arm else _metric_entries(curves, study, view)
    if len(arms) > 1 or UNKNOWN in arms:
        colors = arm_colors(arms) if by_arm else dict.fromkeys(arms, QUIET)
        for arm, dash in zip(arms, arm_dashes(arms, solid=by_arm), strict=True):
            entries.append(LegendEntry(UNCOMPARED if arm == UNKNOWN else arm, colors[arm], tuple(dash)))
    return tuple(entries)


def _metric_entries(curves: pl.DataFrame, study: Study, view: View) -> list[LegendEntry]:
    colors, entries = metric_colors(study), []
    signs = metric_signs(study, colors)
    metrics = {
        metric: None
        for family in FAMILIES
        for task in study.tasks
        for metric in family_metrics(curves, study, task, family, view)
    }
    for metric in metrics:
        labels = {metric_label(metric, task, view) for task in study.tasks}
        name = with_sign(signs[metric.key], labels.pop() if len(labels) == 1 else metric.name)
        entries.append(LegendEntry(name, colors[metric.key], (1, 0)))
    return entries
