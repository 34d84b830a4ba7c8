"""What the effect charts draw, on hand-made frames; and that they take the frames that the evidence gives."""

import json
from dataclasses import replace

import polars as pl
import pytest

from lib.charts import (
    event_time_chart,
    forest_chart,
    forest_text,
    jump_chart,
    pairs_chart,
    placebo_chart,
    placebo_text,
    quadrant_chart,
    quadrant_points,
    quadrant_reward,
    quadrant_text,
    slope_chart,
    slope_text,
)
from lib.charts.detach_rule import DetachMark
from lib.charts.effects.forest import percent_effects
from lib.curves import View
from lib.effects import with_sizes
from lib.effects.chart_data import DIFFERENCES, FIT_LINES, PER_RUN, PLACEBO
from lib.effects.effects_table import EFFECTS
from tests.support.chart_frames import EVAL, LOSS, OTHER, STUDY, TASK, both, is_dashed, marks, svg


def frame(schema, rows):
    """Rows given as dicts; what they leave out is null."""
    return pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema, orient="row")


def run(run_id, arm, before, after, metric=EVAL, **more):
    return {
        "task": TASK.key, "metric": metric.key, "compared": "detached", "arm": arm, "run_id": run_id,
        "seed": run_id[-1], "before": before, "after": after,
    } | more  # fmt: skip


PER = frame(
    PER_RUN,
    [
        run("d1", "detached", 1.0, 3.0),
        run("d2", "detached", 2.0, 6.0),
        run("c1", "control", 1.0, 2.0),
        run("c2", "control", 2.0, 1.0),
        run("c2", "control", 2.0, 1.0, compared="detached 0.5"),
    ],
)


def part(chart, name):
    return next(layer for layer in chart.to_dict()["layer"] if layer.get("name") == name)


def rows(chart, name):
    spec = chart.to_dict()
    return spec["datasets"][part(chart, name)["data"]["name"]]


def test_slopes_are_one_a_run_and_bold_ones_the_arms_means():
    chart = slope_chart(PER, STUDY, TASK, EVAL, width=400)
    text = svg(chart)
    runs, means = marks(text, "runs"), marks(text, "means")
    assert len(runs) == 4
    assert sum(map(is_dashed, runs)) == 2
    assert len(means) == 2
    assert [(r["place"], r["value"]) for r in rows(chart, "means")] == [
        ("before|detached", 1.5), ("after|detached", 4.5), ("before|control", 1.5), ("after|control", 1.5),
    ]  # fmt: skip


def test_slopes_of_a_log_metric_use_a_log_axis_and_geometric_means():
    per = frame(PER_RUN, [run("d1", "detached", 1e-2, 1e-3, LOSS), run("d2", "detached", 1e-4, 1e-5, LOSS)])
    chart = slope_chart(per, STUDY, TASK, LOSS, width=400)
    assert part(chart, "runs")["encoding"]["y"]["scale"]["type"] == "log"
    assert [r["value"] for r in rows(chart, "means")] == pytest.approx([1e-3, 1e-4])


def test_slope_takeaway():
    assert slope_text(PER, TASK, EVAL) == (
        "Eval Episode Reward on Acrobot Swingup: rose in 2 of 2 detached runs, rose in 1 of 2 control runs."
    )
    assert slope_text(PER, OTHER, EVAL).endswith("no run has values on both sides of the detach.")


def sized(effects):
    return with_sizes(frame(EFFECTS, effects), STUDY)


def effect(metric, **more):
    return {"task": TASK.key, "metric": metric.key, "arm": "detached", "verdict": "not shown", "reasons": ""} | more


EFF = sized(
    [
        effect(EVAL, change=10.0, change_pct=20.0, ci_low=-5.0, ci_high=25.0),
        effect(LOSS, change=-0.3, change_pct=-30.0, ci_low=-0.4, ci_high=-0.2, verdict="supported"),
        effect(EVAL, task=OTHER.key, change=1.0, verdict="not shown", reasons="|before| is small"),
        effect(LOSS, task=OTHER.key, verdict="cannot say", reasons="one run"),
        effect(LOSS, task="*", change=-0.2, change_pct=-20.0),
    ],
)


