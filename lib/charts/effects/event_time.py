"""Curves of several tasks on one axis: steps since the detach."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Unpack

import altair as alt
import polars as pl

from lib.charts import axes, style, thinning
from lib.charts.detach_rule import RULE_LABEL, rule_at, rule_label
from lib.charts.effects.shared import arm_dash, step_range
from lib.charts.line_signs import sign_layer, sign_table, signs, with_sign
from lib.charts.spec import ChartSpec, Size, layered
from lib.charts.thinning import POINTS
from lib.curves import View
from lib.study import Metric, Study

#: Pixels of the width in which a page draws the chart, nearly.
_HALF_PAGE = 360


def event_time_chart(
    curves: pl.DataFrame, study: Study, metric: Metric, arms: Sequence[str], *, view: View, **size: Unpack[Size]
) -> ChartSpec:
    """Event time: a metric's curves of every task on one axis that counts from the detach.

    A colour per task, a dash per arm: detached against control, or several detach steps against each other.

    Parameters
    ----------
    curves : as `lib.curves.curves` gives them for a view whose x is `since` or `since_percent`.
    arms : the arms to draw.
    """
    titles = _titles(study)
    table, bounds = _since_table(curves, metric, arms, titles)
    tasks = [titles[key] for key in titles if titles[key] in set(table["task"])]
    y_axis = axes.value_axis(style.family_title([metric], metric.family), bounds, 0, axes.HEADROOM)
    x = alt.X("step:Q", **axes.step_axis(view, step_range(table["step"])))
    y = alt.Y("mean:Q", **y_axis)
    color = _task_color(tasks, titles)
    base = alt.Chart(table)
    band = (
        base.properties(name="band").mark_area(opacity=0.2, clip=True)
        .encode(x=x, y=alt.Y("lower:Q", **y_axis), y2=alt.Y2("upper:Q"), color=color, detail=alt.Detail("arm:N"))
    )  # fmt: skip
    line = (
        base.properties(name="line").mark_line(strokeWidth=2, clip=True)
        .encode(x=x, y=y, color=color, strokeDash=arm_dash(style.arm_order(table["arm"].to_list())))
    )  # fmt: skip
    touch = (
        base.properties(name="touch").mark_circle(size=90, opacity=0, clip=True)
        .encode(x=x, y=y, tooltip=_tooltips(view))
    )  # fmt: skip
    sign_rows = sign_table(table, ("task", "arm"), "task")
    signs_of_lines = [] if sign_rows is None else [sign_layer(sign_rows, "signs", alt.OpacityValue(1))]
    sign_layers = [layer.encode(x=x, y=y, color=color) for layer in signs_of_lines]
    layers = [band, line, *sign_layers, touch, rule_label(0, [RULE_LABEL], "event"), rule_at(0, "event")]
    # The legend takes its room from the chart: in half a page's width it has a row for nearly every task.
    height = max(340, 320 + 17 * style.legend_rows(tasks, _HALF_PAGE))
    return layered(layers, **({"height": height} | size))


def _task_color(tasks: Sequence[str], titles: Mapping[str, str]) -> alt.Color:
    """The colour of each task drawn, the same whatever others are drawn, with its legend on top."""
    colors = dict(zip(titles.values(), itertools.cycle(style.PALETTE), strict=False))
    return alt.Color(
        "task:N",
        scale=alt.Scale(domain=tasks, range=[colors[task] for task in tasks]),
        legend=alt.Legend(
            title=None, orient="top", symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2.5,
            columns=style.legend_columns(tasks), labelLimit=260, rowPadding=1,
        ),
    )  # fmt: skip


def _tooltips(view: View) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("task:N"),
        alt.Tooltip("arm:N"),
        alt.Tooltip("step:Q", title=axes.X_TITLES[view.x], format=",.4~g"),
        *(alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("mean", "lower", "upper")),
        alt.Tooltip("n:Q"),
    ]


def _titles(study: Study) -> dict[str, str]:
    """The tasks' titles by key, with a sign where the palette begins anew."""
    size = len(style.PALETTE)
    task_signs = signs(len(study.tasks), lambda one, other: (one - other) % size == 0)
    return {task.key: with_sign(sign, task.title) for task, sign in zip(study.tasks, task_signs, strict=True)}


def _since_table(
    curves: pl.DataFrame, metric: Metric, arms: Sequence[str], titles: dict[str, str]
) -> tuple[pl.DataFrame, tuple[float, float] | None]:
    """The curves of a metric as event time draws them, tasks by title, and the range of a log axis."""
    rows = curves.filter(
        pl.col("metric") == metric.key, pl.col("arm").is_in(list(arms)), pl.col("task").is_in(list(titles))
    )
    bounds = None
    if metric.scale == "log":
        values = pl.concat([rows[c].rename("value") for c in ("mean", "lower", "upper")]).drop_nulls()
        bounds = axes.log_domain(values)
        rows = thinning.clip_to_log_axis(rows, bounds)
    rows = thinning.downsample(rows.sort("task", "arm", "step"), ["task", "arm"], "mean", POINTS)
    task = pl.col("task").replace_strict(titles, return_dtype=pl.Enum(list(dict.fromkeys(titles.values()))))
    return thinning.round_for_screen(rows.select(task, "arm", "step", "mean", "lower", "upper", "n")), bounds
