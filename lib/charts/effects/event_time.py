"""Curves of several tasks on one axis: steps since the detach."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from lib.charts import axes, detach_rule, style, thinning
from lib.charts.effects.shared import arm_dash, step_range
from lib.charts.spec import ONE_ROW, ChartSpec, layered
from lib.charts.style import Width
from lib.charts.thinning import POINTS
from lib.curves import View
from lib.study import Metric, Study


def event_time_chart(
    curves: pl.DataFrame,
    study: Study,
    metric: Metric,
    arms: Sequence[str],
    *,
    view: View,
    width: Width = "container",
    height: int = 340,
    title: str | None = None,
) -> ChartSpec:
    """Event time: a metric's curves of every task on one axis that counts from the detach.

    A colour per task, a dash per arm: detached against control, or several detach steps against each other.

    Parameters
    ----------
    curves : as `lib.curves.curves` gives them for a view whose x is `since` or `since_percent`.
    arms : the arms to draw.
    """
    titles = {t.key: t.title for t in study.tasks}
    table, bounds = _since_table(curves, metric, arms, titles)
    tasks = [titles[key] for key in titles if titles[key] in set(table["task"])]
    y = axes.value_axis(style.family_title([metric], metric.family), bounds, 0, axes.HEADROOM, None)
    x = alt.X("step:Q", **axes.step_axis(view, step_range(table["step"])))
    color = alt.Color(
        "task:N",
        scale=alt.Scale(domain=tasks, range=[style.PALETTE[i % len(style.PALETTE)] for i in range(len(tasks))]),
        legend=alt.Legend(
            title=None, orient="top", symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2.5,
            **style.legend_columns(tasks),
        ),
    )  # fmt: skip
    dash = arm_dash(style.arm_order(table["arm"].to_list()))
    base = alt.Chart(table)
    band = (
        base.properties(name="band").mark_area(opacity=0.2, clip=True)
        .encode(x=x, y=alt.Y("lower:Q", **y), y2=alt.Y2("upper:Q"), color=color, detail=alt.Detail("arm:N"))
    )  # fmt: skip
    line = (
        base.properties(name="line").mark_line(strokeWidth=2, clip=True)
        .encode(x=x, y=alt.Y("mean:Q", **y), color=color, strokeDash=dash)
    )  # fmt: skip
    tooltips = [
        alt.Tooltip("task:N"),
        alt.Tooltip("arm:N"),
        alt.Tooltip("step:Q", title=axes.X_TITLES[view.x], format=",.4~g"),
        *_means(),
        alt.Tooltip("n:Q"),
    ]
    touch = (
        base.properties(name="touch").mark_circle(size=90, opacity=0, clip=True)
        .encode(x=x, y=alt.Y("mean:Q", **y), tooltip=tooltips)
    )  # fmt: skip
    layers = [band, line, touch, *_rule_at_zero()]
    return layered(layers, width=width, height=height, title=style.heading(title))


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


def _rule_at_zero() -> list[alt.Chart]:
    """The detach, where it is the origin of x."""
    rule = alt.Chart(ONE_ROW, name="detach_rule").encode(x=alt.XDatum(0))
    label = alt.Chart(ONE_ROW, name="detach_label").encode(x=alt.XDatum(0), y=alt.YValue(4))
    return [
        label.mark_text(
            text=detach_rule.RULE_LABEL, align="left", baseline="top", dx=6, style=style.RULE_TEXT, clip=True
        ),
        rule.mark_rule(color=style.RULE_COLOR, strokeWidth=2, strokeDash=[6, 4], clip=True, aria=False),
    ]


def _means() -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{c}:Q", format=".4~g") for c in ("mean", "lower", "upper")]
