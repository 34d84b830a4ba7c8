"""What the app says of a change, and of a change against its margin, where runs crashed.

    python -m benchmarks.crashed_margins                   writes benchmarks/results/crashed_margins.csv
    python -m benchmarks.crashed_margins --studies 200     a quick look
    python -m benchmarks.crashed_margins --seed 1          other studies

What ended early is left out, and the studies with the same runs left are compared together by the app's own estimators. The
first studies of every cell also go through `analyse_runs`: the run stops where it says something else.
"""

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import simulated as sim
from benchmarks.batches import Array
from benchmarks.calibration_cells import mean_level
from benchmarks.command_line import run_from_command_line
from benchmarks.margin_studies import (
    HISTORY,
    LOG,
    Numbers,
    analysed,
    answers,
    compared,
    effect_size,
    metric_of,
    numbers,
    simulated_runs,
)
from benchmarks.margin_tables import CRASHED_MARGINS
from benchmarks.margins import STUDY_MARGIN, draw_runs, scales_of, word
from benchmarks.simulated_runs import cut, task_runs
from lib.effects.compare.comparison import FEWEST, FORK_PAIRS
from lib.effects.compare.equivalence import EQUIVALENT, NO_WORSE, WORSE
from lib.effects.compare.estimators import ALPHA
from lib.effects.compare.gates import is_other_sign
from lib.study import CONTROL, DETACHED, Metric

STUDIES, CHUNK, PRODUCT_STUDIES = 1_000, 500, 2
FAMILIES = (*sim.FAMILIES, sim.SPARSE)
CHANGES = (-STUDY_MARGIN, 0.0, 0.05, 0.10, 0.25)

SCHEMA = pl.Schema(
    {
        "case": pl.String,
        "family": pl.String,
        "change": pl.Float64,
        "studies": pl.Int64,
        "answered": pl.Float64,  # share with an answer to the margin
        "no_worse": pl.Float64,  # share that are no worse, or equivalent
        "worse": pl.Float64,  # share that are worse
        "found": pl.Float64,  # share with p < .05 and every gate passed
        "tested": pl.Float64,  # share with a 95% interval
        "covered": pl.Float64,  # share of these intervals that hold the truth
    }
)
_SHARES = ("answered", "no_worse", "worse", "found", "tested", "covered")

Mask = NDArray[np.bool_]
#: Which runs of the arms (studies, n) crash, given the rows of both, how low each ends, and random draws.
Ends = Callable[[Array, Array, np.random.Generator], tuple[Mask, Mask]]


@dataclass(frozen=True)
class Case:
    """Studies of one design some of whose runs end between 65 and 90% of training."""

    name: str
    design: str
    n: int
    ends: Ends


