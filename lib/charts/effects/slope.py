"""Each run's value before and after the detach, joined by a line."""

from collections.abc import Sequence
from typing import Unpack

import altair as alt
import polars as pl

from lib.charts import axes, style, thinning
from lib.charts.effects.shared import arm_dash, point_at
from lib.charts.metric_colors import metric_colors
from lib.charts.spec import ChartSpec, Size, layered
from lib.formatting import plural
from lib.study import Metric, Study, Task

PHASES = ("before", "after")


def slope_chart(per_run: pl.DataFrame, study: Study, task: Task, metric: Metric, **size: Unpack[Size]) -> ChartSpec:
    """Every run of a metric before and after the detach, the arms side by side, the arm's mean in bold.

    Parameters
    ----------
    per_run : columns of `lib.effects.chart_data.PER_RUN` (used: task, metric, arm, run_id, seed, before, after); other
        tasks and metrics are ignored. A control run that is compared with several arms is drawn once.

    Returns
    -------
    A layered chart. Pointing at a run shows its seed's runs in every arm. The y axis is logarithmic for a log metric,
    whose bold line joins geometric means.
    """
    runs = _runs(per_run, task, metric)
    arms = style.arm_order(runs["arm"].to_list())
    long = _phases(runs, ["arm", "run_id", "seed"], arms)
    log = metric.scale == "log"
    bounds = axes.log_domain(long["value"].drop_nulls()) if log else None
    y = axes.value_axis(style.family_title([metric], metric.family), bounds, 0, 8)
    color = metric_colors(study)[metric.key]
    dash = arm_dash(arms, legend=False)
    place = alt.X("place:N", sort=None, title=None, axis=alt.Axis(labelAngle=0, labelExpr="split(datum.label, '|')"))
    faint = alt.OpacityValue(0.4, condition={"param": "seed", "value": 1, "empty": False})
    wide = alt.StrokeWidthValue(1.5, condition={"param": "seed", "value": 3.5, "empty": False})
    tooltips = [
        alt.Tooltip("seed:N"), alt.Tooltip("arm:N"), alt.Tooltip("run_id:N", title="run"),
        alt.Tooltip("before:Q", format=".4~g"), alt.Tooltip("after:Q", format=".4~g"),
        alt.Tooltip("change:N"),
    ]  # fmt: skip
    base = alt.Chart(long, name="runs").encode(x=place, y=alt.Y("value:Q", **y), tooltip=tooltips)
    lines = base.mark_line(color=color).encode(
        detail=alt.Detail("run_id:N"), strokeDash=dash, opacity=faint, strokeWidth=wide
    )
    dots = base.properties(name="dots").mark_circle(color=color, size=45).encode(opacity=faint)
    means = (
        alt.Chart(_mean_phases(runs, arms, log), name="means")
        .mark_line(color=color, strokeWidth=4, point={"size": 90, "filled": True, "color": color})
        .encode(x=place, y=alt.Y("value:Q", **y), strokeDash=dash, detail=alt.Detail("arm:N"))
    )
    return layered([lines, dots, means], params=[point_at("seed", "seed", "dots")], **size)


def _runs(per_run: pl.DataFrame, task: Task, metric: Metric) -> pl.DataFrame:
    rows = per_run.filter(pl.col("task") == task.key, pl.col("metric") == metric.key)
    return rows.unique(["arm", "run_id"], keep="first", maintain_order=True)


def _phases(runs: pl.DataFrame, keys: list[str], arms: Sequence[str]) -> pl.DataFrame:
    """Two rows per run: its place on the x axis (`before|detached`) and its value there."""
    pct = 100 * (pl.col("after") / pl.col("before") - 1)
    text = pl.format("{}%", pct.round(1)) if len(runs) else pl.lit("")
    rows = runs.with_columns(pl.col("before", "after").round_sig_figs(thinning.DIGITS))
    rows = rows.with_columns(pl.when(pl.col("before") > 0).then(text).otherwise(pl.lit("–")).alias("change"))
    order = pl.Enum([f"{phase}|{arm}" for arm in arms for phase in PHASES])
    return (
        pl.concat(
            rows.select(
                *keys, "before", "after", "change", pl.col(phase).alias("value"),
                pl.format("{}|{}", pl.lit(phase), "arm").alias("place"),
            )
            for phase in PHASES
        )
        .with_columns(pl.col("place").cast(order))
        .sort("place", "run_id" if "run_id" in keys else "arm")
    )  # fmt: skip


def _mean_phases(runs: pl.DataFrame, arms: Sequence[str], log: bool) -> pl.DataFrame:
    """The arms' means (geometric for log metrics) as `_phases`."""
    # Without a value on both sides a run is in neither mean.
    whole = runs.drop_nulls(list(PHASES))
    center = [pl.col(p).log().mean().exp() if log else pl.col(p).mean() for p in PHASES]
    return _phases(whole.group_by("arm").agg(center), ["arm"], arms)


def slope_text(per_run: pl.DataFrame, task: Task, metric: Metric) -> str:
    """The takeaway of `slope_chart`: how many runs of each arm rose."""
    runs = _runs(per_run, task, metric).drop_nulls(list(PHASES))
    if runs.is_empty():
        return f"{metric.name} on {task.title}: no run has values on both sides of the detach."
    counts = []
    for arm in style.arm_order(runs["arm"].to_list()):
        rows = runs.filter(pl.col("arm") == arm)
        rose = rows.filter(pl.col("after") > pl.col("before")).height
        counts.append(f"rose in {rose} of {plural(rows.height, f'{arm} run')}")
    return f"{metric.name} on {task.title}: {', '.join(counts)}."
