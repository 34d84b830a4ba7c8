"""The change of a reward against that of a loss, one point per seed and task."""

from collections.abc import Sequence
from itertools import product
from typing import Any, Unpack

import altair as alt
import polars as pl

from lib.charts import axes, style, thinning
from lib.charts.spec import ONE_ROW, ChartSpec, Size, layered
from lib.formatting import plural
from lib.study import Metric, Study

#: Pixels at the head and at the foot of the plot that the names of its corners have to themselves.
_NAMES = 40


def quadrant_reward(rewards: Sequence[Metric]) -> Metric:
    """The reward that is set against a loss where nobody chose one: the first that is not of training, else the first."""
    return next((metric for metric in rewards if "train" not in metric.key), rewards[0])


def quadrant_points(per_run: pl.DataFrame, reward: str, loss: str) -> pl.DataFrame:
    """Each detached run's effect on two metrics, in percent: the points of `quadrant_chart`.

    Parameters
    ----------
    per_run : columns of `lib.effects.chart_data.PER_RUN`, of any tasks.
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
    number = pl.col("seed").cast(pl.Float64, strict=False)
    return sides[0].join(sides[1], on=keys).sort("task", "arm", number, "seed", nulls_last=True)


def quadrant_chart(
    points: pl.DataFrame,
    study: Study,
    reward: str = "Reward: change (%)",
    loss: str = "Loss: change (%)",
    expected: tuple[str, str] = ("increase", "decrease"),
    **size: Unpack[Size],
) -> ChartSpec:
    """The hypothesis in one picture: each seed's effect on the reward against its effect on the loss.

    Parameters
    ----------
    points : task, seed, reward, loss, as `quadrant_points` gives them; effects of a seed in percent, or in another
        unit that the titles `reward` and `loss` name.
    expected : where the reward and the loss are expected to go.

    Returns
    -------
    A layered chart whose quadrants are named, a colour and a shape per task. 0 is in the middle of both axes.
    """
    pairs = points.drop_nulls(["reward", "loss"])
    titles = {t.key: t.title for t in study.tasks}
    tasks = [titles[t.key] for t in study.tasks if t.key in set(pairs["task"])]
    rounded = pairs.with_columns(
        pl.col("task").replace(titles), pl.col("reward", "loss").round_sig_figs(thinning.DIGITS)
    )
    sides = {c: 1.12 * max([abs(float(v)) for v in pairs[c].to_list()], default=1.0) or 1.0 for c in ("reward", "loss")}
    domains = {c: [-round(v, 4), round(v, 4)] for c, v in sides.items()}
    across_scale = alt.Scale(domain=domains["reward"], nice=False)
    up_scale = alt.Scale(domain=domains["loss"], range=[axes.WHOLE_PLOT.above_foot(_NAMES), _NAMES], nice=False)
    legend = alt.Legend(title=None, orient="top", columns=style.legend_columns(tasks), labelLimit=260, rowPadding=1)
    dots = (
        alt.Chart(rounded, name="seeds")
        .mark_point(size=90, filled=True, opacity=0.85)
        .encode(
            x=alt.X("reward:Q", title=reward, scale=across_scale),
            y=alt.Y("loss:Q", title=loss, scale=up_scale),
            color=alt.Color(
                "task:N", scale=alt.Scale(domain=tasks, range=list(style.PALETTE[: len(tasks)])),
                legend=legend,
            ),
            shape=alt.Shape("task:N", scale=alt.Scale(domain=tasks), legend=legend),
            tooltip=[
                alt.Tooltip("task:N"), alt.Tooltip("seed:N"),
                alt.Tooltip("reward:Q", format="+.3~g"), alt.Tooltip("loss:Q", format="+.3~g"),
            ],
        )
    )  # fmt: skip
    across = alt.Chart(ONE_ROW, name="no_reward_change").mark_rule(color=style.QUIET, aria=False)
    down = alt.Chart(ONE_ROW, name="no_loss_change").mark_rule(color=style.QUIET, aria=False)
    layers = [across.encode(x=alt.XDatum(0)), down.encode(y=alt.YDatum(0)), *_quadrant_names(expected), dots]
    return layered(layers, **({"height": 420} | size))


def quadrant_text(points: pl.DataFrame, reward: Metric, loss: Metric) -> str:
    """The takeaway of `quadrant_chart`: how many seeds lie in the hypothesised corner."""
    pairs = points.drop_nulls(["reward", "loss"])
    signs = {metric: 1 if metric.expect == "increase" else -1 for metric in (reward, loss)}
    there = pairs.filter(pl.col("reward") * signs[reward] > 0, pl.col("loss") * signs[loss] > 0).height
    first, second = (f"{'higher' if sign > 0 else 'lower'} {metric.name}" for metric, sign in signs.items())
    return f"A {first} and a {second} in {there} of {plural(pairs.height, 'detached run')}."


def _quadrant_names(expected: tuple[str, str]) -> list[alt.Chart]:
    """The names of the four corners, placed in pixels so that they stay in them."""
    layers = []
    for i, (top, right) in enumerate(product((True, False), (False, True))):
        is_expected = (right, top) == tuple(direction == "increase" for direction in expected)
        text = f"{'higher' if right else 'lower'} reward, {'higher' if top else 'lower'} loss"
        text += ": as hypothesised" if is_expected else ""
        # Lines of a text grow downwards, so the lower corners start two lines above the foot.
        mark: dict[str, Any] = {"align": "right" if right else "left", "baseline": "top", "dy": 6 if top else -32}
        layers.append(
            alt.Chart(ONE_ROW, name=f"corner_{i}")
            .mark_text(style=style.QUIET_TEXT, dx=-6 if right else 6, text=text.split(", "), **mark)
            .encode(x=alt.XValue("width" if right else 0), y=alt.YValue(0 if top else "height"))
        )
    return layers