def _any_run(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """One run in six, whichever it is."""
    return rng.random(detached.shape) < 1 / 6, rng.random(control.shape) < 1 / 6


def _none(level: Array) -> Mask:
    return np.zeros(level.shape, dtype=bool)


def _lowest(level: Array) -> Mask:
    return np.arange(level.shape[1]) == level.argmin(axis=1)[:, None]


def _worst(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """The run of each arm that ends worst."""
    return _lowest(detached), _lowest(control)


def _worst_detached(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """The detached run that ends worst."""
    return _lowest(detached), _none(control)


def _pair(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """Both runs of the pair whose control ends worst."""
    return _lowest(control), _lowest(control)


CASES = (
    *(Case(f"{n} fork pairs, 1 run in 6 crashed", "fork", n, _any_run) for n in (6, 16)),
    *(Case(f"{n} fork pairs, the worst pair crashed", "fork", n, _pair) for n in (6, 16)),
    Case("6 fork pairs, the worst detached run crashed", "fork", 6, _worst_detached),
    *(Case(f"arms, {n} against {n}, 1 run in 6 crashed", "did", n, _any_run) for n in (6, 16)),
    *(Case(f"arms, {n} against {n}, the worst run of each crashed", "did", n, _worst) for n in (6, 16)),
)


def run_cell(case: Case, family: str, studies: int, seed: int) -> pl.DataFrame:
    """What the app says of so many studies with each change: columns `SCHEMA`."""
    with np.errstate(divide="ignore", invalid="ignore"):  # runs without a reward have no spread, and no test
        rows = [
            row
            for start in range(0, studies, CHUNK)
            for row in run_chunk(
                case, family, min(CHUNK, studies - start), (seed, start), 0 if start else PRODUCT_STUDIES
            )
        ]
    frame = pl.DataFrame([(case.name, family, *row) for row in rows], schema=SCHEMA, orient="row")
    total = frame.group_by("case", "family", "change", maintain_order=True).agg(pl.col("studies", *_SHARES).sum())
    shares = [pl.col(key) / (pl.col("tested") if key == "covered" else pl.col("studies")) for key in _SHARES]
    return total.with_columns(shares).select(list(SCHEMA))


def run_chunk(
    case: Case, family: str, studies: int, seed: tuple[int, ...], through_product: int
) -> Iterator[tuple[float, ...]]:
    """Counts of some studies, by change."""
    rng = np.random.default_rng([zlib.crc32(f"{case.name} {family}".encode()), *seed])
    drawn = draw_runs(case.design, family, studies, case.n, rng)
    scale, sign = scales_of(family)[0], -1 if family == "loss" else 1
    rows = np.floor(rng.uniform(0.65, 0.9, (2, studies, case.n)) * sim.ROWS).astype(int)
    for change in CHANGES:
        size = effect_size(case.design, family, change)
        arms = drawn.treated(sim.Effect(size)), drawn.control
        levels = [sign * arm[..., -sim.ROWS // 4 :].mean(axis=-1) for arm in arms]
        crashed = case.ends(levels[0], levels[1], rng)
        lengths = [np.where(ends, row, sim.ROWS) for ends, row in zip(crashed, rows, strict=True)]
        said = Said(case.design, family, scale, arms, crashed, lengths, size * mean_level(family))
        for i in range(min(through_product, studies)):
            check_product(said, i)
        yield (change, studies, *said.counts())


class Said:
    """What the app says of studies of which some runs (studies, n) of both arms crashed after so many rows.

    `words`, and `p`, which is NaN where there is no verdict, are by study; `low` and `high` are the 95% interval.
    """

    def __init__(
        self,
        design: str,
        family: str,
        scale: str,
        arms: tuple[Array, Array],
        crashed: tuple[Mask, Mask],
        lengths: list[Array],
        true: float,
    ) -> None:
        self.design, self.family, self.scale = design, family, scale
        self.arms, self.crashed, self.lengths, self.true = arms, crashed, lengths, true
        studies = len(arms[0])
        self.words: list[str | None] = [None] * studies
        self.p, self.low, self.high = np.full((3, studies), np.nan)
        whole = [numbers(arm) for arm in arms]
        lost = crashed[0].sum(axis=1), crashed[1].sum(axis=1)
        pairs = (~crashed[0] & ~crashed[1]).sum(axis=1)
        key = np.stack([pairs, *(crashed[0].shape[1] - n for n in lost)], axis=1)
        cut_short = self._cut()
        for one in np.unique(key, axis=0):
            at = np.flatnonzero((key == one).all(axis=1))
            self._compare(at, whole, one, has_verdict=lost[0][at] == lost[1][at], cut_short=cut_short[at])

    def _compare(
        self, at: NDArray[np.int64], whole: list[Numbers], left: Array, has_verdict: Mask, cut_short: Array
    ) -> None:
        """The studies `at`, which have as many pairs and runs of each arm left."""
        is_fork = self.design == "fork" and left[0] >= FORK_PAIRS
        if not is_fork and min(left[1:]) < FEWEST:
            return
        masks = [~crashed[at] for crashed in self.crashed]
        if is_fork:
            masks = [masks[0] & masks[1]] * 2
        design = "fork" if is_fork else "did"
        runs = compared(design, *(_of(n, at, mask) for n, mask in zip(whole, masks, strict=True)))
        answer, estimate = answers(runs, self.family, self.scale, STUDY_MARGIN), runs.estimate
        has_crash = sum(crashed[at].sum(axis=1) for crashed in self.crashed) > 0
        has_verdict &= ~has_crash | ~is_other_sign(cut_short, estimate.value)
        has_spread = estimate.high > estimate.low
        has_verdict &= has_spread
        self.low[at], self.high[at] = (np.where(has_spread, end, np.nan) for end in (estimate.low, estimate.high))
        self.p[at] = np.where(has_verdict, estimate.p, np.nan)
        for i, study in enumerate(at):
            self.words[study] = word(answer, i) if has_verdict[i] else None

    def _cut(self) -> Array:
        """The estimate over all runs, cut where the first of them ends."""
        first = np.minimum(*(length.min(axis=1) for length in self.lengths))
        totals = [np.cumsum(arm[..., sim.ROWS // 2 :], axis=-1) for arm in self.arms]
        kept = first - sim.ROWS // 2
        after = [total[np.arange(len(kept)), :, kept - 1].mean(axis=1) / kept for total in totals]
        before = [numbers(arm).before.mean(axis=1) for arm in self.arms]
        return after[0] - after[1] - (0 if self.design == "fork" else before[0] - before[1])

    def counts(self) -> list[float]:
        """The counts of the shares of `SCHEMA`."""
        words = np.array([each or "" for each in self.words])
        no_worse = np.isin(words, (NO_WORSE, EQUIVALENT))
        covered = (self.low <= self.true) & (self.true <= self.high)
        hits = words != "", no_worse, words == WORSE, self.p < ALPHA, ~np.isnan(self.low), covered
        return [float(hit.sum()) for hit in hits]


def _of(all_runs: Numbers, at: NDArray[np.int64], mask: Mask) -> Numbers:
    """The numbers of the runs of a mask, of which every study has as many."""
    fields = (all_runs.before, all_runs.after, all_runs.highest, all_runs.lowest)
    return Numbers(*(field[at][mask].reshape(len(at), -1) for field in fields))


def check_product(said: Said, i: int) -> None:
    """Raise where the app's whole analysis of a study says another word or has another p or interval."""
    metric = metric_of(said.family, said.scale, STUDY_MARGIN, said.design)
    runs = simulated_runs("task", metric.key, said.arms[0][i], said.arms[1][i], is_fork=said.design == "fork")
    ended = dict(zip((DETACHED, CONTROL), zip(said.crashed, said.lengths, strict=True), strict=True))
    left = []
    for run in runs:
        crashed, length = (of[i, int(run.seed)] for of in ended[run.arm])
        left.append(cut(run, (length + 0.5) / sim.ROWS) if crashed else run)
    metrics = [metric, Metric(HISTORY, "loss", "decrease", scale="log")]
    effects = analysed(metrics, {"task": task_runs("task", left)}).effects
    row = effects.filter(metric=metric.key).row(0, named=True)
    if row["equivalence"] != said.words[i]:
        raise AssertionError(f"the app says {row['equivalence']} ({row['reasons']}), not {said.words[i]}")
    to_scale = np.expm1 if said.scale == LOG else np.asarray
    ours = [said.p[i], *(float(to_scale(number[i])) for number in (said.low, said.high))]
    theirs = [np.nan if row[key] is None else row[key] for key in ("p_value", "ci_low", "ci_high")]
    np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-12)


def run(studies: int, seed: int, processes: int) -> None:
    """Run every case and family, and write the results."""
    with ProcessPoolExecutor(processes) as pool:
        futures = [pool.submit(run_cell, *cell, studies, seed) for cell in product(CASES, FAMILIES)]
        pl.concat([future.result() for future in futures]).write_csv(CRASHED_MARGINS)


if __name__ == "__main__":
    run_from_command_line(__doc__, run, STUDIES)
