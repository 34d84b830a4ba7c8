"""The power of a test over the number of runs, a line per design."""

from collections.abc import Sequence
from typing import Unpack

import altair as alt
import polars as pl

from lib.charts import style
from lib.charts.spec import ONE_ROW, ChartSpec, Size, layered

#: The fewest sizes that are drawn, and how far beyond the largest that is marked, as a factor.
_FEWEST, _MORE = 12, 1.3
#: The part of the axis within which two numbers would stand on each other.
_CLOSE = 0.15
_TOOLTIPS = [
    alt.Tooltip("line:N", title="design"),
    alt.Tooltip("n:Q"),
    alt.Tooltip("power:Q", format=".1%"),
    alt.Tooltip("runs:Q", format=","),
    alt.Tooltip("steps:Q", title="environment steps", format=","),
]


def power_chart(curves: pl.DataFrame, designs: Sequence[str], level: float, **size: Unpack[Size]) -> ChartSpec:
    """Power over n, with a rule at the power to plan for and the n that reaches it marked on each line.

    Parameters
    ----------
    curves : columns `line`, `design`, `several` (whether it is of several tasks), `n`, `power` (0 to 1), `runs` and
        `steps` (environment steps), a row per n of each line.
    designs : all designs, which have their colours by their places; a line of several tasks is dashed.
    level : the power to plan for.

    Returns
    -------
    A layered chart up to a little more than the largest n that is marked.
    """
    least = curves.filter(pl.col("power") >= level).group_by("line", maintain_order=True).agg(pl.all().first())
    last = int(curves["n"].max() or 0)  # type: ignore[arg-type]
    most = min(last, max(_FEWEST, int(_MORE * max(least["n"].to_list(), default=last))))
    rows = curves.filter(pl.col("n") <= most)
    first = int(rows["n"].min() or 0)  # type: ignore[arg-type]
    x = alt.X(
        "n:Q",
        title="Fork pairs, or seeds per arm",
        scale=alt.Scale(domain=[first, most], nice=False),
        axis=alt.Axis(format="d", tickMinStep=1, grid=False),
    )
    y = alt.Y("power:Q", title="Power", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    color, dash = _line_styles(rows, designs)
    base = alt.Chart(rows).encode(x=x, y=y, color=color)
    rule = alt.Chart(ONE_ROW, name="level").mark_rule(color=style.QUIET, strokeDash=[4, 4], aria=False)
    line = base.properties(name="line").mark_line(strokeWidth=2.5, clip=True)
    line = line.encode(strokeDash=dash)
    touch = base.properties(name="touch").mark_circle(size=90, opacity=0, clip=True).encode(tooltip=_TOOLTIPS)
    needed = alt.Chart(least).encode(x=x, y=y)
    dot = needed.properties(name="needed").mark_circle(size=90, opacity=1).encode(color=color, tooltip=_TOOLTIPS)
    # Below the rule, to the right of the dot: there no line that grows goes, and the rule crosses no number.
    labels = alt.Chart(_labels(least["n"].unique().sort().to_list(), most - first), name="label")
    label = labels.encode(x=x, y=alt.YDatum(level)).mark_text(
        align="left", baseline="top", dx=6, dy=4, style=style.QUIET_TEXT, fontSize=12
    )
    layers = [rule.encode(y=alt.YDatum(level)), line, dot, label.encode(text="text:N"), touch]
    return layered(layers, **({"height": 340} | size))


def _labels(sizes: Sequence[int], extent: int) -> pl.DataFrame:
    """The sizes that are marked, as text at their places; those too close for a phone stand at the last of them: `8, 17`."""
    groups = list[list[int]]()
    for n in sizes:
        if groups and n - groups[-1][-1] < _CLOSE * extent:
            groups[-1].append(n)
        else:
            groups.append([n])
    rows = [(group[-1], ", ".join(f"{n:,}" for n in group)) for group in groups]
    return pl.DataFrame(rows, schema={"n": pl.Int64, "text": pl.String}, orient="row")


def power_text(curves: pl.DataFrame, level: float, target: str) -> str:
    """The takeaway of `power_chart`: the n of every line that reaches the power."""
    least = curves.filter(pl.col("power") >= level).group_by("line", maintain_order=True).agg(pl.col("n").first())
    if least.is_empty():
        return f"No design shows {target} in {level:.0%} of studies of this size."
    parts = "; ".join(f"{line} {n}" for line, n in least.rows())
    return f"Power to show {target} over the number of runs. {level:.0%} needs: {parts}."


def _line_styles(curves: pl.DataFrame, designs: Sequence[str]) -> tuple[alt.Color, alt.StrokeDash]:
    """The colour of each line, by its design, and its dashes, with one legend."""
    looks = curves.unique("line", keep="first", maintain_order=True).select("line", "design", "several").rows()
    names = [line for line, _, _ in looks]
    legend = alt.Legend(
        title=None, orient="top", symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2.5, symbolSize=300,
        columns=style.legend_columns(names), labelLimit=260, rowPadding=1,
    )  # fmt: skip
    colors = [style.PALETTE[designs.index(design)] for _, design, _ in looks]
    dashes = [style.CONTROL_DASH if several else style.DASHES[0] for *_, several in looks]
    return (
        alt.Color("line:N", scale=alt.Scale(domain=names, range=colors), legend=legend),
        alt.StrokeDash("line:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
    )
