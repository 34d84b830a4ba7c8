"""The estimators on arrays, against numbers worked out by hand and against scipy's own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.effects import multiple_testing
from lib.effects.compare import estimators as est
from lib.effects.compare.local_fit import jump_weights, local_jumps


def test_mean_t_by_hand():
    # mean 2, sd 1, se 1/sqrt(3), t(0.975, 2) = 4.302653
    estimate = est.mean_t([1.0, 2.0, 3.0])
    assert estimate.value == 2.0
    assert estimate.low == pytest.approx(2 - 4.302652729911275 / math.sqrt(3))
    assert estimate.high == pytest.approx(2 + 4.302652729911275 / math.sqrt(3))
    # t = 2 sqrt(3) with 2 degrees of freedom: p = 1 - t / sqrt(2 + t^2)
    t = 2 * math.sqrt(3)
    assert estimate.p == pytest.approx(1 - t / math.sqrt(2 + t * t))


def test_welch_by_hand():
    # means 4 and 1, variances 4 and 1, n = 3: se^2 = 5/3, df = (5/3)^2 / ((4/3)^2/2 + (1/3)^2/2) = 50/17
    reach = stats.t.ppf(0.975, 50 / 17) * math.sqrt(5 / 3)
    for unit in (1.0, 1e-140, 1e140):
        estimate = est.difference([2.0 * unit, 4.0 * unit, 6.0 * unit], [0.0, unit, 2.0 * unit])
        assert estimate.value / unit == pytest.approx(3)
        assert estimate.df == pytest.approx(50 / 17)
        assert (estimate.low / unit, estimate.high / unit) == (pytest.approx(3 - reach), pytest.approx(3 + reach))


def test_a_batch_gives_what_its_members_give():
    rng = np.random.default_rng(0)
    t, c = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 3, 4))
    many = est.difference(t, c)
    assert many.p.shape == (2, 3)
    assert many.p[1, 2] == pytest.approx(float(est.difference(t[1, 2], c[1, 2]).p))
    assert est.label_p([t], [c])[1, 2] == est.label_p([t[1, 2]], [c[1, 2]])
    assert est.sign_p(t)[1, 2] == est.sign_p(t[1, 2])


def test_label_p_by_hand():
    # {1, 2, 3} against {10, 11, 12}: of the 20 relabellings only this one and its mirror are as far
    assert est.label_p([[1.0, 2.0, 3.0]], [[10.0, 11.0, 12.0]]) == pytest.approx(2 / 20)
    # {3, 4} against {0, 1}: of the 6, {3,4} and {0,1}
    assert est.label_p([[3.0, 4.0]], [[0.0, 1.0]]) == pytest.approx(2 / 6)
    # {2, 0} against {1, 1}: equal means, everything is at least as far
    assert est.label_p([[2.0, 0.0]], [[1.0, 1.0]]) == 1.0


def test_labels_stay_within_tasks():
    # Two tasks of two against two, each at its extreme: 2 of 36 relabellings are as far; 2 of 70 if they crossed
    assert est.label_p([[3.0, 4.0], [30.0, 40.0]], [[0.0, 1.0], [0.0, 10.0]]) == pytest.approx(2 / 36)


def test_sign_p_by_hand():
    # 1, 2, 3: the patterns with |sum| >= 6 are all plus and all minus, 2 of 8
    assert est.sign_p([1.0, 2.0, 3.0]) == pytest.approx(2 / 8)
    # 1, 2, -3: the sum is 0, every pattern is as far
    assert est.sign_p([1.0, 2.0, -3.0]) == 1.0


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.lists(st.integers(-9, 9), min_size=2, max_size=4))
def test_permutations_agree_with_scipy(a, b):
    def distance(x, y, axis):
        return np.abs(x.mean(axis) - y.mean(axis))

    reference = stats.permutation_test((a, b), distance, alternative="greater", n_resamples=np.inf, vectorized=True)
    assert est.label_p([a], [b]) == pytest.approx(reference.pvalue)
    flipped = stats.permutation_test(
        (a,),
        lambda x, axis: np.abs(x.mean(axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert est.sign_p(a) == pytest.approx(flipped.pvalue)


def test_drawn_permutations_are_never_zero_and_repeat():
    rng = np.random.default_rng(1)
    t, c = rng.normal(size=12) + 50, rng.normal(size=12)
    assert est.label_p([t], [c], seed=3) == 1 / (est.DRAWS + 1)
    far = rng.normal(size=12)
    assert est.label_p([far], [c], seed=3) == est.label_p([far], [c], seed=3)
    assert abs(float(est.label_p([far], [c], seed=3) - est.label_p([far], [c], seed=4))) < 0.03


def test_floors():
    assert est.label_floor([(3, 3)]) == pytest.approx(2 / 20)
    assert est.label_floor([(3, 4)]) == pytest.approx(1 / 35)
    assert est.label_floor([(3, 3), (2, 2)]) == pytest.approx(2 / 120)
    assert est.label_floor([(3, 3), (2, 3)]) == pytest.approx(1 / 200)
    assert est.label_floor([(6, 0)]) == 1 / 32


def test_ancova_is_the_least_squares_coefficient():
    rng = np.random.default_rng(2)
    before, arm = rng.normal(size=9), np.array([1] * 5 + [0] * 4)
    after = 2 + 3 * arm + 0.7 * before + rng.normal(size=9)
    x = np.column_stack([np.ones(9), arm, before])
    beta, rest, *_ = np.linalg.lstsq(x, after, rcond=None)
    error = math.sqrt(rest[0] / 6 * np.linalg.inv(x.T @ x)[1, 1])
    estimate = est.ancova(before[:5], after[:5], before[5:], after[5:])
    assert estimate.value == pytest.approx(beta[1])
    assert estimate.high - estimate.value == pytest.approx(stats.t.ppf(0.975, 6) * error)
    assert estimate.p == pytest.approx(2 * stats.t.sf(abs(beta[1]) / error, 6))


def test_welch_fails_where_arms_are_unequal():
    fails = [(3, 4), (3, 16), (4, 5), (4, 12), (5, 8), (6, 13), (6, 3), (8, 3), (12, 4), (7, 18)]
    passes = [(3, 3), (4, 4), (5, 6), (5, 7), (6, 12), (10, 6), (7, 17), (8, 24), (16, 16)]
    assert [est.welch_fails(*sizes) for sizes in (*fails, *passes)] == [True] * len(fails) + [False] * len(passes)


SPREADS = ((1, 1), (1, 2), (2, 1), (1, 4), (4, 1))


def _tails(n_t, n_c, test, studies=40_000):
    """The largest share of null studies with p < .0025 over the spreads of the arms, values normal."""
    rng = np.random.default_rng(n_t * 100 + n_c)
    t, c = rng.normal(size=(studies, n_t)), rng.normal(size=(studies, n_c))
    return max(float((test(a * t, b * c) < 0.0025).mean()) for a, b in SPREADS)


def _scipys_welch(t, c):
    return stats.ttest_ind(t, c, axis=-1, equal_var=False).pvalue


@pytest.mark.parametrize(("n_t", "n_c"), [(3, 3), (7, 5), (10, 6), (12, 6)])
def test_welch_passes_where_its_tail_is_at_most_twice_what_it_says(n_t, n_c):
    assert _tails(n_t, n_c, _scipys_welch) < 2 * 0.0025 + 3 * math.sqrt(0.005 / 40_000)
    assert not est.welch_fails(n_t, n_c)


@pytest.mark.parametrize(("n_t", "n_c"), [(4, 3), (6, 3), (8, 3), (12, 4)])
def test_the_smaller_arms_degrees_of_freedom_hold_the_tail_that_welch_does_not(n_t, n_c):
    assert _tails(n_t, n_c, _scipys_welch) > 2.5 * 0.0025
    assert _tails(n_t, n_c, lambda t, c: est.difference(t, c).p) < 0.0025


@pytest.mark.parametrize(("n_t", "n_c"), [(10, 6), (5, 5), (6, 12)])
def test_the_difference_of_arms_of_like_sizes_is_scipys_welch(n_t, n_c):
    rng = np.random.default_rng(n_t)
    t, c = rng.normal(1, 2, n_t), rng.normal(0, 1, n_c)
    ours, scipys = est.difference(t, c), stats.ttest_ind(t, c, equal_var=False)
    assert (ours.p, ours.df) == (pytest.approx(scipys.pvalue), pytest.approx(scipys.df))
    assert (ours.low, ours.high) == tuple(map(pytest.approx, scipys.confidence_interval(0.95)))


def test_arms_too_unequal_for_welch_have_the_smaller_arms_degrees_of_freedom():
    # means 4 and 1, variances 4 and 2 over 3 and 6 runs: se^2 = 4/3 + 1/3, df = 2, so that p = 1 - t / sqrt(2 + t^2)
    estimate = est.difference([2.0, 4.0, 6.0], [-1.0, 0.0, 1.0, 1.0, 2.0, 3.0])
    t = 3 / math.sqrt(5 / 3)
    assert (estimate.value, estimate.df) == (3.0, pytest.approx(2))
    assert estimate.p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert estimate.high == pytest.approx(3 + 4.302652729911275 * math.sqrt(5 / 3))
    assert est.difference([-1.0, 0.0, 1.0, 1.0, 2.0, 3.0], [2.0, 4.0, 6.0]).p == pytest.approx(float(estimate.p))


def test_a_task_of_unequal_arms_is_one_group_across_tasks():
    # each task: se^2 = 5/3 with 2 degrees of freedom; together df = (10/3)^2 / (2 (5/3)^2 / 2) = 4
    small, large = [2.0, 4.0, 6.0], [-1.0, 0.0, 1.0, 1.0, 2.0, 3.0]
    assert est.across([small, small], [large, large]).df == pytest.approx(4)


def test_pairs_in_unequal_numbers_count_as_the_fewest():
    # variances of the means 4/3 and 2/6 = 1/3, both with the 2 degrees of freedom of three pairs
    few, many = [2.0, 4.0, 6.0], [-1.0, 0.0, 1.0, 1.0, 2.0, 3.0]
    estimate = est.across([few, many], [[], []])
    assert (estimate.value, estimate.df) == (2.5, pytest.approx((5 / 3) ** 2 / ((4 / 3) ** 2 / 2 + (1 / 3) ** 2 / 2)))


def test_across_by_hand():
    # differences 3 and 5, variances of the means 5/3 and 5/3: value 4, se = sqrt(10/3) / 2
    estimate = est.across([[2.0, 4.0, 6.0]] * 2, [[0.0, 1.0, 2.0], [-2.0, -1.0, 0.0]])
    assert estimate.value == 4.0
    assert estimate.df == pytest.approx((10 / 3) ** 2 / (2 * ((4 / 3) ** 2 / 2 + (1 / 3) ** 2 / 2)))
    assert estimate.high - 4 == pytest.approx(stats.t.ppf(0.975, float(estimate.df)) * math.sqrt(10 / 3) / 2)


def test_jump_is_the_interacted_regression():
    rng = np.random.default_rng(3)
    steps = np.sort(rng.choice(100, 40, replace=False)).astype(float)
    y, at, half = rng.normal(size=40), 47.0, 20.0
    near = np.abs(steps - at) <= half
    x, d = steps[near] - at, (steps[near] > at).astype(float)
    design = np.column_stack([np.ones(len(x)), x, d, x * d])
    beta = np.linalg.lstsq(design, y[near], rcond=None)[0]
    weights, counts = jump_weights(steps, at, half)
    assert (weights @ y)[0] == pytest.approx(beta[2])
    assert counts.tolist() == [[int((x <= 0).sum()), int((x > 0).sum())]]


def test_a_row_at_the_detach_counts_as_before():
    weights, counts = jump_weights([40, 45, 50, 55, 60], 50, 10)
    assert counts.tolist() == [[3, 2]]
    # before: the line through 0, 1, 2 is 2 at 50; after: through 9, 8 at 55, 60 it is 10 at 50
    assert (weights @ np.array([0.0, 1.0, 2.0, 9.0, 8.0]))[0] == pytest.approx(8.0)


def test_jump_without_two_rows_a_side_is_nan():
    weights, _ = jump_weights([40, 45, 55], 50, 10)
    assert np.isnan(weights).all()


@given(
    steps=st.lists(st.integers(0, 2_000).map(lambda n: 500 * n), min_size=1, max_size=60, unique=True).map(sorted),
    # No row lies at a detach or exactly h from it, where rounding would decide on which side it counts.
    at=st.lists(st.integers(-40, 4_000_040).map(lambda n: n / 4 + 0.125), min_size=1, max_size=5),
    half=st.integers(20_000, 300_000),
    level=st.sampled_from([0.0, 1e-3, 1e3]),
    seed=st.integers(0, 99),
)
def test_jumps_at_many_steps_are_those_at_each(steps, at, half, level, seed):
    values = level + np.random.default_rng(seed).normal(size=len(steps))
    jumps, counts = local_jumps(steps, values, at, half)
    weights, sides = jump_weights(np.array([steps] * len(at)), at, half)
    each = (weights * values).sum(axis=1)
    assert counts.tolist() == sides.tolist()
    assert np.isnan(jumps).tolist() == np.isnan(each).tolist()
    reach = 1e-7 * np.nan_to_num(np.abs(weights)).sum(axis=1) * max(1, level)
    assert (np.nan_to_num(np.abs(jumps - each)) <= reach).all()


def test_jumps_at_many_steps_count_a_row_at_the_step_as_before():
    jumps, counts = local_jumps([40, 45, 50, 55, 60], [0.0, 1.0, 2.0, 9.0, 8.0], [50, 40], 10)
    assert counts.tolist() == [[3, 2], [1, 2]]
    assert jumps[0] == pytest.approx(8.0) and np.isnan(jumps[1])


def test_jumps_of_a_run_without_rows_are_nan():
    jumps, counts = local_jumps([], [], [50.0, 60.0], 10.0)
    assert np.isnan(jumps).all() and counts.tolist() == [[0, 0], [0, 0]]


def test_onset_p_by_hand():
    assert est.onset_p(2.0, [1.0, -2.0, 0.5]) == (1 + 1) / (3 + 1)
    assert est.onset_p(9.0, [1.0, -2.0, 0.5]) == 1 / 4


def test_holm_by_hand():
    # .01 x 3 = .03; .04 x 2 = .08; .03 x 2 = .06 comes before .04: .04 x 1 = .04 but not below .06
    assert multiple_testing.holm([0.01, None, 0.04, 0.03]) == [
        pytest.approx(0.03),
        None,
        pytest.approx(0.06),
        pytest.approx(0.06),
    ]
    assert multiple_testing.holm([0.6, 0.7]) == [1.0, 1.0]
    assert multiple_testing.holm([]) == []
