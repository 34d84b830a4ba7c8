"""The declared number of runs: intervals before it is reached, and what is said."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.effects import checklist, claim, is_short_of_plan, run_looks, standing
from lib.effects.compare.estimators import anytime_factor
from lib.effects.compare.planned import looks, reach_at
from lib.study import Evidence, StudyError, parse_study, to_toml
from tests.effects.test_equivalence import FILE
from tests.support.effects_kit import analysed, history, study
from tests.support.effects_kit import steps_run as run


def test_the_factor_by_hand():
    # n = 5: weight 1/6, level (20 sqrt 6)^(2/5), t^2 = 4 (level - 1) / (1 - level / 6)
    level = (20 * math.sqrt(6)) ** 0.4
    assert float(anytime_factor(5)) == pytest.approx(math.sqrt(4 * (level - 1) / (1 - level / 6)))
    assert [float(f) for f in anytime_factor([1, 2, 3, 4])] == [math.inf] * 4


@given(st.integers(5, 300))
def test_a_look_at_every_run_reaches_farther_than_one_look(n):
    from scipy import stats

    assert float(anytime_factor(n)) > 1.6 * stats.t.ppf(0.975, n - 1)


def test_looking_at_every_n_finds_too_little_rather_than_too_much():
    values = np.random.default_rng(7).normal(size=(4000, 32))
    has_rejected = np.zeros(4000, dtype=bool)
    for n in range(5, 33):
        error = values[:, :n].std(axis=1, ddof=1) / math.sqrt(n)
        has_rejected |= np.abs(values[:, :n].mean(axis=1)) > anytime_factor(n) * error
    assert has_rejected.mean() < 0.05


def arms(n: int):
    """Runs per arm whose d are 10 + 0, 1, 0, 1, ... and 0, 1, 0, 1, ...: each arm's variance of d is that of 0 and 1."""
    gains = [i % 2 for i in range(n)]
    return [run(f"{arm}{i}", at, 100.0 + i, 100.0 + i + more + gain) for arm, at, more in (("d", 50, 10.0), ("c", None, 0.0))
            for i, gain in enumerate(gains)]  # fmt: skip


def comparison(n: int, planned: int | None):
    return analysed(arms(n), study(evidence=Evidence(planned=planned)))


def test_below_the_planned_size_there_is_an_interval_for_every_look_and_no_verdict():
    analysis = comparison(6, 8)
    row = analysis.effects.row(0, named=True)
    assert (row["verdict"], row["p_value"], row["reasons"]) == ("cannot say", None, "6 of 8 planned runs per arm")
    # variance of 0, 1, 0, 1, 0, 1 is 0.3: the error is sqrt(0.3 / 6 x 2)
    reach = float(anytime_factor(6)) * math.sqrt(0.1)
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(10 - reach), pytest.approx(10 + reach))
    assert row["method"].endswith("; anytime-valid interval")
    assert "anytime-valid 95% CI" in claim(row, analysis.study)


def test_four_runs_are_too_few_for_an_interval_before_the_planned_size():
    row = comparison(4, 8).effects.row(0, named=True)
    assert (row["change"], row["ci_low"], row["reasons"]) == (10.0, None, "4 of 8 planned runs per arm")


@pytest.mark.parametrize(
    ("planned", "reasons"),
    [(6, ""), (4, "6 runs per arm, where 4 were planned"), (None, "sample size not declared")],
)
def test_at_the_planned_size_the_ordinary_test_is_made(planned, reasons):
    from scipy import stats

    row = comparison(6, planned).effects.row(0, named=True)
    assert (row["verdict"], row["reasons"]) == ("supported", reasons)
    reach = stats.t.ppf(0.975, 10) * math.sqrt(0.1)
    assert row["ci_high"] == pytest.approx(10 + reach)


@pytest.mark.parametrize(
    ("planned", "verdict", "reasons"),
    [
        (6, "supported", "sample size set after looking"),
        (4, "supported", "6 runs per arm, where 4 were planned; sample size set after looking"),
        (8, "cannot say", "6 of 8 planned runs per arm; sample size set after looking"),
    ],
)
def test_a_size_that_was_set_after_looking_is_a_caveat(planned, verdict, reasons):
    analysis = analysed(arms(6), study(evidence=Evidence(planned=planned, planned_after_looking=True)))
    row = analysis.effects.row(0, named=True)
    assert (row["verdict"], row["reasons"]) == (verdict, reasons)
    check = next(check for check in checklist(analysis.tasks[0]) if check.name == "Planned size")
    assert not check.passed
    assert "ample size set after looking" in check.text


