"""How often each method finds an effect where there is none, covers the true one, and finds it.

    python -m benchmarks.calibration                    runs what is not done yet, then writes the table and the figure
    python -m benchmarks.calibration --studies 500      a quick look
    python -m benchmarks.calibration --again            from the start

Every offered method is the one that the app uses, from `lib.effects.compare`: `estimators`, `jumps` for h, `comparison` for the
sizes at which it is offered. Curves and effects are those of `benchmarks.simulated`. Results are kept cell by cell in
`benchmarks/results/calibration.parquet`: an interrupted run goes on where it stopped.
"""

import argparse
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import simulated as sim
from benchmarks.methods import ACROSS, METHODS, ONSET_HIGH, ONSET_LOW, Batch, Method, Outcome
from lib.effects.compare.estimators import ALPHA

RESULTS = Path(__file__).parent / "results" / "calibration.parquet"
VERSION = 1  # of the simulation: raise it where results of before no longer hold
STUDIES = 8_000
SIZES = (2, 3, 5, 8, 16)
UNEQUAL = ((5, 2), (16, 2), (8, 3), (9, 3), (16, 3), (12, 4), (16, 4), (15, 5))
NULL, SMALL, LARGE, SLOW = sim.Effect(), sim.Effect(0.10), sim.Effect(0.25), sim.Effect(0.25, gradual=True)
TASKS = ("saturating", "sigmoid", "linear", "loss", "saturating")

SCHEMA = pl.Schema(
    {
        "version": pl.Int64,
        "design": pl.String,
        "method": pl.String,
        "offered": pl.Boolean,
        "family": pl.String,
        "n_t": pl.Int64,
        "n_c": pl.Int64,
        "effect": pl.Float64,
        "gradual": pl.Boolean,
        "studies": pl.Int64,
        "found": pl.Float64,  # share with p < .05 (bootstraps: the interval excludes 0); without an effect: false positives
        "found_right": pl.Float64,  # share found in the effect's direction
        "covered": pl.Float64,  # share of intervals that hold the truth; null for none
    }
)


@dataclass(frozen=True)
class Cell:
    """One setting of the simulation: every method of its design is run on the same studies."""

    design: str
    family: str
    n_t: int
    n_c: int
    effect: sim.Effect

    @property
    def key(self) -> tuple[str, str, int, int, float, bool]:
        return self.design, self.family, self.n_t, self.n_c, self.effect.size, self.effect.gradual

    @property
    def share(self) -> float:
        """Of the requested studies: false positives and coverage need them all, power alone a quarter."""
        return 1.0 if self.effect in (NULL, LARGE) else 0.25

    @property
    def name(self) -> str:
        return f"{self.design} {self.family} {self.n_t}/{self.n_c} {self.effect.size:+.0%}"


def cells() -> Iterator[Cell]:
    """Every cell, those without an effect first."""
    for effect in (NULL, LARGE, SMALL, SLOW):
        families = (*sim.FAMILIES, sim.STRESS) if effect == NULL else sim.FAMILIES
        for family, n in product(families, SIZES if effect in (NULL, LARGE) else SIZES[1:4]):
            for design in ("fork", "did", "jump"):
                yield Cell(design, family, n, 0 if design == "jump" else n, effect)
            if not effect.gradual:
                yield Cell("onset", family, n, 0, effect)
        if effect == NULL:
            yield from (Cell("did", family, *sizes, effect) for family in families for sizes in UNEQUAL)
        if not effect.gradual:
            yield from (Cell(f"{k} tasks", "mixed", n, n, effect) for k in (2, 5) for n in (3, 5, 8))


@cache
def mean_level(family: str) -> float:
    """The mean level at the detach over the population of runs."""
    rng = np.random.default_rng(99)
    return float(np.mean([sim.truth(family, (5_000,), rng).level.mean() for _ in range(10)]))


def mean_effect(cell: Cell, family: str) -> float:
    """What a method of this cell estimates: the effect at once (jumps), or its mean over the window after."""
    if not cell.effect.size:
        return 0.0
    whole = cell.effect.size * mean_level(family)
    if cell.design in ("jump", "onset"):
        return whole
    return whole * float(cell.effect.course(sim.U)[sim.U > 0.5].mean())


def draw(cell: Cell, family: str, studies: int, rng: np.random.Generator) -> Batch:
    """Studies of a cell."""
    truth, none = mean_effect(cell, family), np.empty((studies, 0, sim.ROWS))
    if cell.design == "fork":
        return Batch(*sim.forks(family, studies, cell.n_t, cell.effect, rng), truth)
    if cell.design == "jump":
        return Batch(sim.detached_only(family, studies, cell.n_t, cell.effect, rng), none, truth)
    if cell.design == "onset":
        steps = np.round(rng.uniform(ONSET_LOW, ONSET_HIGH, (studies, cell.n_t)) * sim.TOTAL)
        rows = sim.detached_only(family, studies, cell.n_t, cell.effect, rng, steps[..., None] / sim.TOTAL)
        return Batch(rows, none, truth, steps)
    return Batch(*sim.arms(family, studies, cell.n_t, cell.n_c, cell.effect, rng), truth)


