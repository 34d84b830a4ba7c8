"""What a curve chart shows beside its curves: a table of every series at a step, and the strip of n."""

from dataclasses import replace

import polars as pl

from lib.charts import split
from lib.charts.axes import WHOLE_PLOT
from lib.charts.curves.pointer import hover_table
from lib.charts.curves.readout import Readout
from lib.charts.curves.seed_count_strip import stretches
from lib.charts.curves.series_style import series_style
from lib.charts.detach_rule import DetachMark
from lib.charts.style import ARM_PALETTE, CONTROL_DASH, QUIET
from lib.curves import View
from tests.support.chart_frames import (
    EVAL,
    LOSS,
    STUDY,
    TASK,
    TRAIN,
    VAL,
    both,
    curve,
    layer,
    marks,
    plotted,
    rows,
    svg,
)

RULES = [DetachMark(50, "typed")]
STYLE = series_style(STUDY, TASK, "reward", View(), STUDY.family("reward"), ["detached"])


def chart(frame, **options):
    return plotted(frame, "reward", rules=RULES, **options)


def readings(table: pl.DataFrame) -> dict[float, list[str]]:
    """What is read of every series, by step."""
    texts = [name for name in table.columns if name.startswith("s") and name[1:].isdigit()]
    return dict(zip(table["step"].to_list(), map(list, table.select(texts).rows()), strict=True))


def hover(curves, *, log=False, domain=(0.0, 400.0), split=None) -> pl.DataFrame:
    """What is read of these curves, of one family."""
    one = Readout(list(curves), STYLE, {}, domain, log, WHOLE_PLOT, 0, 0)
    return hover_table([one], split)


def test_hover_shows_every_series_its_own_nearest_point_on_its_side_of_the_detach():
    dense = curve(TRAIN, range(11), steps=[10.0 * i for i in range(11)])
    sparse = curve(EVAL, [100, 200, 300], n=[3, 1, 3], steps=(10.0, 48.0, 90.0))
    curves = split(pl.concat([dense, sparse]), TASK.key)
    table = hover([curves[TRAIN.key, "detached"], curves[EVAL.key, "detached"]], split=50.0)
    assert table.columns == ["step", "start", "end", "s0", "s1", "top0"]
    texts = readings(table)
    assert texts[0.0] == ["0 [-1, 1], n = 3", "100 [99, 101], n = 3"]
    assert texts[10.0] == ["1 [0, 2], n = 3", "100 [99, 101], n = 3"]
    assert texts[48.0] == ["5 [4, 6], n = 3", "200, n = 1"]
    # 60 is nearer to 48 than to 90, but lies after the detach.
    assert texts[60.0] == ["6 [5, 7], n = 3", "300 [299, 301], n = 3"]


def test_hover_has_a_dash_where_a_series_has_no_point_near_and_an_exponent_on_a_log_axis():
    near = curve(VAL, [0.00312, 12.0, 1.0], steps=(0.0, 10.0, 20.0), half=2.0)
    far = curve(LOSS, [1.0] * 3, steps=(0.0, 1.0, 2.0), n=1)
    curves = split(pl.concat([near, far]), TASK.key)
    table = hover([curves[VAL.key, "detached"], curves[LOSS.key, "detached"]], log=True, domain=(1e-3, 100.0))
    assert readings(table) == {
        0.0: ["3.12e-3 [1.56e-3, 6.24e-3], n = 3", "1.00e0, n = 1"],
        1.0: ["3.12e-3 [1.56e-3, 6.24e-3], n = 3", "1.00e0, n = 1"],
        2.0: ["3.12e-3 [1.56e-3, 6.24e-3], n = 3", "1.00e0, n = 1"],
        10.0: ["1.20e1 [6.00e0, 2.40e1], n = 3", "–"],
        20.0: ["1.00e0 [5.00e-1, 2.00e0], n = 3", "–"],
    }


def test_the_table_is_where_the_points_leave_more_room():
    high, low = curve(EVAL, [10, 60, 90]), curve(TRAIN, [8, 30, 50])
    curves = list(split(pl.concat([high, low]), TASK.key).values())
    # Above: 90, 40, 10 of 100; below: 8, 30, 50.
    assert hover(curves, domain=(0.0, 100.0))["top0"].to_list() == [True, True, False]
    # A tenth of the way up two decades, and nine tenths.
    losses = list(split(curve(LOSS, [1.6e-3, 6.3e-2], steps=(0.0, 50.0)), TASK.key).values())
    assert hover(losses, log=True, domain=(1e-3, 1e-1))["top0"].to_list() == [True, False]


