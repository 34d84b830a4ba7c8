"""What must not matter does not: order, units, where steps start, which arm is called which."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.effects import effects_detail
from tests.support.effects_kit import LOSS, Run, analysed, one_task, study

STEPS = range(0, 101, 10)
few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def _runs(seed, metric="reward", forks=False):
    """Three to five runs per arm: random walks above 0, as fork pairs or on their own."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 6))
    walks = np.exp(rng.normal(0, 0.3, (2, n, len(STEPS))).cumsum(axis=2))
    if forks:
        walks[1, :, :6] = walks[0, :, :6]
    return [
        Run(f"{i}", 50 if arm == 0 else None, {metric: list(zip(STEPS, walks[arm, i].tolist(), strict=True))})
        for arm in (0, 1)
        for i in range(n)
    ]


def _mapped(runs, of_step=lambda s: s, of_value=lambda v: v):
    return [
        Run(
            r.seed,
            None if r.detach_step is None else of_step(r.detach_step),
            {k: [(of_step(s), of_value(v)) for s, v in p] for k, p in r.points.items()},
        )
        for r in runs
    ]


def _numbers(row, *columns):
    return [pytest.approx(row[c], rel=1e-9) for c in columns]


@few
@given(seeds, st.booleans())
def test_swapping_the_arms_flips_the_sign(seed, forks):
    runs = _runs(seed, forks=forks)
    swapped = [Run(r.seed, None if r.detach_step else 50, r.points) for r in runs]
    row, other = one_task(runs).row(0, named=True), one_task(swapped).row(0, named=True)
    assert row["design"] == other["design"] == ("fork" if forks else "did")
    assert [-other["change"], -other["ci_high"], -other["ci_low"], other["p_value"]] == _numbers(
        row, "change", "ci_low", "ci_high", "p_value"
    )


@few
@given(seeds, st.booleans(), st.integers(0, 1000))
def test_where_steps_start_does_not_matter(seed, forks, shift):
    runs = _runs(seed, forks=forks)
    moved = one_task(_mapped(runs, of_step=lambda s: s + shift)).row(0, named=True)
    columns = ("before", "after", "change", "ci_low", "ci_high", "p_value")
    assert [moved[c] for c in columns] == _numbers(one_task(runs).row(0, named=True), *columns)


@few
@given(seeds, st.booleans(), st.floats(0.01, 1000))
def test_the_unit_of_a_reward_only_scales_its_change(seed, forks, unit):
    runs = _runs(seed, forks=forks)
    row, scaled = (
        one_task(runs).row(0, named=True),
        one_task(_mapped(runs, of_value=lambda v: unit * v)).row(0, named=True),
    )
    assert [scaled[c] / unit for c in ("before", "change", "ci_low", "ci_high")] == _numbers(
        row, "before", "change", "ci_low", "ci_high"
    )
    assert [scaled["p_value"], scaled["verdict"]] == [pytest.approx(row["p_value"], rel=1e-6), row["verdict"]]
    assert scaled["change_pct"] == (None if row["change_pct"] is None else pytest.approx(row["change_pct"]))


@few
@given(seeds, st.booleans(), st.floats(0.01, 1000))
def test_the_unit_of_a_log_metric_does_not_matter(seed, forks, unit):
    runs, log = _runs(seed, "loss", forks), study(metrics=[LOSS])
    row = one_task(runs, log).row(0, named=True)
    scaled = one_task(_mapped(runs, of_value=lambda v: unit * v), log).row(0, named=True)
    assert scaled["after"] == pytest.approx(unit * row["after"])
    for column in ("change", "ci_low", "ci_high", "p_value"):
        assert scaled[column] == pytest.approx(row[column], rel=1e-6, abs=1e-9)


@few
@given(seeds, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(seed, forks, random):
    runs = _runs(seed, forks=forks)
    mixed = list(runs)
    random.shuffle(mixed)
    assert one_task(mixed).equals(one_task(runs))
    first, second = (effects_detail(analysed(r)) for r in (runs, mixed))
    assert second.equals(first)
