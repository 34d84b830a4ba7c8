"""The one sentence of a study with gains and guardrails."""

from dataclasses import replace

import polars as pl
import pytest

from lib.effects import headline
from lib.effects.effects_table import EFFECTS
from tests.support.summary_kit import FALL, GUARDED, UNSHOWN, guard, row

LOWER, NO_FALL, UNSAID = (
    row("walk", "a", verdict, change)
    for verdict, change in (("supported", FALL), ("not shown", UNSHOWN), ("cannot say", ()))
)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([LOWER, guard("walk", "no worse")], "Loss 26% lower [20, 32], reward no worse than 5%."),
        ([LOWER, guard("walk", "not shown")], "Loss 26% lower [20, 32], but reward not shown to be no worse than 5%."),
        ([LOWER, guard("walk", "worse")], "Loss 26% lower [20, 32], but reward worse by more than 5%."),
        ([LOWER, guard("walk", None)], "Loss 26% lower [20, 32], but whether reward is no worse than 5% cannot be said."),
        ([NO_FALL, guard("walk", "no worse")], "Loss: no fall shown, reward no worse than 5%."),
        ([NO_FALL, guard("walk", "not shown")], "Loss: no fall shown, and reward not shown to be no worse than 5%."),
        ([UNSAID, guard("walk", "no worse")], "Loss: no verdict, reward no worse than 5%."),
        (
            [row("walk", "a", "contradicted", (0.2, 0.1, 0.3)), guard("walk", "no worse")],
            "Loss 20% higher [10, 30] (not as expected), reward no worse than 5%.",
        ),
        (
            [LOWER, row("run", "a", "not shown", UNSHOWN), guard("walk", "no worse"), guard("run", "worse")],
            "Loss 26% lower [20, 32] on 1 of 2 tasks, not shown on 1; "
            "but reward worse by more than 5% on 1 of 2 tasks, no worse than 5% on 1.",
        ),
        (
            [
                row("*", "a", "supported", FALL, n_arm=12), LOWER,
                guard("*", None), guard("walk", "no worse"), guard("run", "no worse"),
            ],
            "Loss 26% lower [20, 32] across 2 tasks, reward no worse than 5% on 2 of 2 tasks.",
        ),
        # Where a family has both kinds, its metrics are named.
        (
            [LOWER, row("walk", "c", "cannot say", UNSHOWN, role="guardrail", equivalence="no worse")],
            "A 26% lower [20, 32], C no worse than 10%.",
        ),
        (
            [
                *(LOWER | {"arm": arm} for arm in ("early", "mid")), NO_FALL | {"arm": "late"},
                guard("walk", "no worse", arm="early"), *(guard("walk", "not shown", arm=arm) for arm in ("mid", "late")),
            ],
            "Loss 26% lower in early and mid, no fall shown in late; "
            "but reward no worse than 5% in early, not shown in mid and late.",
        ),
        # Of several arms sizes are said without intervals.
        (
            [
                *(row("walk", "a", "contradicted", (0.2, 0.1, 0.3), arm=arm) for arm in ("early", "late")),
                *(row("*", "a", "supported", FALL, arm=arm) for arm in ("early", "late")),
                guard("walk", "no worse", arm="early"), guard("walk", "no worse", arm="late"),
            ],
            "Loss 26% lower across tasks but 20% higher on walk in early and late, reward no worse than 5% in early and late.",
        ),
        ([LOWER], ""),
        ([guard("walk", "no worse")], ""),
        ([LOWER | {"reasons": "exploratory: x"}, guard("walk", None) | {"reasons": "exploratory: x"}], ""),
        (
            [row("walk", "a", "supported", FALL, "jump")],
            "Only jumps at the detach can be tested: neither what caused them nor a gradual change can be said.",
        ),
        (
            [row("walk", "a", "supported", FALL, "jump"), guard("walk", None, design="jump")],
            "Only jumps at the detach can be tested: neither what caused them nor a gradual change can be said, "
            "nor whether reward is no worse than 5%.",
        ),
    ],
)  # fmt: skip
def test_the_headline(rows, sentence):
    assert headline(pl.DataFrame(rows, schema=EFFECTS), GUARDED) == sentence


def test_a_headline_says_that_its_margin_was_set_after_looking():
    reward = replace(GUARDED.metrics[0], margin_after_looking=True)
    study = replace(GUARDED, metrics=(reward, *GUARDED.metrics[1:]))
    assert headline(pl.DataFrame([LOWER, guard("walk", "no worse")], schema=EFFECTS), study) == (
        "Loss 26% lower [20, 32], reward no worse than 5% (margin set after looking)."
    )
