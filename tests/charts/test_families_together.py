"""The families of a task in one chart: one below the other, with one x axis, one zoom, one legend and one tooltip."""

import json
import re
from dataclasses import replace

import polars as pl
import pytest
import vl_convert

from lib.charts import Coloring
from lib.charts.axes import PlotArea, plot_areas
from lib.charts.detach_rule import DetachMark
from lib.curves import View
from lib.report import render
from tests.support.chart_frames import (
    EVAL,
    LOSS,
    STUDY,
    TASK,
    TRAIN,
    VAL,
    both,
    curve,
    flat,
    layer,
    marks,
    plotted,
    rows,
    svg,
    valid,
)

pytestmark = pytest.mark.slow

RULES = [DetachMark(50, "typed")]


def chart(frame=None, **options):
    frame = both() if frame is None else frame
    return plotted(frame, "reward", "loss", rules=RULES, **options)


def test_an_area_is_a_share_of_the_plots_height():
    assert plot_areas(1) == [PlotArea(0, 1, 0)]
    upper, lower = plot_areas(2, gap=10)
    assert (upper, lower) == (PlotArea(0, 0.5, 10), PlotArea(0.5, 1, 0))
    assert [area.above_foot(0).to_dict() for area in (upper, lower)] == [
        {"expr": "0.5 * height - 10"},
        {"expr": "height"},
    ]
    assert (upper.below_top(4), lower.below_top(4).to_dict()) == (4, {"expr": "0.5 * height + 4"})
    upper, lower = (replace(area, height=400) for area in (upper, lower))
    assert (upper.below_top(4), upper.above_foot(6)) == (4, 184)
    assert (lower.below_top(4), lower.above_foot(6)) == (204, 394)


def test_families_lie_one_below_the_other_over_one_x_axis():
    spec = valid(chart(width=600, height=400))
    names = [
        "hover_base",
        "hover_steps",
        "hover_rule",
        None,
        None,
        "detach_label",
        "detach_rule",
        "hover_ground",
        "hover_samples",
        "hover_texts",
    ]
    assert [part.get("name", "").removeprefix("acrobot_swingup_reward_") or None for part in spec["layer"]] == names
    reward, loss = spec["layer"][3]["layer"], spec["layer"][4]["layer"]
    for family, layers in (("reward", reward), ("loss", loss)):
        own = [one["name"].removeprefix(f"acrobot_swingup_{family}_") for one in layers]
        assert own == ["band", "line", "n_strip", "n_label"]
    assert spec["resolve"] == {"scale": {"y": "independent"}}
    axes = [layers[1]["encoding"]["y"] for layers in (reward, loss)]
    assert [y["title"] for y in axes] == ["Episode Reward", "Consistency Loss"]
    assert [y["axis"]["orient"] for y in axes] == ["left", "left"]
    assert [y["scale"].get("type") for y in axes] == [None, "log"]
    domains = {
        json.dumps(one["encoding"]["x"]["scale"]["domain"])
        for one in flat(spec)
        if "domain" in str(one["encoding"].get("x"))
    }
    assert domains == {"[0.0, 100.0]"}


def test_what_is_drawn_of_a_family_stays_in_its_area():
    text = svg(chart(width=600, height=400, interactive=False))
    heights = {}
    for family in ("reward", "loss"):
        tags = marks(text, f"{family}_line") + marks(text, f"{family}_band")
        points = [float(y) for tag in tags for y in re.findall(r"[ML]-?[\d.]+,(-?[\d.]+)", tag)]
        heights[family] = (min(points), max(points))
    assert 0 < heights["reward"][0] < heights["reward"][1] < 200
    assert 200 < heights["loss"][0] < heights["loss"][1] < 400


