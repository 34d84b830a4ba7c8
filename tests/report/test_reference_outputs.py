"""The demo's tables, and those of real offline runs, hold the values of the reference files to 1e-12."""

from pathlib import Path

import polars as pl
import pytest

from tools.reference_outputs import compare, differences

pytestmark = pytest.mark.slow

REFERENCE = Path(__file__).parents[1] / "data" / "reference"


@pytest.mark.parametrize(("study", "folder"), [("demo", "demo"), (str(REFERENCE / "offline.toml"), "offline")])
def test_tables_hold_the_reference_values(study, folder):
    assert compare(study, REFERENCE / folder) == []


def test_a_difference_is_found():
    frame = pl.DataFrame({"task": ["a", "b"], "mean": [1.0, float("nan")], "n": [1, None]})
    assert differences(frame, frame) == []
    assert differences(frame, frame.with_columns(pl.col("mean") * (1 + 1e-13))) == []
    assert differences(frame, frame.with_columns(pl.col("mean") * (1 + 1e-11))) == ["mean: 1 of 2 values differ"]
    assert differences(frame, frame.with_columns(n=pl.Series([1, 2]))) == ["n: 1 of 2 values differ"]
    assert differences(frame, frame.head(1)) == ["1 rows, were 2"]
    assert differences(frame, frame.rename({"n": "m"}))[0].startswith("columns are")
