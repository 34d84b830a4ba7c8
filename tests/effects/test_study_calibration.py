"""The calibration of whole studies in small: the arrays give what the app gives, and messy runs are counted once or refused."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import any_verdict, calibration_docs, verdict_power
from benchmarks.any_verdict import MIXES, holm_verdicts, run_chunk
from benchmarks.batches import Outcome
from benchmarks.calibration_cells import load_results
from benchmarks.messy_studies import CASES, run_case
from benchmarks.simulated_studies import Correlated, Mix, Plan
from benchmarks.study_tables import ANY_VERDICT, MESSY, POWER, POWER_BEFORE, error
from lib.effects.multiple_testing import holm

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mix", MIXES, ids=lambda mix: mix.name)
def test_arrays_give_what_the_app_gives(mix):
    # run_chunk raises where a p or a verdict of the app's own analysis differs
    chunk = run_chunk(mix, 15, start=100, studies=1, through_product=1)
    assert chunk["product_any_verdict"].null_count() == 0


def test_a_difference_from_the_app_is_seen(monkeypatch):
    method = any_verdict.task_outcome

    def narrower(design, batch):
        outcome = method(design, batch)
        return Outcome(outcome.value, outcome.p * 0.99, outcome.low, outcome.high)

    monkeypatch.setattr(any_verdict, "task_outcome", narrower)
    with pytest.raises(AssertionError):
        run_chunk(Mix("forks", (Plan("fork", 3),)), 5, start=0, studies=1, through_product=1)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=12))
def test_holm_on_arrays_is_the_apps(p_values):
    p = np.array([p_values])
    ones = np.ones(1)
    outcomes = [Outcome(ones, p[:, i], ones, 2 * ones) for i in range(p.shape[1])]
    expected = [adjusted < 0.05 for adjusted in holm(p_values)]
    assert holm_verdicts(outcomes)[0].tolist() == expected


def test_metrics_of_a_run_correlate():
    draws = Correlated(np.random.default_rng(0), 3, 0.8).normal(size=(3 * 4_000, 2)).reshape(3, 4_000, 2)
    assert np.corrcoef(draws[0].ravel(), draws[2].ravel())[0, 1] == pytest.approx(0.8, abs=0.02)
    assert draws.std() == pytest.approx(1, abs=0.02)
    uniform = Correlated(np.random.default_rng(0), 2, 0.8).uniform(2, 4, size=(4_000,))
    assert (uniform.mean(), uniform.min() >= 2, uniform.max() <= 4) == (pytest.approx(3, abs=0.05), True, True)


def _case(name):
    return next(case for case in CASES if case.name == name)


@pytest.mark.parametrize("case", [c for c in CASES if c.refused], ids=lambda case: case.name)
def test_what_cannot_be_compared_is_refused(case):
    assert run_case(case, 3)["refused"] == 1


def test_the_committed_studies_meet_the_bar():
    results = pl.read_csv(ANY_VERDICT)
    assert set(results["mix"]) == {mix.name for mix in MIXES}
    assert set(results["claims"]) == {5, 15, 20, 40}
    assert results["product_studies"].min() >= any_verdict.PRODUCT_STUDIES
    for share, studies in results.select("any_verdict", "studies").iter_rows():
        assert share <= 0.055 + 2 * error(0.055, studies)


def test_the_committed_messy_studies_meet_the_bar():
    results = pl.read_csv(MESSY)
    assert results["case"].to_list() == [case.name for case in CASES]
    for case, row in zip(CASES, results.iter_rows(named=True), strict=True):
        assert row["any_verdict"] <= 0.055 + 2 * error(0.055, row["studies"])
        assert (row["refused"] == 1) == case.refused


def test_power_is_measured_on_the_same_studies_before_and_now():
    tables = [pl.read_csv(path) for path in (POWER_BEFORE, POWER)]
    assert [table["case"].to_list() for table in tables] == [[case.name for case in verdict_power.CASES]] * 2


def test_the_docs_have_the_committed_results():
    results = load_results()
    tables = calibration_docs.all_tables(results)
    assert calibration_docs.ALL_TABLES.read_text() == calibration_docs.everything(results, tables)
    docs = calibration_docs.DOCS.read_text()
    assert docs.count("<!-- table:") == docs.count(" -->\n\n| ") == 17
    assert calibration_docs.filled(docs, tables) == docs
