"""Cells of a CSV that a spreadsheet would run are guarded; numbers stay numbers."""

import csv
import io

import polars as pl
import pytest

from lib.report import table


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-2+3", "'-2+3"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"), ("-0.5", "-0.5"), ("+1e-3", "+1e-3"), ("detached -1", "detached -1"), ("", ""), (None, ""),
        ("a\n=1", "a\n=1"),
    ],
)  # fmt: skip
def test_a_text_that_a_spreadsheet_would_run_is_guarded(cell, written):
    frame = pl.DataFrame({"arm": [cell], "change": [-0.5]}, schema={"arm": pl.String, "change": pl.Float64})
    header, row = csv.reader(io.StringIO(table(frame, "csv").decode()))
    assert (header, row) == (["arm", "change"], [written, "-0.5"])
    assert pl.read_parquet(table(frame, "parquet")).equals(frame)
