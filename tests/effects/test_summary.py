"""The Overview's first lines: verdicts with their sizes in words, and nothing that the verdicts do not say."""

from dataclasses import replace

import polars as pl
import pytest

from lib.effects import FamilySummary, summary
from lib.effects.effects_table import EFFECTS
from lib.study import Metric
from tests.support.summary_kit import FALL, STEEPER, STUDY, UNSHOWN, line, row


def test_one_metric_of_one_task_has_its_interval():
    assert line(row("walk", "a", "supported", FALL)) == ("supported", "26% lower [20, 32] (6 fork pairs).")


def test_tasks_have_a_range():
    rows = row("walk", "a", "supported", FALL), row("run", "a", "supported", STEEPER)
    assert line(*rows) == ("supported", "26-29% lower on 2 of 2 tasks (6 fork pairs each).")


def test_tasks_that_differ_in_their_verdicts_are_counted():
    rows = [row("walk", "a", "supported", FALL), row("run", "a", "not shown", UNSHOWN), row("hop", "a", "cannot say")]
    assert line(*rows) == (
        "partly supported",
        "26% lower [20, 32] on 1 of 3 tasks, not shown on 1, no verdict on 1 (6 fork pairs each).",
    )


def test_the_claim_across_tasks_comes_first_and_decides():
    across = row("*", "a", "supported", (-0.28, -0.34, -0.21), n_arm=12)
    tasks = row("walk", "a", "supported", FALL), row("run", "a", "not shown", UNSHOWN)
    assert line(across, *tasks) == (
        "supported",
        "28% lower [21, 34] across 2 tasks (12 fork pairs); 26% lower [20, 32] on 1 of 2 tasks, not shown on 1.",
    )


def test_what_was_not_shown_has_its_intervals_where_they_are_few():
    rows = row("walk", "r", "not shown", (-5.2, -16.7, 6.2)), row("run", "r", "not shown", (10.1, -6.4, 26.6))
    assert line(*rows) == ("not shown", "no gain shown: -5 [-17, +6] and +10 [-6, +27] (6 fork pairs each).")
    across = row("*", "r", "not shown", (-0.025, -0.095, 0.045), n_arm=12)
    assert line(across, *rows)[1] == (
        "no gain shown across 2 tasks: -2% [-10, +4] of the range (12 fork pairs); by task -5 [-17, +6] and +10 [-6, +27]."
    )


def test_many_metrics_are_a_range_and_a_count():
    metrics = tuple(Metric(f"m{i}", "loss", "decrease", scale="log") for i in range(25))
    study = replace(STUDY, metrics=metrics)
    rows = [
        row("walk", "a", "supported" if i < 20 else "not shown", (-0.2 - i / 100, -0.5, -0.05)) | {"metric": f"m{i}"}
        for i in range(25)
    ]
    assert line(*rows, study=study) == (
        "partly supported",
        "20-39% lower in 20 of 25 metrics, not shown in 5 (6 fork pairs).",
    )
    unshown = [one | {"verdict": "not shown"} for one in rows]
    assert line(*unshown, study=study)[1] == "no fall shown in any of 25 metrics (6 fork pairs)."


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        ("supported contradicted", "mixed"),
        ("contradicted not-shown", "partly contradicted"),
        ("contradicted contradicted", "contradicted"),
        ("not-shown cannot-say", "not shown"),
        ("cannot-say cannot-say", "cannot say"),
    ],
)
def test_verdicts_of_a_family(verdicts, verdict):
    each = [v.replace("-", " ") for v in verdicts.split()]
    rows = [row(task, "a", v, FALL if v != "cannot say" else ()) for task, v in zip(("walk", "run"), each, strict=True)]
    assert line(*rows)[0] == verdict


def test_a_task_that_contradicts_what_holds_across_tasks_is_mixed():
    rows = row("*", "a", "supported", FALL), row("walk", "a", "contradicted", (0.2, 0.1, 0.3))
    assert line(*rows) == (
        "mixed",
        "26% lower [20, 32] across 2 tasks (6 fork pairs); by task 20% higher [10, 30] (not as expected).",
    )


