"""What every layer of every chart looks like, in one table: marks, sizes, colours, dashes, pixels."""

import json

import polars as pl
import pytest

from lib.charts import (
    Coloring,
    event_time_chart,
    forest_chart,
    jump_chart,
    pairs_chart,
    placebo_chart,
    quadrant_chart,
    slope_chart,
)
from lib.charts.detach_rule import DetachMark
from lib.charts.effects.forest import VERDICTS
from lib.curves import View
from lib.effects import with_sizes
from lib.effects.chart_data import DIFFERENCES, FIT_LINES, PER_RUN, PLACEBO
from lib.effects.effects_table import EFFECTS
from tests.support.chart_frames import EVAL, LOSS, STUDY, TASK, both, flat, plotted, valid

pytestmark = pytest.mark.slow

SERIES = ["task", "arm", "metric", "run_id", "seed", "step", "value"]
RUNS = pl.DataFrame(
    [(TASK.key, "detached", EVAL.key, run, run, step, 1.0) for run in "ab" for step in (0.0, 100.0)],
    schema=SERIES, orient="row",
)  # fmt: skip
BASELINES = pl.DataFrame(
    {
        "task": TASK.key, "label": "Published", "color": "#0072B2", "step": [0.0, 100.0], "mean": 1.0, "lower": 0.5,
        "upper": 1.5, "n": 3,
    }
)  # fmt: skip
COLORING = Coloring("lr", {"a": "0.1", "b": None}, order=("0.1",))
ONE, SEVERAL = [DetachMark(50, "typed")], [DetachMark(30), DetachMark(70)]


def of_one(schema: pl.Schema, **values) -> pl.DataFrame:
    """One row of a frame of effects."""
    keys = {"task": TASK.key, "metric": LOSS.key, "arm": "detached", "run_id": "a", "seed": "1"}
    row = dict.fromkeys(schema) | {k: v for k, v in keys.items() if k in schema} | values
    return pl.DataFrame([row], schema=schema, orient="row")


def jump():
    rows = pl.DataFrame({"run_id": ["a"], "metric": [LOSS.key], "step": [50], "value": [0.1]})
    fits = of_one(FIT_LINES, side="before", step=50.0, fit=0.1, jump=0.1, rows=5)
    return jump_chart(rows, fits, STUDY, TASK, LOSS)


def claim(verdict):
    return with_sizes(of_one(EFFECTS, verdict=verdict, change=0.1, ci_low=0.0, ci_high=0.2, margin=0.05), STUDY)


CHARTS = {
    "curves": plotted(both(), "reward", rules=ONE, interactive=False, seeds=RUNS, raw=RUNS, baselines=BASELINES),
    "runs": plotted(both(), "reward", rules=SEVERAL, interactive=False, seeds=RUNS, coloring=COLORING),
    "pointer": plotted(both(), "reward", seeds=RUNS, coloring=COLORING, baselines=BASELINES),
    "families": plotted(both(), "reward", "loss", rules=ONE),
    "forest": forest_chart(pl.concat(claim(verdict) for verdict in VERDICTS), STUDY),
    "slope": slope_chart(of_one(PER_RUN, before=1.0, after=2.0), STUDY, TASK, LOSS),
    "quadrant": quadrant_chart(
        pl.DataFrame({"task": [TASK.key], "seed": ["1"], "reward": [1.0], "loss": [-1.0]}), STUDY
    ),
    "pairs": pairs_chart(of_one(DIFFERENCES, step=1.0, difference=1.0, n=3), STUDY, TASK, LOSS),
    "jump": jump(),
    "placebo": placebo_chart(
        of_one(PLACEBO, step=1.0, jump=1.0, n=3, real=True, overlaps=False), TASK, LOSS, "detached"
    ),
    "event time": event_time_chart(
        both().with_columns(step=pl.col("step") - 50), STUDY, LOSS, ["detached"], view=View(x="since")
    ),
}
PLAIN = ("color", "strokeWidth", "strokeDash", "opacity", "size", "filled", "fontSize", "fontStyle", "style")


def look(part: dict) -> str:
    """A layer's mark with what is set of its look; of what a pointer or a legend changes, both values."""
    mark, values = part["mark"], {}
    for name in (*PLAIN, "fill", "stroke", "fillOpacity"):
        channel = part["encoding"].get(name, {})
        if name in mark:
            values[name] = mark[name]
        if "value" in channel:
            chosen = channel.get("condition", {}).get("value")
            values[name] = channel["value"] if chosen is None else f"{channel['value']}|{chosen}"
    texts = (f"{k}={v if isinstance(v, str) else json.dumps(v, separators=(',', ':'))}" for k, v in values.items())
    return " ".join([mark["type"], *texts])


def layers(name: str) -> list[dict]:
    """The layers of a chart, their names without what they begin with."""
    parts = flat(valid(CHARTS[name]))
    return [part | {"name": part["name"].removeprefix("acrobot_swingup_")} for part in parts]


