"""The figures of a plan: power over the number of runs."""

from collections.abc import Sequence

import polars as pl

from lib import charts
from lib.effects import POWER
from lib.report.figures import Figure


def power_figure(curves: pl.DataFrame, lines: Sequence[str], target: str) -> Figure:
    """Power over n, a line per design.

    Parameters
    ----------
    curves : as `lib.charts.power_chart` takes them.
    lines : the names of all lines that can be shown.
    target : what is to be shown, in words.
    """
    text = charts.power_text(curves, POWER, target)
    return Figure(
        "Power", "power", f"Power to show {target}", text, text, lambda: curves,
        lambda **options: charts.power_chart(curves, lines, POWER, **options),
    )  # fmt: skip
