"""How often looking at every new run says something false, and how soon it says something true.

    python -m benchmarks.looks                    writes benchmarks/results/looks.parquet
    python -m benchmarks.looks --studies 500      a quick look
    python -m benchmarks.looks --seed 1           other studies

Each study grows to 32 pairs, or 32 runs in an arm, and is looked at with every run that comes: with the intervals that the
app gives before the planned size, and with a t test at every look, which it never makes. The first studies of every cell
also go through `analyse_runs` at two looks: the run stops where its intervals differ.
"""

import zlib
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from benchmarks import simulated as sim
from benchmarks.batches import Array
from benchmarks.calibration_cells import mean_level
from benchmarks.command_line import run_cells, run_from_command_line
from benchmarks.margin_studies import HISTORY, LOSS, REWARD, analysed, effect_size, numbers, runs_of
from benchmarks.margins import FAMILIES, draw_runs
from benchmarks.offered_methods import jumps_of
from benchmarks.size_tables import LOOKS
from lib.effects.compare import estimators as est
from lib.effects.compare.comparison import FEWEST
from lib.effects.compare.jumps import NARROW
from lib.effects.compare.planned import ANYTIME
from lib.study import Metric

STUDIES, CHUNK, PRODUCT_STUDIES = 4_000, 250, 2
MOST = 32
CHANGES = (0.0, 0.05, 0.10, 0.25)
LAST_LOOKS = (6, 8, 12, 16, 32)  # of the detached arm
PRODUCT_LOOKS = (5, 8)


@dataclass(frozen=True)
class Growth:
    """How a study grows: its runs in both arms at each look."""

    name: str
    design: str
    looks: tuple[tuple[int, int], ...]


