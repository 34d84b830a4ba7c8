"""How often the app says "no worse", "equivalent" or "worse" of a true change, and pools tasks rightly.

    python -m benchmarks.margins                    writes benchmarks/results/margins.parquet and margin_studies.csv
    python -m benchmarks.margins --studies 1000     a quick look
    python -m benchmarks.margins --seed 1           other studies

One number a run comes from rows of `benchmarks.simulated`, whose first runs are the smaller studies; the tests are those of
`lib.effects.compare`. The first studies of every cell also go through `analyse_runs`: the run stops where it says something
else. Whole studies have claims of several tasks, and count where one of them is said wrongly after Holm's correction.
"""

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import offered_methods as offered
from benchmarks import simulated as sim
from benchmarks.batches import Array, Batch
from benchmarks.calibration_cells import mean_level
from benchmarks.command_line import run_from_command_line
from benchmarks.margin_studies import (
    HISTORY,
    LOG,
    LOSS,
    PERCENT,
    REWARD,
    UNITS,
    Answers,
    analysed,
    answers,
    bound_answers,
    compared,
    effect_size,
    metric_of,
    numbers,
    runs_of,
    truth,
)
from benchmarks.margin_tables import MARGIN_STUDIES, MARGINS
from benchmarks.task_draws import MIXED, POOLED, UNEVEN, draw_tasks, kind_of
from lib.effects.compare import estimators as est
from lib.effects.compare.across_tasks import ALL_TASKS
from lib.effects.compare.comparison import FEWEST
from lib.effects.compare.equivalence import EQUIVALENT, NO_WORSE, WIDE_MARGIN, WORSE
from lib.effects.compare.estimators import ALPHA
from lib.effects.multiple_testing import holm
from lib.effects.study_analysis import TaskRuns
from lib.study import Metric

STUDIES, CHUNK, PRODUCT_STUDIES = 12_000, 500, 2
SIZES = (2, 3, 4, 5, 6, 8, 12, 16)
UNEQUAL = ((8, 3), (3, 8), (12, 4), (10, 6), (6, 10), (16, 8))
FAMILIES = (*sim.FAMILIES, sim.STRESS, sim.SPARSE)
MARGIN_SIZES = (0.05, 0.10, 0.25, 0.50)
CHANGES = (-0.25, -0.10, -0.05, 0.0, 0.05, 0.10, 0.25)
LARGE_CHANGES = (-0.50, 0.50)  # of one task
STUDY_MARGIN = 0.10  # that every true change is held against, and every claim of whole studies
_METHODS = {"pairs": offered.across_pairs, "arms": offered.across_arms, "jumps": offered.across_jumps}

SCHEMA = pl.Schema(
    {
        "design": pl.String,
        "family": pl.String,
        "n_t": pl.Int64,
        "n_c": pl.Int64,
        "scale": pl.String,  # of the margin: percent, units or log; empty where there is none
        "margin": pl.Float64,
        "change": pl.Float64,  # the true one, positive for the better
        "studies": pl.Int64,
        "answered": pl.Float64,  # share with a test of the margin
        **dict.fromkeys(("no_worse", "equivalent", "worse"), pl.Float64),  # share, "no worse" with "equivalent"
        "found": pl.Float64,  # share with p < .05
        "found_right": pl.Float64,  # share found in the direction of the change
        "tested": pl.Float64,  # share with a 95% interval
        "covered": pl.Float64,  # share of these intervals that hold the truth
    }
)
KEYS = ("design", "family", "n_t", "n_c", "scale", "margin", "change")
_SUMS = tuple(key for key in SCHEMA if key not in (*KEYS, "studies"))


def sizes_of(design: str) -> list[tuple[int, int]]:
    """The detached runs and the controls, of each task, that a design is looked at with; the pairs, or the jumps alone."""
    if design in UNEVEN:
        return [*UNEQUAL]
    even = [(n, 0 if design in POOLED and kind_of(design) == "jumps" else n) for n in SIZES]
    return [*even, *UNEQUAL] if design == "did" else even


def margins_of(change: float) -> list[float]:
    """The margins that a true change is held against: one for all, and each for its own bounds and for no change."""
    return [margin for margin in MARGIN_SIZES if margin == STUDY_MARGIN or abs(change) in (0, margin)]


