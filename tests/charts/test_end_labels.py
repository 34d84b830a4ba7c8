"""Lines are called by their names at their ends, and nothing of a chart is cut off."""

import re
from dataclasses import replace

import polars as pl
import pytest
import vl_convert

from lib.charts.curves.end_labels import spread
from lib.charts.detach_rule import DetachMark
from lib.charts.style import ARM_PALETTE, QUIET
from tests.support.chart_frames import (
    EVAL,
    LOSS,
    STUDY,
    TRAIN,
    VAL,
    both,
    curve,
    flat,
    layer,
    plotted,
    rows,
)

pytestmark = pytest.mark.slow

RULES = [DetachMark(50, "config, signal agrees")]
THREE = ("detached 0.2", "detached 0.5", "control")
LONG = ("detached at a fifth of the training, batch 64", "detached at half of the training, batch 256", "control")


def names(chart, family="reward"):
    """What is written at the ends of a family's lines, and where on the y axis."""
    return {row["name"]: row["y"] for row in rows(chart, f"{family}_end_labels")}


def page(chart, width: int) -> str:
    """A page's chart as it is drawn in a width."""
    spec = chart.to_dict() | {"width": width, "autosize": {"type": "fit", "contains": "padding", "resize": True}}
    return vl_convert.vegalite_to_svg(spec)


def test_names_are_moved_apart_by_as_little_as_possible():
    assert spread([0.5, 0.52], 0.1) == pytest.approx([0.46, 0.56])
    assert spread([0.9, 0.1], 0.1) == [0.9, 0.1]
    assert spread([0.95, 0.97, 0.99], 0.1) == pytest.approx([0.8, 0.9, 1.0])
    # The second and the third are too near; the first is not moved for them.
    assert spread([0.1, 0.5, 0.5], 0.2) == pytest.approx([0.1, 0.4, 0.6])


def test_a_metric_is_named_at_the_end_of_its_line_without_what_the_axis_says():
    chart = plotted(both(("detached",)), "reward")
    # The axis goes from 0 to 35 in 246 pixels: 30 and 3 are far enough apart to stay.
    assert names(chart) == pytest.approx({"Train (MA 10)": 3, "Eval": 30})
    # The green is too pale for text on white (3.4 to 1), the blue too dark on a dark page (3.7 to 1): 15% are black, white.
    assert [row["light"] for row in rows(chart, "end_labels")] == ["#258825", "#1f77b4"]
    assert [row["dark"] for row in rows(chart, "end_labels")] == ["#2ca02c", "#418bbf"]
    # Where several arms have the colour, the name stands at the first.
    assert names(plotted(both(), "reward")) == names(chart)


def test_names_near_each_other_keep_a_line_of_text_between_them():
    close = pl.concat([curve(LOSS, [1e-2, 2e-3, 1.00e-3]), curve(VAL, [1e-2, 2e-3, 1.01e-3])])
    text = page(plotted(close, "loss", height=380), 900)
    (group,) = re.findall(r"end_labels_marks.*?</g>", text, flags=re.DOTALL)
    places = [float(y) for y in re.findall(r"translate\([\d.]+,([\d.]+)\)", group)]
    assert len(places) == 2
    assert abs(places[0] - places[1]) >= 14


@pytest.mark.parametrize("last", [0.0, -1.0])
def test_a_line_that_ends_where_a_log_axis_has_no_place_has_its_name_at_the_foot(last):
    falling = pl.concat([curve(LOSS, [1e-2, 2e-3, last]), curve(VAL, [1e-2, 2e-3, 1e-2])])
    # The axis goes from 0.002 to 0.01, with a margin of 5 ** 0.04 on either side.
    assert min(names(plotted(falling, "loss"), "loss").values()) == pytest.approx(0.001875)


@pytest.mark.parametrize(("width", "ends"), [(600, 0), (900, 1)])
def test_a_narrow_chart_has_a_legend_instead(width, ends):
    text = page(plotted(both(), "reward", "loss", height=560), width)
    assert [text.count(f">{name}<") for name in ("Eval", "Eval Episode Reward")] == [ends, 1 - ends]


def test_many_names_or_long_ones_are_a_legends():
    many = [replace(EVAL, key=f"eval{i}/episode_reward", label=f"Level {i}") for i in range(19)]
    frame = pl.concat(curve(metric, [1, 2, 3]) for metric in many)
    study = replace(STUDY, metrics=tuple(replace(metric, color="") for metric in many))
    chart = plotted(frame, "reward", study=study)
    # A plot of 252 pixels has room for 18.
    assert not any(part["name"].endswith("end_labels") for part in flat(chart.spec))
    assert not [param for param in chart.spec["params"] if param["name"] == "labelled"]
    long = plotted(both(LONG).filter(pl.col("metric") == EVAL.key), "reward")
    assert not any(part["name"].endswith("end_labels") for part in flat(long.spec))


