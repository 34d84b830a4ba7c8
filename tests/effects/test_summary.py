"""The overview's first lines: counts of verdicts in words, and nothing that the verdicts do not say."""

import polars as pl
import pytest

from lib.effects import summary
from lib.effects.effects_table import EFFECTS
from lib.effects.summary import FamilySummary
from lib.study import CONTROL, DETACHED, Metric, Source, Study, Task

REWARD = Metric("r", "reward", "increase", "Reward")
LOSSES = tuple(Metric(key, "loss", "decrease", key.upper(), "log") for key in ("a", "b", "c"))
STUDY = Study(
    "kit", "Kit", Source("bundle", path="."), (REWARD, *LOSSES), (Task("walk", 100), Task("run", 100), Task("hop", 100))
)


def effects(*claims: tuple[str, str, str, str], arm: str = DETACHED) -> pl.DataFrame:
    """Rows of effects: task, metric, design, verdict; all else empty."""
    rows = [dict(zip(("task", "metric", "design", "verdict"), claim, strict=True)) for claim in claims]
    return pl.DataFrame([{"control": CONTROL, "arm": arm} | row for row in rows], schema=EFFECTS)


def verdicts_and_texts(*claims: tuple[str, str, str, str]) -> list[tuple[str, str]]:
    return [(family.verdict, family.text) for family in summary(effects(*claims), STUDY)]


def test_one_line_per_family_with_equal_outcomes_together():
    claims = [
        ("walk", "r", "fork", "not shown"), ("run", "r", "did", "not shown"),
        ("walk", "a", "fork", "supported"), ("run", "a", "did", "supported"),
        ("walk", "b", "fork", "supported"), ("run", "b", "did", "supported"),
        ("walk", "c", "fork", "supported"), ("run", "c", "did", "not shown"),
        ("*", "a", "did", "contradicted"),
    ]  # fmt: skip
    assert summary(effects(*claims), STUDY) == (
        FamilySummary("reward", "not shown", "With a control arm: Reward not shown to be raised on any of 2 tasks."),
        FamilySummary(
            "loss",
            "partly supported",
            "With a control arm: A and B lowered on 2 of 2 tasks; C lowered on 1 of 2 tasks, not shown on 1.",
        ),
    )


@pytest.mark.parametrize(
    ("verdicts", "verdict", "text"),
    [
        ("supported", "supported", "Reward raised on 1 task."),
        ("contradicted", "contradicted", "Reward lowered, against what was expected, on 1 task."),
        ("cannot say", "cannot say", "Reward without a verdict on 1 task."),
        ("supported contradicted cannot-say", "mixed",
         "Reward raised on 1 of 3 tasks, lowered, against what was expected, on 1, without a verdict on 1."),
        ("contradicted not-shown", "partly contradicted",
         "Reward lowered, against what was expected, on 1 of 2 tasks, not shown on 1."),
        ("not-shown cannot-say", "not shown", "Reward not shown to be raised on 1 of 2 tasks, without a verdict on 1."),
        ("cannot-say cannot-say", "cannot say", "Reward without a verdict on any of 2 tasks."),
    ],
)  # fmt: skip
def test_outcomes_of_one_metric(verdicts, verdict, text):
    each = [v.replace("-", " ") for v in ([verdicts] if verdicts == "cannot say" else verdicts.split())]
    claims = [(task, "r", "did", v) for task, v in zip(("walk", "run", "hop"), each, strict=False)]
    assert verdicts_and_texts(*claims) == [(verdict, f"With a control arm: {text}")]


def test_a_jump_is_never_called_an_effect():
    assert verdicts_and_texts(("walk", "r", "jump", "supported"), ("run", "r", "jump", "not shown")) == [
        (
            "descriptive",
            "Without a control arm, jumps at the detach: Reward jumped up on 1 of 2 tasks, not shown on 1.",
        )
    ]
    assert verdicts_and_texts(("walk", "a", "jump", "contradicted"), ("walk", "b", "jump", "not shown")) == [
        (
            "descriptive",
            "Without a control arm, jumps at the detach: A jumped up, against what was expected, on 1 task; "
            "B not shown to have jumped down on 1 task.",
        )
    ]


def test_a_jump_adds_nothing_to_the_verdict_of_comparisons():
    assert verdicts_and_texts(("walk", "r", "did", "not shown"), ("run", "r", "jump", "supported"))[0] == (
        "not shown",
        "With a control arm: Reward not shown to be raised on 1 task. "
        "Without a control arm, jumps at the detach: Reward jumped up on 1 task.",
    )


def test_all_metrics_of_a_family_are_named_together_from_three_on():
    assert verdicts_and_texts(*(("walk", key, "onset", "not shown") for key in "abc")) == [
        ("not shown", "With randomised detach steps: all 3 loss metrics not shown to be lowered on 1 task.")
    ]


def test_several_arms_are_counted_as_comparisons():
    early = effects(("walk", "r", "did", "supported"), arm="early")
    both = early.vstack(effects(("walk", "r", "did", "not shown"), arm="late"))
    assert summary(both, STUDY)[0].text == "With a control arm: Reward raised on 1 of 2 comparisons, not shown on 1."


def test_nothing_to_compare_says_nothing():
    assert summary(EFFECTS.to_frame(), STUDY) == ()
    assert verdicts_and_texts(("walk", "r", "none", "cannot say")) == [
        ("cannot say", "Without a comparison: Reward without a verdict on 1 task.")
    ]