#: Names at the ends of lines, in colours for the ground they are on.
FILL = """{"expr":"luminance(background || 'white') > 0.5 ? datum.light : datum.dark"}"""
END_LABEL = f"text fontSize=11 fill={FILL}"
#: The table of the series under the pointer.
TABLE = {
    "reward_hover_ground": """rect fill={"expr":"background || 'white'"} stroke=#888888 fillOpacity=0.9""",
    "reward_hover_samples": 'rule strokeWidth=2.5 strokeDash={"expr":"datum.dash"} stroke={"expr":"datum.color"}',
    "reward_hover_texts": """text fontSize={"expr":"11 * hover_scale"} fill={"expr":"luminance(background || 'white') > 0.5 ?"""
    """ '#262730' : '#fafafa'"}""",
}
#: By chart and layer: the mark, and what is set of its look.
LOOKS = {
    "curves": {
        "reward_baseline_band": "area strokeWidth=0 opacity=0.1",
        "reward_baselines": "line strokeWidth=1.25 opacity=0.8",
        "reward_baseline_names": "text fontSize=11 fontStyle=italic",
        "reward_band": "area strokeWidth=0 opacity=0.2",
        "reward_raw": "circle opacity=0.45 size=9",
        "reward_seeds": "line strokeWidth=1 opacity=0.4",
        "reward_line": "line strokeWidth=2|3 opacity=1",
        "reward_end_labels": END_LABEL,
        "reward_n_strip": "rect color=#888888",
        "reward_n_label": "text fontSize=10 style=quiet_text",
        "reward_detach_label": "text fontSize=11 style=rule_text",
        "reward_detach_rule": "rule color=red strokeWidth=2 strokeDash=[6,4]",
    },
    "runs": {
        "reward_band": "area strokeWidth=0 opacity=0.06",
        "reward_runs": "line strokeWidth=1.25 opacity=0.85",
        "reward_line": "line strokeWidth=3|4 opacity=1",
        "reward_end_labels": END_LABEL,
        "reward_n_strip": "rect color=#888888",
        "reward_n_label": "text fontSize=10 style=quiet_text",
        "reward_detach_label": "text fontSize=11 style=rule_text",
        "reward_detach_rule": "rule color=red strokeWidth=1 strokeDash=[6,4] opacity=0.45",
    },
    "pointer": {
        "reward_hover_base": "line",
        "reward_hover_steps": "rect opacity=0",
        "reward_hover_rule": 'rule color=#888888 opacity={"expr":"hover.step ? 0.8 : 0"}',
        "reward_baseline_band": "area strokeWidth=0 opacity=0.1",
        "reward_baselines": "line strokeWidth=1.25 opacity=0.8",
        "reward_baseline_names": "text fontSize=11 fontStyle=italic",
        "reward_band": "area strokeWidth=0 opacity=0.005|0.06",
        "reward_runs": "line strokeWidth=1.25 opacity=0.068|0.85",
        "reward_line": "line strokeWidth=3|4 opacity=0.08|1",
        "reward_end_labels": END_LABEL,
        "reward_n_strip": "rect color=#888888",
        "reward_n_label": "text fontSize=10 style=quiet_text",
        "reward_hover_baseline": "line strokeWidth=7 opacity=0",
        "reward_hover_run": "line strokeWidth=7 opacity=0",
        **TABLE,
    },
    "families": {
        "reward_hover_base": "line",
        "reward_hover_steps": "rect opacity=0",
        "reward_hover_rule": 'rule color=#888888 opacity={"expr":"hover.step ? 0.8 : 0"}',
        "reward_band": "area strokeWidth=0 opacity=0.016|0.2",
        "reward_line": "line strokeWidth=2|3 opacity=0.08|1",
        "reward_end_labels": END_LABEL,
        "reward_n_strip": "rect color=#888888",
        "reward_n_label": "text fontSize=10 style=quiet_text",
        "loss_band": "area strokeWidth=0 opacity=0.016|0.2",
        "loss_line": "line strokeWidth=2|3 opacity=0.08|1",
        "loss_end_labels": END_LABEL,
        "loss_n_strip": "rect color=#888888",
        "loss_n_label": "text fontSize=10 style=quiet_text",
        "reward_detach_label": "text fontSize=11 style=rule_text",
        "reward_detach_rule": "rule color=red strokeWidth=2 strokeDash=[6,4]",
        **TABLE,
    },
    "forest": {
        "margin": "rule color=#888888 strokeWidth=18 opacity=0.2",
        "zero": "tick color=#888888 size=18",
        "interval": "rule strokeWidth=3",
        "ground": 'point opacity=1 size=110 fill={"expr":"background"} stroke=null',
        "estimate": "point strokeWidth=2 opacity=1 size=110",
        "labels": 'text fontSize={"expr":"width >= 434 ? 12 : 11"} style=quiet_text',
        "refused": "text fontStyle=italic style=quiet_text",
    },
    "slope": {
        "runs": "line color=#d62728 strokeWidth=1.5|3.5 opacity=0.4|1",
        "dots": "circle color=#d62728 opacity=0.4|1 size=45",
        "means": "line color=#d62728 strokeWidth=4",
    },
    "quadrant": {
        "no_reward_change": "rule color=#888888",
        "no_loss_change": "rule color=#888888",
        "corner_0": "text style=quiet_text",
        "corner_1": "text style=quiet_text",
        "corner_2": "text style=quiet_text",
        "corner_3": "text style=quiet_text",
        "seeds": "point opacity=0.85 size=90 filled=true",
    },
    "pairs": {
        "zero": "rule color=#888888",
        "band": "area color=#d62728 opacity=0.2",
        "line": "line color=#d62728",
        "touch": "circle opacity=0 size=120",
    },
    "jump": {
        "rows": "circle color=#d62728 opacity=0.25|0.9 size=16",
        "fits": "line color=#d62728 strokeWidth=1.5|4 opacity=0.7|1",
    },
    "placebo": {
        "zero": "rule color=#888888",
        "pretended_interval": "rule color=#888888 opacity=0.5",
        "pretended_jump": "point color=#888888 size=40 fill=#888888 fillOpacity=1|0",
        "real_interval": "rule color=red opacity=0.5",
        "real_jump": "point color=red size=90 fill=red fillOpacity=1|0",
        "real_label": "text style=rule_text",
    },
    "event time": {
        "band": "area opacity=0.2",
        "line": "line strokeWidth=2",
        "touch": "circle opacity=0 size=90",
        "event_detach_label": "text fontSize=11 style=rule_text",
        "event_detach_rule": "rule color=red strokeWidth=2 strokeDash=[6,4]",
    },
}