EVERY = tuple((n, n) for n in range(2, MOST + 1))
GROWTHS = (
    Growth("fork pairs", "fork", EVERY),
    Growth("arms alike", "did", EVERY),
    Growth("arms, half as many controls", "did", tuple((n, n // 2) for n in range(4, MOST + 1))),
    Growth("arms, 6 controls from the start", "did", tuple((n, 6) for n in range(2, MOST + 1))),
    Growth("jumps", "jump", tuple((n, 0) for n in range(2, MOST + 1))),
)

SCHEMA = pl.Schema(
    {
        "growth": pl.String,
        "family": pl.String,
        "change": pl.Float64,  # the true one, positive for the better; of jumps a share of the level at the detach
        "last": pl.Int64,  # runs of the detached arm at the last look
        "studies": pl.Int64,
        "wrong": pl.Float64,  # share of studies where an interval at any look up to the last leaves out the truth
        "wrong_t": pl.Float64,  # the same of t intervals, from 3 runs on
        "found_right": pl.Float64,  # share where one excludes 0 in the direction of the change, at any look up to the last
        "covered": pl.Float64,  # share of the intervals at the last look that hold the truth
    }
)
KEYS = ("growth", "family", "change", "last")
_SHARES = ("wrong", "wrong_t", "found_right", "covered")


def run_chunk(growth: Growth, family: str, studies: int, seed: tuple[int, ...], through_product: int) -> pl.DataFrame:
    """Some studies: counts instead of shares."""
    rng = np.random.default_rng([zlib.crc32(f"{growth.name} {family}".encode()), *seed])
    drawn = draw_runs(growth.design, family, studies, MOST, rng)
    rows = []
    for change in CHANGES:
        size = change if growth.design == "jump" else effect_size(growth.design, family, change)
        true = size * mean_level(family)
        treated = drawn.treated(sim.Effect(size))
        values, others = numbers_of(growth.design, treated, drawn.control)
        value, error = cumulated(values, others, growth.looks)
        small = np.array([min(look) if growth.design == "did" else look[0] for look in growth.looks])
        has_test = error > 0  # the app has no test where all runs give one number
        reach, t_reach = (
            np.multiply(factor, error, out=np.full(error.shape, np.inf), where=has_test & np.isfinite(factor))
            for factor in (est.anytime_factor(small), np.where(small < FEWEST, np.inf, t_factor(growth)))
        )
        misses, t_misses = (np.abs(value - true) > r for r in (reach, t_reach))
        right = np.sign(true or 1) * value > reach
        for last in LAST_LOOKS:
            k = [n for n, _ in growth.looks].index(last)
            counts = [hit[:, : k + 1].any(axis=1).sum() for hit in (misses, t_misses, right)]
            rows.append((growth.name, family, change, last, studies, *counts, (~misses[:, k]).sum()))
        for i, n in product(range(through_product), PRODUCT_LOOKS):
            k = [n for n, _ in growth.looks].index(n)
            pair = treated[i, :n], drawn.control[i, : growth.looks[k][1]]
            check_product(growth.design, family, pair, (value - reach)[i, k], (value + reach)[i, k])
    return pl.DataFrame(rows, schema=SCHEMA, orient="row", strict=False)


def numbers_of(design: str, treated: Array, control: Array) -> tuple[Array, Array]:
    """One number a pair or run (studies, n), and those of the controls where they are apart."""
    if design == "jump":
        return jumps_of(treated, NARROW * sim.TOTAL), np.empty((len(treated), 0))
    arms = numbers(treated), numbers(control)
    if design == "fork":
        return arms[0].after - arms[1].after, np.empty((len(treated), 0))
    return arms[0].after - arms[0].before, arms[1].after - arms[1].before


def cumulated(values: Array, others: Array, looks: tuple[tuple[int, int], ...]) -> tuple[Array, Array]:
    """The estimate and its standard error (studies, looks) of the first runs of each arm."""
    first = [np.array(sizes) for sizes in zip(*looks, strict=True)]
    value, variance = _mean_of_first(values, first[0])
    if others.shape[1]:
        mean, more = _mean_of_first(others, first[1])
        value, variance = value - mean, variance + more
    return value, np.sqrt(variance)


def _mean_of_first(values: Array, sizes: Array) -> tuple[Array, Array]:
    """The mean of the first runs, and the variance of that mean."""
    centred = values - values.mean(axis=1, keepdims=True)
    sums, squares = np.cumsum(centred, axis=1)[:, sizes - 1], np.cumsum(centred**2, axis=1)[:, sizes - 1]
    mean = sums / sizes
    return mean + values.mean(axis=1, keepdims=True), np.maximum(squares - sizes * mean**2, 0) / (sizes - 1) / sizes


def t_factor(growth: Growth) -> Array:
    """Student's t at each look: n - 1 degrees of freedom, or those of both arms."""
    from scipy.special import stdtrit

    looks = np.array(growth.looks)
    df = looks.sum(axis=1) - 2 if growth.design == "did" else looks[:, 0] - 1
    return np.asarray(stdtrit(df, 0.5 + est.CONFIDENCE / 2))


def check_product(design: str, family: str, pair: tuple[Array, Array], low: float, high: float) -> None:
    """Raise where the app's whole analysis of a study below its planned size has another interval, or a verdict."""
    is_loss = family == "loss" and design != "jump"
    metric = Metric(LOSS, "loss", "decrease", scale="log") if is_loss else Metric(REWARD, "reward", "increase")
    runs = {"task": runs_of("task", metric.key, *pair, is_fork=design == "fork")}
    effects = analysed([metric, Metric(HISTORY, "loss", "decrease", scale="log")], runs, planned=MOST + 1).effects
    row = effects.filter(metric=metric.key).row(0, named=True)
    if (row["design"], row["verdict"]) != (design, "cannot say"):
        raise AssertionError(f"the app says {row['design']}, {row['verdict']}: {row['reasons']}")
    expected = np.array([low, high])
    if not np.isfinite(expected).all():
        if row["ci_low"] is not None:
            raise AssertionError("the app gives an interval that reaches everywhere")
        return
    if ANYTIME not in row["method"]:
        raise AssertionError(row["method"])
    np.testing.assert_allclose([row["ci_low"], row["ci_high"]], np.expm1(expected) if is_loss else expected, rtol=1e-6)


def run_cell(growth: Growth, family: str, studies: int, seed: int) -> pl.DataFrame:
    """Every true change and last look of a cell: columns `SCHEMA`."""
    frames = [
        run_chunk(growth, family, min(CHUNK, studies - start), (seed, start), 0 if start else PRODUCT_STUDIES)
        for start in range(0, studies, CHUNK)
    ]
    total = pl.concat(frames).group_by(KEYS, maintain_order=True).agg(pl.col("studies", *_SHARES).sum())
    return total.with_columns(pl.col(_SHARES) / pl.col("studies"))


def run(studies: int, seed: int, processes: int) -> None:
    """Run every cell and write the results."""
    run_cells(run_cell, product(GROWTHS, FAMILIES), studies, seed, processes).write_parquet(LOOKS)


if __name__ == "__main__":
    run_from_command_line(__doc__, run, STUDIES)
