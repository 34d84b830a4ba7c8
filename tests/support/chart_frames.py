"""Small hand-made studies and frames that the chart tests share."""

import re
from collections.abc import Mapping
from dataclasses import replace

import polars as pl
import vl_convert
from altair.utils.schemapi import validate_jsonschema
from altair.vegalite.v6.schema.core import load_schema

from lib.charts import Background, ChartSpec, Layout, family_chart
from lib.charts.style import CONTROL_DASH
from lib.curves import View
from lib.study import Metric, Source, Study, Task

TASK = Task(name="acrobot-swingup", display_name="Acrobot Swingup", total_steps=100, smoothing_steps=10)
OTHER = replace(TASK, name="cartpole-swingup", display_name="Cartpole Swingup")
TRAIN = Metric("train/episode_reward", "reward", "increase", label="Train Episode Reward", color="#2ca02c")
EVAL = Metric("eval/episode_reward", "reward", "increase", label="Eval Episode Reward", color="#1f77b4")
LOSS = Metric("train/consistency_loss", "loss", "decrease", label="Train Consistency", scale="log", color="#d62728")
VAL = Metric("validation_all/consistency_loss", "loss", "decrease", label="Val (All) Consistency", scale="log")
STUDY = Study(
    name="t", title="Detach Encoder Ablation", source=Source(kind="offline", path="."),
    metrics=(EVAL, TRAIN, LOSS, VAL), tasks=(TASK, OTHER),
)  # fmt: skip


def curve(metric: Metric, means, *, arm="detached", task=TASK, n=3, half=1.0, steps=(0.0, 50.0, 100.0)) -> pl.DataFrame:
    """Curves of one series: mean -+ half, or mean times and over half on a log scale; no band where n is 1."""
    ns = [n] * len(means) if isinstance(n, int) else list(n)
    log = metric.scale == "log"
    band = [(m / half if log else m - half, m * half if log else m + half) for m in means]
    band = [b if k > 1 else (None, None) for b, k in zip(band, ns, strict=True)]
    return pl.DataFrame(
        {
            "task": [task.key] * len(means),
            "arm": [arm] * len(means),
            "metric": [metric.key] * len(means),
            "step": list(steps),
            "mean": [float(m) for m in means],
            "std": [half if k > 1 else None for k in ns],
            "n": ns,
            "lower": [b[0] for b in band],
            "upper": [b[1] for b in band],
        },
        schema_overrides={
            "n": pl.UInt32, "std": pl.Float64, "lower": pl.Float64, "upper": pl.Float64, "step": pl.Float64,
        },
    )  # fmt: skip


def both(arms=("detached", "control"), task=TASK) -> pl.DataFrame:
    """Both families of a task in these arms."""
    frames = []
    for i, arm in enumerate(arms):
        frames += [curve(TRAIN, [1 + i, 2 + i, 3 + i], arm=arm, task=task)]
        frames += [curve(EVAL, [10 + i, 20 + i, 30 + i], arm=arm, task=task)]
        frames += [curve(LOSS, [1e-2, 2e-3, 1e-3], arm=arm, task=task, half=2.0)]
        frames += [curve(VAL, [2e-2, 4e-3, 2e-3], arm=arm, task=task, half=2.0)]
    return pl.concat(frames)


def plotted(
    frame: pl.DataFrame, *families: str, study=STUDY, task=TASK, view=None, rules=(), unfinished=False, **parts
) -> ChartSpec:
    """The chart of a task's families; `parts` are fields of its background and its layout."""
    behind = {name: parts.pop(name) for name in Background.__dataclass_fields__ if name in parts}
    return family_chart(
        frame, study, task, *families,
        view=view or View(), rules=rules, background=Background(**behind), layout=Layout(**parts),
        unfinished=unfinished,
    )  # fmt: skip


def valid(chart: ChartSpec) -> dict:
    """The chart's specification, checked against the schema of Vega-Lite."""
    spec = chart.to_dict()
    validate_jsonschema(spec, load_schema())
    return spec


def svg(chart: ChartSpec) -> str:
    """The chart as drawn."""
    return vl_convert.vegalite_to_svg(chart.to_dict())


def marks(text: str, name: str, what: str = "tag") -> list[str]:
    """The marks of the layer with this name in an SVG, in the order of drawing: their opening tags, or their text."""
    groups = re.findall(
        rf'<g class="mark-\w+ role-mark (?:[^"]*_)?{name}(?:_\d+)?_marks".*?</g>', text, flags=re.DOTALL
    )
    result = r"<(?:path|line|text|rect)\b[^>]*>" if what == "tag" else r"<text\b[^>]*>([^<]*)</text>"
    return [one for group in groups for one in re.findall(result, group)]


def is_dashed(tag: str) -> bool:
    """Whether a line of an SVG is of the control arm."""
    return f'stroke-dasharray="{",".join(map(str, CONTROL_DASH))}"' in tag


def flat(spec: Mapping) -> list[dict]:
    """The layers of a specification, those of each of its families in their order."""
    return [one for part in spec["layer"] for one in part.get("layer", [part])]


def layer(chart: ChartSpec, name: str) -> dict:
    """The layer of a chart's specification with this name (without its prefix)."""
    return next(part for part in flat(chart.to_dict()) if part["name"].endswith(f"_{name}"))


def rows(chart: ChartSpec, name: str) -> list[dict]:
    """The data that a layer draws."""
    spec = chart.to_dict()
    data = layer(chart, name)["data"]
    return data["values"] if "values" in data else spec["datasets"][data["name"]]
