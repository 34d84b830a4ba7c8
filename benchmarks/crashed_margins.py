"""What the app says of a change, and of a change against its margin, where runs crashed.

    python -m benchmarks.crashed_margins                   writes benchmarks/results/crashed_margins.csv
    python -m benchmarks.crashed_margins --studies 200     a quick look
    python -m benchmarks.crashed_margins --seed 1          other studies

What ended early is left out, and the studies with the same runs left are compared together by the app's own estimators. The
first studies of every cell also go through `analyse_runs`: the run stops where it says something else.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import simulated as sim
from benchmarks.batches import Array
from benchmarks.calibration_cells import mean_level
from benchmarks.command_line import run_cells, run_from_command_line
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
from lib.effects.compare import estimators as est
from lib.effects.compare.comparison import FEWEST, FORK_PAIRS
from lib.effects.compare.equivalence import EQUIVALENT, NO_WORSE, WORSE
from lib.effects.compare.estimators import ALPHA
from lib.effects.compare.gates import is_other_sign
from lib.formatting import numbers as numbers_text
from lib.study import CONTROL, DETACHED, Metric

STUDIES, CHUNK, PRODUCT_STUDIES = 8_000, 500, 1
SIZES = (4, 6, 8, 12, 16)
FAMILIES = (*sim.FAMILIES, sim.SPARSE)
CHANGES = (-STUDY_MARGIN, 0.0, 0.05, 0.10, 0.25)

SCHEMA = pl.Schema(
    {
        "case": pl.String,
        "family": pl.String,
        "n": pl.Int64,  # of every arm, before any run crashes
        "change": pl.Float64,
        "studies": pl.Int64,
        "answered": pl.Float64,  # share with an answer to the margin
        "no_worse": pl.Float64,  # share that are no worse, or equivalent
        "worse": pl.Float64,  # share that are worse
        "found": pl.Float64,  # share with p < .05 and every gate passed
        "tested": pl.Float64,  # share with a 95% interval
        "covered": pl.Float64,  # share of these intervals that hold the truth
        "covered_both": pl.Float64,  # the same, or that with the runs that ended early does
    }
)
_SHARES = ("answered", "no_worse", "worse", "found", "tested", "covered", "covered_both")

Mask = NDArray[np.bool_]
#: Which runs of the arms (studies, n) crash, given the rows of both, how low each ends, and random draws.
Ends = Callable[[Array, Array, np.random.Generator], tuple[Mask, Mask]]


@dataclass(frozen=True)
class Case:
    """Studies of one design some of whose runs end between 65 and 90% of training."""

    kind: str
    design: str
    n: int
    ends: Ends

    @property
    def name(self) -> str:
        """The case with its size."""
        return f"{self.kind}, n = {self.n}"


@dataclass(frozen=True)
class Crashed:
    """Studies some runs of which crashed: the rows of both arms, and of each run (studies, n) whether and after how many rows.

    `true` is the mean effect on all runs up to the end.
    """

    design: str
    family: str
    arms: tuple[Array, Array]
    crashed: tuple[Mask, Mask]
    lengths: tuple[Array, Array]
    true: float

    def after(self, lengths: Sequence[Array]) -> list[Array]:
        """The mean of each run (studies, n) of both arms from the detach on, up to so many of its rows."""
        totals = [np.cumsum(arm[..., sim.ROWS // 2 :], axis=-1) for arm in self.arms]
        rows = [length - sim.ROWS // 2 for length in lengths]
        return [
            np.take_along_axis(total, n[..., None] - 1, -1)[..., 0] / n for total, n in zip(totals, rows, strict=True)
        ]

    def cut(self) -> est.Estimate:
        """The comparison of all runs, cut where the first of them ends."""
        first = np.minimum(*(length.min(axis=1) for length in self.lengths))
        ends = np.broadcast_to(first[:, None], self.lengths[0].shape)
        after, before = self.after([ends, ends]), [numbers(arm).before for arm in self.arms]
        if self.design == "fork":
            return est.mean_t(after[0] - after[1])
        return est.difference(after[0] - before[0], after[1] - before[1])


def any_run(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """One run in six, whichever it is."""
    return rng.random(detached.shape) < 1 / 6, rng.random(control.shape) < 1 / 6


def any_of(level: Array, rng: np.random.Generator) -> Mask:
    """One run of each study, whichever it is."""
    return _lowest(rng.random(level.shape))


def _none(level: Array) -> Mask:
    return np.zeros(level.shape, dtype=bool)


def _lowest(level: Array) -> Mask:
    return np.arange(level.shape[1]) == level.argmin(axis=1)[:, None]


def worst(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """The run of each arm that ends worst."""
    return _lowest(detached), _lowest(control)


def worst_detached(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """The detached run that ends worst."""
    return _lowest(detached), _none(control)


def pair(detached: Array, control: Array, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """Both runs of the pair whose control ends worst."""
    return _lowest(control), _lowest(control)


CASES = tuple(
    Case(kind, design, n, ends)
    for kind, design, ends in (
        ("fork pairs, 1 run in 6 crashed", "fork", any_run),
        ("fork pairs, the worst pair crashed", "fork", pair),
        ("fork pairs, the worst detached run crashed", "fork", worst_detached),
        ("arms alike, 1 run in 6 crashed", "did", any_run),
        ("arms alike, the worst run of each crashed", "did", worst),
    )
    for n in SIZES
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
    frame = pl.DataFrame([(case.kind, family, case.n, *row) for row in rows], schema=SCHEMA, orient="row")
    total = frame.group_by("case", "family", "n", "change", maintain_order=True).agg(pl.col("studies", *_SHARES).sum())
    shares = [pl.col(key) / (pl.col("tested") if key.startswith("covered") else pl.col("studies")) for key in _SHARES]
    return total.with_columns(shares).select(list(SCHEMA))


def run_chunk(
    case: Case, family: str, studies: int, seed: tuple[int, ...], through_product: int
) -> Iterator[tuple[float, ...]]:
    """Counts of some studies, by change."""
    effects = [sim.Effect(effect_size(case.design, family, change)) for change in CHANGES]
    for change, crashed in zip(CHANGES, crashed_studies(case, family, studies, seed, effects), strict=True):
        answers = AppAnswers(crashed, scales_of(family)[0])
        for i in range(min(through_product, studies)):
            check_product(answers, i)
        yield (change, studies, *answers.counts())


def crashed_studies(
    case: Case, family: str, studies: int, seed: tuple[int, ...], effects: Sequence[sim.Effect]
) -> Iterator[Crashed]:
    """So many studies, with each effect in turn."""
    rng = np.random.default_rng([zlib.crc32(f"{case.name} {family}".encode()), *seed])
    drawn, sign = draw_runs(case.design, family, studies, case.n, rng), -1 if family == "loss" else 1
    rows = np.floor(rng.uniform(0.65, 0.9, (2, studies, case.n)) * sim.ROWS).astype(int)
    for effect in effects:
        arms = drawn.treated(effect), drawn.control
        levels = [sign * arm[..., -sim.ROWS // 4 :].mean(axis=-1) for arm in arms]
        crashed = case.ends(levels[0], levels[1], rng)
        lengths = [np.where(ends, row, sim.ROWS) for ends, row in zip(crashed, rows, strict=True)]
        true = effect.size * mean_level(family) * float(effect.course(sim.U)[sim.U > 0.5].mean())
        yield Crashed(case.design, family, arms, crashed, (lengths[0], lengths[1]), true)


class AppAnswers:
    """What the app says of studies some runs of which crashed.

    `words`, and `p`, which is NaN where there is no verdict, are by study; `low` and `high` are the 95% interval, and `cut`
    is the comparison with the runs that ended early.
    """

    def __init__(self, of: Crashed, scale: str) -> None:
        self.of, self.scale, self.cut = of, scale, of.cut()
        studies = len(of.arms[0])
        self.words: list[str | None] = [None] * studies
        self.p, self.low, self.high = np.full((3, studies), np.nan)
        whole = [numbers(arm) for arm in of.arms]
        lost = of.crashed[0].sum(axis=1), of.crashed[1].sum(axis=1)
        pairs = (~of.crashed[0] & ~of.crashed[1]).sum(axis=1)
        key = np.stack([pairs, *(of.crashed[0].shape[1] - n for n in lost)], axis=1)
        for one in np.unique(key, axis=0):
            at = np.flatnonzero((key == one).all(axis=1))
            self._compare(at, whole, one, has_verdict=lost[0][at] == lost[1][at])

    def _compare(self, at: NDArray[np.int64], whole: list[Numbers], left: Array, has_verdict: Mask) -> None:
        """The studies `at`, which have as many pairs and runs of each arm left."""
        is_fork = self.of.design == "fork" and left[0] >= FORK_PAIRS
        if not is_fork and min(left[1:]) < FEWEST:
            return
        masks = [~crashed[at] for crashed in self.of.crashed]
        if is_fork:
            masks = [masks[0] & masks[1]] * 2
        design = "fork" if is_fork else "did"
        runs = compared(design, *(_of(n, at, mask) for n, mask in zip(whole, masks, strict=True)))
        answer, estimate = answers(runs, self.of.family, self.scale, STUDY_MARGIN), runs.estimate
        has_crash = sum(crashed[at].sum(axis=1) for crashed in self.of.crashed) > 0
        has_verdict &= ~has_crash | ~is_other_sign(self.cut.value[at], estimate.value)
        has_spread = estimate.high > estimate.low
        has_verdict &= has_spread
        self.low[at], self.high[at] = (np.where(has_spread, end, np.nan) for end in (estimate.low, estimate.high))
        self.p[at] = np.where(has_verdict, estimate.p, np.nan)
        for i, study in enumerate(at):
            self.words[study] = word(answer, i) if has_verdict[i] else None

    def counts(self) -> list[float]:
        """The counts of the shares of `SCHEMA`."""
        words = np.array([each or "" for each in self.words])
        no_worse = np.isin(words, (NO_WORSE, EQUIVALENT))
        tested, true = ~np.isnan(self.low), self.of.true
        covered = (self.low <= true) & (true <= self.high)
        with_cut = tested & (covered | ((self.cut.low <= true) & (true <= self.cut.high)))
        hits = words != "", no_worse, words == WORSE, self.p < ALPHA, tested, covered, with_cut
        return [float(hit.sum()) for hit in hits]


def _of(all_runs: Numbers, at: NDArray[np.int64], mask: Mask) -> Numbers:
    """The numbers of the runs of a mask, of which every study has as many."""
    fields = (all_runs.before, all_runs.after, all_runs.highest, all_runs.lowest)
    return Numbers(*(field[at][mask].reshape(len(at), -1) for field in fields))


def check_product(message: AppAnswers, i: int) -> None:
    """Raise where the app's whole analysis of a study says another word or has another p, interval or cut comparison."""
    of = message.of
    metric = metric_of(of.family, message.scale, STUDY_MARGIN, of.design)
    runs = simulated_runs("task", metric.key, of.arms[0][i], of.arms[1][i], is_fork=of.design == "fork")
    ended = dict(zip((DETACHED, CONTROL), zip(of.crashed, of.lengths, strict=True), strict=True))
    left = []
    for run in runs:
        crashed, length = (by_run[i, int(run.seed)] for by_run in ended[run.arm])
        left.append(cut(run, (length + 0.5) / sim.ROWS) if crashed else run)
    metrics = [metric, Metric(HISTORY, "loss", "decrease", scale="log")]
    effects = analysed(metrics, {"task": task_runs("task", left)}).effects
    row = effects.filter(metric=metric.key).row(0, named=True)
    if row["equivalence"] != message.words[i]:
        raise AssertionError(f"the app says {row['equivalence']} ({row['reasons']}), not {message.words[i]}")
    to_scale = np.expm1 if message.scale == LOG else np.asarray
    ours = [message.p[i], *(float(to_scale(number[i])) for number in (message.low, message.high))]
    theirs = [np.nan if row[key] is None else row[key] for key in ("p_value", "ci_low", "ci_high")]
    np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-12)
    if any(crashed[i].any() for crashed in of.crashed) and not np.isnan(message.low[i]):
        factor, unit = (100, "%") if message.scale == LOG else (1, "")
        values = [
            factor * float(to_scale(number[i])) for number in (message.cut.value, message.cut.low, message.cut.high)
        ]
        middle, low, high = (text + unit for text in numbers_text(values, "+"))
        if f" is {middle} (95% CI {low} to {high})" not in row["reasons"]:
            raise AssertionError(f"the app does not say {middle} ({low} to {high}): {row['reasons']}")


def run(studies: int, seed: int, processes: int) -> None:
    """Run every case and family, and write the results."""
    run_cells(run_cell, product(CASES, FAMILIES), studies, seed, processes).write_csv(CRASHED_MARGINS)


if __name__ == "__main__":
    run_from_command_line(__doc__, run, STUDIES)