def scales_of(family: str) -> tuple[str, ...]:
    """The kinds of margins that a metric may have."""
    return (LOG,) if family == "loss" else (PERCENT, UNITS)


def draw_runs(design: str, family: str, studies: int, n: int, rng: np.random.Generator) -> sim.Draw:
    """So many fork pairs, or runs in each arm."""
    return sim.draw_forks(family, studies, n, rng) if design == "fork" else sim.draw_arms(family, studies, n, n, rng)


def run_chunk(design: str, family: str, studies: int, seed: tuple[int, ...], through_product: int) -> pl.DataFrame:
    """Some studies of a design and family: one row per size, margin and true change, counts instead of shares."""
    rng = np.random.default_rng([zlib.crc32(f"{design} {family}".encode()), *seed])
    most = max(SIZES)
    drawn = draw_runs(design, family, studies, most, rng)
    control, rows = numbers(drawn.control), []
    for change in (*CHANGES, *LARGE_CHANGES):
        effect = sim.Effect(effect_size(design, family, change))
        treated_rows = drawn.treated(effect)
        treated = numbers(treated_rows)
        for n_t, n_c in sizes_of(design):
            runs = compared(design, treated.first(n_t), control.first(n_c))
            for scale, margin in product(scales_of(family), margins_of(change)):
                answer = answers(runs, family, scale, margin)
                counts = _counts(answer, truth(design, family, change), change, scale)
                rows.append((design, family, n_t, n_c, scale, margin, change, studies, *counts))
                if (n_t, n_c) in ((6, 6), (8, 3)) and margin == abs(change) >= STUDY_MARGIN:
                    metric = metric_of(family, scale, margin, design)
                    for i in range(through_product):
                        check_product(design, metric, (treated_rows[i, :n_t], drawn.control[i, :n_c]), answer, i)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _counts(answer: Answers, true_effect: Array | float, change: float, scale: str) -> list[float]:
    estimate, sign = answer.estimate, -1 if scale == LOG else 1
    result = estimate.p < ALPHA
    is_right = result & (sign * estimate.value * (change or 1) > 0)
    covered = (estimate.low <= true_effect) & (true_effect <= estimate.high)
    shares = (
        ~np.isnan(answer.no_worse_p), answer.no_worse_p < ALPHA, answer.equivalent_p < ALPHA, answer.is_worse,
        result, is_right, ~np.isnan(estimate.low), covered,
    )  # fmt: skip
    return [float(share.sum()) for share in shares]


def word(answer: Answers, i: int) -> str | None:
    """What the app says of a study with this claim alone; None where it has no answer."""
    if np.isnan(answer.no_worse_p[i]):
        return None
    if answer.is_worse[i]:
        return WORSE
    if answer.equivalent_p[i] < ALPHA:
        return EQUIVALENT
    return NO_WORSE if answer.no_worse_p[i] < ALPHA else "not shown"


def check_product(design: str, metric: Metric, pair: tuple[Array, Array], answer: Answers, i: int) -> None:
    """Raise where the app's whole analysis of a study has another p or says another word."""
    metrics = [metric, Metric(HISTORY, "loss", "decrease", scale="log")]
    runs = {"task": runs_of("task", metric.key, *pair, is_fork=design == "fork")}
    _same(analysed(metrics, runs).effects.filter(metric=metric.key), answer, i)


def check_tasks(tasks: Sequence[Batch], metric: Metric, answer: Answers, i: int, *, is_fork: bool) -> None:
    """The same across the tasks of a study; where a task is too sparse for a range the app has the others, the arrays none."""
    if np.isnan(answer.estimate.p[i]):
        return
    metrics = [metric, Metric(HISTORY, "loss", "decrease", scale="log")]
    runs = {
        f"task {k}": runs_of(f"task {k}", metric.key, b.treated[i], b.control[i], is_fork=is_fork)
        for k, b in enumerate(tasks)
    }
    _same(analysed(metrics, runs).effects.filter(task=ALL_TASKS, metric=metric.key), answer, i)


def _same(effects: pl.DataFrame, answer: Answers, i: int) -> None:
    row = effects.row(0, named=True)
    if row["equivalence"] != word(answer, i):
        raise AssertionError(
            f"the app says {row['equivalence']} ({row['design']}, {row['reasons']}), not {word(answer, i)}"
        )
    np.testing.assert_allclose(row["p_value"], answer.estimate.p[i], rtol=1e-6, atol=1e-12)


