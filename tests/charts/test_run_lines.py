"""Every run's own line in the colour of its value, and the points behind smoothed lines."""

import json
from dataclasses import replace

import polars as pl
import pytest

from lib.charts import Background, Coloring, color_keys, coloring, curves_text, grid, one_metric_text
from lib.charts.curves.run_lines import COLORS, RAMP, value_colors
from lib.charts.run_colors import coloring_text
from lib.charts.style import QUIET
from lib.curves import View
from lib.curves.study_curves import raw_curves, seed_curves
from lib.report import FigureData, footer_text, render, sidecar
from lib.report.figures import study_figures
from lib.runs import Manifest, Run
from lib.study import CONTROL, Metric, Task
from tests.support.chart_frames import EVAL, STUDY, TASK, TRAIN, both, layer, marks, plotted, rows, svg, valid
from tests.support.frames import history, series, study, treatment

pytestmark = pytest.mark.slow

KIT = study()


def runs(**configs) -> Manifest:
    calls = tuple(Run(run, config=config, tasks=("task",)) for run, config in configs.items())
    return Manifest("kit", {}, "2026-01-01T00:00:00+00:00", ".", calls)


def own(values=("a", "b"), metrics=(EVAL,), steps=(0.0, 100.0)) -> pl.DataFrame:
    """A line a run and metric."""
    rows = [
        (TASK.key, "detached", metric.key, run, f"s{run}", step, float(i))
        for metric in metrics
        for i, run in enumerate(values)
        for step in steps
    ]
    return pl.DataFrame(rows, schema=["task", "arm", "metric", "run_id", "seed", "step", "value"], orient="row")


def chart(by: Coloring, frame=None, **options):
    seeds = own(tuple(by.values)) if frame is None else frame
    view = View(color_by=by.key)
    return plotted(both(("detached",)), "reward", view=view, seeds=seeds, coloring=by, **options)


# ---- what runs are coloured by -------------------------------------------------------------------------------------


def test_keys_are_those_on_which_runs_of_a_task_differ():
    result = runs(
        a={"task": "x", "seed": 1, "lr": 0.1, "_wandb": 1, "layers": [1, 2], "only": None, "late": True},
        b={"task": "x", "seed": 2, "lr": 0.2, "_wandb": 2, "layers": [1, 3], "only": None},
    )
    assert color_keys(KIT, result) == ["seed", "arm", "late", "layers", "lr"]
    assert color_keys(KIT, runs()) == ["seed", "arm"]
    nested = runs(a={"algo": {"lr": 1, "dim": "8"}}, b={"algo": {"lr": "2", "dim": 8.0}})
    assert color_keys(KIT, nested) == ["seed", "arm", "algo.lr"]
    assert coloring(nested, [treatment("a"), treatment("b")], "algo.lr").values == {"a": "1", "b": "2"}


def test_few_values_are_listed_numbers_first_and_a_missing_one_is_told_apart():
    treatments = [treatment(run) for run in "abcd"]
    by = coloring(runs(a={"k": 10}, b={"k": 9.5}, c={"k": "auto"}, d={}), treatments, "k")
    assert by == Coloring("k", {"a": "10", "b": "9.5", "c": "auto", "d": None}, order=("9.5", "10", "auto"))
    assert coloring_text(by) == "Every run has its own line, coloured by k: 9.5, 10, auto, 1 without a value."


def test_many_numbers_are_a_scale():
    treatments = [treatment(str(i)) for i in range(8)]
    by = coloring(runs(**{str(i): {"k": 2**i} for i in range(7)}), treatments, "k")
    assert (by.scaled, by.low, by.high, by.values["7"]) == (True, 1.0, 64.0, None)
    assert coloring_text(by) == "Every run has its own line, coloured by k: from 1 to 64, 1 without a value."


def test_seed_and_arm_are_the_treatments():
    treatments = [treatment("a", seed="10"), treatment("b", CONTROL, seed="9")]
    assert coloring(runs(), treatments, "seed").order == ("9", "10")
    assert coloring(runs(), treatments, "arm").values == {"a": "detached", "b": "control"}
    assert coloring(runs(), treatments, "") is None


def test_true_false_lists_and_infinities_are_text():
    treatments = [treatment(run) for run in "abc"]
    result = runs(a={"k": True}, b={"k": [1, 2]}, c={"k": float("inf")})
    assert coloring(result, treatments, "k").values == {"a": "true", "b": "[1, 2]", "c": "inf"}