def test_a_legend_of_many_rows_makes_a_page_higher_and_leaves_the_curves_their_room():
    many = [replace(EVAL, key=f"eval{i}/episode_reward", label=f"Eval Episode Reward {i}") for i in range(25)]
    study = replace(STUDY, metrics=(*many, LOSS))
    frame = pl.concat([curve(LOSS, [1e-2, 2e-3, 1e-3]), *(curve(metric, [10, 20, 30]) for metric in many)])
    few, page = chart(height=560), plotted(frame, "reward", "loss", study=study, height=560)
    # A phone has room for one name beside another: 26 rows, 22 of them beyond the few that a chart has room for.
    assert (few.spec["height"], page.spec["height"]) == (560, 560 + 22 * 15)
    # A file is as high as its curves.
    assert plotted(frame, "reward", "loss", study=study, height=560, width=800).spec["height"] == 560
    phone = page.to_dict() | {"width": 320, "autosize": {"type": "fit", "contains": "padding", "resize": True}}
    plot = re.search(
        r'class="mark-group role-frame root".*?<path class="background"[^>]* d="M0.5,0.5h[\d.]+v([\d.]+)',
        vl_convert.vegalite_to_svg(phone),
    )
    assert float(plot[1]) / 2 >= 160


def test_a_reward_that_rises_is_drawn_rising():
    text = svg(chart(width=600, height=400))
    rising = [float(y) for y in re.findall(r"[ML]-?[\d.]+,(-?[\d.]+)", marks(text, "reward_line")[-1])]
    assert rising == sorted(rising, reverse=True)


def test_there_is_one_zoom_one_legend_and_one_rule():
    spec = chart(brush=True).to_dict()
    assert [(p["name"], p["views"]) for p in spec["params"] if "select" in p] == [
        ("zoom", ["acrobot_swingup_reward_hover_base"]),
        ("hover", ["acrobot_swingup_reward_hover_steps"]),
        ("isolate", ["acrobot_swingup_reward_hover_base"]),
        ("isolate_arm", ["acrobot_swingup_reward_hover_base"]),
        ("range", ["acrobot_swingup_reward_hover_base"]),
    ]
    colors = [one["encoding"]["color"] for one in flat(spec) if "color" in one["encoding"]]
    assert len(colors) == 5
    assert all(color == colors[0] for color in colors)
    assert colors[0]["scale"]["domain"] == [
        "Train Episode Reward (MA 10)", "Eval Episode Reward", "Train Consistency", "Val (All) Consistency",
    ]  # fmt: skip
    text = svg(chart(width=600))
    for name in (*colors[0]["scale"]["domain"], "detached", "control"):
        assert text.count(f">{name}<") == 1
    assert len(marks(text, "detach_rule")) == 1


def test_the_pointer_reads_every_metric_of_both_families():
    frame = pl.concat([curve(TRAIN, [1, 2, 3]), curve(EVAL, [10, 20, 30]), curve(LOSS, [1e-2, 2e-3, 1e-3], half=2.0)])
    names = [(row["panel"], row["text"]) for row in rows(chart(frame), "hover_texts") if "text" in row]
    assert names == [(0, "Train"), (0, "Eval"), (1, "Train")]
    assert [row["panel"] for row in rows(chart(frame), "hover_ground")] == [0, 1]
    # Scientific where the axis is logarithmic.
    assert [rows(chart(frame), "hover_steps")[-1][name] for name in ("s0", "s1", "s2")] == [
        "3 [2, 4], n = 3", "30 [29, 31], n = 3", "1.00e-3 [5.00e-4, 2.00e-3], n = 3",
    ]  # fmt: skip


def test_a_family_that_nobody_logged_leaves_its_place_to_the_other():
    alone = chart(curve(LOSS, [1e-2, 2e-3, 1e-3], half=2.0))
    spec = alone.to_dict()
    assert not any("layer" in part for part in spec["layer"])
    assert "resolve" not in spec
    assert "0.5 * height" not in json.dumps(layer(alone, "line")["encoding"]["y"]["scale"]["range"])


