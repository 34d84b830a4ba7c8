"""Charts of effects: every seed before and after, effects with their intervals, reward against loss."""

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import polars as pl

from lib import charts_parts as parts
from lib.charts_evidence import curves_since_detach, difference_chart, jump_chart, placebo_chart, placebo_text
from lib.study import Metric, Study, Task

__all__ = [
    "VERDICTS",
    "curves_since_detach",
    "difference_chart",
    "effects_text",
    "forest_chart",
    "jump_chart",
    "percent_effects",
    "placebo_chart",
    "placebo_text",
    "quadrant_chart",
    "quadrant_points",
    "quadrant_text",
    "slope_chart",
    "slope_text",
]  # fmt: skip

Width = int | Literal["container"]

#: Colours by what may be said, told apart by every kind of colour vision; good and bad are not green and red.
VERDICTS = {"supported": "#0072B2", "contradicted": "#D55E00", "not shown": "#888888", "cannot say": "#BBBBBB"}
PHASES = ("before", "after")
#: Pixels of the claims' legend, and of their axis with its title.
AROUND = 130


def slope_chart(
    per_run: pl.DataFrame,
    study: Study,
    task: Task,
    metric: Metric,
    *,
    width: Width = "container",
    height: int = 300,
    title: str | None = None,
) -> alt.LayerChart:
    """Every run of a metric before and after the detach, the arms side by side, the arm's mean in bold.

    Parameters
    ----------
    per_run : columns of `lib.effects_frames.PER_RUN` (used: task, metric, arm, run_id, seed, before, after); other
        tasks and metrics are ignored. A control run that is compared with several arms is drawn once.

    Returns
    -------
    A layered chart. Pointing at a run shows its seed's runs in every arm. The y axis is logarithmic for a log metric,
    whose bold line joins geometric means.
    """
    runs = _runs(per_run, task, metric)
    arms = parts.arm_order(runs["arm"].to_list())
    long = _phases(runs, ["arm", "run_id", "seed"], arms)
    log = metric.scale == "log"
    bounds = parts.log_domain(long["value"].drop_nulls()) if log else None
    y = parts.value_axis(parts.family_title([metric], metric.family), bounds, 0, 8, None)
    color = parts.metric_colors(study)[metric.key]
    near = alt.selection_point(
        name="seed", fields=["seed"], on="pointerover", clear="pointerout", nearest=False, empty=False
    )
    place = alt.X("place:N", sort=None, title=None, axis=alt.Axis(labelAngle=0, labelExpr="split(datum.label, '|')"))
    faint = alt.OpacityValue(0.4, condition={"param": "seed", "value": 1, "empty": False})
    wide = alt.StrokeWidthValue(1.5, condition={"param": "seed", "value": 3.5, "empty": False})
    tips = [
        alt.Tooltip("seed:N"), alt.Tooltip("arm:N"), alt.Tooltip("run_id:N", title="run"),
        alt.Tooltip("before:Q", format=".4~g"), alt.Tooltip("after:Q", format=".4~g"),
        alt.Tooltip("change:N"),
    ]  # fmt: skip
    base = alt.Chart(long, name="runs").encode(x=place, y=alt.Y("value:Q", **y), tooltip=tips)
    lines = base.mark_line(color=color).encode(
        detail=alt.Detail("run_id:N"), strokeDash=_dash(arms), opacity=faint, strokeWidth=wide
    )
    dots = base.properties(name="dots").mark_circle(color=color, size=45).encode(opacity=faint).add_params(near)
    means = (
        alt.Chart(_mean_phases(runs, arms, log), name="means")
        .mark_line(color=color, strokeWidth=4, point={"size": 90, "filled": True, "color": color})
        .encode(x=place, y=alt.Y("value:Q", **y), strokeDash=_dash(arms), detail=alt.Detail("arm:N"))
    )
    return parts.Layered(layer=[lines, dots, means], width=width, height=height, title=parts.figure_heading(title))


def _runs(per_run: pl.DataFrame, task: Task, metric: Metric) -> pl.DataFrame:
    mine = per_run.filter(pl.col("task") == task.key, pl.col("metric") == metric.key)
    return mine.unique(["arm", "run_id"], keep="first", maintain_order=True)