@pytest.mark.parametrize("name", CHARTS)
def test_every_layer_looks_as_the_table_says(name):
    assert {part["name"]: look(part) for part in layers(name)} == LOOKS[name]


#: Where colours and dashes are a scale: the values in the legend, and what stands for each.
SCALES = [
    ("curves", "reward_line", "color", ["Train Episode Reward (MA 10)", "Eval Episode Reward"], ["#2ca02c", "#1f77b4"]),
    ("curves", "reward_line", "strokeDash", ["detached", "control"], [[1, 0], [6, 4]]),
    ("curves", "reward_n_strip", "opacity", [0, 0.999, 1], [0.05, 0.3, 0.6]),
    ("runs", "reward_runs", "stroke", ["0.1", "missing"], ["#56B4E9", "#888888"]),
    (
        "forest", "estimate", "color", list(VERDICTS),
        [*["#0072B2"] * 3, *["#D55E00"] * 2, "#d860fc", "#888888", "#888888"],
    ),
    (
        "forest", "estimate", "shape", list(VERDICTS),
        [*["circle"] * 3, *["diamond"] * 2, "square", "circle", "M-1,0h.5M-.25,0h.5M.5,0h.5"],
    ),
    ("quadrant", "seeds", "color", ["Acrobot Swingup"], ["#2d6996"]),
    ("event time", "line", "color", ["Acrobot Swingup"], ["#2d6996"]),
    ("event time", "line", "strokeDash", ["detached"], [[1, 0]]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "layer", "channel", "domain", "range_"), SCALES)
def test_colours_and_dashes_stand_for_these_values(name, layer, channel, domain, range_):
    (part,) = [part for part in layers(name) if part["name"] == layer]
    scale = part["encoding"][channel]["scale"]
    assert (scale["domain"], scale["range"]) == (domain, range_)


#: The pixels between which values lie, from the foot up: above the strip of n, below the rule's label.
RANGES = [
    ("curves", "reward_line", [{"expr": "height - 20"}, 34]),
    ("pointer", "reward_line", [{"expr": "height - 20"}, 8]),
    # The strip has 20 pixels; families are 18 pixels apart.
    ("families", "reward_line", [{"expr": "0.5 * height - 38"}, 34]),
    ("families", "loss_line", [{"expr": "height - 20"}, {"expr": "0.5 * height + 8"}]),
    ("slope", "runs", [{"expr": "height"}, 8]),
    ("jump", "fits", [{"expr": "height"}, 8]),
    ("event time", "line", [{"expr": "height"}, 34]),
]


@pytest.mark.parametrize(("name", "layer", "range_"), RANGES)
def test_values_leave_room_for_the_strip_and_the_label(name, layer, range_):
    (part,) = [part for part in layers(name) if part["name"] == layer]
    assert part["encoding"]["y"]["scale"]["range"] == range_


def test_evaluations_are_thicker_and_means_among_coloured_runs_thicker_still():
    widths = [
        next(part for part in layers(name) if part["name"] == "reward_line")["encoding"]["strokeWidth"]
        for name in ("curves", "runs")
    ]
    assert [(width["value"], width["condition"]["value"]) for width in widths] == [(2, 3), (3, 4)]
    assert widths[0]["condition"]["test"] == {"field": "metric", "oneOf": ["Eval Episode Reward"]}


def test_no_color_is_black_or_white_so_that_both_themes_can_show_it():
    text = json.dumps([chart.spec for chart in CHARTS.values()]).lower()
    assert not any(f'"{name}"' in text for name in ("black", "white", "#000", "#fff", "#000000", "#ffffff"))
