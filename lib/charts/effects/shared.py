"""Axes, dashes and tooltips that several effect charts share."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from lib.charts import axes, style
from lib.charts.spec import ONE_ROW
from lib.study import Metric


def arm_dash(arms: Sequence[str], legend: bool = True) -> alt.StrokeDash:
    """A dash per arm, with a legend where there are several."""
    entries = alt.Legend(
        title=None, orient="bottom", symbolType="stroke", symbolStrokeColor=style.QUIET, symbolSize=300, symbolOpacity=1,
        **style.arm_labels(arms),
    )  # fmt: skip
    scale = alt.Scale(domain=list(arms), range=style.arm_dashes(arms))
    return alt.StrokeDash("arm:N", scale=scale, legend=entries if legend and len(arms) > 1 else None)


def in_percent(frame: pl.DataFrame, metric: Metric, columns: Sequence[str]) -> pl.DataFrame:
    """Changes of log metrics in percent instead of as ratio minus 1; NaN as null."""
    factor = 100.0 if metric.scale == "log" else 1.0
    return frame.with_columns((pl.col(c).fill_nan(None) * factor).alias(c) for c in columns)


def change_axis(metric: Metric, title: str, headroom: int) -> dict[str, Any]:
    """A linear y axis of changes: in percent for a log metric, else in the metric's unit."""
    unit = "%" if metric.scale == "log" else style.family_title([metric], metric.family)
    return axes.value_axis(f"{title} ({unit})", None, 0, headroom)


def step_range(steps: pl.Series, margin: float = 0.0) -> tuple[float, float] | None:
    """The lowest and highest step, with a margin that is a share of what lies between."""
    if steps.is_empty():
        return None
    low, high = float(steps.min()), float(steps.max())  # type: ignore[arg-type]
    return low - margin * (high - low), high + margin * (high - low)


def zero_rule() -> alt.Chart:
    """The line of no change."""
    return alt.Chart(ONE_ROW, name="zero").mark_rule(color=style.QUIET, aria=False).encode(y=alt.YDatum(0))


def step_tooltip() -> alt.Tooltip:
    """The step, in environment steps."""
    return alt.Tooltip("step:Q", title=axes.X_TITLES["steps"], format=",.0f")


def estimate_tooltips(field: str) -> list[alt.Tooltip]:
    """An estimate and the ends of its interval."""
    titles: dict[str, Any] = {field: alt.Undefined, "ci_low": "95% low", "ci_high": "95% high"}
    return [alt.Tooltip(f"{name}:Q", format="+.3~g", title=title) for name, title in titles.items()]


def point_at(name: str, field: str, layer: str) -> alt.TopLevelSelectionParameter:
    """A selection of the rows that share a field with the one pointed at in a layer."""
    select = alt.PointSelectionConfig(type="point", fields=[field], on="pointerover", clear="pointerout")
    return alt.TopLevelSelectionParameter(name=name, select=select, views=[layer])
