"""What a curve chart draws: series, bands, rule, strip, axes; read from its specification and from the drawn SVG."""

import json
import re
from dataclasses import replace

import polars as pl
import pytest

from lib.charts import curves_text, family_metrics, figure_title, grid, split
from lib.charts.curves.tables import x_range
from lib.charts.detach_rule import DetachMark
from lib.charts.metric_colors import metric_colors
from lib.charts.style import CONTROL_DASH, PALETTE, arm_dashes, arm_order, metric_label
from lib.charts.thinning import downsample
from lib.curves import View
from tests.support.chart_frames import (
    EVAL,
    LOSS,
    OTHER,
    STUDY,
    TASK,
    TRAIN,
    VAL,
    both,
    curve,
    flat,
    is_dashed,
    layer,
    marks,
    plotted,
    rows,
    svg,
    valid,
)

RULES = [DetachMark(50, "typed")]
VIEW = View()


def chart(frame, *families, **options):
    return plotted(frame, *(families or ["reward"]), **({"rules": RULES} | options))


def per_run(family: str) -> pl.DataFrame:
    """Two runs' own curves of the family's last metric."""
    metric = EVAL.key if family == "reward" else VAL.key
    return pl.DataFrame(
        {
            "task": TASK.key, "arm": "detached", "metric": metric, "run_id": ["a", "a", "b", "b"],
            "seed": ["1", "1", "2", "2"], "step": [0.0, 100.0, 0.0, 100.0], "value": [1.0, 2.0, 3.0, 4.0],
        }
    )  # fmt: skip


def test_layers_are_flat_and_end_with_the_rule_and_the_pointers_table():
    spec = chart(both()).to_dict()
    assert [part["name"].removeprefix("acrobot_swingup_reward_") for part in spec["layer"]] == [
        "hover_base", "hover_steps", "hover_rule", "band", "line", "end_labels", "n_strip", "n_label", "detach_label",
        "detach_rule", "hover_ground", "hover_samples", "hover_texts",
    ]  # fmt: skip
    assert not any("layer" in part for part in spec["layer"])
    assert spec["width"] == "container"
    assert spec["height"] == 380


def test_exactly_one_rule_and_one_label_are_drawn_however_many_rows_there_are():
    steps = [float(i) for i in range(101)]
    text = svg(chart(curve(EVAL, steps, steps=steps), width=600))
    rule = marks(text, "detach_rule")
    assert len(rule) == 1
    assert "translate(300,0)" in rule[0]
    assert len(marks(text, "detach_label")) == 1
    assert text.count("Encoder Detached") == 1
    assert text.count("50 (typed)") == 1


def test_train_is_drawn_first_and_eval_last_and_the_control_is_dashed():
    lines = marks(svg(chart(both(), width=600)), "line")
    assert [(TRAIN.color in tag, EVAL.color in tag, is_dashed(tag)) for tag in lines] == [
        (True, False, True), (True, False, False), (False, True, True), (False, True, False),
    ]  # fmt: skip


def test_no_band_is_drawn_where_there_is_one_seed():
    frame = curve(EVAL, [1, 2, 3, 4, 5], n=[3, 3, 1, 3, 3], steps=(0, 25, 50, 75, 100))
    [band] = marks(svg(chart(frame, width=600)), "band")
    outline = band.split(' d="')[1].split('"')[0]
    # Two separate areas, each from one point to its neighbour and back.
    assert outline.count("M") == 2
    assert "L300," not in outline
    assert ' d="' not in "".join(marks(svg(chart(curve(EVAL, [1, 2, 3], n=1), width=600)), "band"))


def test_one_arm_needs_no_dash_legend_and_two_have_one():
    assert layer(chart(both(("detached",))), "line")["encoding"]["strokeDash"]["legend"] is None
    dash = layer(chart(both()), "line")["encoding"]["strokeDash"]
    assert dash["scale"]["domain"] == ["detached", "control"]
    assert dash["legend"]["orient"] == "top-left"


def test_the_arms_legend_keeps_out_of_the_rules_way():
    def orient(**options):
        return layer(chart(both(), **options), "line")["encoding"]["strokeDash"]["legend"]["orient"]

    assert orient(rules=[DetachMark(10)]) == "top-right"
    assert orient(rules=()) == "top"


def test_specifications_are_valid_vega_lite():
    for family in ("reward", "loss"):
        spec = valid(chart(both(), family, brush=True, title="A"))
        assert [part["mark"]["type"] for part in spec["layer"]][:5] == ["line", "rect", "rule", "area", "line"]


