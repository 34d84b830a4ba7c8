"""One legend for several charts, and charts without one."""

from dataclasses import replace

import polars as pl

from lib.charts import LegendEntry, legend_entries
from lib.charts.metric_colors import metric_colors
from lib.charts.style import CONTROL_DASH, QUIET, arm_dashes
from lib.curves import View
from tests.support.chart_frames import OTHER, STUDY, TRAIN, VAL, both, curve, flat, layer, plotted, valid

SOLID = (1, 0)


def test_the_legend_has_every_metric_in_its_colour_and_every_arm_in_its_dash():
    entries = legend_entries(pl.concat([both(), both(task=OTHER)]), STUDY, View())
    colors = metric_colors(STUDY)
    assert entries == (
        LegendEntry("Train Episode Reward (MA 10)", "#2ca02c", SOLID),
        LegendEntry("Eval Episode Reward", "#1f77b4", SOLID),
        LegendEntry("Train Consistency", "#d62728", SOLID),
        LegendEntry("Val (All) Consistency", colors[VAL.key], SOLID),
        LegendEntry("detached", QUIET, SOLID),
        LegendEntry("control", QUIET, tuple(CONTROL_DASH)),
    )


def test_tasks_of_several_windows_share_a_label_without_any():
    study = replace(STUDY, tasks=(STUDY.tasks[0], replace(OTHER, smoothing_steps=20)))
    one = curve(TRAIN, [1, 2, 3])
    assert [entry.label for entry in legend_entries(one, study, View())] == ["Train Episode Reward"]
    assert [entry.label for entry in legend_entries(one, study, View(window=5))] == ["Train Episode Reward (MA 5)"]


def test_a_single_arm_has_no_entry_unless_nobody_knows_which():
    assert [e.label for e in legend_entries(curve(VAL, [1, 2, 3], arm="detached"), STUDY, View())] == [VAL.name]
    unknown = legend_entries(curve(VAL, [1, 2, 3], arm="unknown"), STUDY, View())
    assert [entry.label for entry in unknown] == [VAL.name, "unknown (not compared)"]


def test_a_chart_without_a_legend_has_the_marks_of_one_with_it():
    with_legend, without = (valid(plotted(both(), "loss", legend=legend)) for legend in (True, False))
    names, others = ([layer["name"] for layer in flat(one)] for one in (without, with_legend))
    assert names == [name for name in others if not name.endswith("end_labels")]
    channels = [
        layer["encoding"][c] for layer in flat(without) for c in ("color", "strokeDash") if c in layer["encoding"]
    ]
    assert {channel["legend"] for channel in channels if "scale" in channel} == {None}
    assert [param["name"] for param in without["params"] if "select" in param] == ["zoom", "hover"]
    assert "isolate" not in str(without)


def test_colour_tells_arms_apart_where_no_family_has_more_than_one_metric():
    study, curves = replace(STUDY, metrics=(VAL,)), both().filter(pl.col("metric") == VAL.key)
    control, detached = (entry for entry in reversed(legend_entries(curves, study, View())))
    assert (control, detached.label) == (
        LegendEntry("control", QUIET, tuple(arm_dashes(["detached", "control"], solid=True)[1])),
        "detached",
    )
    scale = layer(plotted(curves, "loss", study=study, legend=False), "line")["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {"detached": detached.color, "control": QUIET}
