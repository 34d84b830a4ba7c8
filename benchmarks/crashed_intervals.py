"""Intervals that could stand runs that are left out for their outcome: what the app gives, and what was tried instead.

    python -m benchmarks.crashed_intervals                   writes benchmarks/results/crashed_intervals.csv
    python -m benchmarks.crashed_intervals --studies 500     a quick look
    python -m benchmarks.crashed_intervals --seed 1          other studies

One pair, or one run of each arm, crashes: the worst, or any. A change comes at once or gradually; a cut comparison sees less
of a gradual one.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import polars as pl

from benchmarks import simulated as sim
from benchmarks.batches import Array
from benchmarks.command_line import run_cells, run_from_command_line
from benchmarks.crashed_margins import FAMILIES, Case, Crashed, Mask, any_of, crashed_studies, pair, worst
from benchmarks.margin_studies import effect_size, numbers
from benchmarks.margin_tables import CRASHED_INTERVALS
from lib.effects.compare import estimators as est
from lib.effects.compare.gates import is_other_sign

STUDIES, CHUNK, SIZES = 8_000, 1_000, (6, 16)
#: The changes, and whether each comes gradually.
CHANGES = ((0.0, False), (-0.10, False), (0.25, False), (0.25, True))

SCHEMA = pl.Schema(
    {
        "kind": pl.String,
        "n": pl.Int64,
        "family": pl.String,
        "change": pl.Float64,
        "is_gradual": pl.Boolean,
        "interval": pl.String,
        "studies": pl.Int64,
        "covered": pl.Float64,  # share of the intervals that hold the truth
        "found": pl.Float64,  # share that leave out 0, where the cut comparison has the same sign
        "width": pl.Float64,  # the mean
        "error": pl.Float64,  # the root mean square of the standard errors over the standard deviation of the estimates
    }
)


def _any_pair(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """Both runs of a pair, whichever it is."""
    mask = any_of(control, rng)
    return mask, mask


def _any_of_each(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """A run of each arm, whichever it is."""
    return any_of(detached, rng), any_of(control, rng)


CASES = tuple(
    Case(kind, design, n, ends)
    for kind, design, ends in (
        ("fork pairs, the worst pair crashed", "fork", pair),
        ("fork pairs, any pair crashed", "fork", _any_pair),
        ("arms alike, the worst run of each crashed", "did", worst),
        ("arms alike, any run of each crashed", "did", _any_of_each),
    )
    for n in SIZES
)


def intervals(of: Crashed) -> dict[str, est.Estimate]:
    """Every interval of studies (studies,) with as many runs of each arm crashed, that of the app first."""
    whole, own_end = [numbers(arm) for arm in of.arms], of.after(of.lengths)
    if of.design == "fork":
        groups, kept = [whole[0].after - whole[1].after], [~of.crashed[0]]
        own_ends = [own_end[0] - own_end[1]]
    else:
        groups, kept = [each.after - each.before for each in whole], [~crashed for crashed in of.crashed]
        own_ends = [end - each.before for end, each in zip(own_end, whole, strict=True)]
    left = [group[mask].reshape(len(group), -1) for group, mask in zip(groups, kept, strict=True)]
    ordinary, cut = _welch(left), of.cut()
    lost = groups[0].shape[1] * len(groups) - left[0].shape[1] * len(left)
    return {
        "t over the runs left (the app)": ordinary,
        "degrees of freedom less the runs lost": _with_df(ordinary, ordinary.df - lost),
        "spread winsorised for the runs lost": _winsorised(left, groups[0].shape[1]),
        "with the runs lost, each up to its own end": _welch(own_ends),
        "all runs, cut at the first end": cut,
        "the first and the last together": est.Estimate(
            ordinary.value, np.minimum(ordinary.low, cut.low), np.maximum(ordinary.high, cut.high), ordinary.p, ordinary.df
        ),
    }  # fmt: skip


def _welch(groups: Sequence[Array]) -> est.Estimate:
    return est.across([groups[0]], [groups[1] if len(groups) > 1 else groups[0][:, :0]])


def _error(estimate: est.Estimate) -> Array:
    from scipy.special import stdtrit

    return np.asarray((estimate.high - estimate.value) / stdtrit(estimate.df, 0.5 + est.CONFIDENCE / 2))


def _with_df(estimate: est.Estimate, df: Array) -> est.Estimate:
    return est.from_error(estimate.value, _error(estimate), np.maximum(df, 1))


def _winsorised(left: Sequence[Array], n: int) -> est.Estimate:
    """With the spread of a trimmed mean (Tukey and McLaughlin, 1963), or of two (Yuen, 1974): the lost count as the farthest."""
    variances, value = [], np.zeros(len(left[0]))
    for sign, group in zip((1, -1), left, strict=False):
        h, middle = group.shape[1], group.mean(axis=1, keepdims=True)
        value = value + sign * middle[:, 0]
        farthest = np.take_along_axis(group, np.abs(group - middle).argmax(axis=1)[:, None], 1)
        full = np.concatenate([group, np.repeat(farthest, n - h, axis=1)], axis=1)
        variances.append(full.var(axis=1) * n / (h * (h - 1)))
    total = np.sum(variances, axis=0)
    df = total**2 / np.sum([variance**2 / (left[0].shape[1] - 1) for variance in variances], axis=0)
    return est.from_error(value, np.sqrt(total), df)


def run_cell(case: Case, family: str, studies: int, seed: int) -> pl.DataFrame:
    """Every change and interval of a case: columns `SCHEMA`."""
    with np.errstate(divide="ignore", invalid="ignore"):  # runs without a reward have no spread, and no interval
        parts = [_chunk(case, family, CHUNK, (seed, start)) for start in range(0, studies, CHUNK)]
    return pl.DataFrame(
        [
            (case.kind, case.n, family, change, is_gradual, name, studies, *_shares(shown, true))
            for i, (change, is_gradual) in enumerate(CHANGES)
            for true in [parts[0][i][1]]
            for name in parts[0][i][0]
            for shown in [np.concatenate([part[i][0][name] for part in parts], axis=1)]
        ],
        schema=SCHEMA,
        orient="row",
    )


def _chunk(case: Case, family: str, studies: int, seed: tuple[int, ...]) -> list[tuple[dict[str, Array], float]]:
    """By change, the estimates, ends, errors and signs of every interval, and the truth."""
    effects = [sim.Effect(effect_size(case.design, family, change), gradual) for change, gradual in CHANGES]
    shown = []
    for of in crashed_studies(case, family, studies, seed, effects):
        every, cut = intervals(of), of.cut()
        arrays = {
            name: np.stack([e.value, e.low, e.high, _error(e), is_other_sign(cut.value, e.value)])
            for name, e in every.items()
        }
        shown.append((arrays, of.true))
    return shown


def _shares(shown: Array, true: float) -> tuple[float, ...]:
    value, low, high, error, is_other = shown[:, shown[2] > shown[1]]
    covered, result = (low <= true) & (true <= high), ((low > 0) | (high < 0)) & (is_other == 0)
    ratio = np.sqrt(np.mean(error**2)) / value.std()
    return float(covered.mean()), float(result.mean()), float((high - low).mean()), float(ratio)


def run(studies: int, seed: int, processes: int) -> None:
    """Run every case and family, and write the results."""
    run_cells(run_cell, product(CASES, FAMILIES), studies, seed, processes).write_csv(CRASHED_INTERVALS)


if __name__ == "__main__":
    run_from_command_line(__doc__, run, STUDIES)
