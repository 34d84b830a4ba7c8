"""Effects against a margin: two one-sided tests, their correction and their words."""

import math
from dataclasses import replace

import pytest

from lib.effects import checklist, claim
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.equivalence import MarginTest, margin_level, margin_test
from lib.effects.verdicts import judge
from lib.study import Metric, StudyError, parse_study, to_toml
from tests.support.effects_kit import Run, analysed, one_task, study
from tests.support.effects_kit import steps_run as run

REWARD = Metric("reward", "reward", "increase", margin_abs=5.0)
LOSS = Metric("loss", "loss", "decrease", scale="log", margin=0.1)


def t2(t: float) -> float:
    """The upper tail of Student's t with 2 degrees of freedom, in closed form."""
    return 0.5 - t / (2 * math.sqrt(2 + t * t))


def pairs(metric: Metric, estimate: float, error: float) -> Comparison:
    """Three fork pairs: 2 degrees of freedom, whose t multiplier is 4.3027."""
    reach = error * 4.302652729911275
    interval = (estimate - reach, estimate + reach)
    return Comparison(
        metric,
        "detached",
        "control",
        "fork",
        "",
        values=(0.0,) * 3,
        estimate=estimate,
        interval=interval,
        df=2.0,
        p=0.5,
    )


def test_both_sides_by_hand():
    # 1 above 0 with an error of 1: six errors above -5, four below +5
    test = margin_test(pairs(REWARD, 1.0, 1.0))
    assert (test.margin, test.notes) == (5.0, ())
    assert test.no_worse_p == pytest.approx(t2(6))
    assert test.equivalent_p == pytest.approx(t2(4))
    assert test.worse_p == 1.0
    # 9 below 0: four errors beyond -5
    assert margin_test(pairs(REWARD, -9.0, 1.0)).worse_p == pytest.approx(2 * t2(4))


def test_the_harmful_side_of_a_loss_is_above():
    # a log metric: the bounds are +-log(1.1)
    bound = math.log(1.1)
    test = margin_test(pairs(LOSS, -0.05, 0.02))
    assert test.margin == pytest.approx(0.1)
    assert test.no_worse_p == pytest.approx(t2((bound + 0.05) / 0.02))
    assert test.equivalent_p == pytest.approx(t2((bound - 0.05) / 0.02))


def test_a_wide_margin_is_tested_at_half_the_level():
    test = margin_test(pairs(replace(LOSS, margin=0.2), -0.05, 0.02))
    assert test.no_worse_p == pytest.approx(2 * t2((math.log(1.2) + 0.05) / 0.02))
    assert margin_test(pairs(replace(LOSS, margin=0.2), 0.5, 0.02)).no_worse_p == 1


@pytest.mark.parametrize(
    ("margin", "base", "level"),
    [
        ({"margin": 0.125}, 40.0, 0.05),
        ({"margin": 0.13}, 40.0, 0.025),
        ({"margin_abs": 5.0}, 40.0, 0.05),
        ({"margin_abs": 5.1}, 40.0, 0.025),
        ({"margin_abs": 5.1}, None, 0.05),  # in units of what there is no percent of
    ],
)
def test_a_margin_is_wide_beyond_an_eighth_of_the_level(margin, base, level):
    assert margin_level(Metric("r", "reward", "increase", **margin), base) == level


def test_worse_only_where_the_whole_interval_is_beyond_the_harmful_bound():
    # the interval is the estimate +- 4.3
    decrease = replace(REWARD, expect="decrease")
    tests = [pairs(REWARD, -9.0, 1.0), pairs(REWARD, -9.4, 1.0), pairs(REWARD, 9.4, 1.0), pairs(decrease, 9.4, 1.0)]
    assert [margin_test(result).worse_p < 0.05 for result in tests] == [False, True, False, True]


def test_what_has_no_test_says_why():
    assert margin_test(pairs(Metric("r", "reward", "increase"), 1.0, 1.0)) == MarginTest()
    alone = replace(pairs(REWARD, 1.0, 1.0), design="jump")
    assert margin_test(alone) == MarginTest(notes=("no equivalence without a control arm",))
    assert margin_test(replace(pairs(REWARD, 1.0, 1.0), p=None)) == MarginTest(5.0)
    nothing = replace(pairs(REWARD, 1.0, 1.0), design="none")
    assert margin_test(nothing) == MarginTest(notes=("no equivalence: nothing is compared",))


