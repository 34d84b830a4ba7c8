"""Every task and family in one figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from lib.charts import style as parts
from lib.charts.coloring import Coloring
from lib.charts.curves.chart import FAMILIES, STACKED, Rules, family_chart, family_metrics
from lib.curves import View
from lib.formatting import listing
from lib.study import Study, Task

#: Channels with scales that each cell of a grid has for itself.
CHANNELS = ("color", "stroke", "strokeWidth", "strokeDash", "opacity")


def grid(
    curves: pl.DataFrame,
    study: Study,
    *,
    view: View,
    rules: Mapping[str, Rules],
    families: Sequence[str] = FAMILIES,
    width: int = 430,
    height: int = 300,
    seeds: pl.DataFrame | None = None,
    raw: pl.DataFrame | None = None,
    coloring: Mapping[str, Coloring] | None = None,
    baselines: pl.DataFrame | None = None,
) -> alt.VConcatChart:
    """Every task and family in one figure, a row a task, under the study's title: the `combined_ablation` figure.

    Cells are `family_chart`s: the same axes, range, smoothing, bands and rule as the single figures.

    Parameters
    ----------
    rules : the detach marks by task key.
    coloring : of each task's runs, by task key; see `family_chart`.
    width, height : of one cell, in pixels.
    """
    rows = []
    apart: dict[str, Any] = dict.fromkeys(CHANNELS, "independent")
    for task in study.tasks:
        cells = [
            family_chart(
                curves, study, task, family, view=view, rules=rules.get(task.key, ()), width=width, height=height,
                seeds=seeds, raw=raw, coloring=(coloring or {}).get(task.key), baselines=baselines,
                title=figure_title(curves, study, task, family), interactive=False, cell=True,
            )
            for family in families
            if family_metrics(curves, study, task, family)
        ]  # fmt: skip
        if cells:
            rows.append(alt.hconcat(*cells).resolve_scale(**apart))
    return alt.vconcat(
        *rows,
        title=alt.TitleParams(study.title, anchor="middle", fontSize=18),
        config=STACKED if coloring else alt.Undefined,
    ).resolve_scale(**apart)


def figure_title(curves: pl.DataFrame, study: Study, task: Task, *families: str) -> str:
    """The title of a figure: the task and what is plotted (`Acrobot Swingup - Episode Reward`)."""
    plotted = [parts.family_title(family_metrics(curves, study, task, family), family) for family in families]
    return f"{task.title} - {listing(plotted)}"