def _phases(runs: pl.DataFrame, keys: list[str], arms: Sequence[str]) -> pl.DataFrame:
    """Two rows a run: its place on the x axis (`before|detached`) and its value there."""
    pct = 100 * (pl.col("after") / pl.col("before") - 1)
    text = pl.format("{}%", pct.round(1)) if len(runs) else pl.lit("")
    shown = runs.with_columns(pl.col("before", "after").round_sig_figs(parts.DIGITS))
    shown = shown.with_columns(pl.when(pl.col("before") > 0).then(text).otherwise(pl.lit("–")).alias("change"))
    order = pl.Enum([f"{phase}|{arm}" for arm in arms for phase in PHASES])
    return (
        pl.concat(
            shown.select(
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
    found = []
    for arm in parts.arm_order(runs["arm"].to_list()):
        mine = runs.filter(pl.col("arm") == arm)
        rose = mine.filter(pl.col("after") > pl.col("before")).height
        found.append(f"rose in {rose} of {mine.height} {arm} runs")
    return f"{metric.name} on {task.title}: {', '.join(found)}."


def percent_effects(effects: pl.DataFrame, study: Study) -> pl.DataFrame:
    """Rows of effects.csv on one scale, percent, for the forest plot.

    Log metrics: change and interval times 100. Linear metrics: the interval in the unit of change_pct, that is times
    change_pct / change. Where no percent can be said, `pct`, `low` and `high` are null and `note` says why.

    Returns
    -------
    Frame: label, task, metric, arm, verdict, pct, low, high, note, text; rows across tasks (task `*`) are left out.
    """
    logged = [m.key for m in study.metrics if m.scale == "log"]
    titles = {t.key: t.title for t in study.tasks}
    names = {m.key: m.name for m in study.metrics}
    ratio = pl.when(pl.col("change") != 0).then(pl.col("change_pct") / pl.col("change"))
    factor = pl.when(pl.col("metric").is_in(logged)).then(100.0).otherwise(ratio)
    rows = effects.filter(pl.col("task").is_in(list(titles)) & pl.col("metric").is_in(list(names)))
    several = rows["arm"].n_unique() > 1
    arm = pl.format(" ({})", "arm") if several else pl.lit("")
    spoken = pl.when(pl.col("change").is_not_null()).then(factor)
    return rows.select(
        pl.concat_str(pl.col("task").replace(titles), pl.lit(" · "), pl.col("metric").replace(names), arm).alias(
            "label"
        ),
        "task",
        "metric",
        "arm",
        "verdict",
        (pl.col("change") * spoken).alias("pct"),
        (pl.col("ci_low") * spoken).alias("low"),
        (pl.col("ci_high") * spoken).alias("high"),
        pl.when(pl.col("change").is_not_null() & spoken.is_null())
        .then(_own_unit())
        .otherwise(pl.col("reasons").fill_null(""))
        .alias("note"),
    ).with_columns(_effect_text().alias("text"))


def _own_unit() -> pl.Expr:
    """A change that is not a percentage of anything, in the metric's own unit, and why."""
    change, low, high = (pl.col(c).round_sig_figs(3) for c in ("change", "ci_low", "ci_high"))
    size = (
        pl.when(low.is_not_null()).then(pl.format("{} [{}, {}]", change, low, high)).otherwise(pl.format("{}", change))
    )
    why = pl.when(pl.col("reasons").fill_null("") != "").then(pl.format("; {}", "reasons")).otherwise(pl.lit(""))
    return pl.concat_str(size, pl.lit(" in its own unit"), why)


def _effect_text() -> pl.Expr:
    signed = pl.format("{}%", pl.col("pct").round(1))
    interval = pl.format("{}% [{}, {}]", pl.col("pct").round(1), pl.col("low").round(1), pl.col("high").round(1))
    shown = pl.when(pl.col("low").is_not_null()).then(interval).otherwise(signed)
    text = pl.when(pl.col("pct").is_not_null()).then(shown).otherwise(pl.lit("no percentage"))
    return pl.concat_str(pl.col("verdict").fill_null(""), pl.lit(": "), text)


def forest_chart(
    effects: pl.DataFrame, study: Study, *, width: Width = "container", title: str | None = None, outer: bool = False
) -> alt.LayerChart:
    """Every claim of the study on one percent axis: estimate, 95% interval, verdict; refused ones are said to be so.

    Parameters
    ----------
    effects : columns of effects.csv.
    outer : whether its height is the whole chart's in pixels, which a page can keep free for it, or that of a claim.

    Returns
    -------
    A layered chart with a row a task, metric and arm. Intervals that would squeeze all others end at the axis' edge.
    """
    rows = percent_effects(effects, study)
    reach = _reach(rows)
    note = pl.when(pl.col("note").str.len_chars() > 160).then(pl.col("note").str.slice(0, 160) + "…").otherwise("note")
    clipped = rows.with_columns(pl.col("low", "high", "pct").clip(-reach, reach).round(3), note.alias("note"))
    # Labels stand above the intervals: beside them they would leave a phone no room to draw.
    y = alt.Y("label:N", sort=rows["label"].to_list(), title=None, axis=None)
    unsaid = clipped.filter((pl.col("verdict") == "cannot say") | pl.col("pct").is_null())
    # A reason below an interval needs room, or it seems to belong to the next claim.
    step = 58 if unsaid["pct"].count() else 44
    return parts.Layered(
        layer=[*_intervals(clipped, y, reach), *_claim_texts(clipped, unsaid, y)],
        width=width,
        height=step * rows.height + AROUND if outer else {"step": step},
        title=parts.figure_heading(title),
    )


_CLAIM_TIPS = [
    alt.Tooltip("label:N", title="claim"), alt.Tooltip("text:N", title="effect"), alt.Tooltip("note:N", title="why"),
]  # fmt: skip


def _intervals(rows: pl.DataFrame, y: alt.Y, reach: float) -> list[alt.Chart]:
    """The line of no change, and an interval and an estimate a claim in the colour of its verdict."""
    across = alt.Scale(domain=[-reach, reach], nice=False)
    verdicts = alt.Scale(domain=list(VERDICTS), range=list(VERDICTS.values()))
    columns = alt.ExprRef("width < 420 ? 2 : 4")
    legend = alt.Legend(title=None, orient="top", symbolType="circle", columns=columns)
    color = alt.Color("verdict:N", scale=verdicts, legend=legend)
    base = alt.Chart(rows).encode(y=y, tooltip=_CLAIM_TIPS)
    # In pieces, so that it crosses no label.
    zero = (
        alt.Chart(rows.drop_nulls("pct"), name="zero")
        .mark_tick(color=parts.QUIET, thickness=1, size=18, orient="vertical")
        .encode(y=y, x=alt.XDatum(0))
    )
    bars = (
        base.properties(name="interval")
        .mark_rule(strokeWidth=3, clip=True)
        .encode(x=alt.X("low:Q", title="Change (%)", scale=across), x2=alt.X2("high:Q"), color=color)
    )
    hollow = alt.FillOpacityValue(1, condition={"test": "datum.verdict === 'cannot say'", "value": 0})
    dots = (
        base.properties(name="estimate")
        .mark_point(size=110, strokeWidth=2, opacity=1, clip=True)
        .encode(
            x=alt.X("pct:Q", title="Change (%)", scale=across),
            color=color,
            fill=alt.Fill("verdict:N", scale=verdicts, legend=legend),
            fillOpacity=hollow,
        )
    )
    return [zero, bars, dots]


def _claim_texts(rows: pl.DataFrame, unsaid: pl.DataFrame, y: alt.Y) -> list[alt.Chart]:
    """What each claim is called, and why one cannot be said."""
    at, limit = alt.XValue(0), alt.ExprRef("width - 4")
    below = alt.ExprRef("isValid(datum.pct) ? 13 : 1")
    named = (
        alt.Chart(rows, name="labels")
        .mark_text(align="left", dx=2, dy=-14, style=parts.QUIET_TEXT)
        .encode(y=y, x=at, text=alt.Text("label:N"), tooltip=_CLAIM_TIPS)
    )
    refused = (
        alt.Chart(unsaid, name="refused")
        .mark_text(align="left", dx=2, dy=below, fontStyle="italic", style=parts.QUIET_TEXT, limit=limit)
        .encode(y=y, x=at, text=alt.Text("note:N"), tooltip=_CLAIM_TIPS)
    )
    return [named, refused]


def _reach(rows: pl.DataFrame) -> float:
    """Half the width of the percent axis: twice the largest effect, or every interval where that is less."""
    ends = [float(v) for c in ("pct", "low", "high") for v in rows[c].drop_nulls().abs().to_list()]
    effects = [float(v) for v in rows["pct"].drop_nulls().abs().to_list()]
    if not ends:
        return 100.0
    return round(max(10.0, min(max(ends), max(2 * max(effects, default=0.0), 20.0)) * 1.08), 1)


def effects_text(effects: pl.DataFrame, study: Study) -> str:
    """The takeaway of the forest plot: how many claims got which verdict, and the largest supported one."""
    rows = percent_effects(effects, study)
    counts = [f"{n} {v}" for v in VERDICTS if (n := rows.filter(pl.col("verdict") == v).height)]
    text = f"{rows.height} claims: {', '.join(counts)}."
    best = rows.filter(pl.col("verdict") == "supported", pl.col("pct").is_not_null()).sort(pl.col("pct").abs())
    if best.is_empty():
        return text
    return f"{text} Largest supported change: {best['label'][-1]}, {best['pct'][-1]:+.0f}%."


def quadrant_points(per_run: pl.DataFrame, reward: str, loss: str) -> pl.DataFrame:
    """Each detached run's effect on two metrics, in percent: the points of `quadrant_chart`.

    Parameters
    ----------
    per_run : columns of `lib.effects_frames.PER_RUN`, of any tasks.
    reward, loss : metric keys.

    Returns
    -------
    Frame: task, arm, seed, run_id, reward, loss. Runs without a percentage for both are left out.
    """
    keys = ["task", "arm", "seed", "run_id"]
    effect = per_run.filter(pl.col("effect_pct").is_not_null())
    sides = [
        effect.filter(pl.col("metric") == metric).select(*keys, pl.col("effect_pct").alias(name))
        for metric, name in ((reward, "reward"), (loss, "loss"))
    ]
    return sides[0].join(sides[1], on=keys).sort("task", "arm", "seed")


def quadrant_chart(
    points: pl.DataFrame,
    study: Study,
    *,
    reward: str = "Reward effect (%)",
    loss: str = "Loss effect (%)",
    width: Width = "container",
    height: int = 420,
    title: str | None = None,
) -> alt.LayerChart:
    """The hypothesis in one picture: each seed's effect on the reward against its effect on the loss.

    Parameters
    ----------
    points : task, seed, reward, loss, as `quadrant_points` gives them; effects of a seed in percent, or in another
        unit that the titles `reward` and `loss` name.

    Returns
    -------
    A layered chart whose quadrants are named, a colour and a shape a task. 0 is in the middle of both axes.
    """
    whole = points.drop_nulls(["reward", "loss"])
    titles = {t.key: t.title for t in study.tasks}
    tasks = [titles[t.key] for t in study.tasks if t.key in set(whole["task"])]
    shown = whole.with_columns(pl.col("task").replace(titles), pl.col("reward", "loss").round_sig_figs(parts.DIGITS))
    sides = {c: 1.12 * max([abs(float(v)) for v in whole[c].to_list()], default=1.0) or 1.0 for c in ("reward", "loss")}
    scales = {c: alt.Scale(domain=[-round(v, 4), round(v, 4)], nice=False) for c, v in sides.items()}
    legend = alt.Legend(title=None, orient="top", **parts.legend_columns(tasks))
    dots = (
        alt.Chart(shown, name="seeds")
        .mark_point(size=90, filled=True, opacity=0.85)
        .encode(
            x=alt.X("reward:Q", title=reward, scale=scales["reward"]),
            y=alt.Y("loss:Q", title=loss, scale=scales["loss"]),
            color=alt.Color(
                "task:N", scale=alt.Scale(domain=tasks, range=list(parts.PALETTE[: len(tasks)])),
                legend=legend,
            ),
            shape=alt.Shape("task:N", scale=alt.Scale(domain=tasks), legend=legend),
            tooltip=[
                alt.Tooltip("task:N"), alt.Tooltip("seed:N"),
                alt.Tooltip("reward:Q", format="+.3~g"), alt.Tooltip("loss:Q", format="+.3~g"),
            ],
        )
    )  # fmt: skip
    across = alt.Chart(alt.InlineData(values=[{}]), name="no_reward_effect").mark_rule(color=parts.QUIET, aria=False)
    down = alt.Chart(alt.InlineData(values=[{}]), name="no_loss_effect").mark_rule(color=parts.QUIET, aria=False)
    layers = [across.encode(x=alt.XDatum(0)), down.encode(y=alt.YDatum(0)), *_quadrant_names(), dots]
    return parts.Layered(layer=layers, width=width, height=height, title=parts.figure_heading(title))


def quadrant_text(points: pl.DataFrame, reward: str, loss: str) -> str:
    """The takeaway of `quadrant_chart`: how many seeds lie in the hypothesised corner."""
    whole = points.drop_nulls(["reward", "loss"])
    there = whole.filter(pl.col("reward") > 0, pl.col("loss") < 0).height
    return f"The effect is a higher {reward} and a lower {loss} in {there} of {whole.height} detached runs."


def _quadrant_names() -> list[alt.Chart]:
    """The names of the four corners, placed in pixels so that they stay in them."""
    corners = [
        ("lower reward, higher loss", False, True), ("higher reward, higher loss", True, True),
        ("lower reward, lower loss", False, False), ("higher reward, lower loss: as hypothesised", True, False),
    ]  # fmt: skip
    layers = []
    for i, (text, right, top) in enumerate(corners):
        # Lines of a text grow downwards, so the lower corners start two lines above the foot.
        mark: dict[str, Any] = {"align": "right" if right else "left", "baseline": "top", "dy": 6 if top else -32}
        layers.append(
            alt.Chart(alt.InlineData(values=[{}]), name=f"corner_{i}")
            .mark_text(style=parts.QUIET_TEXT, dx=-6 if right else 6, text=text.split(", "), **mark)
            .encode(x=alt.XValue("width" if right else 0), y=alt.YValue(0 if top else "height"))
        )
    return layers


def _dash(arms: Sequence[str]) -> alt.StrokeDash:
    return alt.StrokeDash("arm:N", scale=alt.Scale(domain=list(arms), range=parts.arm_dashes(arms)), legend=None)
