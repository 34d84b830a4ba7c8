"""The middle of a curve and its band: what each aggregate and spread is."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.curves import View
from tests.support.curves_kit import Y, draw, line
from tests.support.frames import LOSS, series, treatment

FOUR = [1.0, 2.0, 4.0, 9.0]


def bounds(spread, values=FOUR, aggregate="mean", metric=Y):
    points = [(f"r{i}", metric.key, 60, value) for i, value in enumerate(values)]
    runs = [treatment(f"r{i}") for i in range(len(values))]
    view = View(smooth=False, spread=spread, aggregate=aggregate)
    return draw(points, runs, view, (metric,)).select("mean", "std", "n", "lower", "upper").row(0)


def test_the_standard_deviation_divides_by_n_minus_one():
    # Deviations from 4: -3, -2, 0, 5; 38 / 3.
    sd = math.sqrt(38 / 3)
    assert bounds("std") == pytest.approx((4.0, sd, 4, 4 - sd, 4 + sd), abs=1e-12)


def test_the_standard_error_divides_by_the_root_of_n():
    sd = math.sqrt(38 / 3)
    assert bounds("se") == pytest.approx((4.0, sd, 4, 4 - sd / 2, 4 + sd / 2), abs=1e-12)


def test_the_interval_is_students():
    # The 97.5% quantile of t: 3.182446305 with 3 degrees of freedom, 12.70620474 with one.
    sd = math.sqrt(38 / 3)
    half = 3.182446305284263 * sd / 2
    assert bounds("ci") == pytest.approx((4.0, sd, 4, 4 - half, 4 + half), abs=1e-9)
    assert bounds("ci", [0.0, 2.0]) == pytest.approx(
        (1.0, math.sqrt(2), 2, 1 - 12.706204736, 1 + 12.706204736), abs=1e-8
    )


def test_min_and_max():
    assert bounds("minmax") == pytest.approx((4.0, math.sqrt(38 / 3), 4, 1.0, 9.0), abs=1e-12)


@pytest.mark.parametrize("spread", ["std", "se", "ci", "minmax"])
@pytest.mark.parametrize("metric", [Y, LOSS])
def test_one_seed_has_no_band(spread, metric):
    mean, *rest = bounds(spread, [2.0], metric=metric)
    assert mean == pytest.approx(2.0, abs=1e-15)
    assert rest == [None, 1, None, None]


def test_median_and_interquartile_mean():
    assert bounds("minmax", FOUR, "median")[0] == 3.0
    # Of four the middle two, of five the middle three, of three all.
    assert bounds("std", FOUR, "iqm")[0] == 3.0
    assert bounds("std", [9.0, 1.0, 5.0, 2.0, 4.0], "iqm")[0] == pytest.approx(11 / 3, abs=1e-15)
    assert bounds("std", [3.0, 9.0, 0.0], "iqm")[0] == 4.0


@pytest.mark.parametrize("aggregate", ["iqm", "median"])
@pytest.mark.parametrize("spread", ["se", "ci"])
def test_the_error_of_a_mean_belongs_to_the_mean(aggregate, spread):
    with pytest.raises(ValueError, match="belongs to the mean"):
        View(aggregate=aggregate, spread=spread)


def test_a_log_metric_has_a_geometric_mean_and_a_factor_for_a_band():
    # Logs of 1, 10, 100: mean ln 10, sd ln 10.
    assert bounds("std", [1.0, 10.0, 100.0], metric=LOSS) == pytest.approx((10.0, 10.0, 3, 1.0, 100.0), rel=1e-12)
    assert bounds("minmax", [1.0, 10.0, 100.0], metric=LOSS) == pytest.approx((10.0, 10.0, 3, 1.0, 100.0), rel=1e-12)
    factor = 10 ** (1 / math.sqrt(3))
    assert bounds("se", [1.0, 10.0, 100.0], metric=LOSS) == pytest.approx((10.0, 10.0, 3, 10 / factor, 10 * factor))
    assert bounds("std", [1.0, 100.0], "median", LOSS)[0] == pytest.approx(10.0, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1e-12, 1e12), min_size=2, max_size=6),
    st.sampled_from(["std", "se", "minmax"]),
)
def test_the_band_of_a_log_metric_is_above_zero_and_holds_its_mean(values, spread):
    mean, std, _, lower, upper = bounds(spread, values, metric=LOSS)
    assert 0 < lower <= mean * (1 + 1e-9)
    assert mean <= upper * (1 + 1e-9)
    assert std >= 1


def test_values_that_cannot_be_drawn_are_passed_over():
    points = series("a", "y", [(10, math.nan), (20, math.inf), (30, 5.0)]) + series(
        "b", "y", [(10, 1.0), (20, -math.inf), (30, 7.0)]
    )
    runs = [treatment("a"), treatment("b")]
    assert line(draw(points, runs)) == [(10.0, 1.0, 1), (30.0, 6.0, 2)]
    losses = series("a", "loss", [(10, 0.0), (20, -1.0), (30, 4.0)]) + series("b", "loss", [(10, 3.0), (30, 9.0)])
    assert line(draw(losses, runs, metrics=(LOSS,))) == [
        (10.0, pytest.approx(3.0, rel=1e-15), 1),
        (30.0, pytest.approx(6.0, rel=1e-15), 2),
    ]
    zeros = series("a", "y", [(10, 0.0), (20, -1.0)])
    assert line(draw(zeros, runs)) == [(10.0, 0.0, 1), (20.0, -1.0, 1)]