def test_colour_tells_arms_apart_where_one_metric_is_drawn():
    chart = plotted(both(THREE).filter(pl.col("metric").is_in([EVAL.key, LOSS.key])), "reward", "loss")
    line = layer(chart, "reward_line")["encoding"]
    assert line["color"]["field"] == "arm"
    assert line["color"]["scale"]["domain"] == list(THREE)
    assert line["color"]["scale"]["range"] == [*ARM_PALETTE[:2], QUIET]
    assert line["strokeDash"]["scale"]["range"] == [[1, 0], [1, 0], [6, 4]]
    assert line["y"]["title"] == "Eval Episode Reward"
    assert set(names(chart)) == set(names(chart, "loss")) == set(THREE)
    assert [p["name"] for p in chart.spec["params"] if "select" in p] == ["zoom", "hover", "isolate_arm"]
    # With a second metric colour tells metrics apart.
    assert layer(plotted(both(THREE), "reward"), "line")["encoding"]["color"]["field"] == "metric"


def test_one_metric_of_one_arm_is_named_by_its_axis_alone():
    chart = plotted(curve(EVAL, [1, 2, 3]), "reward")
    line = layer(chart, "line")["encoding"]
    assert (line["color"]["legend"], line["y"]["title"]) == (None, "Eval Episode Reward")
    assert not any(part["name"].endswith("end_labels") for part in flat(chart.spec))


def test_lines_that_end_early_are_named_where_they_end():
    frame = pl.concat([curve(TRAIN, [1, 2], steps=(0.0, 45.0)), curve(EVAL, [3, 4], steps=(0.0, 45.0))])
    chart = plotted(frame, "reward", unfinished=True)
    assert [row["x"] for row in rows(chart, "end_labels")] == [45, 45]
    assert layer(chart, "end_labels")["mark"]["clip"] is True


def overhang(text: str) -> list[str]:
    """Texts of a drawing that its edges cut, by the width of their signs."""
    # A sign is as wide as 0.45 of its size on average in Liberation Sans.
    width = float(re.search(r'<svg[^>]* width="([\d.]+)"', text)[1])
    cut, shift = [], [0.0]
    for tag in re.finditer(r"<(/?)g\b([^>]*)>|<text\b([^>]*)>([^<]*)</text>", text):
        closing, group, attributes, words = tag.groups()
        if words is None:
            if closing:
                shift.pop()
            elif not group.endswith("/"):
                move = re.search(r"translate\((-?[\d.]+)", group)
                shift.append(shift[-1] + (float(move[1]) if move else 0.0))
            continue
        move = re.search(r"translate\((-?[\d.]+),(-?[\d.]+)\)( rotate)?", attributes)
        if move and move[3]:
            continue
        anchor = re.search(r'text-anchor="(\w+)"', attributes)[1]
        size = float(re.search(r'font-size="([\d.]+)px"', attributes)[1])
        start = shift[-1] + (float(move[1]) if move else 0.0)
        length = 0.45 * size * len(words)
        start -= {"start": 0, "middle": length / 2, "end": length}[anchor]
        if start < -1 or start + length > width + 1:
            cut.append(words)
    return cut


@pytest.mark.parametrize("width", [300, 640, 1000])
@pytest.mark.parametrize("arms", [("detached", "control"), THREE, LONG])
@pytest.mark.parametrize("keys", [[EVAL.key, TRAIN.key, LOSS.key, VAL.key], [EVAL.key, LOSS.key]])
def test_no_text_is_cut_by_the_edge_of_a_chart(width, arms, keys):
    rules = [DetachMark(20, arms=arms[:1]), DetachMark(50, arms=arms[1:2])] if len(arms) == 3 else RULES
    frame = both(arms).filter(pl.col("metric").is_in(keys))
    assert overhang(page(plotted(frame, "reward", "loss", rules=rules, height=560), width)) == []


def test_a_click_on_a_name_at_the_end_of_a_line_does_what_one_on_a_legend_does():
    params = {p["name"]: p for p in plotted(both(), "reward").spec["params"]}
    assert "'_end_labels_marks'" in params["isolate"]["select"]["on"]
    assert "on" not in params["isolate_arm"]["select"]
    assert [row["metric"] for row in rows(plotted(both(), "reward"), "end_labels")] == [
        "Train Episode Reward (MA 10)", "Eval Episode Reward",
    ]  # fmt: skip


def test_names_stand_behind_a_rule_that_they_would_run_into():
    short = pl.concat(curve(metric, [1, 2, 3], steps=(0.0, 20.0, 45.0)) for metric in (EVAL, TRAIN))

    def place(step: float) -> float | None:
        chart = plotted(short, "reward", rules=[DetachMark(step, "typed", furthest=45)], unfinished=True)
        return rows(chart, "end_labels")[0]["x"]

    # "Train (MA 10)" has 13 signs of 6.5 pixels, 6 from the line: 17 of 100 steps in the 540 pixels of the plot.
    assert [place(step) for step in (50, 61, 63)] == [50, 61, 45]
