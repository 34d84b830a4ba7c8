"""Effects with their intervals, one row per claim."""

import math
from collections.abc import Callable
from typing import Unpack

import altair as alt
import polars as pl

from lib.charts import style
from lib.charts.axes import nice_step
from lib.charts.spec import ChartSpec, Size, layered
from lib.formatting import plural
from lib.study import Study

#: Colours and shapes by what may be said, as in the Overview's matrix: good and bad are not green and red.
_GOOD, _BAD = ("#0072B2", "circle"), ("#D55E00", "diamond")
VERDICTS = {
    "supported": _GOOD,
    "equivalent": _GOOD,
    "no worse": _GOOD,
    "contradicted": _BAD,
    "worse": _BAD,
    "jump shown": ("#d860fc", "square"),
    "not shown": (style.QUIET, "circle"),
    "cannot say": (style.QUIET, "M-1,0h.5M-.25,0h.5M.5,0h.5"),
}
#: Drawn as a ring.
_HOLLOW = "not shown"
_ALL_TASKS = "*"
#: Between the task and the metric of a label.
_BETWEEN = " · "
_ON_AXIS = ("pct", "low", "high", "margin_low", "margin_high")
#: Pixels of the claims' legend, and of their axis with its title; of a claim, without and with a reason below its interval.
AROUND = 130
CLAIM, REASON = 42, 56
#: Pixels of a sign of a label, and between labels and intervals.
_SIGN, _GAP = 6.4, 12


def percent_effects(effects: pl.DataFrame, study: Study) -> pl.DataFrame:
    """Rows of effects on one scale, percent, for the forest plot, those across tasks (task `*`) first.

    Log metrics: change and interval times 100. Linear metrics: the interval in the unit of change_pct, that is times
    change_pct / change; across tasks in percent of the metric's range. Where no percent can be said, `pct`, `low` and
    `high` are null and `note` says why.

    Parameters
    ----------
    effects : columns of effects.csv, and `size`, each change with its interval as text.

    Returns
    -------
    Frame: label, title (the label with the size), task, metric, arm, verdict, pct, low, high, margin_low, margin_high
    (the ends of the margin), note, text.
    """
    logged = pl.col("metric").is_in([m.key for m in study.metrics if m.scale == "log"])
    is_across = pl.col("task") == _ALL_TASKS
    titles = {_ALL_TASKS: "Across tasks"} | {t.key: t.title for t in study.tasks}
    names = {m.key: m.name for m in study.metrics}
    ratio = pl.when(pl.col("change") != 0).then(pl.col("change_pct") / pl.col("change"))
    factor = pl.when(logged | is_across).then(100.0).otherwise(ratio)
    rows = effects.filter(pl.col("task").is_in(list(titles)) & pl.col("metric").is_in(list(names)))
    rows = rows.filter(~is_across | pl.col("change").is_not_null())
    arm = pl.format(" ({})", "arm") if rows["arm"].n_unique() > 1 else pl.lit("")
    percent_factor = pl.when(pl.col("change").is_not_null()).then(factor)
    below = pl.when(logged).then(pl.col("margin") / (1 + pl.col("margin"))).otherwise("margin")
    label = pl.concat_str(pl.col("task").replace(titles), pl.lit(_BETWEEN), pl.col("metric").replace(names), arm)
    why = pl.col("reasons").fill_null("")
    own_unit = pl.concat_str(
        pl.lit("in its own unit"), pl.when(why != "").then(pl.format("; {}", why)).otherwise(pl.lit(""))
    )
    return rows.sort(~is_across, maintain_order=True).select(
        label.alias("label"),
        pl.concat_str(label, pl.lit(": "), pl.col("size")).str.strip_chars_end(": ").alias("title"),
        "task",
        "metric",
        "arm",
        "verdict",
        (pl.col("change") * percent_factor).alias("pct"),
        (pl.col("ci_low") * percent_factor).alias("low"),
        (pl.col("ci_high") * percent_factor).alias("high"),
        (-below * percent_factor).alias("margin_low"),
        (pl.col("margin") * percent_factor).alias("margin_high"),
        pl.when(pl.col("change").is_not_null() & percent_factor.is_null()).then(own_unit).otherwise(why).alias("note"),
        pl.format("{}: {}", pl.col("verdict").fill_null(""), "size").str.strip_chars_end(": ").alias("text"),
        "size",
    )