def run_cell(design: str, family: str, studies: int, seed: int) -> pl.DataFrame:
    """Every size, margin and true change of a design and family: columns `SCHEMA`."""
    chunk = run_pooled if design in (*POOLED, *UNEVEN) else run_chunk
    starts = range(0, studies, CHUNK)
    with np.errstate(divide="ignore", invalid="ignore"):  # runs without a reward have no spread, and no test
        frames = [
            chunk(design, family, min(CHUNK, studies - start), (seed, start), 0 if start else PRODUCT_STUDIES)
            for start in starts
        ]
    total = pl.concat(frames).group_by(KEYS, maintain_order=True).agg(pl.col("studies", *_SUMS).sum())
    shares = [pl.col(key) / (pl.col("tested") if key == "covered" else pl.col("studies")) for key in _SUMS]
    return total.with_columns(shares).select(list(SCHEMA))


def run_pooled(design: str, family: str, studies: int, seed: tuple[int, ...], through_product: int) -> pl.DataFrame:
    """Some studies over several tasks: of losses with margins, or of mixed rewards whose change is a share of their level."""
    rng = np.random.default_rng([zlib.crc32(f"{design} {family}".encode()), *seed])
    families, draws = draw_tasks(design, family, studies, max(SIZES), rng)
    kind = kind_of(design)
    rows = []
    for change in CHANGES if family == "loss" else CHANGES[3:]:
        size = effect_size("fork", family, change) if family == "loss" else change
        treated = [draw.treated(sim.Effect(size)) for draw in draws]
        truths = [size * mean_level(f) for f in families]
        for n_t, n_c in sizes_of(design):
            tasks = [
                Batch(t[:, :n_t], d.control[:, :n_c], true) for t, d, true in zip(treated, draws, truths, strict=True)
            ]
            for metric, answer, true in _across(tasks, family, change, n_t, kind):
                scale = LOG if metric.margin else ""
                counts = _counts(answer, true, change, scale)
                rows.append((design, family, n_t, n_c, scale, metric.margin, change, studies, *counts))
                if n_t == 3 and change in (0, 0.25):
                    for i in range(through_product):
                        check_tasks(tasks, metric, answer, i, is_fork=kind == "pairs")
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _across(
    tasks: Sequence[Batch], family: str, change: float, n: int, kind: str
) -> Iterator[tuple[Metric, Answers, Array]]:
    """What the app makes of a metric over its tasks, by margin where it has one, and the true effect by study."""
    studies = len(tasks[0].treated)
    if family != "loss":
        outcome, true = _METHODS[kind](tasks)
        none = np.full(studies, np.nan)
        estimate = est.Estimate(outcome.value, outcome.low, outcome.high, outcome.p, none)
        answer = Answers(estimate, none, none, np.zeros(studies, dtype=bool))
        yield Metric(REWARD, "reward", "increase"), answer, true
        return
    design = "fork" if kind == "pairs" else "did"
    parts = [compared(design, numbers(task.treated), numbers(task.control)) for task in tasks]
    estimate = est.across([part.values for part in parts], [part.others for part in parts])
    for margin in margins_of(change):
        bound, enough = float(np.log1p(margin)), np.full(studies, n >= FEWEST)
        answer = bound_answers(estimate, bound, enough, is_loss=True, is_wide=margin > WIDE_MARGIN)
        yield metric_of(family, LOG, margin, design), answer, np.full(studies, tasks[0].truth)


@dataclass(frozen=True)
class Case:
    """Studies with a claim in each of so many tasks: the change of the first ones is minus the margin, of the others none."""

    design: str
    n: int
    claims: int
    at_bound: int

    @property
    def name(self) -> str:
        what = f"{self.n} fork pairs" if self.design == "fork" else f"arms, {self.n} against {self.n}"
        return f"{what}, {'all' if self.at_bound == self.claims else 'half'} of the claims at the bound"


