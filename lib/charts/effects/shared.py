"""Helpers that several effect charts share."""

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import polars as pl

from lib.charts import axes
from lib.charts import style as parts
from lib.study import Metric

Width = int | Literal["container"]


def _arm_dash(arms: Sequence[str]) -> alt.StrokeDash:
    """A dash an arm, with a legend where there are several."""
    show = alt.Legend(
        title=None, orient="bottom", symbolType="stroke", symbolStrokeColor=parts.QUIET, symbolSize=300, symbolOpacity=1
    )
    return alt.StrokeDash(
        "arm:N",
        scale=alt.Scale(domain=list(arms), range=parts.arm_dashes(arms)),
        legend=show if len(arms) > 1 else None,
    )


def _scaled(frame: pl.DataFrame, metric: Metric, columns: Sequence[str]) -> pl.DataFrame:
    """Changes of log metrics in percent instead of as ratio minus 1; NaN as null."""
    factor = 100.0 if metric.scale == "log" else 1.0
    return frame.with_columns((pl.col(c).fill_nan(None) * factor).alias(c) for c in columns)


def _unit(metric: Metric, text: str) -> str:
    return f"{text} (%)" if metric.scale == "log" else text


def _change_axis(metric: Metric, what: str, headroom: int) -> dict[str, Any]:
    unit = "%" if metric.scale == "log" else parts.family_title([metric], metric.family)
    return axes.value_axis(f"{what} ({unit})", None, 0, headroom, None)


def _range(steps: pl.Series, margin: float = 0.0) -> tuple[float, float] | None:
    if steps.is_empty():
        return None
    low, high = float(steps.min()), float(steps.max())  # type: ignore[arg-type]
    return low - margin * (high - low), high + margin * (high - low)


def _zero() -> alt.Chart:
    return (
        alt.Chart(alt.InlineData(values=[{}]), name="zero")
        .mark_rule(color=parts.QUIET, aria=False)
        .encode(y=alt.YDatum(0))
    )


def _steps(field: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", title=axes.X_TITLES["steps"], format=",.0f")


def _estimates(field: str) -> list[alt.Tooltip]:
    ends = (("ci_low", "95% low"), ("ci_high", "95% high"))
    return [alt.Tooltip(f"{field}:Q", format="+.3~g")] + [
        alt.Tooltip(f"{c}:Q", format="+.3~g", title=title) for c, title in ends
    ]