def test_hover_is_at_the_nearest_step_wherever_the_pointer_is():
    table = hover(split(curve(EVAL, [1, 2, 3], steps=(0.0, 10.0, 40.0)), TASK.key).values())
    assert table.select("step", "start", "end").rows() == [(0.0, -40.0, 5.0), (10.0, 5.0, 25.0), (40.0, 25.0, 80.0)]
    single = hover(split(curve(EVAL, [1], steps=(5.0,)), TASK.key).values())
    assert single.select("step", "start", "end").rows() == [(5.0, 4.0, 6.0)]


def cells(one) -> list[tuple]:
    """What stands in the table: panel, line, column, and a text or the column of the pointer's step."""
    return [
        (row["panel"], row["line"], row["column"], row.get("text") or row.get("field") or "step")
        for row in rows(one, "hover_texts")
    ]


def test_the_table_has_a_row_a_metric_and_a_column_an_arm_with_the_look_of_their_lines():
    one = chart(both())
    assert cells(one) == [
        (0, 0, -1, "step"),
        (0, 0, 0, ["detached"]),
        (0, 0, 1, ["control"]),
        (0, 1, -1, "Train"),
        (0, 2, -1, "Eval"),
        (0, 1, 1, "s0"),
        (0, 1, 0, "s1"),
        (0, 2, 1, "s2"),
        (0, 2, 0, "s3"),
    ]
    assert [(row["line"], row["column"], row["color"], row["dash"]) for row in rows(one, "hover_samples")] == [
        (0, 0, QUIET, [1, 0]),
        (0, 1, QUIET, CONTROL_DASH),
        (1, -1, TRAIN.color, [1, 0]),
        (2, -1, EVAL.color, [1, 0]),
    ]
    # Three lines of 14 pixels and an edge of 6 on either side.
    assert rows(one, "hover_ground") == [{"panel": 0, "height": 54}]
    hovered = next(param for param in one.spec["params"] if param["name"] == "hover")
    assert hovered["select"]["fields"] == ["step", "s0", "s1", "s2", "s3", "top0"]
    # The axis does not say what an arm alone is of.
    assert [cell[3] for cell in cells(chart(both(("detached",))))] == ["step", "Train", "Eval", "s0", "s1"]


def test_the_table_of_one_metric_has_a_row_an_arm_in_its_colour():
    study = replace(STUDY, metrics=(EVAL, LOSS))
    one = plotted(pl.concat([curve(EVAL, [1, 2, 3]), curve(EVAL, [2, 3, 4], arm="control")]), "reward", study=study)
    assert cells(one) == [
        (0, 0, -1, "step"), (0, 1, -1, "detached"), (0, 2, -1, "control"), (0, 2, 0, "s0"), (0, 1, 0, "s1"),
    ]  # fmt: skip
    assert [(row["color"], row["dash"]) for row in rows(one, "hover_samples")] == [
        (ARM_PALETTE[0], [1, 0]),
        (QUIET, CONTROL_DASH),
    ]


def test_a_table_of_many_metrics_has_blocks_of_rows_beside_each_other():
    metrics = [replace(TRAIN, key=f"level{i}/episode_reward", label=f"Level {i}", color="") for i in range(12)]
    frame = pl.concat([curve(metric, [1, 2, 3]) for metric in metrics])
    one = plotted(frame, "reward", study=replace(STUDY, metrics=tuple(metrics)))
    names = [(r["block"], r["line"], r["text"]) for r in rows(one, "hover_texts") if "Level" in str(r.get("text"))]
    assert (names[5], names[6]) == ((0, 6, "● Level 5"), (1, 1, "● Level 6"))
    assert rows(one, "hover_ground")[0]["height"] == 7 * 14 + 12


def test_strip_shows_where_seeds_are_missing_and_of_what():
    frame = pl.concat(
        [curve(EVAL, [1, 1, 1, 1], n=[4, 4, 2, 4], steps=(0.0, 30.0, 60.0, 100.0)), curve(TRAIN, [1, 1, 1], n=4)]
    )
    result = stretches(list(split(frame, TASK.key).values()))
    assert [(one.step, one.end, one.least, one.of, one.share, one.series) for one in result] == [
        (0.0, 60.0, 4, 4, 1.0, ()),
        (60.0, 100.0, 2, 4, 0.5, ((EVAL.key, "detached"),)),
    ]
    strip = chart(frame)
    assert [(row["seeds"], row["series"]) for row in rows(strip, "n_strip")] == [
        ("all", "every series"),
        ("2 of 4", "Eval Episode Reward"),
    ]
    assert layer(strip, "n_label")["encoding"]["text"]["value"] == "n of 4"
    # It begins in the right half, so it ends where its stretch does.
    note = layer(strip, "n_note")
    assert (note["encoding"]["text"]["value"], note["encoding"]["x"]["datum"]) == (
        "n = 2 of 4: Eval Episode Reward",
        100,
    )
    assert note["mark"]["align"] == "right"