CASES = tuple(
    Case(design, n, claims, at_bound)
    for design, n in (("fork", 3), ("fork", 6), ("did", 5), ("did", 8))
    for claims in (5, 20)
    for at_bound in (claims, claims // 2)
)


def run_case(case: Case, studies: int, seed: int) -> dict[str, object]:
    """How many such studies call a claim at the bound no worse, and what share of the other claims is called so."""
    wrong, right = 0, 0
    for start in range(0, studies, CHUNK):
        with np.errstate(invalid="ignore"):
            answers = study_chunk(case, min(CHUNK, studies - start), (seed, start), 0 if start else PRODUCT_STUDIES)
        wrong += int(answers[:, : case.at_bound].any(axis=1).sum())
        right += int(answers[:, case.at_bound :].sum())
    others = studies * (case.claims - case.at_bound)
    return {
        "case": case.name,
        "claims": case.claims,
        "studies": studies,
        "wrong": wrong / studies,
        "right": right / others if others else None,
    }


def study_chunk(case: Case, studies: int, seed: tuple[int, ...], through_product: int) -> NDArray[np.bool_]:
    """Whether each claim (studies, claims) is called no worse, after Holm's correction."""
    rng = np.random.default_rng([zlib.crc32(f"{case.name} {case.claims}".encode()), *seed])
    p_values = np.empty((studies, case.claims))
    tasks: list[dict[str, TaskRuns]] = [{} for _ in range(through_product)]
    for k in range(case.claims):
        family = MIXED[k % len(MIXED)]
        scale = LOG if family == "loss" else PERCENT
        change = -STUDY_MARGIN if k < case.at_bound else 0.0
        draw = draw_runs(case.design, family, studies, case.n, rng)
        treated = draw.treated(sim.Effect(effect_size(case.design, family, change)))
        runs = compared(case.design, numbers(treated), numbers(draw.control))
        answer = answers(runs, family, scale, STUDY_MARGIN)
        p_values[:, k] = answer.no_worse_p
        for i, study in enumerate(tasks):
            key = LOSS if scale == LOG else REWARD
            pair = treated[i], draw.control[i]
            study[f"task {k}"] = runs_of(f"task {k}", key, *pair, is_fork=case.design == "fork")
    adjusted = [holm([None if np.isnan(p) else p for p in claims]) for claims in p_values.tolist()]
    rejections = np.array([[p is not None and p < ALPHA for p in claims] for claims in adjusted])
    for i, study in enumerate(tasks):
        metrics = [metric_of(family, scale, STUDY_MARGIN, "") for family, scale in ((REWARD, PERCENT), ("loss", LOG))]
        effects = analysed([*metrics, Metric(HISTORY, "loss", "decrease", scale="log")], study).effects
        words = effects.filter(pl.col("task") != ALL_TASKS, pl.col("equivalence").is_not_null())
        by_app = {row["task"] for row in words.iter_rows(named=True) if row["equivalence"] in (NO_WORSE, EQUIVALENT)}
        if by_app != {f"task {k}" for k in np.flatnonzero(rejections[i])}:
            raise AssertionError(f"{case.name}, {case.claims} claims: the app calls {sorted(by_app)} no worse")
    return rejections


def run(studies: int, seed: int, processes: int) -> None:
    """Run every cell, those over tasks on half of the studies, and whole studies on fewer; write the results."""
    cells = [(*cell, studies) for cell in product(("did", "fork"), FAMILIES)]
    pooled = (*POOLED, *UNEVEN)
    of_tasks = [*product(pooled, ("mixed", sim.SPARSE)), *((d, "loss") for d in pooled if kind_of(d) != "jumps")]
    cells += [(*cell, studies // 2) for cell in of_tasks]
    with ProcessPoolExecutor(processes) as pool:
        futures = [pool.submit(run_cell, *cell, seed) for cell in cells]
        cases = [pool.submit(run_case, case, studies // 24, seed) for case in CASES]
        save(futures, MARGINS)
        pl.DataFrame([case.result() for case in cases]).write_csv(MARGIN_STUDIES)


def save(cells: Sequence[Future[pl.DataFrame]], path: Path) -> None:
    """Write the results of cells, all that there are whenever one is done."""
    frames: list[pl.DataFrame] = []
    for cell in cells:
        frames.append(cell.result())
        pl.concat(frames).write_parquet(path)


if __name__ == "__main__":
    run_from_command_line(__doc__, run, STUDIES)