def test_no_verdict_has_its_reason_and_what_was_observed():
    reason = "n = 2: too few fork pairs for a verdict; left out: seed 3"
    assert line(row("walk", "a", "cannot say", FALL, reasons=reason)) == (
        "cannot say",
        "no verdict, observed -26% [-32, -20] (n = 2: too few fork pairs for a verdict).",
    )


def test_runs_left_out_by_hand_leave_one_sentence():
    reason = "exploratory: run x left out by hand"
    rows = [row(task, "a", "cannot say", FALL, reasons=reason) for task in ("walk", "run")]
    onset = row("hop", "a", "cannot say", FALL, "onset", reasons=reason)
    assert line(*rows, onset)[1] == f"no verdict, observed -26% [-32, -20] and -26% [-32, -20] ({reason})."


def test_a_jump_is_never_called_an_effect():
    jumps = (
        row("walk", "r", "supported", (12.0, 10.0, 14.0), "jump"),
        row("run", "r", "not shown", (1.0, -4.0, 6.0), "jump"),
    )
    assert line(*jumps) == (
        "jump shown",
        "without a control arm, jumps at the detach: 12 up [10, 14] on 1 of 2 tasks, not shown on 1 (6 runs each).",
    )
    against = row("walk", "a", "contradicted", (0.2, 0.1, 0.3), "jump")
    assert line(against)[1] == (
        "without a control arm, jumps at the detach: 20% up [10, 30] (not as expected) (6 runs)."
    )


def test_randomised_steps_are_said_after_the_comparisons_and_change_no_verdict():
    onset = row("run", "a", "not shown", UNSHOWN, "onset", n_arm=8, n_control=0)
    assert line(row("walk", "a", "supported", FALL), onset) == (
        "supported",
        "26% lower [20, 32] (6 fork pairs). Randomised detach steps: no immediate fall shown (8 runs).",
    )
    assert line(onset) == (
        "not shown",
        "randomised detach steps: no immediate fall shown: -10% [-25, +5] (8 runs).",
    )


def test_several_arms_are_told_apart_and_many_are_counted():
    few = [row("walk", "a", "supported", FALL, arm="early"), row("walk", "a", "not shown", UNSHOWN, arm="late")]
    assert line(*few) == (
        "partly supported",
        "26% lower [20, 32] in early, no fall shown in late (6 fork pairs).",
    )
    many = [*few, *(row("walk", "a", "supported", FALL, arm=arm) for arm in ("x", "y", "z"))]
    assert line(*many)[1] == "26% lower in 4 of 5 arms, no fall shown in late (6 fork pairs)."


def test_three_arms_with_tasks_and_metrics_are_one_line():
    rows = [
        row(task, metric, verdict, change, arm=arm, n_arm=12 if task == "*" else 6)
        for arm, verdict, change in (
            ("early", "supported", FALL), ("mid", "supported", STEEPER), ("late", "cannot say", ()),
        )
        for task in ("*", "walk", "run")
        for metric in ("a", "b")
    ]  # fmt: skip
    assert line(*rows)[1] == "26-29% lower in early and mid, no verdict in late (6-12 fork pairs each)."


def test_an_arm_whose_task_contradicts_what_holds_across_tasks_says_so():
    rises = (0.2, 0.1, 0.3)
    rows = [row("*", "a", "supported", FALL, arm="early"), row("walk", "a", "contradicted", rises, arm="early")]
    rows += [row("run", "a", "supported", FALL, arm="early"), row("walk", "a", "not shown", UNSHOWN, arm="late")]
    assert line(*rows) == (
        "mixed",
        "26% lower [20, 32] across tasks but 20% higher [10, 30] on walk in early, no fall shown in late "
        "(6 fork pairs each).",
    )


def test_a_change_against_another_expectation_of_the_same_direction_says_so():
    rows = [row("walk", "a", "supported", FALL, arm="early"), row("walk", "a", "not shown", UNSHOWN, arm="late")]
    rows += [row("hop", "b", "contradicted", FALL, arm="early", expectation="increase")]
    assert line(*rows)[1] == (
        "26% lower [20, 32] but 26% lower [20, 32] on hop (not as expected) in early, no fall shown in late (6 fork pairs each)."
    )


