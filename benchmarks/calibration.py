"""How often each method finds an effect where there is none, covers the true one, and finds it.

    python -m benchmarks.calibration                    runs what is not done yet, then writes the tables and the figure
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
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.batches import Array, Outcome
from benchmarks.calibration_cells import (
    KEYS,
    RESULTS,
    SCHEMA,
    TAILS,
    VERSION,
    Cell,
    cells,
    draw,
    load_results,
    save_results,
)
from benchmarks.calibration_docs import write_docs
from benchmarks.methods import Method
from lib.effects.compare.estimators import ALPHA

STUDIES = 4_000


def run_cell(cell: Cell, studies: int) -> list[dict[str, object]]:
    """Every method of the cell's design on `studies` studies, in batches that fit in memory; one row per method."""
    tallies: dict[str, list[Array]] = {m.name: [] for m in cell.methods}
    size = max(50, 12_000 // (cell.n_t + cell.n_c))
    for start in range(0, studies, size):
        rng = np.random.default_rng([zlib.crc32(repr(cell.key).encode()), start])
        outcomes = _outcomes(cell, min(size, studies - start), rng)
        for method, (outcome, truth) in zip(cell.methods, outcomes, strict=True):
            tallies[method.name].append(_tally(outcome, truth))
    return [_row(cell, m, np.concatenate(tallies[m.name]), studies) for m in cell.methods]


def _outcomes(cell: Cell, studies: int, rng: np.random.Generator) -> Iterator[tuple[Outcome, object]]:
    batches = [draw(cell, family, studies, rng) for family in cell.tasks]
    if "tasks" in cell.design:
        return (m.run(batches) for m in cell.methods)
    return ((m.run(batches[0]), batches[0].truth) for m in cell.methods)


def _tally(outcome: Outcome, truth: object) -> Array:
    """Per study: found, found in the right direction, covered, found in each tail; NaN where there is no such thing."""
    excludes = (outcome.low > 0) | (outcome.high < 0)
    has_p = ~np.isnan(outcome.p)
    result = np.where(has_p, outcome.p < ALPHA, excludes)
    covered = (outcome.low <= truth) & (truth <= outcome.high)
    tails = [np.where(has_p, outcome.p < tail, np.nan) for tail in TAILS.values()]
    return np.stack(
        [result, result & (outcome.value > 0), np.where(np.isnan(outcome.low), np.nan, covered), *tails], axis=1
    )


def _row(cell: Cell, method: Method, tally: Array, studies: int) -> dict[str, object]:
    result, right, covered, *tails = (None if np.isnan(share) else float(share) for share in tally.mean(axis=0))
    no_target = cell.effect.gradual and ("jump" in cell.design or cell.design == "onset")
    return {
        "version": VERSION,
        "method": method.name,
        "offered": method.offered(cell.n_t, cell.n_c),
        **dict(zip(KEYS, cell.key, strict=True)),
        "studies": studies,
        "found": result,
        "found_right": right,
        "covered": None if no_target else covered,
        **dict(zip(TAILS, tails, strict=True)),
    }


def run(studies: int, path: Path = RESULTS, processes: int = 1) -> pl.DataFrame:
    """Run the cells that are not done with so many studies, saving every few seconds."""
    results = load_results(path)
    done = {tuple(key): most for *key, most in results.select(*KEYS, "studies").iter_rows()}
    todo = [cell for cell in cells() if done.get(cell.key, 0) < int(cell.share * studies)]
    begun = saved = time.monotonic()
    with ProcessPoolExecutor(processes) as pool:
        rows = pool.map(run_cell, todo, [int(cell.share * studies) for cell in todo])
        for i, (cell, fresh) in enumerate(zip(todo, rows, strict=True), 1):
            frame = pl.DataFrame(fresh, schema=SCHEMA)
            results = pl.concat([results.join(frame.select(KEYS).unique(), on=KEYS, how="anti"), frame])
            if time.monotonic() - saved > 5:
                save_results(results, path)
                saved = time.monotonic()
            _progress(i, len(todo), time.monotonic() - begun, cell.name)
    save_results(results, path)
    print(file=sys.stderr)
    return results


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
    parser.add_argument("--processes", type=int, default=2, help="processes at once (default: %(default)s)")
    options = parser.parse_args()
    if options.again:
        RESULTS.unlink(missing_ok=True)
    run(options.studies, processes=options.processes)
    write_docs()


if __name__ == "__main__":
    main()
