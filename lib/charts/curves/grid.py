"""Every task and family in one figure."""

from collections.abc import Collection, Mapping

import altair as alt
import polars as pl

from lib.charts.curves.chart import STACKED, Background, Layout, family_chart
from lib.charts.curves.contents import family_metrics
from lib.charts.detach_rule import Rules
from lib.charts.spec import ChartSpec, concatenated
from lib.charts.style import family_title
from lib.curves import View
from lib.formatting import listing
from lib.study import FAMILIES, Study, Task

#: Channels with scales that each cell of a grid has for itself.
CHANNELS = ("color", "stroke", "strokeWidth", "strokeDash", "opacity")
#: Width and height of a cell's plot, in pixels.
CELL = (430, 300)


def grid(
    curves: pl.DataFrame,
    study: Study,
    *,
    view: View,
    rules: Mapping[str, Rules],
    backgrounds: Mapping[str, Background] | None = None,
    unfinished: Collection[str] = (),
) -> ChartSpec:
    """Every task and family in one figure, a row per task, under the study's title: the `combined_ablation` figure.

    Cells are `family_chart`s: the same axes, range, smoothing, bands and rule as the single figures.

    Parameters
    ----------
    rules, backgrounds : the detach marks, and what lies behind the means, by task key.
    unfinished : keys of tasks with a run that has not ended as planned.
    """
    backgrounds = backgrounds or {}
    rows = []
    for task in study.tasks:
        logged = [family for family in FAMILIES if family_metrics(curves, study, task, family)]
        rows.append([
            family_chart(
                curves, study, task, family, view=view, rules=rules.get(task.key, ()), background=backgrounds.get(task.key),
                layout=Layout(*CELL, figure_title(curves, study, task, family), interactive=False, cell=True),
                unfinished=task.key in unfinished,
            )
            for family in logged
        ])  # fmt: skip
    return concatenated(
        [row for row in rows if row],
        title=alt.TitleParams(study.title, anchor="middle", fontSize=18),
        config=STACKED,
        resolve={"scale": dict.fromkeys(CHANNELS, "independent")},
    )


def figure_title(curves: pl.DataFrame, study: Study, task: Task, *families: str) -> str:
    """The title of a figure: the task and what is plotted (`Acrobot Swingup - Episode Reward`)."""
    titles = [family_title(family_metrics(curves, study, task, family), family) for family in families]
    return f"{task.title} - {listing(titles)}"