def forest_chart(effects: pl.DataFrame, study: Study, **size: Unpack[Size]) -> ChartSpec:
    """Every claim of the study on one percent axis: estimate, 95% interval, verdict; refused ones are said to be so.

    Parameters
    ----------
    effects : columns of effects.csv, with the verdicts that readers see, and `size`.
    size : without a width it is for a page, whose chart says its whole height, so that the page can keep it free.

    Returns
    -------
    A layered chart with a row per task, metric and arm. Intervals that would squeeze all others end at the axis' edge.
    """
    rows = percent_effects(effects, study)
    reach = _reach(rows)
    note = pl.when(pl.col("note").str.len_chars() > 160).then(pl.col("note").str.slice(0, 160) + "…").otherwise("note")
    clipped = rows.with_columns(pl.col(_ON_AXIS).clip(-reach, reach).round(3), note.alias("note"))
    y = alt.Y("label:N", sort=rows["label"].to_list(), title=None, axis=None)
    unsaid = clipped.filter((pl.col("verdict") == "cannot say") | pl.col("pct").is_null())
    # A reason below an interval needs room, or it seems to belong to the next claim.
    step = REASON if unsaid["pct"].count() else CLAIM
    left = _label_width(rows)
    return layered(
        [*_intervals(clipped, y, reach, left), *_claim_texts(clipped, unsaid, y, left)],
        **({"height": {"step": step} if "width" in size else step * rows.height + AROUND} | size),
    )


_CLAIM_TOOLTIPS = [
    alt.Tooltip("label:N", title="claim"), alt.Tooltip("text:N", title="change"), alt.Tooltip("note:N", title="why"),
]  # fmt: skip


def _label_width(rows: pl.DataFrame) -> int:
    """Pixels of the column of labels, whose task and metric have a line each."""
    return (
        math.ceil(_SIGN * max((len(line) for title in rows["title"] for line in title.split(_BETWEEN)), default=0))
        + _GAP
    )


def _beside(left: int, wide: str, narrow: str) -> str:
    """An expression of where labels are beside their intervals: a phone has no room for that."""
    return f"width >= {2 * left} ? {wide} : {narrow}"


def _intervals(rows: pl.DataFrame, y: alt.Y, reach: float, left: int) -> list[alt.Chart]:
    """The line of no change, and an interval and an estimate per claim in the colour of its verdict."""
    begin = alt.ExprRef(_beside(left, str(left), "0"))
    across = alt.Scale(domain=[-reach, reach], nice=False, range=[begin, alt.ExprRef("width")])
    title, axis = _axis_title(rows), alt.Axis(values=_ticks(reach))

    def x(column: str) -> alt.X:
        return alt.X(f"{column}:Q", title=title, scale=across, axis=axis)

    looks = {verdict: look for verdict, look in VERDICTS.items() if verdict in set(rows["verdict"])}
    verdicts, shapes = (alt.Scale(domain=list(looks), range=[look[i] for look in looks.values()]) for i in (0, 1))
    fills = alt.Scale(
        domain=list(looks),
        range=["transparent" if verdict == _HOLLOW else color for verdict, (color, _) in looks.items()],
    )
    columns = alt.ExprRef(f"width < 420 ? 2 : {len(looks)}")
    legend = alt.Legend(title=None, orient="top", columns=columns)
    color = alt.Color("verdict:N", scale=verdicts, legend=legend)
    base = alt.Chart(rows).encode(y=y, tooltip=_CLAIM_TOOLTIPS)
    dashes = alt.Scale(domain=list(looks), range=[[3, 3] if verdict == "cannot say" else [1, 0] for verdict in looks])
    bars = (
        base.properties(name="interval")
        .mark_rule(strokeWidth=3, clip=True)
        .encode(
            x=x("low"),
            x2=alt.X2("high:Q"),
            color=color,
            strokeDash=alt.StrokeDash("verdict:N", scale=dashes, legend=None),
        )
    )
    dots = (
        base.properties(name="estimate")
        .mark_point(size=110, strokeWidth=2, opacity=1, clip=True)
        .encode(
            x=x("pct"),
            color=color,
            fill=alt.Fill("verdict:N", scale=fills, legend=legend),
            shape=alt.Shape("verdict:N", scale=shapes, legend=legend),
        )
    )
    ground = _ground(rows, y, x)
    return [*_references(rows, y, x), bars, *([ground] if _HOLLOW in looks else []), dots]