def test_runs_of_both_families_have_one_legend_of_their_values():
    by = Coloring("lr", {"a": "0.1", "b": "0.2", "c": "0.3"}, ("0.1", "0.2", "0.3"))
    own = pl.DataFrame(
        [
            (TASK.key, "detached", metric.key, run, "1", step, 1.0)
            for metric, runs in ((EVAL, "ac"), (LOSS, "ab"))
            for run in runs
            for step in (0.0, 100.0)
        ],
        schema=["task", "arm", "metric", "run_id", "seed", "step", "value"],
        orient="row",
    )
    spec = chart(both(("detached",)), seeds=own, coloring=by, view=View(color_by="lr"))
    valid(spec)
    spec = spec.spec
    runs = [one for one in flat(spec) if one["name"].endswith("_runs")]
    assert [one["encoding"]["stroke"]["scale"]["domain"] for one in runs] == [["0.1", "0.2", "0.3"]] * 2
    assert runs[0]["encoding"]["stroke"] == runs[1]["encoding"]["stroke"]


def test_bytes_stay_small_with_everything_that_a_view_can_draw():
    steps = [float(i) * 1000 for i in range(1000)]
    values = [1.0 + (i * 7919 % 101) / 7 for i in range(1000)]
    arms = ("detached", "a", "b", "control")
    frame = pl.concat([curve(m, values, arm=a, steps=steps) for m in (TRAIN, EVAL, LOSS, VAL) for a in arms])
    runs = pl.concat(
        frame.select("task", "arm", "metric", "step", value="mean").with_columns(run_id=pl.lit(run), seed=pl.lit(run))
        for run in "abcdef"
    )
    one = chart(frame, view=View(seeds=True), seeds=runs, raw=runs)
    # Half the rows of a chart of its own for each: means, every seed, raw points.
    assert [len(rows(one, f"reward_{name}")) for name in ("line", "seeds", "raw")] == [1792, 1152, 864]
    assert one.size < 300_000


@pytest.mark.parametrize("format", ["html", "svg", "pdf", "png", "json"])
@pytest.mark.slow
def test_it_comes_in_every_format(format):
    content = render(chart(width=600, title="Acrobot"), format, preset="paper, one column", footer="A study.")
    if format == "svg":
        words = re.findall(r"<text[^>]*>([^<]+)", content.decode())
        assert {"Episode Reward", "Consistency Loss", "A study."} <= set(words)
        assert "hover" not in content.decode()
    if format == "json":
        # Two plots are nearly twice as high as one of the preset, which is 0.6 of the width.
        spec = json.loads(content)
        assert spec["height"] == pytest.approx(1.1 * spec["width"], abs=1)
    assert len(content) > 5_000


@pytest.mark.parametrize(("metrics", "rules"), [(5, 1), (5, 2), (10, 2)])
@pytest.mark.parametrize("width", [820, 358])
def test_legends_of_three_arms_leave_the_upper_curves_their_room(metrics, rules, width):
    """In pixels between the rules' labels and the seeds' strip, in a laptop's page and in a phone's."""
    losses = [replace(LOSS, key=f"{i}/loss", label=f"Val (Recent) Consistency {i}") for i in range(metrics - 2)]
    study = replace(STUDY, metrics=(EVAL, TRAIN, *losses))
    arms = ("detached early", "detached late", "control")
    frame = pl.concat([curve(metric, [1, 2, 3], arm=arm, half=2.0) for arm in arms for metric in study.metrics])
    marked = [DetachMark(step) for step in (50, 25)[:rules]]
    spec = valid(plotted(frame, "reward", "loss", study=study, rules=marked, width="container", height=600))
    # As Streamlit draws it: its legends take room from the plot.
    page = spec | {"width": width, "autosize": {"type": "fit", "contains": "padding"}}
    (plot,) = vl_convert.vegalite_to_scenegraph(page)["scenegraph"]["items"]
    (line,) = [one for one in flat(spec) if one.get("name", "").endswith("reward_line")]
    foot, top = line["encoding"]["y"]["scale"]["range"]
    assert foot == {"expr": "0.5 * height - 38"}
    assert 0.5 * plot["height"] - 38 - top >= 160