def test_effects_on_one_percent_scale():
    table = percent_effects(EFF, STUDY)
    assert table.select("label", "pct", "low", "high").rows() == [
        ("Across tasks · Train Consistency", -20.0, None, None),
        ("Acrobot Swingup · Eval Episode Reward", 20.0, -10.0, 50.0),
        ("Acrobot Swingup · Train Consistency", -30.0, -40.0, -20.0),
        ("Cartpole Swingup · Eval Episode Reward", None, None, None),
        ("Cartpole Swingup · Train Consistency", None, None, None),
    ]
    assert table["note"].to_list() == ["", "", "", "in its own unit; |before| is small", "one run"]
    assert table["text"].to_list() == [
        "not shown: -20%", "not shown: +10 [-5, +25]", "supported: -30% [-40, -20]", "not shown: +1.0", "cannot say",
    ]  # fmt: skip
    assert table["title"][2] == "Acrobot Swingup · Train Consistency: -30% [-40, -20]"


def test_the_margin_is_shaded_in_the_units_of_its_row():
    # A reward's margin is in its unit: 2.5 where 10 is 20%. In logs a loss may fall as far as it may rise.
    rows_ = [
        effect(EVAL, change=10.0, change_pct=20.0, ci_low=-5.0, ci_high=25.0, margin=2.5),
        effect(LOSS, change=-0.3, change_pct=-30.0, ci_low=-0.4, ci_high=-0.2, margin=0.25, verdict="worse"),
        effect(EVAL, task="*", change=0.02, ci_low=-0.01, ci_high=0.05),
    ]
    table = percent_effects(sized(rows_), STUDY)
    assert table.select("margin_low", "margin_high").rows() == [(None, None), (-5.0, 5.0), (-20.0, 25.0)]
    assert table["text"][0] == "not shown: +2% [-1, +5] of the range"
    chart = forest_chart(sized(rows_), STUDY, width=500)
    assert len(marks(svg(chart), "margin")) == 2
    assert part(chart, "margin")["encoding"]["x"]["title"] == [
        "Change (% of the level; of the range where it says so)", "shaded: the margin",
    ]  # fmt: skip


def test_what_was_not_shown_is_a_ring_and_what_cannot_be_said_is_dashed():
    unsaid = effect(LOSS, change=-0.3, change_pct=-30.0, ci_low=-0.4, ci_high=-0.2, verdict="cannot say")
    text = svg(
        forest_chart(
            sized([unsaid, effect(EVAL, change=1.0, change_pct=2.0, ci_low=-1.0, ci_high=3.0)]), STUDY, width=500
        )
    )
    assert ['stroke-dasharray="3,3"' in bar for bar in marks(text, "interval")] == [True, False]
    assert ["fill=" in dot for dot in marks(text, "estimate")] == [True, False]
    assert len(marks(text, "ground")) == 1


def test_forest_has_a_row_a_claim_and_says_why_one_is_refused():
    chart = forest_chart(EFF, STUDY, width=500)
    text = svg(chart)
    assert len(marks(text, "interval")) == 2
    assert len(marks(text, "zero")) == 3
    assert "one run" in text
    assert [r["label"] for r in rows(chart, "refused")] == [
        "Cartpole Swingup · Eval Episode Reward", "Cartpole Swingup · Train Consistency",
    ]  # fmt: skip


def test_one_wide_interval_does_not_squeeze_the_others():
    wide = sized([effect(LOSS, change=0.1, ci_low=-0.9, ci_high=90.0)])
    domain = part(forest_chart(wide, STUDY), "estimate")["encoding"]["x"]["scale"]["domain"]
    assert domain == [-21.6, 21.6]
    # A step of 10 goes 4 times into 43.2; one of 5 would go 8 times and a bit.
    assert part(forest_chart(wide, STUDY), "estimate")["encoding"]["x"]["axis"]["values"] == [-20, -10, 0, 10, 20]


def test_forest_takeaway():
    assert forest_text(EFF, STUDY) == (
        "5 claims: 1 supported, 3 not shown, 1 cannot say. "
        "Largest supported change: Acrobot Swingup · Train Consistency, -30% [-40, -20]."
    )