def _references(rows: pl.DataFrame, y: alt.Y, x: Callable[[str], alt.X]) -> list[alt.Chart]:
    """What an interval is held against: the margin, where there is one, and no change."""
    # In pieces, so that it crosses no label.
    zero = (
        alt.Chart(rows.drop_nulls("pct"), name="zero")
        .mark_tick(color=style.QUIET, thickness=1, size=18, orient="vertical")
        .encode(y=y, x=alt.XDatum(0))
    )
    margin = (
        alt.Chart(rows.drop_nulls("margin_low"), name="margin")
        .mark_rule(color=style.QUIET, strokeWidth=18, opacity=0.2, clip=True)
        .encode(
            y=y,
            x=x("margin_low"),
            x2="margin_high:Q",
            tooltip=_CLAIM_TOOLTIPS,
        )
    )
    return [*([margin] if rows["margin_low"].count() else []), zero]


def _ground(rows: pl.DataFrame, y: alt.Y, x: Callable[[str], alt.X]) -> alt.Chart:
    """The ground of the rings: they show the page's, not the interval that they lie on."""
    return (
        alt.Chart(rows.filter(pl.col("verdict") == _HOLLOW), name="ground")
        .mark_point(size=110, opacity=1, fill=alt.ExprRef("background"), stroke=None, clip=True)
        .encode(y=y, x=x("pct"))
    )


def _ticks(reach: float) -> list[float]:
    """Ticks of the percent axis, 0 among them; left to itself it leaves out labels that are too near, and 0 with them."""
    step = nice_step(2 * reach, 8)
    return [float(f"{i * step:.6g}") for i in range(-int(reach / step), int(reach / step) + 1)]


def _axis_title(rows: pl.DataFrame) -> list[str]:
    """What is on the axis, in lines."""
    has_range = rows["size"].str.ends_with("of the range").any()
    return [
        "Change (% of the level" + ("; of the range where it says so)" if has_range else ")"),
        *(["shaded: the margin"] if rows["margin_low"].count() else []),
    ]


def _claim_texts(rows: pl.DataFrame, unsaid: pl.DataFrame, y: alt.Y, left: int) -> list[alt.Chart]:
    """What each claim is called, and why one cannot be said."""
    limit = alt.ExprRef(_beside(left, str(left - _GAP), "width - 4"))
    # Beside its interval, and on a phone, the task and the metric have a line each.
    long = f"{_SIGN} * length(datum.title) > width"
    lines = alt.ExprRef(f"({_beside(left, 'true', long)}) ? split(datum.title, '{_BETWEEN}') : datum.title")
    size = alt.ExprRef(_beside(left, "12", "11"))
    above = alt.ExprRef(_beside(left, "0", f"({long} ? -20 : -8)"))
    begin = alt.XValue(alt.ExprRef(_beside(left, str(left), "0")))
    room = alt.ExprRef(_beside(left, f"width - {left}", "width - 4"))
    below = alt.ExprRef(f"isValid(datum.pct) ? 13 : {_beside(left, '0', '1')}")
    named = (
        alt.Chart(rows, name="labels")
        .mark_text(align="left", baseline="bottom", dx=2, dy=above, style=style.QUIET_TEXT, limit=limit, fontSize=size)
        .encode(y=y, x=alt.XValue(0), text=alt.TextValue(lines), tooltip=_CLAIM_TOOLTIPS)
    )
    refused = (
        alt.Chart(unsaid, name="refused")
        .mark_text(align="left", dx=2, dy=below, fontStyle="italic", style=style.QUIET_TEXT, limit=room)
        .encode(y=y, x=begin, text=alt.Text("note:N"), tooltip=_CLAIM_TOOLTIPS)
    )
    return [named, refused]


def _reach(rows: pl.DataFrame) -> float:
    """Half the width of the percent axis: twice the largest effect, or every interval where that is less."""
    ends = [float(v) for c in ("pct", "low", "high") for v in rows[c].drop_nulls().abs().to_list()]
    effects = [float(v) for v in rows["pct"].drop_nulls().abs().to_list()]
    if not ends:
        return 100.0
    return round(max(10.0, min(max(ends), max(2 * max(effects, default=0.0), 20.0)) * 1.08), 1)


def forest_text(effects: pl.DataFrame, study: Study) -> str:
    """The takeaway of the forest plot: how many claims got which verdict, and the largest supported one."""
    rows = percent_effects(effects, study)
    counts = [f"{n} {v}" for v in VERDICTS if (n := rows.filter(pl.col("verdict") == v).height)]
    text = f"{plural(rows.height, 'claim')}: {', '.join(counts)}."
    best = rows.filter(pl.col("verdict") == "supported", pl.col("pct").is_not_null()).sort(pl.col("pct").abs())
    if best.is_empty():
        return text
    return f"{text} Largest supported change: {best['label'][-1]}, {best['size'][-1]}."