def run_cell(cell: Cell, studies: int) -> list[dict[str, object]]:
    """Every method of the cell's design on `studies` studies, in batches that fit in memory; one row per method."""
    methods = ACROSS if cell.design.endswith("tasks") else [m for m in METHODS if m.design == cell.design]
    tallies: dict[str, list[np.ndarray]] = {m.name: [] for m in methods}
    size = max(50, 12_000 // (cell.n_t + cell.n_c))
    for start in range(0, studies, size):
        rng = np.random.default_rng([zlib.crc32(repr(cell.key).encode()), start])
        for method, (outcome, truth) in zip(
            methods, _outcomes(cell, methods, min(size, studies - start), rng), strict=True
        ):
            tallies[method.name].append(_tally(outcome, truth, cell.effect))
    return [_row(cell, m, np.concatenate(tallies[m.name]), studies) for m in methods]


def _outcomes(cell: Cell, methods, studies: int, rng: np.random.Generator) -> Iterator[tuple[Outcome, object]]:
    if cell.design.endswith("tasks"):
        families = TASKS[: int(cell.design.split()[0])]
        batches = [draw(cell, family, studies, rng) for family in families]
        return (m.run(batches) for m in methods)
    batch = draw(cell, cell.family, studies, rng)
    return ((m.run(batch), batch.truth) for m in methods)


def _tally(outcome: Outcome, truth: object, effect: sim.Effect) -> np.ndarray:
    """Per study (studies, 3): found, found in the right direction, covered (NaN: no interval, or none to hold)."""
    excludes = (outcome.low > 0) | (outcome.high < 0)
    significant = np.where(np.isnan(outcome.p), excludes, outcome.p < ALPHA)
    covered = (outcome.low <= truth) & (truth <= outcome.high)
    has_interval = ~np.isnan(outcome.low)
    right = significant & (outcome.value > 0)
    return np.stack([significant, right, np.where(has_interval, covered, np.nan)], axis=1)


def _row(cell: Cell, method: Method, tally: np.ndarray, studies: int) -> dict[str, object]:
    significant, right, covered = tally.mean(axis=0)
    no_target = cell.effect.gradual and cell.design in ("jump", "onset")
    return {
        "version": VERSION,
        "design": cell.design,
        "method": method.name,
        "offered": method.offered(cell.n_t, cell.n_c),
        "family": cell.family,
        "n_t": cell.n_t,
        "n_c": cell.n_c,
        "effect": cell.effect.size,
        "gradual": cell.effect.gradual,
        "studies": studies,
        "found": float(significant),
        "found_right": float(right),
        "covered": None if np.isnan(covered) or no_target else float(covered),
    }


KEYS = ("design", "family", "n_t", "n_c", "effect", "gradual")


def load_results(path: Path = RESULTS) -> pl.DataFrame:
    """The results so far of the cells there are now; which methods are offered is what the app says today, not the file."""
    if not path.exists():
        return pl.DataFrame(schema=SCHEMA)
    stored = pl.read_parquet(path).filter(pl.col("version") == VERSION)
    now = pl.DataFrame([cell.key for cell in cells()], schema={k: SCHEMA[k] for k in KEYS}, orient="row")
    offered = {m.name: m.offered for m in (*METHODS, *ACROSS)}
    current = [offered[name](n_t, n_c) for name, n_t, n_c in stored.select("method", "n_t", "n_c").iter_rows()]
    return stored.with_columns(pl.Series("offered", current)).join(now, on=KEYS, how="semi")


def run(studies: int, path: Path = RESULTS) -> pl.DataFrame:
    """Run the cells that are not done with so many studies, saving every few seconds."""
    results = load_results(path)
    done = {tuple(key): most for *key, most in results.select(*KEYS, "studies").iter_rows()}
    todo, begun, saved = list(cells()), time.monotonic(), time.monotonic()
    for i, cell in enumerate(todo, 1):
        wanted = int(cell.share * studies)
        if done.get(cell.key, 0) >= wanted:
            continue
        fresh = pl.DataFrame(run_cell(cell, wanted), schema=SCHEMA)
        results = pl.concat([results.join(fresh.select(KEYS).unique(), on=KEYS, how="anti"), fresh])
        if time.monotonic() - saved > 5:
            _save(results, path)
            saved = time.monotonic()
        _progress(i, len(todo), time.monotonic() - begun, cell.name)
    _save(results, path)
    print(file=sys.stderr)
    return results


def _save(results: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    results.sort("design", "method", "family", "n_t", "n_c", "effect", "gradual").write_parquet(aside)
    aside.replace(path)


def _progress(done: int, total: int, seconds: float, what: str) -> None:
    bar = "#" * (30 * done // total)
    print(f"\r[{bar:<30}] {done}/{total} {seconds:5.0f} s  {what:<40}", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--studies",
        type=int,
        default=STUDIES,
        help="studies per cell (default: %(default)s; a quarter for power alone)",
    )
    parser.add_argument("--again", action="store_true", help="from the start")
    options = parser.parse_args()
    if options.again:
        RESULTS.unlink(missing_ok=True)
    results = run(options.studies)
    from benchmarks.calibration_report import write_report

    write_report(results)


if __name__ == "__main__":
    main()