def test_quadrant_points_pair_the_effects_of_a_run():
    per = frame(
        PER_RUN,
        [
            run("d1", "detached", 1, 2, EVAL, effect_pct=10.0),
            run("d1", "detached", 1, 2, LOSS, effect_pct=-40.0),
            run("d2", "detached", 1, 2, EVAL, effect_pct=5.0),
            run("d2", "detached", 1, 2, LOSS),
        ],
    )
    points = quadrant_points(per, EVAL.key, LOSS.key)
    assert points.rows() == [(TASK.key, "detached", "1", "d1", 10.0, -40.0)]
    chart = quadrant_chart(points, STUDY, width=400)
    assert len(marks(svg(chart), "seeds")) == 1
    assert part(chart, "seeds")["encoding"]["x"]["scale"]["domain"] == [-11.2, 11.2]
    assert part(chart, "seeds")["encoding"]["y"]["scale"]["domain"] == [-44.8, 44.8]
    assert svg(chart).count("as hypothesised") == 1
    # The names of the corners have 40 pixels at the head and at the foot to themselves.
    assert part(chart, "seeds")["encoding"]["y"]["scale"]["range"] == [{"expr": "height - 40"}, 40]


def test_the_hypothesised_corner_is_where_the_metrics_are_expected():
    points = pl.DataFrame(
        {"task": [TASK.key] * 3, "seed": ["1", "2", "3"], "reward": [1.0, -1.0, 0.0], "loss": [2.0, -2.0, 3.0]}
    )
    chart = quadrant_chart(points, STUDY, expected=("increase", "increase"))
    texts = [part(chart, f"corner_{i}")["mark"]["text"] for i in range(4)]
    assert [" ".join(text) for text in texts if "hypothesised" in " ".join(text)] == [
        "higher reward higher loss: as hypothesised"
    ]
    rising = replace(LOSS, expect="increase")
    assert (
        quadrant_text(points, EVAL, rising) == f"A higher {EVAL.name} and a higher {LOSS.name} in 1 of 3 detached runs."
    )
    assert quadrant_text(points, EVAL, LOSS) == f"A higher {EVAL.name} and a lower {LOSS.name} in 0 of 3 detached runs."


def test_the_first_reward_that_is_not_of_training_is_set_against_a_loss():
    train, success = replace(EVAL, key="train/episode_reward"), replace(EVAL, key="eval/episode_success")
    assert quadrant_reward([train, EVAL, success]) == EVAL
    assert quadrant_reward([train]) == train


def test_quadrants_without_points_still_draw():
    assert "as hypothesised" in svg(quadrant_chart(quadrant_points(PER, EVAL.key, LOSS.key), STUDY, width=300))


def difference(step, value, low, high, metric=LOSS):
    keys = {"task": TASK.key, "metric": metric.key, "arm": "detached", "n": 3}
    return keys | {"step": step, "difference": value, "ci_low": low, "ci_high": high}


def test_differences_of_log_metrics_are_percent_with_a_zero_line_and_one_rule():
    table = frame(
        DIFFERENCES,
        [difference(0.0, 0.0, None, None), difference(50.0, 0.0, 0, 0), difference(100.0, -0.4, -0.5, -0.3)],
    )
    chart = pairs_chart(table, STUDY, TASK, LOSS, rules=[DetachMark(50, "typed")], width=500)
    assert [r["difference"] for r in rows(chart, "line")] == [0.0, 0.0, -40.0]
    assert part(chart, "line")["encoding"]["y"]["title"] == "Detached - Control (%)"
    text = svg(chart)
    assert len(marks(text, "detach_rule")) == 1
    assert len(marks(text, "zero")) == 1
    linear = pairs_chart(frame(DIFFERENCES, [difference(0.0, 2.0, 1.0, 3.0, EVAL)]), STUDY, TASK, EVAL)
    assert rows(linear, "line")[0]["difference"] == 2.0


def fit(run_id, side, step, value):
    keys = {"task": TASK.key, "metric": LOSS.key, "arm": "detached", "seed": run_id[-1], "jump": -0.25, "rows": 5}
    return keys | {"run_id": run_id, "side": side, "step": step, "fit": value}


