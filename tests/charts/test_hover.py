"""What a curve chart shows beside its curves: one tooltip over every series at a step, and the strip of n."""

from dataclasses import replace

import polars as pl

from lib.charts import split
from lib.charts.curves.pointer import hover_table
from lib.charts.curves.seed_count_strip import stretches
from lib.charts.detach_rule import DetachMark
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


def chart(frame, **options):
    return plotted(frame, "reward", rules=RULES, **options)


def tooltips(table: pl.DataFrame) -> dict[float, list[str]]:
    """What the tooltip says of every series, by step."""
    texts = [name for name in table.columns if name.startswith("s") and name[1:].isdigit()]
    return dict(zip(table["step"].to_list(), map(list, table.select(texts).rows()), strict=True))


def test_hover_shows_every_series_its_own_nearest_point_on_its_side_of_the_detach():
    dense = curve(TRAIN, range(11), steps=[10.0 * i for i in range(11)])
    sparse = curve(EVAL, [100, 200, 300], n=[3, 1, 3], steps=(10.0, 48.0, 90.0))
    curves = split(pl.concat([dense, sparse]), TASK.key)
    series = [curves[TRAIN.key, "detached"], curves[EVAL.key, "detached"]]
    table = hover_table(series, [False, False], split=50.0)
    assert table.columns == ["step", "start", "end", "s0", "s1"]
    texts = tooltips(table)
    assert texts[0.0] == ["0 [-1, 1], n = 3", "100 [99, 101], n = 3"]
    assert texts[10.0] == ["1 [0, 2], n = 3", "100 [99, 101], n = 3"]
    assert texts[48.0] == ["5 [4, 6], n = 3", "200, n = 1"]
    # 60 is nearer to 48 than to 90, but lies after the detach.
    assert texts[60.0] == ["6 [5, 7], n = 3", "300 [299, 301], n = 3"]


def test_hover_has_a_dash_where_a_series_has_no_point_near_and_an_exponent_on_a_log_axis():
    near = curve(VAL, [0.00312, 12.0, 1.0], steps=(0.0, 10.0, 20.0), half=2.0)
    far = curve(LOSS, [1.0] * 3, steps=(0.0, 1.0, 2.0), n=1)
    curves = split(pl.concat([near, far]), TASK.key)
    texts = tooltips(hover_table([curves[VAL.key, "detached"], curves[LOSS.key, "detached"]], [True, False]))
    assert texts[0.0] == ["3.12e-3 [1.56e-3, 6.24e-3], n = 3", "1, n = 1"]
    assert texts[20.0] == ["1.00e0 [5.00e-1, 2.00e0], n = 3", "–"]


def test_hover_is_at_the_nearest_step_wherever_the_pointer_is():
    curves = split(curve(EVAL, [1, 2, 3], steps=(0.0, 10.0, 40.0)), TASK.key)
    table = hover_table(list(curves.values()), [False])
    assert table.select("step", "start", "end").rows() == [(0.0, -40.0, 5.0), (10.0, 5.0, 25.0), (40.0, 25.0, 80.0)]
    single = hover_table(list(split(curve(EVAL, [1], steps=(5.0,)), TASK.key).values()), [False])
    assert single.select("step", "start", "end").rows() == [(5.0, 4.0, 6.0)]


def test_hover_has_one_tooltip_line_a_metric_and_arm():
    tips = layer(chart(both()), "hover_steps")["encoding"]["tooltip"]
    assert [tip["title"] for tip in tips] == [
        "Environment Steps",
        "control: Train Episode Reward",
        "detached: Train Episode Reward",
        "control: Eval Episode Reward",
        "detached: Eval Episode Reward",
    ]
    assert [tip["title"] for tip in layer(chart(both(("detached",))), "hover_steps")["encoding"]["tooltip"]][1:] == [
        "Train Episode Reward", "Eval Episode Reward",
    ]  # fmt: skip


def test_strip_shows_where_seeds_are_missing_and_of_what():
    frame = pl.concat(
        [curve(EVAL, [1, 1, 1, 1], n=[4, 4, 2, 4], steps=(0.0, 30.0, 60.0, 100.0)), curve(TRAIN, [1, 1, 1], n=4)]
    )
    found = stretches(list(split(frame, TASK.key).values()))
    assert [(one.step, one.end, one.least, one.of, one.share, one.series) for one in found] == [
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


def test_strip_counts_an_arm_that_ended_and_none_that_began_late():
    # One arm went on for longer, and a seed of the other logged nothing of this metric.
    short = curve(EVAL, [1, 1, 1], n=2, steps=(5.0, 20.0, 40.0))
    more = pl.concat([short, curve(EVAL, [1, 1], arm="control", steps=(0.0, 100.0)), curve(LOSS, [1.0], steps=(0.0,))])
    curves = split(more, TASK.key)
    found = stretches([curves[EVAL.key, arm] for arm in ("control", "detached")], list(curves.values()))
    # 40 and one and a half of the middle distance, 20, of its steps.
    assert [(one.step, one.end, one.least, one.of, one.series) for one in found] == [
        (0.0, 70.0, 2, 3, ((EVAL.key, "detached"),)),
        (70.0, 100.0, 0, 3, ((EVAL.key, "detached"),)),
    ]


def test_strip_names_two_of_many_series():
    metrics = [replace(TRAIN, key=f"train{i}/episode_reward", label=f"Train {i}") for i in range(4)]
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
