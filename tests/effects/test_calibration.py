"""The calibration in small: bounds that a broken estimator, or a method that should be refused, would break."""

import polars as pl
import pytest

from benchmarks.calibration import STUDIES as STUDIES_OF_A_CELL
from benchmarks.calibration import run_cell
from benchmarks.calibration_cells import LARGE, NULL, Cell, load_results
from benchmarks.calibration_report import failures
from benchmarks.simulated import FAMILIES, STRESS
from lib.effects.compare.jumps import half_width

STUDIES = 600  # the standard error of 5% is 0.9 points: 2.3 to 7.7 is three of them


def _by_method(design, family, n_t, n_c=None, effect=NULL, spread=1.0):
    n_c = n_t if n_c is None else n_c
    return {row["method"]: row for row in run_cell(Cell(design, family, n_t, n_c, effect, spread), STUDIES)}


@pytest.mark.parametrize("family", ["saturating", "sigmoid"])
def test_fork_pairs_are_calibrated(family):
    rates = _by_method("fork", family, 5)
    assert 0.023 < rates["fork pairs, paired t"]["found"] < 0.077
    assert rates["fork pairs, paired t"]["covered"] == 1 - rates["fork pairs, paired t"]["found"]
    assert rates["fork pairs, sign-flip"]["found"] == 0  # its smallest p at 5 pairs is 1/16
    assert not rates["fork pairs, sign-flip"]["offered"]


def test_arms_are_calibrated_and_their_rows_are_not():
    rates = _by_method("did", "saturating", 5)
    assert 0.015 < rates["DiD, Welch"]["found"] < 0.077
    assert 0.015 < rates["DiD, label permutation"]["found"] < 0.077
    assert 0.023 < rates["ANCOVA"]["found"] < 0.077
    assert rates["row-level DiD, OLS"]["found"] > 0.3
    assert rates["DiD, percentile bootstrap"]["found"] > 0.08
    assert rates["DiD, BCa bootstrap"]["found"] > 0.08
    assert rates["DiD, best of six windows"]["found"] > 0.09
    assert [name for name, row in rates.items() if row["offered"]] == ["DiD, Welch", "DiD, label permutation", "ANCOVA"]


def test_welch_of_unequal_arms_is_refused_for_a_reason():
    rates = _by_method("did", "saturating", 16, 3, spread=0.5)
    assert [name for name, row in rates.items() if row["offered"]] == ["DiD, Welch, the smaller arm's df"]
    assert rates["DiD, Welch"]["found"] > 0.06 > rates["DiD, Welch, the smaller arm's df"]["found"]
    assert rates["DiD, label permutation"]["found"] > 0.1 < rates["ANCOVA"]["found"]


def test_the_jump_is_calibrated_where_before_and_after_are_not():
    rates = _by_method("jump", "sigmoid", 16, 0)
    assert 0.023 < rates["local jump, t"]["found"] < 0.077
    assert rates["before/after, paired t"]["found"] > 0.99
    assert rates["pooled rows, Welch"]["found"] > 0.99
    assert rates["segmented regression, Newey-West"]["found"] > 0.5


def test_many_runs_narrow_the_jump():
    steep = _by_method("jump", "steep", 16, 0)
    assert steep["local jump, h = 10% at any n"]["found"] > 0.2
    assert steep["local jump, t"]["found"] < 0.1
    assert (half_width(1000, 3), half_width(1000, 4)) == (100, 50)


def test_a_randomised_onset_is_exact():
    assert 0.023 < _by_method("onset", "sigmoid", 5, 0)["randomised onset"]["found"] < 0.077


def test_tasks_together_are_calibrated():
    rates = _by_method("2 tasks", "mixed", 3)
    assert 0.015 < rates["across tasks, Welch-Satterthwaite"]["found"] < 0.077
    assert 0.015 < rates["across tasks, labels within tasks"]["found"] < 0.077


def test_true_effects_are_found_and_covered():
    forks = _by_method("fork", "linear", 5, effect=LARGE)["fork pairs, paired t"]
    assert forks["found_right"] > 0.3
    assert 0.91 < forks["covered"] < 0.98
    jumps = _by_method("jump", "linear", 5, 0, effect=LARGE)["local jump, t"]
    assert 0.91 < jumps["covered"] < 0.98
    assert jumps["found_right"] > 0.2


def test_the_committed_results_meet_the_bar():
    results = load_results()
    whole = results.filter(pl.col("effect") == 0)
    assert whole["studies"].min() >= STUDIES_OF_A_CELL
    assert set(whole["family"]) == {*FAMILIES, STRESS, "mixed"}
    assert set(whole["n_t"]) >= {2, 3, 5, 8, 16}
    assert failures(results).rows() == []
