"""The command line of the benchmarks that simulate studies cell by cell."""

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import polars as pl

from benchmarks.calibration_docs import write_docs


def run_from_command_line(description: str | None, run: Callable[[int, int, int], None], studies: int) -> None:
    """Run every cell with the studies, the seed and the processes that the command line names, and write the docs anew.

    Parameters
    ----------
    run : takes the studies per cell, the seed, and how many processes run at once.
    studies : per cell, by default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=studies, help="studies per cell (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the studies (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="processes at once (default: %(default)s)")
    options = parser.parse_args()
    run(options.studies, options.seed, options.processes)
    write_docs()


def run_cells(
    run_cell: Callable[..., pl.DataFrame], cells: Iterable[tuple[Any, ...]], studies: int, seed: int, processes: int
) -> pl.DataFrame:
    """The results of every cell, below each other; `run_cell` takes what names the cell, the studies and the seed."""
    with ProcessPoolExecutor(processes) as pool:
        futures = [pool.submit(run_cell, *cell, studies, seed) for cell in cells]
        return pl.concat([future.result() for future in futures])