def test_takeaway():
    assert curves_text(both(), STUDY, TASK, "reward", view=VIEW, rules=RULES) == (
        "Eval Episode Reward on Acrobot Swingup, from the detach at 50 steps to the end: "
        "from 20 to 30 (detached, n = 3); from 21 to 31 (control, n = 3)."
    )
    assert "from the start to the end: from 10 to 30" in curves_text(both(), STUDY, TASK, "reward", view=VIEW)
    assert (
        curves_text(both().clear(), STUDY, TASK, "loss", view=VIEW)
        == "Acrobot Swingup: nothing of the family loss was logged."
    )


def test_legend_names_the_window_of_smoothed_metrics_only():
    color = layer(chart(both()), "line")["encoding"]["color"]
    assert color["scale"]["domain"] == ["Train Episode Reward (MA 10)", "Eval Episode Reward"]
    assert metric_label(TRAIN, TASK, View(window=1000)) == "Train Episode Reward (MA 1,000)"
    assert metric_label(TRAIN, TASK, View(smooth=False)) == "Train Episode Reward"


def test_reward_axis_is_linear_and_loss_axis_log_with_scientific_labels():
    y = layer(chart(both()), "line")["encoding"]["y"]
    assert (y["title"], y["scale"].get("type")) == ("Episode Reward", None)
    loss = layer(chart(both(), "loss"), "line")["encoding"]["y"]
    assert (loss["title"], loss["scale"]["type"], loss["axis"]["format"]) == ("Consistency Loss", "log", ".6~e")
    assert loss["axis"]["values"] == [5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2]
    assert ">1e-3<" in svg(chart(both(), "loss", width=600))
    assert "type" not in layer(chart(both(), "loss", view=View(log_loss=False)), "line")["encoding"]["y"]["scale"]
    assert layer(chart(both(), view=View(log_reward=True)), "line")["encoding"]["y"]["scale"]["type"] == "log"


def test_a_band_that_reaches_zero_ends_at_the_foot_of_a_log_axis():
    frame = curve(LOSS, [1e-2, 1e-3, 1e-2], half=2.0).with_columns(lower=pl.Series([5e-3, -1e-3, 5e-3]))
    one = chart(frame, "loss", width=600)
    low, high = layer(one, "band")["encoding"]["y"]["scale"]["domain"]
    assert (low, high) == pytest.approx((1e-3 / 20**0.04, 2e-2 * 20**0.04), rel=1e-3)
    assert [row["lower"] for row in rows(one, "band")] == [5e-3, low, 5e-3]
    assert "NaN" not in svg(one)


def test_a_mean_of_zero_is_a_gap_on_a_log_axis():
    assert [row["mean"] for row in rows(chart(curve(LOSS, [1e-2, 0, 1e-2]), "loss"), "line")] == [1e-2, None, 1e-2]


def test_infinities_do_not_stretch_the_axis():
    frame = curve(EVAL, [1, 2, 3]).with_columns(upper=pl.Series([2.0, float("inf"), 4.0]))
    assert [row["upper"] for row in rows(chart(frame), "band")] == [2.0, None, 4.0]


def test_charts_of_a_task_share_its_x_range():
    frame = pl.concat([both(), curve(LOSS, [1.0, 1.0], arm="late", steps=(0.0, 130.0))])
    for family in ("reward", "loss"):
        assert layer(chart(frame, family), "line")["encoding"]["x"]["scale"]["domain"] == [0, 130]
    assert layer(chart(frame, view=View(span=(20, 40))), "line")["encoding"]["x"]["scale"]["domain"] == [20, 40]
    assert x_range(split(curve(EVAL, [1.0, 1.0], steps=(5.0, 100.0)), TASK.key)) == (0.0, 100.0)
    assert x_range(split(curve(EVAL, [1.0, 1.0], steps=(-50.0, 50.0)), TASK.key)) == (-50.0, 50.0)
    assert x_range(split(both(), OTHER.key)) is None


def test_seeds_and_raw_points_lie_behind_the_means():
    seeds = per_run("reward")
    one = chart(both(("detached",)), seeds=seeds, raw=seeds, width=600)
    names = [part["name"].rsplit("_", 1)[-1] for part in one.to_dict()["layer"]]
    assert names[:7] == ["base", "steps", "rule", "band", "raw", "seeds", "line"]
    text = svg(one)
    assert len(marks(text, "seeds")) == 2
    assert len(marks(text, "raw")) == 4