def test_what_holms_correction_says_of_an_answer_is_told():
    some = judge([row(0.03, 0.9), row(0.9, 0.9, worse_p=0.04), row(0.9, 0.9)])
    family = "after Holm's correction over the primary claims of all tasks"
    assert [r["equivalence"] for r in some] == ["not shown", "worse", "not shown"]
    notes = [r["reasons"].removeprefix("guardrail: see equivalence").removeprefix("; ") for r in some]
    assert notes == [f"against the margin p = 0.09 {family}", f"against the margin p = 0.12 {family}", ""]


def test_a_percent_of_a_level_near_0_is_no_margin():
    # rewards of -19 to 23 whose mean after the detach is -2
    runs = [Run(f"{i}", at, {"reward": [(s, (21.0 if s % 20 else -19.0) + i * (s > 50)) for s in range(0, 101, 10)]})
            for i in range(3) for at in (50, None)]  # fmt: skip
    [row] = one_task(runs, study(metrics=[replace(REWARD, margin=0.1, margin_abs=None)])).to_dicts()
    level = "the level is under 10% of the metric's range"
    assert f"no percent: {level}" in row["reasons"]
    assert f"no equivalence: {level}, and the margin is a percent of it" in row["reasons"]


def test_a_percent_margin_is_as_uncertain_as_the_level():
    # differences of 1, -1 and 0 at levels of 10, 20 and 30: with 10% of each 2, 1 and 3 on one side, 0, 3 and 3 on the other
    differences = (1.0, -1.0, 0.0)
    runs = [run(f"{i}", at, float(i), 10.0 * (i + 1) + (more if at else 0.0))
            for i, more in enumerate(differences) for at in (50, None)]  # fmt: skip
    [comparison] = analysed(runs, study(metrics=[replace(REWARD, margin=0.1, margin_abs=None)])).tasks[0].comparisons
    test = margin_test(comparison)
    assert test.margin == pytest.approx(2.0)
    assert test.no_worse_p == pytest.approx(t2(2 / (1 / math.sqrt(3))))
    assert test.equivalent_p == pytest.approx(t2(2.0))


def row(no_worse_p, equivalent_p, role="primary", task="walk", worse_p=1.0):
    test = MarginTest(5.0, no_worse_p, equivalent_p, None if no_worse_p is None else worse_p)
    numbers = {"ci_low": -1.0, "ci_high": 1.0, "p_value": 0.5, "expectation": "increase", "reasons": ""}
    return numbers | {"task": task, "role": role, "holm_family": None, "margin_test": test}


@pytest.mark.parametrize(
    ("rows", "answers"),
    [
        ([row(0.01, 0.02)], ["equivalent"]),
        ([row(0.01, 0.06)], ["no worse"]),
        ([row(0.06, 0.06)], ["not shown"]),
        ([row(0.99, 0.99, worse_p=0.04)], ["worse"]),
        # By its interval alone: that .03 twice is .06 is a note.
        ([row(0.99, 0.99, worse_p=0.03), row(0.9, 0.9)], ["worse", "not shown"]),
        ([row(0.99, 0.99, "guardrail", worse_p=0.02), row(0.9, 0.9, "guardrail")], ["worse", "not shown"]),
        # Holm: .02 twice is .04, .03 twice is .06
        ([row(0.02, 0.03), row(0.9, 0.9)], ["no worse", "not shown"]),
        ([row(0.01, 0.02, "guardrail")], ["no worse"]),
        # other roles, and claims across tasks, are families of their own
        ([row(0.03, 0.03), row(0.03, 0.9, "secondary"), row(0.03, 0.9, task="*")], ["equivalent", "no worse", "no worse"]),
        ([row(None, None)], [None]),
    ],
)  # fmt: skip
def test_the_answer_to_a_margin(rows, answers):
    assert [judged["equivalence"] for judged in judge(rows)] == answers


def test_what_was_changed_after_looking_is_no_answer():
    assert judge([row(0.001, 0.001)], "exploratory: a reason")[0]["equivalence"] is None


