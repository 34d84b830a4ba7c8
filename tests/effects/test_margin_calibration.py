"""The calibration of margins, looks and plans in small: the arrays give what the app gives, and what it says is rarely wrong."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from benchmarks import (
    crashed_intervals,
    crashed_margins,
    looks,
    margin_tables,
    margins,
    planned_power,
    size_tables,
    task_draws,
)
from benchmarks import simulated as sim
from benchmarks.study_tables import error
from lib.effects.compare.comparison import Comparison
from lib.effects.compare.equivalence import margin_test
from lib.effects.compare.estimators import ALPHA, mean_t
from lib.effects.compare.units import Unit
from lib.study import Metric


def _unit(after):
    return Unit("", "", "control", 50, 0.0, after, 5, 5, 0.0, 1.0, 0, 0)


def _comparison(metric, values, levels):
    test, controls = mean_t(values), tuple(map(_unit, levels))
    interval = float(test.low), float(test.high)
    comparison = Comparison(metric, "detached", "control", "fork", "", controls, controls, values=tuple(values))
    return replace(comparison, estimate=float(test.value), interval=interval, df=float(test.df), p=float(test.p))


def test_a_noisy_level_makes_no_more_wrong_answers():
    # 6 pairs whose levels differ by half, and a change of exactly the harmful 10% of each: one study in twenty may be wrong
    rng, wrong = np.random.default_rng(4), np.zeros(2)
    for levels in rng.lognormal(0.0, 0.5, (500, 6)):
        values = -0.1 * levels + rng.normal(0, 0.02, 6)
        # the second margin takes the mean level for certain
        for i, margin in enumerate(({"margin": 0.1}, {"margin_abs": 0.1 * levels.mean()})):
            metric = Metric("reward", "reward", "increase", **margin)
            wrong[i] += margin_test(_comparison(metric, values, levels)).no_worse_p < ALPHA
    assert 0.02 < wrong[0] / 500 < 0.08
    assert wrong[1] / 500 < 0.01  # and so says of too few studies without a change that they are no worse


@pytest.mark.slow
def test_looks_are_wrong_in_few_studies():
    rows = looks.run_chunk(looks.GROWTHS[0], "saturating", 200, (0,), 0).filter(last=32)
    assert rows["wrong"].max() <= 0.06 * 200
    assert rows["wrong_t"].min() > 0.15 * 200
    assert rows.filter(change=0.25)["found_right"].item() > 0.5 * 200


@pytest.mark.slow
def test_margins_are_rarely_wrong_at_their_bounds():
    rows = margin_tables.with_errors(margins.run_chunk("fork", "saturating", 600, (0,), 0))
    at_six = rows.filter(n_t=6, margin=0.1)
    assert at_six["wrong"].max() < 0.077 * 600
    assert at_six.filter(change=0.0)["no_worse"].min() > 0.4 * 600
    assert at_six.filter(change=-0.25)["worse"].min() > 0.15 * 600


@pytest.mark.slow
@pytest.mark.parametrize(("design", "family"), [("fork", "sparse"), ("fork", "loss"), ("did", "sigmoid")])
def test_arrays_say_of_a_margin_what_the_app_says(design, family):
    # raises where a p or a word of the app's own analysis differs
    margins.run_chunk(design, family, 1, (1,), 1)


@pytest.mark.slow
@pytest.mark.parametrize(("design", "family"), [("2 tasks of arms", "loss"), ("2 tasks of jumps", "mixed")])
def test_arrays_say_of_tasks_together_what_the_app_says(design, family):
    margins.run_pooled(design, family, 1, (1,), 1)


@pytest.mark.slow
@pytest.mark.parametrize("case", crashed_margins.CASES[::5], ids=lambda case: case.name)
def test_arrays_say_of_crashed_runs_what_the_app_says(case):
    crashed_margins.run_cell(case, "linear", 1, 1)


def test_the_first_interval_that_was_tried_is_the_apps():
    case = crashed_intervals.CASES[4]
    effects = [sim.Effect(0.25)]
    [of] = crashed_margins.crashed_studies(case, "linear", 20, (1,), effects)
    answers, [ordinary, fewer, *_] = crashed_margins.AppAnswers(of, "percent"), crashed_intervals.intervals(of).values()
    np.testing.assert_allclose([answers.low, answers.high], [ordinary.low, ordinary.high])
    assert (fewer.high - fewer.low > ordinary.high - ordinary.low).all()


@pytest.mark.slow
def test_arrays_say_of_whole_studies_what_the_app_says():
    assert margins.study_chunk(margins.Case("fork", 3, 5, 2), 1, (1,), 1).shape == (1, 5)


@pytest.mark.slow
@pytest.mark.parametrize("growth", looks.GROWTHS[::2], ids=lambda growth: growth.name)
def test_arrays_look_as_the_app_does(growth):
    looks.run_chunk(growth, "saturating", 1, (1,), 1)


@pytest.mark.slow
def test_a_difference_from_the_app_is_seen(monkeypatch):
    method = margins.compared

    def narrower(*arms):
        runs = method(*arms)
        return replace(runs, estimate=replace(runs.estimate, p=0.99 * runs.estimate.p))

    monkeypatch.setattr(margins, "compared", narrower)
    with pytest.raises(AssertionError):
        margins.run_chunk("fork", "linear", 1, (1,), 1)


@pytest.mark.slow
def test_simulated_studies_have_the_planned_power():
    # run_cell raises where the app plans another size from a pilot
    rows = planned_power.run_cell("fork", "linear", 300, 1)
    studies, pilots = rows.filter(~pl.col("is_pilot")), rows.filter("is_pilot")
    assert (studies["simulated"] - studies["planned"]).abs().max() < 0.08
    assert pilots.filter(n=3)["simulated"].max() < 0.8


@pytest.mark.slow
def test_tasks_together_have_the_planned_power():
    rows = pl.concat(planned_power.run_tasks("2 tasks of arms", family, 300, 1) for family in ("mixed", "loss"))
    assert set(rows["target"]) == {"change", "margin"}
    assert (rows["simulated"] - rows["planned"]).abs().max() < 0.08
    assert rows.filter(target="margin", n=16)["simulated"].item() > 0.95


def test_the_committed_margins_meet_the_bar():
    results = pl.read_parquet(margin_tables.MARGINS)
    single = results.filter(pl.col("design").is_in(["fork", "did"]))
    assert set(single["family"]) == set(margins.FAMILIES)
    assert set(results["design"]) == {"fork", "did", *task_draws.POOLED, *task_draws.UNEVEN}
    assert set(results["n_t"]) >= {2, 3, 4, 5, 6, 8, 12, 16}
    assert single["studies"].min() >= 4_000
    assert margin_tables.failures(results).rows() == []


def test_the_committed_studies_with_margins_meet_the_bar():
    whole = pl.read_csv(margin_tables.MARGIN_STUDIES)
    assert whole["case"].unique().sort().to_list() == sorted({case.name for case in margins.CASES})
    crashed = pl.read_csv(margin_tables.CRASHED_MARGINS)
    cases = {(case.kind, case.n) for case in crashed_margins.CASES}
    assert set(crashed.select("case", "n").iter_rows()) == cases
    at_bound = margin_tables.crashed_at_bound(crashed)
    assert crashed["studies"].min() >= crashed_margins.STUDIES
    assert crashed["covered_both"].min() >= margin_tables.COVER
    tried = pl.read_csv(margin_tables.CRASHED_INTERVALS)
    assert set(tried.select("kind", "n").iter_rows()) == {(case.kind, case.n) for case in crashed_intervals.CASES}
    shares = [
        *whole.select("wrong", "studies").iter_rows(),
        *at_bound.select("wrong", "studies").drop_nulls().iter_rows(),
        *crashed.filter(change=0.0).select("found", "studies").iter_rows(),
    ]
    for share, studies in shares:
        assert share <= margin_tables.BAR + 2 * error(margin_tables.BAR, studies)


def test_the_committed_looks_and_plans_meet_the_bar():
    results = pl.read_parquet(size_tables.LOOKS)
    assert set(results["growth"]) == {growth.name for growth in looks.GROWTHS}
    assert set(results["family"]) == set(margins.FAMILIES)
    assert size_tables.failures(results).rows() == []
    power = pl.read_parquet(size_tables.PLANNED_POWER)
    assert set(power["design"]) == {"fork", "did", "jump", *task_draws.POOLED}
    studies = power.filter(~pl.col("is_pilot"), pl.col("family") != sim.STRESS)
    assert (studies["simulated"] - studies["planned"]).abs().max() < 0.06