def test_what_is_written_above_the_strip_ends_at_the_next_rule():
    frame = curve(EVAL, [1, 1, 1, 1, 1], n=[4, 4, 4, 2, 2], steps=(0.0, 30.0, 60.0, 90.0, 100.0))
    # From the end of its stretch, 100, to the rule at 50, and to the one at 80, less 4 pixels.
    for steps, room in (((50,), "0.5"), ((50, 80), "0.2"), ((), "1")):
        note = layer(plotted(frame, "reward", rules=[DetachMark(step) for step in steps]), "n_note")
        assert note["mark"]["limit"]["expr"] == f"{room} * (width || 400) - 4"
    early = curve(EVAL, [1, 1, 1, 1], n=[2, 2, 4, 4], steps=(0.0, 30.0, 60.0, 100.0))
    note = layer(plotted(early, "reward", rules=[DetachMark(50)]), "n_note")
    assert (note["mark"]["align"], note["mark"]["limit"]["expr"]) == ("left", "0.5 * (width || 400) - 4")


def test_strip_names_an_arm_alone_where_all_its_metrics_are_short():
    counts = {"control": [3, 3, 3], "detached": [3, 2, 2]}
    frame = pl.concat([curve(m, [1, 1, 1], n=n, arm=arm) for arm, n in counts.items() for m in (EVAL, TRAIN)])
    assert [row["series"] for row in rows(chart(frame), "n_strip")] == ["every series", "detached"]


def test_strip_counts_an_arm_that_ended_and_none_that_began_late():
    # One arm went on for longer, and a seed of the other logged nothing of this metric.
    short = curve(EVAL, [1, 1, 1], n=2, steps=(5.0, 20.0, 40.0))
    more = pl.concat([short, curve(EVAL, [1, 1], arm="control", steps=(0.0, 100.0)), curve(LOSS, [1.0], steps=(0.0,))])
    curves = split(more, TASK.key)
    result = stretches([curves[EVAL.key, arm] for arm in ("control", "detached")], list(curves.values()))
    # 40 and one and a half of the middle distance, 20, of its steps.
    assert [(one.step, one.end, one.least, one.of, one.series) for one in result] == [
        (0.0, 70.0, 2, 3, ((EVAL.key, "detached"),)),
        (70.0, 100.0, 0, 3, ((EVAL.key, "detached"),)),
    ]


def test_strip_of_one_step_has_the_seeds_of_that_step():
    curves = split(pl.concat([curve(EVAL, [1], n=4, steps=(60.0,)), curve(TRAIN, [1], n=3, steps=(60.0,))]), TASK.key)
    result = stretches(list(curves.values()))
    assert [(one.step, one.end, one.least, one.of, one.series) for one in result] == [
        (60.0, 60.0, 3, 4, ((TRAIN.key, "detached"),))
    ]


def test_strip_names_two_of_many_series():
    metrics = [replace(TRAIN, key=f"train{i}/episode_reward", label=f"Train {i}", color="") for i in range(4)]
    frame = pl.concat([curve(metric, [1, 1, 1], n=[3, 2, 2]) for metric in metrics])
    strip = plotted(frame, "reward", study=replace(STUDY, metrics=tuple(metrics)))
    assert rows(strip, "n_strip")[-1]["series"] == "Train 0 (MA 10), Train 1 (MA 10) and 2 more"


def test_strip_is_one_bar_below_the_curves_and_says_n_where_nothing_is_missing():
    one = chart(both(), width=600, height=300)
    (bar,) = marks(svg(one), "n_strip")
    assert 'd="M0,294h600v4h-600Z"' in bar
    assert layer(one, "n_label")["encoding"]["text"]["value"] == "n = 3"
    assert not any(part["name"].endswith("n_note") for part in one.spec["layer"])
    arms = pl.concat([curve(EVAL, [1, 2, 3], n=6), curve(EVAL, [1, 2, 3], n=4, arm="control")])
    assert layer(chart(arms), "n_label")["encoding"]["text"]["value"] == "n = 4 to 6"