def arms(change: float):
    """Four runs per arm: controls gain 10 on average, the detached ones `change` more."""
    runs = [run(f"{i}", 50, 100.0 + i, 110.0 + change + i + gain) for i, gain in enumerate((-1, 0, 0, 1))]
    return runs + [run(f"c{i}", None, 100.0 + i, 110.0 + i + gain) for i, gain in enumerate((-1, 0, 0, 1))]


def claimed(change: float, **fields):
    of = study(metrics=[Metric("reward", "reward", "increase", label="Reward", **fields)])
    row = one_task(arms(change), of).row(0, named=True)
    return row, claim(row, of)


def test_a_share_of_the_level_is_the_margin():
    # each arm's d has variance 2 / 3: the error is sqrt(2 / 12 x 2), df 6; the level before is 101.5
    row, sentence = claimed(0.0, margin=0.05)
    assert row["margin"] == pytest.approx(0.05 * 101.5)
    assert (row["verdict"], row["equivalence"]) == ("not shown", "equivalent")
    assert "The change is within 5% either way: equivalent." in sentence


def test_a_guardrail_is_held_against_its_margin_alone():
    row, sentence = claimed(-1.0, margin=0.05, role="guardrail")
    assert (row["verdict"], row["equivalence"]) == ("cannot say", "no worse")
    assert sentence.startswith(
        "On walk, detaching the encoder at 50 steps left Reward no worse than 5%: the change was -1"
    )
    row, sentence = claimed(-1.0, margin_abs=10.0, role="guardrail")
    assert "left Reward at most 10 worse: the change was -1" in sentence
    row, sentence = claimed(-20.0, margin_abs=10.0, role="guardrail", margin_after_looking=True)
    assert row["equivalence"] == "worse"
    assert "made Reward worse by more than 10: the change was -20" in sentence
    assert sentence.endswith(" Note: sample size not declared; margin set after looking.")
    assert row["reasons"].endswith("; margin set after looking")
    row, sentence = claimed(-5.0, margin=0.05, role="guardrail")
    assert row["equivalence"] == "not shown"
    assert sentence.endswith(" Note: sample size not declared.")
    row, sentence = claimed(-5.0, role="guardrail")
    assert row["equivalence"] is None
    assert sentence.endswith(" Reason: guardrail without a margin; sample size not declared.")


def test_a_margin_in_the_unit_of_the_metric_is_written_out():
    texts = [Metric("r", "reward", "increase", margin_abs=v).margin_text for v in (12_000.0, 12.5, 10.0, 0.0005)]
    assert texts == ["12,000", "12.5", "10", "0.0005"]


def test_the_checklist_says_which_margins_were_set_after_looking():
    def margins(**fields):
        of = study(metrics=[Metric("reward", "reward", "increase", margin=0.05, **fields)])
        return next(c for c in checklist(analysed(arms(0.0), of).tasks[0]) if c.name == "Margins declared")

    assert (margins().passed, margins().text) == (True, "5% for reward.")
    late = margins(margin_after_looking=True)
    assert (late.passed, late.needed, late.text) == (False, False, "5% for reward; set after looking: reward.")


FILE = """
[study]
name = "mine"
title = "Mine"
[source]
kind = "bundle"
path = "."
[[metrics]]
key = "reward"
family = "reward"
expect = "increase"
{}
[[tasks]]
name = "walk"
total_steps = 100
"""


def test_a_margin_is_read_and_written():
    metric = parse_study(FILE.format("margin = 0.05")).metrics[0]
    assert (metric.margin, metric.margin_abs, metric.margin_text) == (0.05, None, "5%")
    of = parse_study(FILE.format("margin_abs = 10.0\nmargin_after_looking = true"))
    assert parse_study(to_toml(of)) == of
    assert of.metrics[0].margin_text == "10"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("margin = 5.0", "less than 1"),
        ("margin = 0", "greater than 0"),
        ("margin = 0.1\nmargin_abs = 2.0", "give one of them"),
        ('scale = "log"\nmargin_abs = 2.0', "give margin instead of margin_abs"),
    ],
)
def test_a_margin_that_is_none_is_refused(lines, message):
    with pytest.raises(StudyError, match=message):
        parse_study(FILE.format(lines))
