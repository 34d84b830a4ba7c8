"""What the Overview's first lines say of margins: of guardrails, and of metrics whose change is claimed."""

from dataclasses import replace

import pytest

from lib.study import Metric
from tests.support.summary_kit import FALL, GUARDED, LOSSES, REWARD, STUDY, UNSHOWN, guard, line, row


def test_secondary_metrics_and_guardrails_are_said_apart():
    rows = [
        row("walk", "a", "supported", FALL),
        row("walk", "b", "not shown", UNSHOWN, role="secondary"),
        row("walk", "c", "cannot say", UNSHOWN, role="guardrail", equivalence="no worse"),
    ]
    assert line(*rows, study=GUARDED) == (
        "supported",
        "26% lower [20, 32] (6 fork pairs). Secondary: 1 not shown. "
        "Guardrails: no worse than 10%: -10% [-25, +5] (6 fork pairs).",
    )
    assert line(rows[1])[1] == "secondary metrics: no fall shown: -10% [-25, +5] (6 fork pairs)."
    assert line(rows[2], study=GUARDED) == ("no worse", "guardrail: no worse than 10%: -10% [-25, +5] (6 fork pairs).")


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        # Across tasks a linear metric has no margin: its tasks answer.
        (
            [guard("*", None), guard("walk", "no worse"), guard("run", "no worse", (-0.8, -3.1, 1.5))],
            ("no worse", "no worse than 5% on 2 of 2 tasks: 0 [-1, +2] and -1 [-3, +2] (6 fork pairs each)."),
        ),
        (
            [guard("walk", "no worse"), guard("run", "not shown", (-5.0, -17.0, 6.0))],
            (
                "not shown",
                "no worse than 5% on 1 of 2 tasks: 0 [-1, +2]; not shown on 1: -5 [-17, +6] (6 fork pairs each).",
            ),
        ),
        (
            [guard("walk", "worse", (-9.0, -12.0, -6.0)), guard("run", "no worse")],
            (
                "worse",
                "worse by more than 5% on 1 of 2 tasks: -9 [-12, -6]; no worse than 5% on 1: 0 [-1, +2] (6 fork pairs each).",
            ),
        ),
        ([guard("walk", None, ())], ("cannot say", "no verdict against 5% (6 fork pairs).")),
        ([guard("walk", None, design="jump")], ("cannot say", "no verdict against 5% without a control arm.")),
        # Randomised steps have no margin either, and take no answer from the others.
        (
            [guard("walk", "no worse"), guard("run", None, design="onset")],
            ("no worse", "no worse than 5%: +0.4 [-1.2, +2.0] (6 fork pairs)."),
        ),
        # In percent of the level, as the margin is, wherever there is a percent: of 200.
        (
            [guard("walk", "no worse", (-4.0, -21.0, 13.0), change_pct=-2.0), guard("run", None, (8.0,), change_pct=4.0)],
            ("not shown", "no worse than 5% on 1 of 2 tasks: -2% [-10, +6]; cannot say on 1: +4.0% (6 fork pairs each)."),
        ),
        # And of 100, of which one is one percent.
        (
            [guard("walk", "no worse", (-1.0, -3.0, 1.0), change_pct=-1.0)],
            ("no worse", "no worse than 5%: -1% [-3, +1] (6 fork pairs)."),
        ),
        (
            [guard("walk", None, (8.0,), design="did", n_arm=1, n_control=3)],
            ("cannot say", "no verdict against 5%: +8.0 (1 against 3 runs)."),
        ),
        (
            [guard("walk", None, (8.0,), design="did", n_arm=3, n_control=1)],
            ("cannot say", "no verdict against 5%: +8.0 (3 against 1 run)."),
        ),
    ],
)  # fmt: skip
def test_the_answer_of_a_guardrail(rows, answer):
    assert line(*rows, study=GUARDED) == (answer[0], f"guardrail: {answer[1]}")


def test_a_margin_in_the_unit_of_the_metric_reads_as_no_level():
    study = replace(GUARDED, metrics=(replace(REWARD, role="guardrail", margin_abs=10.0), *LOSSES))
    assert line(guard("walk", "no worse"), study=study)[1] == (
        "guardrail: at most 10 worse: +0.4 [-1.2, +2.0] (6 fork pairs)."
    )
    assert line(guard("walk", "not shown"), study=study)[1] == (
        "guardrail: not shown to be at most 10 worse: +0.4 [-1.2, +2.0] (6 fork pairs)."
    )


def test_guardrails_of_several_metrics_are_one_sentence():
    second = Metric("r2", "reward", "increase", role="guardrail", margin=0.05)
    study = replace(GUARDED, metrics=(*GUARDED.metrics, second))
    rows = [guard("walk", "worse", (-9.0, -12.0, -6.0)), guard("run", "no worse")]
    rows += [guard("walk", "no worse") | {"metric": "r2"}, guard("run", None, ()) | {"metric": "r2"}]
    assert line(*rows, study=study) == (
        "worse",
        "guardrails: worse by more than 5% in 1 of 4 comparisons, no worse than 5% in 2, cannot say in 1 (6 fork pairs each).",
    )


def test_a_primary_metric_says_its_margin_too():
    study = replace(STUDY, metrics=(replace(REWARD, margin=0.05, margin_after_looking=True), *LOSSES))
    rows = [row(task, "r", "not shown", (0.4, -1.2, 2.0), equivalence="equivalent") for task in ("walk", "run")]
    assert line(*rows, study=study)[1] == (
        "no gain shown: +0.4 [-1.2, +2.0] and +0.4 [-1.2, +2.0] (6 fork pairs each). "
        "Against the margin: within 5% either way on 2 of 2 tasks, margin set after looking."
    )


def test_a_guardrail_without_a_margin_says_so():
    rows = [guard("walk", None)]
    study = replace(STUDY, metrics=(replace(REWARD, role="guardrail"), *LOSSES))
    assert line(*rows, study=study) == ("cannot say", "guardrail: no margin is declared.")