def test_a_key_that_no_run_has_is_missing_everywhere():
    by = coloring(runs(a={}), [treatment("a")], "k")
    assert layer(chart(by, own(("a",))), "runs")["encoding"]["stroke"]["scale"]["domain"] == ["missing"]


# ---- how it is drawn -----------------------------------------------------------------------------------------------

LISTED = Coloring("lr", {"a": "0.1", "b": "0.2", "c": None}, order=("0.1", "0.2"))
SCALED = Coloring("lr", {"a": 1.0, "b": 500.0, "c": None}, low=1.0, high=1000.0)


def test_values_have_a_legend_of_colours_and_missing_ones_are_grey():
    one = chart(LISTED, width=600)
    stroke = layer(one, "runs")["encoding"]["stroke"]
    assert stroke["title"] == "lr"
    assert stroke["scale"] == {"domain": ["0.1", "0.2", "missing"], "range": [*COLORS[:2], QUIET]}
    strokes = {tag.split('stroke="')[1].split('"')[0] for tag in marks(svg(one), "runs")}
    assert strokes == {*COLORS[:2], QUIET}
    assert svg(one).count(">missing<") == 1


def test_runs_of_an_unknown_arm_are_grey_where_arms_have_colours():
    arms = ("control", "detached", "unknown")
    assert value_colors(Coloring("arm", {}, order=arms)) == dict(zip(arms, [*COLORS[:2], QUIET], strict=True)) | {
        "missing": QUIET
    }
    assert value_colors(Coloring("mode", {}, order=arms))["unknown"] == COLORS[2]


def test_many_texts_take_the_colours_of_the_scale():
    by = Coloring("k", {}, order=tuple("abcdefghi"))
    assert list(value_colors(by).values()) == [RAMP[0], *list(value_colors(by).values())[1:8], RAMP[2], QUIET]
    assert value_colors(by)["e"] == RAMP[1]
    assert len(set(value_colors(by).values())) == 10


def test_numbers_have_a_scale_and_missing_ones_a_legend_of_their_own():
    one = chart(SCALED, width=600)
    stroke = layer(one, "runs")["encoding"]["stroke"]
    assert stroke["type"] == "quantitative"
    assert stroke["scale"] == {"type": "log", "domain": [1.0, 1000.0], "range": list(RAMP), "interpolate": "lab"}
    assert {row["run_id"] for row in rows(one, "runs")} == {"a", "b"}
    assert {row["run_id"] for row in rows(one, "runs_missing")} == {"c"}
    assert svg(one).count(">missing<") == 1
    narrow = chart(Coloring("k", {"a": 8.0, "b": 9.0}, low=8.0, high=9.0))
    assert layer(narrow, "runs")["encoding"]["stroke"]["scale"]["type"] == "linear"
    assert not any("missing" in part["name"] for part in narrow.to_dict()["layer"])


def test_a_line_is_of_one_run_and_runs_are_coloured_of_one_metric():
    frame = own(("a", "b", "c"), (TRAIN, EVAL))
    one = chart(LISTED, frame, width=600)
    assert len(marks(svg(one), "runs")) == 3
    # The first of the study, whatever is drawn last.
    assert {row["metric"] for row in rows(one, "runs")} == {"Eval Episode Reward"}
    message = "Coloured by lr, runs are drawn of one metric: Eval Episode Reward. Choose others under Metrics."
    assert one_metric_text(both(), STUDY, TASK, "reward", view=View(color_by="lr")) == message
    assert one_metric_text(both(), STUDY, TASK, "reward", view=View()) == ""
    picked = replace(STUDY, metrics=(TRAIN,))
    assert one_metric_text(both(), picked, TASK, "reward", view=View(color_by="lr")) == ""


def test_a_pointer_on_a_line_is_told_run_seed_and_value():
    touch = layer(chart(LISTED), "hover_run")
    assert [tip["title"] for tip in touch["encoding"]["tooltip"] if "title" in tip] == ["run", "lr"]
    assert [tip["field"] for tip in touch["encoding"]["tooltip"]] == ["run_id", "seed", "by", "arm", "metric"]
    names = [part["name"].removeprefix("acrobot_swingup_reward_") for part in chart(LISTED).to_dict()["layer"]]
    assert names.index("hover_run") > names.index("hover_rule")