def test_jump_draws_two_lines_a_run_and_the_rows_around_the_detach_only():
    ends = [("before", 40.0, 2e-2), ("before", 50.0, 2e-2), ("after", 50.0, 1e-2), ("after", 60.0, 1e-2)]
    fits = frame(FIT_LINES, [fit("d1", *end) for end in ends])
    points = pl.DataFrame(
        {
            "run_id": ["d1"] * 4 + ["x"], "metric": LOSS.key, "step": [10, 45, 55, 58, 50],
            "value": [1.0, 2e-2, 1e-2, float("nan"), 1.0],
        }
    )  # fmt: skip
    chart = jump_chart(points, fits, STUDY, TASK, LOSS, rules=[DetachMark(50)], width=500)
    assert [r["step"] for r in rows(chart, "rows")] == [45, 55]
    assert len(marks(svg(chart), "fits")) == 2
    assert rows(chart, "fits")[0]["jump"] == -25.0


def pretended(step, jump, real=False, overlaps=False):
    keys = {"task": TASK.key, "metric": LOSS.key, "arm": "detached", "n": 3, "real": real, "overlaps": overlaps}
    return keys | {"step": step, "jump": jump, "ci_low": jump - 0.1, "ci_high": jump + 0.1}


def test_placebo_shows_the_real_detach_beside_the_pretended_ones():
    around = [pretended(10.0, 0.3), pretended(30.0, -0.1), pretended(48.0, 0.9, overlaps=True)]
    table = frame(PLACEBO, [*around, pretended(50.0, -0.2, real=True)])
    chart = placebo_chart(table, TASK, LOSS, "detached", width=500)
    text = svg(chart)
    assert len(marks(text, "pretended_jump")) == 3
    assert len(marks(text, "real_jump")) == 1
    assert 'fill-opacity="0"' in marks(text, "pretended_jump")[2]
    assert text.count("real detach") == 1
    assert placebo_text(table, TASK, LOSS, "detached") == (
        "Train Consistency on Acrobot Swingup: 1 of 2 pretended detach steps show a jump at least as large as the real one."
    )
    assert placebo_text(table, OTHER, LOSS, "detached").endswith("can be compared with the real one.")


def test_event_time_puts_the_tasks_on_one_axis_with_the_rule_at_zero():
    curves = pl.concat([both(("detached",)), both(("detached",), task=OTHER)]).with_columns(pl.col("step") - 50)
    chart = event_time_chart(curves, STUDY, LOSS, ["detached"], view=View(x="since"), width=500)
    text = svg(chart)
    assert len(marks(text, "line")) == 2
    assert len(marks(text, "detach_rule")) == 1
    assert part(chart, "event_detach_rule")["encoding"]["x"]["datum"] == 0
    assert part(chart, "line")["encoding"]["color"]["scale"]["domain"] == ["Acrobot Swingup", "Cartpole Swingup"]
    assert part(chart, "line")["encoding"]["x"]["title"] == "Environment Steps Since Detach"


def test_event_time_compares_arms():
    curves = both(("detached", "control")).with_columns(pl.col("step") - 50)
    chart = event_time_chart(curves, STUDY, LOSS, ["detached", "control"], view=View(x="since"), width=500)
    lines = marks(svg(chart), "line")
    assert sum(map(is_dashed, lines)) == 1
    assert len(lines) == 2
    assert part(chart, "line")["encoding"]["strokeDash"]["scale"]["domain"] == ["detached", "control"]


def test_empty_frames_still_draw():
    for chart in (
        slope_chart(frame(PER_RUN, []), STUDY, TASK, EVAL, width=300),
        forest_chart(sized([]), STUDY, width=300),
        pairs_chart(frame(DIFFERENCES, []), STUDY, TASK, EVAL, width=300),
        placebo_chart(frame(PLACEBO, []), TASK, EVAL, "detached", width=300),
        event_time_chart(both().clear(), STUDY, EVAL, ["detached"], view=View(x="since"), width=300),
    ):
        assert svg(chart).startswith("<svg")


def test_effect_charts_are_the_same_specification_every_time():
    study = replace(STUDY)
    assert json.dumps(slope_chart(PER, study, TASK, EVAL).to_dict()) == json.dumps(
        slope_chart(PER, STUDY, TASK, EVAL).to_dict()
    )
    assert json.dumps(forest_chart(EFF, study).to_dict()) == json.dumps(forest_chart(EFF, STUDY).to_dict())
