"""The settings of the calibration, and the file with their results."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import simulated as sim
from benchmarks.batches import Batch
from benchmarks.methods import ACROSS, METHODS, POWER_OF_REFUSED, Method
from benchmarks.offered_methods import onset_steps

RESULTS = Path(__file__).parent / "results" / "calibration.parquet"
VERSION = 2  # of the simulation: raise it where results of before no longer hold
SIZES = (2, 3, 5, 8, 16)
UNEQUAL = ((4, 3), (6, 3), (8, 3), (16, 3), (12, 4), (15, 5), (7, 5), (10, 6), (12, 6), (16, 8))
SPREADS = (2.0, 0.5, 0.25)  # of the detached runs, relative to the controls: the larger arm's in `UNEQUAL`
SPREAD_FAMILIES = ("saturating", "sigmoid")
NULL, SMALL, LARGE, SLOW = sim.NULL, sim.Effect(0.10), sim.Effect(0.25), sim.Effect(0.25, gradual=True)
TASKS = ("saturating", "sigmoid", "linear", "loss", "saturating")
TAILS = {"found_0025": 0.0025, "found_0001": 0.0001}

SCHEMA = pl.Schema(
    {
        "version": pl.Int64,
        "design": pl.String,
        "method": pl.String,
        "offered": pl.Boolean,
        "family": pl.String,
        "n_t": pl.Int64,
        "n_c": pl.Int64,
        "spread": pl.Float64,
        "effect": pl.Float64,
        "gradual": pl.Boolean,
        "studies": pl.Int64,
        "found": pl.Float64,  # share with p < .05 (bootstraps: the interval excludes 0); without an effect: false positives
        "found_right": pl.Float64,  # share found in the effect's direction
        "covered": pl.Float64,  # share of intervals that hold the truth; null for none
        **dict.fromkeys(TAILS, pl.Float64),  # share with p < .0025 and p < .0001; null where there is no p
    }
)
KEYS = ("design", "family", "n_t", "n_c", "spread", "effect", "gradual")


@dataclass(frozen=True)
class Cell:
    """One setting of the simulation: every method of its design is run on the same studies.

    `spread` is how much further the detached runs lie apart than the controls.
    """

    design: str
    family: str
    n_t: int
    n_c: int
    effect: sim.Effect = NULL
    spread: float = 1.0

    @property
    def key(self) -> tuple[str, str, int, int, float, float, bool]:
        """The values of `KEYS`."""
        return self.design, self.family, self.n_t, self.n_c, self.spread, self.effect.size, self.effect.gradual

    @property
    def share(self) -> float:
        """Of the requested studies: false positives and coverage need them all, power alone a quarter."""
        return 1.0 if self.effect in (NULL, LARGE) else 0.25

    @property
    def name(self) -> str:
        return f"{self.design} {self.family} {self.n_t}/{self.n_c} {self.effect.size:+.0%}"

    @property
    def tasks(self) -> tuple[str, ...]:
        """The family of curves of each task."""
        count = int(self.design.split()[0]) if "tasks" in self.design else 1
        return TASKS[:count] if self.family == "mixed" else (self.family,) * count

    @property
    def methods(self) -> list[Method]:
        """The methods of the cell's design; with an effect or unequal arms only those of interest there."""
        if "tasks" in self.design:
            return [m for m in ACROSS if m.design == self.design.split(" ", 1)[1]]
        every = self.effect == NULL and self.spread == 1 and self.n_c in (0, self.n_t)
        return [m for m in METHODS if m.design == self.design and (every or m.sizes or m.name in POWER_OF_REFUSED)]


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
            yield from (Cell("did", family, *sizes) for family in SPREAD_FAMILIES for sizes in UNEQUAL)
            spreads = product(SPREAD_FAMILIES, (*UNEQUAL, (3, 3), (5, 5)), SPREADS)
            yield from (Cell("did", family, *sizes, spread=spread) for family, sizes, spread in spreads)
        if not effect.gradual:
            bent = ("sigmoid", sim.STRESS) if effect == NULL else ()
            for k, n in product((2, 5), SIZES[:4]):
                yield from (Cell(f"{k} tasks of jumps", family, n, 0, effect) for family in ("mixed", *bent))
                if n > 2:
                    yield Cell(f"{k} tasks", "mixed", n, n, effect)
                    yield Cell(f"{k} tasks of pairs", "mixed", n, n, effect)


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
    if cell.design in ("jump", "onset") or cell.design.endswith("jumps"):
        return whole
    return whole * float(cell.effect.course(sim.U)[sim.U > 0.5].mean())


def draw(cell: Cell, family: str, studies: int, rng: np.random.Generator) -> Batch:
    """Studies of a cell, or of one of its tasks."""
    truth, none = mean_effect(cell, family), np.empty((studies, 0, sim.ROWS))
    if cell.design == "fork" or cell.design.endswith("pairs"):
        return Batch(*sim.forks(family, studies, cell.n_t, cell.effect, rng), truth)
    if cell.design == "jump" or cell.design.endswith("jumps"):
        return Batch(sim.detached_only(family, studies, cell.n_t, cell.effect, rng), none, truth)
    if cell.design == "onset":
        steps = onset_steps(studies, cell.n_t, rng)
        rows = sim.detached_only(family, studies, cell.n_t, cell.effect, rng, steps[..., None] / sim.TOTAL)
        return Batch(rows, none, truth, steps)
    treated, control = sim.arms(family, studies, cell.n_t, cell.n_c, cell.effect, rng)
    return Batch(sim.spread_out(family, treated, cell.spread), control, truth)


def load_results(path: Path = RESULTS) -> pl.DataFrame:
    """The results so far of the cells there are now; which methods are offered is what the app says today, not the file."""
    if not path.exists():
        return pl.DataFrame(schema=SCHEMA)
    stored = pl.read_parquet(path).filter(pl.col("version") == VERSION)
    now = pl.DataFrame([cell.key for cell in cells()], schema={k: SCHEMA[k] for k in KEYS}, orient="row")
    offered = {m.name: m.offered for m in (*METHODS, *ACROSS)}
    stored = stored.filter(pl.col("method").is_in(list(offered)))
    current = [offered[name](n_t, n_c) for name, n_t, n_c in stored.select("method", "n_t", "n_c").iter_rows()]
    return stored.with_columns(pl.Series("offered", current, pl.Boolean)).join(now, on=KEYS, how="semi")


def save_results(results: pl.DataFrame, path: Path = RESULTS) -> None:
    """Write the results, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    results.sort("method", *KEYS).write_parquet(aside)
    aside.replace(path)