def test_windows_and_left_out_runs_that_were_set_after_looking_are_a_caveat():
    evidence = Evidence(planned=6, windows_after_looking=True, leave_out_after_looking=True)
    assert parse_study(to_toml(study(evidence=evidence))).evidence == evidence
    analysis = analysed(arms(6), study(evidence=evidence))
    row = analysis.effects.row(0, named=True)
    assert (row["verdict"], row["reasons"]) == (
        "supported",
        "windows set after looking; left-out runs set after looking",
    )
    assert claim(row, analysis.study).endswith(" Note: windows set after looking; left-out runs set after looking.")
    checks = {check.name: check for check in checklist(analysis.tasks[0])}
    window, left_out = checks["Window declared"], checks["Runs left out"]
    assert (window.passed, window.needed, left_out.passed, left_out.needed) == (False,) * 4
    assert window.text.endswith("every step after it; windows set after looking.")
    assert left_out.text == "Left-out runs set after looking."


def test_the_width_to_expect_at_the_planned_size():
    from scipy import stats

    [six] = comparison(6, 8).tasks[0].comparisons
    assert reach_at(six, 8) == pytest.approx(stats.t.ppf(0.975, 14) * math.sqrt(2 * 0.3 / 8))


def test_running_runs_wait_where_a_size_is_declared():
    # Seven runs per arm are whole, but one of the detached is not finished: six count, and the seventh is named.
    runs = arms(7)
    runs[6] = replace(runs[6], state="running")
    for planned, verdict in ((8, "cannot say"), (6, "supported"), (None, "cannot say")):
        analysis = analysed(runs, study(evidence=Evidence(planned=planned)))
        [compared] = analysis.tasks[0].comparisons
        assert len(compared.values) == (7 if planned is None else 6)
        assert analysis.effects["verdict"].to_list() == [verdict]
    row = analysed(runs, study(evidence=Evidence(planned=6))).effects.row(0, named=True)
    assert "left out: detached seed d6, still running (last row at 100)" in row["reasons"]


def test_none_of_a_declared_size_is_finished():
    runs = [replace(r, state="running") for r in arms(6)]
    analysis = analysed(runs, study(evidence=Evidence(planned=6)))
    [compared] = analysis.tasks[0].comparisons
    state = standing(analysis.tasks[0], compared)
    assert (state.finished, state.running, state.is_short, state.reach) == (0, 12, True, "")
    assert state.text == "0 of 6 runs finished, 12 runs still running"


def test_looks_are_in_the_order_of_finishing():
    # d of the detached: 10, 11, 10, 11, 10, 11; of the controls 0, 1, 0, 1, 0, 1. The first detached run ends last.
    [six] = comparison(6, 8).tasks[0].comparisons
    ends = {unit.run_id: float(i) for i, unit in enumerate(six.units)} | {next(iter(six.units)).run_id: 99.0}
    five, whole = looks(six, ends).to_dicts()
    assert (five["n"], whole["n"]) == (5, 6)
    # detached without the first: mean 10.6, variance 0.3; the controls come by seed: mean 0.4, variance 0.3
    reach = float(anytime_factor(5)) * math.sqrt(2 * 0.3 / 5)
    assert (five["estimate"], five["ci_low"]) == (pytest.approx(10.2), pytest.approx(10.2 - reach))
    assert (whole["ci_low"], whole["ci_high"]) == (pytest.approx(six.interval[0]), pytest.approx(six.interval[1]))
    assert looks(comparison(4, 8).tasks[0].comparisons[0], {}).is_empty()


def test_looks_read_when_runs_ended():
    # The kit's rows are a second and a step apart: the run with a row at 101 ends last.
    runs = arms(6)
    late = replace(runs[0], points={"reward": [*runs[0].points["reward"], (101, 110.0)]})
    analysis = analysed([late, *runs[1:]], study(evidence=Evidence(planned=8)))
    [task_] = analysis.tasks
    first = run_looks(task_.comparisons[0], history([late, *runs[1:]])).row(0, named=True)
    assert first["estimate"] == pytest.approx(10.2)


def test_what_a_standing_says():
    state = standing(comparison(6, 8).tasks[0], comparison(6, 8).tasks[0].comparisons[0])
    assert (state.text, state.unit, state.reach) == ("6 of 8 runs per arm finished", "runs per arm", "0.57%")
    texts = [standing(a.tasks[0], a.tasks[0].comparisons[0]).text for a in (comparison(6, 4), comparison(6, None))]
    assert texts == ["6 runs per arm finished, where 4 were planned", "6 runs per arm finished"]
    assert [is_short_of_plan(comparison(6, n)) for n in (8, 6, 4, None)] == [True, False, False, False]


def test_the_checklist_says_where_one_stands():
    planned = next(check for check in checklist(comparison(6, 8).tasks[0]) if check.name == "Planned size")
    # half the interval at 8 is t(14) sqrt(2 x 0.3 / 8) = 0.587, of the level before, 102.5
    assert (planned.passed, planned.needed) == (False, True)
    assert planned.text == "6 of 8 planned runs per arm; at 8 the interval will be about ±0.57% for reward."


def test_the_size_is_read_and_written():
    of = parse_study(FILE.format("") + "\n[evidence]\nplanned = 6\n")
    assert of.evidence.planned == 6
    assert parse_study(to_toml(of)) == of
    with pytest.raises(StudyError, match="planned"):
        parse_study(FILE.format("") + "\n[evidence]\nplanned = 1\n")