def test_a_click_on_the_legend_isolates_a_metric_or_an_arm_and_zoom_is_bound_to_x():
    params = {p["name"]: p for p in chart(both(), brush=True).to_dict()["params"] if "select" in p}
    assert set(params) == {"zoom", "isolate", "isolate_arm", "range", "hover"}
    assert params["zoom"]["bind"] == "scales"
    assert params["zoom"]["select"]["encodings"] == ["x"]
    assert params["hover"]["views"] == ["acrobot_swingup_reward_hover_steps"]
    for name, field in (("isolate", "metric"), ("isolate_arm", "arm")):
        assert f"'{field}_legend'" in params[name]["bind"]["legend"]
        assert params[name]["select"]["fields"] == [field]
        # A layer whose legend it is, without a mark that would be in the pointer's way.
        assert params[name]["views"] == ["acrobot_swingup_reward_hover_base"]
        assert field in {c.get("field") for c in layer(chart(both()), "hover_base")["encoding"].values()}
        assert layer(chart(both()), "hover_base")["data"] == {"sequence": {"start": 0, "stop": 0}}
    assert layer(chart(both()), "line")["encoding"]["strokeDash"]["legend"]["zindex"] == 1
    still = chart(both(), interactive=False).to_dict()
    assert not [p for p in still["params"] if "select" in p]
    assert not any("hover" in part["name"] for part in still["layer"])


def test_two_charts_of_the_same_settings_are_the_same_specification():
    assert json.dumps(chart(both()).to_dict()) == json.dumps(chart(both()).to_dict())


def test_series_are_told_apart_whatever_the_order_of_rows():
    frame = both()
    mixed = pl.concat([frame[::2], frame[1::2]]).sort("step", maintain_order=True)
    for name, one in split(frame, TASK.key).items():
        other = split(mixed, TASK.key)[name]
        assert (one.step.tolist(), one.mean.tolist()) == (other.step.tolist(), other.mean.tolist())
    assert list(split(frame, TASK.key)) == [
        (m.key, a) for a in ("detached", "control") for m in (TRAIN, EVAL, LOSS, VAL)
    ]


@pytest.mark.parametrize("families", [("reward",), ("loss",), ("reward", "loss")])
def test_a_specification_names_tables_by_their_content(families):
    seeds = pl.concat([per_run(family) for family in families])
    one, same = (chart(both(), *families, seeds=seeds, height=300) for _ in range(2))
    assert (one.spec, one.tables) == (same.spec, same.tables)
    names = [part["data"].get("name") for part in flat(one.spec) if "values" not in part["data"]]
    assert {name for name in names if name} == set(one.tables)
    # Without a table: the layer of selections, the pointer's rule, the strips' labels, the rule and its label.
    assert names.count(None) == 4 + len(families)
    tables = {name: pl.read_ipc_stream(table).rows(named=True) for name, table in one.tables.items()}
    assert one.to_dict() == {**one.spec, "datasets": tables}
    more = chart(both().with_columns(pl.col("mean") + 1), *families, seeds=seeds, height=300)
    # Those of the means, of the pointer and of the names at the lines' ends; seeds and n are the same.
    assert len(set(more.tables) - set(one.tables)) == 1 + 2 * len(families)


def test_metrics_without_a_color_take_one_that_is_unlike_those_of_the_study():
    colors = metric_colors(STUDY)
    assert colors[EVAL.key] == "#1f77b4"
    # What is left of the palette is like the blue, the green or the red that the study names.
    assert colors[VAL.key] == "#a54bff"
    bare = [replace(metric, color="") for metric in STUDY.metrics]
    assert list(metric_colors(replace(STUDY, metrics=tuple(bare))).values()) == list(PALETTE[:4])


def test_arms_are_ordered_with_the_control_last_and_have_dashes_of_their_own():
    arms = arm_order(["control", "detached 0.5", "detached 0.2", "control"])
    assert arms == ["detached 0.2", "detached 0.5", "control"]
    dashes = arm_dashes(arms)
    assert dashes[0] == [1, 0]
    assert len({tuple(d) for d in dashes}) == 3


@pytest.mark.parametrize("others", [("detached", "control"), ("detached",), ()])
def test_the_legend_says_that_an_unknown_arm_is_not_compared(others):
    arms = arm_order(["unknown", *others])
    assert arms == [*others, "unknown"]
    assert arm_dashes(arms)[-1] not in (CONTROL_DASH, [1, 0])
    one = chart(both(tuple(arms)), width=600)
    assert layer(one, "line")["encoding"]["strokeDash"]["scale"]["domain"] == arms
    assert svg(one).count(">unknown (not compared)<") == 1


