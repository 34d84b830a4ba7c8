"""Ticks of axes are 1, 2 and 5 times powers of ten."""

import polars as pl
import pytest

from lib.charts.axes import linear_domain, log_ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-3, 1e-2, [1e-3, 2e-3, 5e-3, 1e-2]),
        (1e-6, 1e-1, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        # One of 1, 2 and 5 alone: multiples of a step as on a linear axis.
        (3e-2, 6e-2, [3e-2, 4e-2, 5e-2, 6e-2]),
        (3.0, 3.1, [3, 3.05, 3.1]),
        (2.2e-4, 4.2e-3, [5e-4, 1e-3, 2e-3]),
        (0.9, 2.1, [1, 2]),
        (1e-9, 1e9, [1e-5, 1, 1e5]),
    ],
)
def test_log_ticks(low, high, ticks):
    assert log_ticks(low, high) == ticks


@pytest.mark.parametrize(
    ("values", "domain"),
    [
        ([-52, 147], (-60, 160)),
        ([0, 1], (0, 1)),
        ([3, 3], (3, 3.5)),
        ([1e-5, 3e-5], (1e-5, 3e-5)),
        ([float("nan")], (0, 1)),
    ],
)
def test_a_linear_axis_goes_to_its_next_ticks(values, domain):
    assert linear_domain(pl.Series(values, dtype=pl.Float64)) == pytest.approx(domain)