def test_tasks_that_contradict_are_named_and_sizes_share_a_precision():
    rows = [row("*", "a", "supported", (-0.0799, -0.09, -0.07), arm=arm) for arm in ("early", "late")]
    rows += [row("*", "b", "supported", (-0.2214, -0.2218, -0.221), arm=arm) for arm in ("early", "late")]
    rows += [row("hop", "a", "contradicted", (0.2, 0.1, 0.3), arm=arm) for arm in ("early", "late")]
    text = "8.0-22.1% lower across tasks but 20.0% higher on hop in early and late (6 fork pairs)."
    assert line(*rows) == ("mixed", text)


def test_what_holds_across_tasks_in_one_arm_alone_is_not_said_of_all():
    rows = [row("*", "a", "supported", FALL, arm="early"), row("walk", "a", "supported", FALL, arm="late")]
    rows += [row("hop", "a", "contradicted", (0.2, 0.1, 0.3), arm=arm) for arm in ("early", "late")]
    assert line(*rows) == ("mixed", "26% lower but 20% higher on hop in early and late (6 fork pairs each).")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (
            "n = 2: too few runs for a verdict (2 detached, 2 control, changes +1, +2 against 0, -2)",
            "n = 2: too few runs for a verdict",
        ),
        (
            "runs ended early in unequal numbers (1 detached, 0 control): what stops a run may be what was done to it; x",
            "runs ended early in unequal numbers (1 detached, 0 control)",
        ),
        ("batch_size differs between the arms (256 against 512)", "batch_size differs between the arms (256 against 512)"),
    ],
)  # fmt: skip
def test_a_reason_in_an_answer_ends_where_its_details_begin(reason, text):
    assert line(row("walk", "r", "cannot say", (3.0,), reasons=reason))[1] == f"no verdict, observed +3.0 ({text})."


def test_a_percent_of_the_range_beside_other_changes_says_so():
    rows = [row("walk", "r", "cannot say", (9.0, -22.0, 41.0)), row("*", "r", "cannot say", (0.03, -0.11, 0.18))]
    text = "no verdict, observed +9 [-22, +41] and +3% [-11, +18] of the range (exploratory: x)."
    assert line(*(r | {"reasons": "exploratory: x"} for r in rows))[1] == text
    turned = (r | {"reasons": "exploratory: x"} for r in reversed(rows))
    assert line(*turned)[1] == "no verdict, observed +3% [-11, +18] of the range and +9 [-22, +41] (exploratory: x)."


def test_metrics_across_other_numbers_of_tasks_say_both():
    three = {"method": "mean over 3 tasks of the difference of fork pairs"}
    rows = [row("*", "a", "supported", FALL), row("*", "b", "supported", FALL) | three, row("walk", "a", "cannot say")]
    assert line(*rows)[1] == "26% lower across 2-3 tasks in 2 of 2 metrics (6 fork pairs); by task no verdict."


def test_arms_of_unequal_size_and_other_units():
    rows = [
        row("walk", "r", "supported", (12.0, 10.0, 14.0), "did", n_arm=8, n_control=5, change_pct=24.0),
        row("run", "r", "supported", (3.0, 1.0, 5.0), "did", n_arm=6, n_control=5, change_pct=30.0),
    ]
    assert line(*rows)[1] == "24-30% higher on 2 of 2 tasks (6-8 against 5 runs each)."


def test_every_family_has_its_own_line():
    effects = pl.DataFrame(
        [row("walk", "a", "supported", FALL), row("walk", "r", "not shown", (1.0, -4.0, 6.0))], schema=EFFECTS
    )
    families = summary(effects, STUDY)
    assert families == (
        FamilySummary("reward", "not shown", "no gain shown: +1 [-4, +6] (6 fork pairs)."),
        FamilySummary("loss", "supported", "26% lower [20, 32] (6 fork pairs)."),
    )
    assert [family.title for family in families] == ["Rewards", "Losses"]


def test_nothing_to_compare():
    assert summary(EFFECTS.to_frame(), STUDY) == ()
    assert line(row("walk", "r", "cannot say", (), "none", reasons="no run counts")) == (
        "cannot say",
        "nothing to compare (no run counts).",
    )