def test_a_click_on_a_value_isolates_its_runs():
    params = {p["name"]: p for p in chart(LISTED).to_dict()["params"]}
    assert params["isolate_value"]["select"]["fields"] == ["by"]
    assert params["isolate_value"]["views"] == ["acrobot_swingup_reward_runs"]
    assert "isolate_value" not in {p["name"] for p in chart(SCALED).to_dict()["params"]}


@pytest.mark.parametrize("by", [LISTED, SCALED])
def test_specifications_are_valid_and_light(by):
    ids = tuple(f"run{i}" for i in range(60))
    many = Coloring(by.key, dict(zip(ids, [*by.values.values()] * 20, strict=True)), by.order, by.low, by.high)
    frame = own(ids, (TRAIN, EVAL), tuple(i / 10 for i in range(1000)))
    one = chart(many, frame, raw=frame)
    assert valid(one)
    assert one.size < 300_000


def test_the_takeaway_tells_the_colours_once():
    text = curves_text(both(), STUDY, TASK, "reward", "loss", view=View(color_by="lr"), coloring=LISTED)
    assert text.count("Episode Reward on") == text.count("Consistency on") == 1
    assert text.endswith(". Every run has its own line, coloured by lr: 0.1, 0.2, 1 without a value.")
    assert text.count("coloured by") == 1


def test_every_figure_and_its_footer_and_sidecar_say_the_colours():
    view = View(color_by="lr", raw=True, x="wall")
    data = FigureData(STUDY, view, (), both(), seeds=own("abc"), raw=own("abc"), coloring={TASK.key: LISTED})
    charts = {figure.stem: figure.file_chart for figure in study_figures(data)}
    for spec in [charts["acrobot_swingup_reward"].spec, charts["combined_ablation"].spec["vconcat"][0]["hconcat"][0]]:
        names = [part["name"].removeprefix("acrobot_swingup_reward_") for part in spec["layer"]]
        marks = [name.split("_")[0] for name in names if "hover" not in name]
        assert marks[:4] == ["band", "raw", "runs", "line"]
    text = render(charts["acrobot_swingup_reward"], "svg").decode()
    assert "hover_run" not in text
    assert text.count(">0.2<") == 1
    manifest = Manifest("t", {}, "2026-01-02T03:04:05Z", ".", ())
    assert (
        "aligned bins, over hours since each run's first timestamp, every run coloured by lr, dots: before smoothing."
        in footer_text(STUDY, manifest, view)
    )
    settings = json.loads(sidecar(STUDY, manifest, view))["settings"]
    assert (settings["color_by"], settings["raw"], settings["x"]) == ("lr", True, "wall")


def test_without_values_the_runs_are_drawn_as_ever():
    one = plotted(both(), "reward", view=View(seeds=True), seeds=own())
    assert layer(one, "seeds")["encoding"]["color"]["field"] == "metric"
    assert (
        "config" in grid(both(), STUDY, view=View(), rules={}, backgrounds={TASK.key: Background(coloring=LISTED)}).spec
    )


# ---- before smoothing ----------------------------------------------------------------------------------------------


def test_raw_points_are_of_smoothed_metrics_alone_and_on_the_same_axis():
    train, other = Metric("train/reward", "reward", "increase"), Metric("y", "reward", "increase")
    points = [p for m in (train, other) for p in series("a", m.key, [(10, 10.0), (20, 20.0), (30, 30.0)])]
    view, task, treatments = View(window=20, x="percent"), Task("task", 100), [treatment("a")]
    raw = raw_curves(history(points), task, (train, other), treatments, view)
    assert raw.select("metric", "step", "value").rows() == [(train.key, s, s) for s in (10.0, 20.0, 30.0)]
    smooth = seed_curves(history(points), task, (train,), treatments, view)
    assert smooth["value"].to_list() == [10.0, 15.0, 25.0]
    assert raw.columns == smooth.columns


def test_raw_points_are_drawn_only_behind_something_smoothed():
    assert View(raw=True).draws_raw
    assert not View(raw=True, smooth=False).draws_raw
    assert not View().draws_raw
    assert View(color_by="seed").draws_runs


@pytest.mark.parametrize("key", ["image", "title"])
def test_no_tooltip_loads_an_image_or_shows_a_heading_that_a_key_names(key):
    address = "https://stranger.example/x.png"
    tips = layer(chart(Coloring(key, {"a": address, "b": "y"}, order=(address, "y"))), "hover_run")["encoding"][
        "tooltip"
    ]
    assert [tip["title"] for tip in tips if "title" in tip] == ["run", f"{key}\u2060"]
