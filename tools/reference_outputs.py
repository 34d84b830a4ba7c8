"""Keep a study's tables as reference, and compare later tables with them.

python -m tools.reference_outputs write STUDY FOLDER      # the tables as they are now
python -m tools.reference_outputs compare STUDY FOLDER    # exit 1 where a value differs by more than 1e-12

A table is the same where text is equal and numbers differ by at most 1e-12 of their size.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import polars as pl

from lib.__main__ import main as lib_main

TOLERANCE = 1e-12
TABLES = ("curves", "effects", "effects_detail", "runs")
CURVES = ("aligned", "exact")


def write(study: str, folder: Path) -> None:
    """Write the study's tables as Parquet below the folder, one folder for each arithmetic of the curves."""
    for arithmetic in CURVES:
        status = lib_main(
            ["report", study, "--out", str(folder / arithmetic), "--formats", "parquet", "--curves", arithmetic]
        )
        if status:
            raise SystemExit(status)


def differences(reference: pl.DataFrame, table: pl.DataFrame) -> list[str]:
    """One sentence for each column that is not the same; empty where the tables are."""
    if reference.columns != table.columns:
        return [f"columns are {table.columns}, were {reference.columns}"]
    if reference.height != table.height:
        return [f"{table.height} rows, were {reference.height}"]
    return [
        f"{name}: {unequal} of {table.height} values differ"
        for name in table.columns
        if (unequal := _unequal(reference[name], table[name]))
    ]


def _unequal(before: pl.Series, after: pl.Series) -> int:
    if before.dtype != after.dtype:
        return len(before)
    same = before.eq_missing(after)
    if before.dtype.is_float():
        same |= ((before - after).abs() <= TOLERANCE * before.abs()).fill_null(False)
    return int((~same).sum())


def compare(study: str, folder: Path) -> list[str]:
    """One sentence for each column of a table of the study that is not what the folder holds."""
    with tempfile.TemporaryDirectory() as scratch:
        write(study, Path(scratch))
        return [
            f"{arithmetic}/{name}: {text}"
            for arithmetic in CURVES
            for name in TABLES
            for text in differences(
                pl.read_parquet(folder / arithmetic / f"{name}.parquet"),
                pl.read_parquet(Path(scratch) / arithmetic / f"{name}.parquet"),
            )
        ]


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("write", "compare"))
    parser.add_argument("study")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.command == "write":
        write(options.study, options.folder)
        return 0
    result = compare(options.study, options.folder)
    print("\n".join(result) or "the same")
    return 1 if result else 0


if __name__ == "__main__":
    sys.exit(main())
