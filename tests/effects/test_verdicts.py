"""Which claims are corrected together, and the verdict each row gets."""

import pytest

from lib.effects.compare.equivalence import MarginTest
from lib.effects.multiple_testing import family_text, holm_by_family, holm_family
from lib.effects.verdicts import judge, shown_verdict
from lib.study import Metric
from tests.support.effects_kit import one_task, study
from tests.support.effects_kit import steps_run as run


def _metric(role="primary"):
    return Metric("reward", "reward", "increase", role=role)


def _row(p, task="walk", role="primary", low=1.0, high=3.0, expectation="increase"):
    family = holm_family(task, _metric(role))
    numbers = {"ci_low": low, "ci_high": high, "p_value": p}
    return numbers | {"task": task, "role": role, "holm_family": family, "expectation": expectation, "reasons": ""}


def test_claims_across_tasks_and_of_tasks_are_families_by_role():
    assert [holm_family(task, _metric(role)) for task in ("*", "walk") for role in ("primary", "secondary")] == [
        "across:primary",
        "across:secondary",
        "tasks:primary",
        "tasks:secondary",
    ]
    assert holm_family("*", _metric("guardrail")) is None
    assert family_text("across:primary") == "the primary claims across tasks"
    assert family_text("tasks:secondary") == "the secondary claims of all tasks"


def test_holm_by_family_by_hand():
    # a: .01 x 2, .04; b: .03 alone; the third of a has no p, and what is in no family stays as it is
    families = ["a", "b", "a", "a", None]
    assert holm_by_family([0.01, 0.03, None, 0.04, 0.02], families) == [0.02, 0.03, None, 0.04, None]


def test_a_claim_across_tasks_does_not_drown_among_its_parts():
    rows = judge([_row(0.03, "*"), *(_row(0.2, f"t{i}") for i in range(40))])
    assert (rows[0]["p_holm"], rows[0]["verdict"]) == (0.03, "supported")
    assert {row["verdict"] for row in rows[1:]} == {"not shown"}


@pytest.mark.parametrize(("low", "high", "verdict"), [(1.0, 3.0, "supported"), (-3.0, -1.0, "contradicted")])
def test_both_verdicts_ask_holm(low, high, verdict):
    # .02 x 2 = .04 is below .05, .02 x 3 = .06 is not
    for beside, word in ((1, verdict), (2, "not shown")):
        rows = judge([_row(0.02, low=low, high=high), *[_row(0.9, low=-1.0)] * beside])
        assert rows[0]["verdict"] == word
    assert rows[0]["reasons"] == "p = 0.06 after Holm's correction over the primary claims of all tasks"


def test_secondary_metrics_are_corrected_apart():
    rows = judge([_row(0.04), *[_row(0.9, role="secondary", low=-1.0)] * 5])
    assert rows[0]["verdict"] == "supported"


def test_a_guardrail_has_no_verdict_of_effect_and_is_in_no_family():
    guardrail = judge([_row(0.001, role="guardrail"), _row(0.04)])
    assert [row["verdict"] for row in guardrail] == ["cannot say", "supported"]
    assert (guardrail[0]["p_holm"], guardrail[0]["reasons"]) == (None, "guardrail without a margin")


def test_why_a_guardrail_has_no_answer_comes_before_the_caveats():
    caveat, why = "sample size not declared", "no equivalence without a control arm"
    row = _row(0.001, role="guardrail") | {"reasons": caveat}
    none, some = MarginTest(notes=(why, "after looking")), MarginTest(margin=1.0, notes=("after looking",))
    (unsaid,), (tested,) = (judge([row | {"margin_test": test}]) for test in (none, some))
    assert unsaid["reasons"] == f"guardrail: see equivalence; {why}; {caveat}; after looking"
    assert tested["reasons"] == f"guardrail: see equivalence; {caveat}; after looking"
    primary = judge([_row(0.001) | {"reasons": caveat, "margin_test": none}])
    assert primary[0]["reasons"] == f"{caveat}; {why}; after looking"


def test_a_guardrail_keeps_its_estimate_and_interval():
    runs = [run(f"{i}", 50, 10.0 + i, 20.0 + 2 * i) for i in range(4)]
    runs += [run(f"{i}", None, 50.0 + i, 51.0 + 1.5 * i) for i in range(4)]
    row, plain = (
        one_task(runs, study(metrics=[_metric(role)])).row(0, named=True) for role in ("guardrail", "primary")
    )
    assert [row[c] for c in ("change", "ci_low", "ci_high")] == [plain[c] for c in ("change", "ci_low", "ci_high")]
    assert (row["role"], row["holm_family"], row["verdict"]) == ("guardrail", None, "cannot say")
    assert (plain["role"], plain["holm_family"], plain["verdict"]) == ("primary", "tasks:primary", "supported")


def test_what_was_changed_after_looking_opens_every_row():
    rows = judge([_row(0.001), {**_row(None), "reasons": "n = 1"}], "exploratory: a reason")
    assert [(row["verdict"], row["reasons"]) for row in rows] == [
        ("cannot say", "exploratory: a reason"),
        ("cannot say", "exploratory: a reason; n = 1"),
    ]


def test_a_jump_is_shown_as_a_jump_and_never_as_support():
    words = ("supported", "contradicted", "not shown", "cannot say")
    row = {"role": "primary", "equivalence": None}
    shown = [[shown_verdict(row | {"design": design, "verdict": word}) for word in words] for design in ("jump", "did")]
    assert shown == [["jump shown", "jump shown", "not shown", "cannot say"], list(words)]


def test_a_guardrail_is_shown_with_the_answer_to_its_margin():
    row = {"role": "guardrail", "equivalence": "no worse", "design": "fork", "verdict": "cannot say"}
    assert shown_verdict(row) == "no worse"
    assert shown_verdict(row | {"equivalence": None}) == "cannot say"
