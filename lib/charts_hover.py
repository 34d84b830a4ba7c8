"""What a curve chart shows beside its curves: one tooltip over every series at a step, and the strip of n."""

import altair as alt
import numpy as np
import polars as pl

from lib.charts_parts import QUIET, QUIET_TEXT

SLOTS = 240  # positions of the pointer that a chart tells apart, about one in four pixels
TEXTS = 1200  # of the tooltip in all: many series share fewer positions
STRIP_SLOTS = 100
MISSING = "–"

Series = tuple[str, str]


def number(value: float, log: bool) -> str:
    """A value for a tooltip: three digits that matter, scientific on a log axis (3.1e-3)."""
    if log:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:,.3g}"


def hover_table(curves: pl.DataFrame, order: list[Series], log: bool, split: float | None = None) -> pl.DataFrame:
    """The text of every series at up to `SLOTS` steps, precomputed: columns step, s0, s1, … in the given order.

    Series are logged at different steps: each shows its own nearest point, never one from the other side of the
    detach, and a dash where it has none within its own spacing.

    Parameters
    ----------
    curves : metric, arm, step, mean, lower, upper, n.
    order : the series as (metric, arm).
    split : the detach step on the x axis, or None.
    """
    steps = curves["step"].unique().sort().to_numpy()
    at = _slots(steps, max(60, min(SLOTS, TEXTS // max(len(order), 1))))
    spacing = (at[-1] - at[0]) / max(len(at) - 1, 1) if len(at) else 0.0
    columns = {"step": at}
    for i, (metric, arm) in enumerate(order):
        rows = curves.filter(pl.col("metric") == metric, pl.col("arm") == arm, pl.col("mean").is_not_null())
        texts = np.array([_text(r, log) for r in rows.select("mean", "lower", "upper", "n").iter_rows()] + [MISSING])
        columns[f"s{i}"] = texts[_nearest(rows["step"].to_numpy(), at, spacing, split)]
    return pl.DataFrame(columns)


def _text(row: tuple[float, float | None, float | None, int], log: bool) -> str:
    mean, lower, upper, n = row
    band = "" if lower is None or upper is None else f" [{number(lower, log)}, {number(upper, log)}]"
    return f"{number(mean, log)}{band}, n = {n}"


def _slots(steps: np.ndarray, most: int) -> np.ndarray:
    """At most this many of the sorted steps, evenly spread."""
    if len(steps) <= most:
        return steps
    even = np.linspace(steps[0], steps[-1], most)
    return np.unique(steps[np.searchsorted(steps, even).clip(0, len(steps) - 1)])


def _nearest(steps: np.ndarray, at: np.ndarray, spacing: float, split: float | None) -> np.ndarray:
    """For each position the index of the nearest step on its side of the split, -1 where none is near."""
    found = np.full(len(at), -1)
    reach = 0.75 * max(spacing, float(np.median(np.diff(steps))) if len(steps) > 1 else 0.0)
    after, wanted = (steps > split, at > split) if split is not None else (steps < -np.inf, at < -np.inf)
    for side in (False, True):
        mine, index = steps[after == side], np.flatnonzero(after == side)
        if not len(mine):
            continue
        right = np.searchsorted(mine, at).clip(0, len(mine) - 1)
        left = (right - 1).clip(0)
        best = np.where(np.abs(mine[left] - at) <= np.abs(mine[right] - at), left, right)
        near = (wanted == side) & (np.abs(mine[best] - at) <= reach)
        found[near] = index[best[near]]
    return found


def hover_layer(
    curves: pl.DataFrame, order: list[Series], x: dict, log: bool, split: float | None, prefix: str
) -> alt.Chart:
    """One rule that follows the pointer, with the values of every metric and arm at that step in its tooltip."""
    table = hover_table(curves, order, log, split)
    several = len({arm for _, arm in order}) > 1
    # The arm comes first: a page cuts long names off at their end.
    names = [(f"s{i}", f"{arm}: {metric}" if several else metric) for i, (metric, arm) in enumerate(order)]
    tips = [alt.Tooltip("step:Q", title=x["title"], format=",.6~g")]
    tips += [alt.Tooltip(f"{column}:N", title=name) for column, name in names]
    return (
        alt.Chart(table, name=f"{prefix}_hover_rule")
        .mark_rule(color=QUIET, clip=True)
        .encode(
            x=alt.X("step:Q", **x),
            opacity=alt.OpacityValue(0, condition={"param": "hover", "value": 0.8, "empty": False}),
            tooltip=tips,
        )
    )


def n_table(curves: pl.DataFrame, order: list[Series]) -> pl.DataFrame:
    """Stretches of steps over which a series has the same n.

    Returns
    -------
    Frame: metric, arm, step, end, least and most n of the stretch, share (their mean over the most seeds the arm
    has anywhere), row (the series' index in `order`). Steps are grouped into `STRIP_SLOTS` spans first.
    """
    low, high = curves["step"].min(), curves["step"].max()
    width = ((float(high) - float(low)) or 1.0) / STRIP_SLOTS if low is not None else 1.0  # type: ignore[arg-type]
    most = curves.group_by("arm").agg(pl.col("n").max().alias("of"))
    rows = pl.DataFrame(
        [(m, a, i) for i, (m, a) in enumerate(order)], schema={"metric": pl.String, "arm": pl.String, "row": pl.Int32},
        orient="row",
    )  # fmt: skip
    series = ["metric", "arm"]
    return (
        curves.filter(pl.col("mean").is_not_null())
        .with_columns(((pl.col("step") - (low or 0)) / width).floor().clip(0, STRIP_SLOTS - 1).alias("slot"))
        .group_by(*series, "slot")
        .agg(pl.col("step").min(), pl.col("n").min().alias("least"), pl.col("n").max().alias("most"))
        .sort(*series, "slot")
        .with_columns(pl.struct("least", "most").rle_id().over(series).alias("stretch"))
        .with_columns(pl.col("step").shift(-1).over(series).fill_null(high).alias("end"))
        .group_by(*series, "stretch", "least", "most")
        .agg(pl.col("step").min(), pl.col("end").max())
        .join(most, on="arm")
        .with_columns(((pl.col("least") + pl.col("most")) / 2 / pl.col("of")).alias("share"))
        .with_columns(pl.col("metric", "arm").cast(pl.String))
        .join(rows, on=series)
        .sort("row", "step")
        .select(*series, "step", "end", "least", "most", "of", "share", "row")
    )


def strip_layers(
    curves: pl.DataFrame, order: list[Series], color: alt.Color, height: int | None, prefix: str
) -> list[alt.Chart]:
    """A bar a series at the foot of the plot, paler where seeds are missing, and the label "n".

    The bars lie in the same view as the curves (placed in pixels), so they stretch and zoom with it; a
    concatenated strip would not take its container's width.

    Parameters
    ----------
    height : of the plot in pixels, or None where the page decides it.
    """
    table = n_table(curves, order)
    same = pl.col("least") == pl.col("most")
    span = pl.format("{} to {} of {}", "least", "most", "of")
    text = pl.when(same).then(pl.format("{} of {}", "least", "of")).otherwise(span)
    foot = 5 * len(order)
    bottom = "height" if height is None else str(height)
    bars = table.select(
        pl.col("metric", "arm").cast(pl.Categorical), pl.col("step", "end").round(3), text.cast(pl.Categorical).alias("seeds"),
        pl.col("share").round(3), (foot + 2 - 5 * pl.col("row")).cast(pl.Int32).alias("up"),
    )  # fmt: skip
    tips = [
        alt.Tooltip("metric:N"), alt.Tooltip("arm:N"), alt.Tooltip("seeds:N", title="n"),
        alt.Tooltip("step:Q", title="from", format=",.6~g"), alt.Tooltip("end:Q", title="to", format=",.6~g"),
    ]  # fmt: skip
    strip = (
        alt.Chart(bars, name=f"{prefix}_n_strip")
        .transform_calculate(top=f"{bottom} - datum.up", foot=f"{bottom} - datum.up + 3")
        .mark_rect(clip=True)
        .encode(
            x=alt.X("step:Q"),
            x2=alt.X2("end:Q"),
            y=alt.Y("top:Q", scale=None),
            y2=alt.Y2("foot:Q"),
            color=color,
            opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.08, 0.6]), legend=None),
            tooltip=tips,
        )
    )
    most = {int(n) for n in table["of"]}
    label = (
        alt.Chart(alt.InlineData(values=[{}]), name=f"{prefix}_n_label")
        .mark_text(align="right", baseline="middle", style=QUIET_TEXT, fontSize=10, clip=False)
        .encode(
            x=alt.XValue(-6),
            y=alt.YValue(alt.ExprRef(f"height - {foot / 2}") if height is None else height - foot / 2),
            text=alt.TextValue(f"n of {most.pop()}" if len(most) == 1 else "n"),
        )
    )
    return [strip, label]
