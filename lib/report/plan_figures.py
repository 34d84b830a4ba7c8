"""The figures of a plan: power over the number of runs, and the looks on the way there."""

import polars as pl

from lib import charts
from lib.effects import DESIGNS, POWER, Standing
from lib.formatting import numbers
from lib.report.figures import Figure


def power_figure(curves: pl.DataFrame, target: str) -> Figure:
    """Power over n, a line per design.

    Parameters
    ----------
    curves : as `lib.charts.power_chart` takes them.
    target : what is to be shown, in words.
    """
    text = charts.power_text(curves, POWER, target)
    return Figure(
        "Power", "power", f"Power to show {target}", text, text, lambda: curves,
        lambda **options: charts.power_chart(curves, DESIGNS, POWER, **options),
    )  # fmt: skip


def looks_figure(looks: pl.DataFrame, standing: Standing, planned: int) -> Figure:
    """The estimate after each finished run or pair, with intervals that hold at every look.

    Parameters
    ----------
    looks : columns of `lib.effects.compare.planned.LOOKS`, at least one row.
    """
    metric = standing.comparison.metric
    text = "Each interval holds at every look. There is no verdict before the planned size."
    n, *change = looks.row(-1)
    mark = "%" if metric.scale == "log" else ""
    estimate, low, high = (f"{text}{mark}" for text in numbers(change, "+"))
    description = f"{metric.name} after {n} {standing.unit}: {estimate}, between {low} and {high}."
    return Figure(
        "So far", "looks", f"{metric.name} so far", text, description, lambda: looks,
        lambda **options: charts.looks_chart(looks, metric, planned, standing.unit, **options),
    )  # fmt: skip