def test_a_metric_that_no_run_logged_is_not_drawn():
    frame = both().filter(pl.col("metric") != TRAIN.key)
    assert [m.key for m in family_metrics(frame, STUDY, TASK, "reward")] == [EVAL.key]
    assert layer(chart(frame), "line")["encoding"]["y"]["title"] == "Eval Episode Reward"
    assert {row["metric"] for row in rows(chart(frame), "line")} == {"Eval Episode Reward"}


def test_thinning_keeps_the_lowest_and_highest_rows_as_they_were():
    frame = pl.DataFrame({"s": "a", "step": [float(i) for i in range(1000)], "v": [0.0] * 1000})
    frame = frame.with_columns(
        pl.when(pl.col("step") == 500)
        .then(9.0)
        .when(pl.col("step") == 700)
        .then(-9.0)
        .otherwise(pl.col("step") / 1e3)
        .alias("v")
    )
    less = downsample(frame, ["s"], "v", 100)
    assert len(less) <= 100
    assert (500.0, 9.0) in less.select("step", "v").rows()
    assert (700.0, -9.0) in less.select("step", "v").rows()
    assert less.join(frame, on=["s", "step", "v"], how="anti").is_empty()
    assert downsample(frame, ["s"], "v", 1000) is frame


def test_bytes_stay_small_for_long_curves():
    steps = [float(i) * 1000 for i in range(1000)]
    values = [1.0 + (i * 7919 % 101) / 7 for i in range(1000)]
    metrics = (LOSS, VAL)
    frame = pl.concat(
        [curve(m, values, arm=a, steps=steps, half=1.3) for m in metrics for a in ("detached", "a", "b", "control")]
    )
    one = chart(frame, "loss")
    assert len(rows(one, "line")) <= 3600
    assert one.size < 300_000


def test_grid_is_tasks_by_families_with_the_same_axes_as_the_single_charts():
    frame = pl.concat([both(), both(task=OTHER).with_columns(pl.col("mean") * 3)])
    spec = grid(frame, STUDY, view=VIEW, rules={TASK.key: RULES, OTHER.key: RULES}).to_dict()
    assert spec["title"]["text"] == "Detach Encoder Ablation"
    assert [[cell["title"]["text"] for cell in row["hconcat"]] for row in spec["vconcat"]] == [
        ["Acrobot Swingup - Episode Reward", "Acrobot Swingup - Consistency Loss"],
        ["Cartpole Swingup - Episode Reward", "Cartpole Swingup - Consistency Loss"],
    ]
    loss = next(part for part in spec["vconcat"][0]["hconcat"][1]["layer"] if "_line" in part["name"])
    single = layer(chart(frame, "loss", width=430, height=300, cell=True), "line")
    assert loss["encoding"]["y"] == single["encoding"]["y"]
    train = next(part for part in spec["vconcat"][0]["hconcat"][0]["layer"] if "_line" in part["name"])
    assert train["encoding"]["color"]["scale"]["domain"][0] == "Train Episode Reward (MA 10)"


def test_every_cell_of_the_grid_draws_its_own_data_and_one_rule():
    frame = pl.concat([both(("detached",)), curve(EVAL, [7, 7, 7], task=OTHER)])
    text = svg(grid(frame, STUDY, view=VIEW, rules={TASK.key: RULES, OTHER.key: RULES}))
    assert "Train Episode Reward (MA 10)" in text
    assert "…" not in text
    assert len(marks(text, "detach_rule")) == 3
    assert text.count("Encoder Detached") == 3
    lines = [set(re.findall(r"[ML][\d.]+,([\d.]+)", tag)) for tag in marks(text, "reward_line")]
    # Two that rise and the other task's, which stays where it is.
    assert [len(heights) for heights in lines] == [3, 3, 1]


def test_grid_leaves_out_what_is_not_there():
    frame = curve(EVAL, [1, 2, 3])
    spec = grid(frame, STUDY, view=VIEW, rules={}).to_dict()
    assert len(spec["vconcat"]) == 1
    assert len(spec["vconcat"][0]["hconcat"]) == 1
    assert figure_title(frame, STUDY, TASK, "reward") == "Acrobot Swingup - Episode Reward"


def test_titles_are_drawn_only_when_asked_for():
    assert "title" not in chart(both()).to_dict()
    assert chart(both(), title="A - B").to_dict()["title"]["text"] == "A - B"
