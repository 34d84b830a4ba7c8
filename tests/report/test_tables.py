"""Tables as people read them, and as files: no cell of a CSV is run by a spreadsheet; numbers stay numbers."""

import csv
import io

import polars as pl
import pytest

from lib.report import row_titles, table, with_names
from lib.study import Metric, Source, Study


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


def test_the_gap_of_two_losses_goes_by_the_names_of_both():
    labels = {"val/x": "Val x", "train/x": "Train x"}
    metrics = tuple(Metric(key=key, label=label, family="loss", expect="decrease") for key, label in labels.items())
    study = Study("s", "s", Source(kind="bundle", path="b.zip"), metrics, ())
    frame = pl.DataFrame({"metric": ["val/x : train/x", "val/x", "speed"]})
    assert with_names(frame, study)["metric"].to_list() == ["Val x over Train x", "Val x", "speed"]


def test_the_columns_of_rows_go_by_the_names_of_metrics_which_are_told_apart():
    labels = {"eval/r": "Eval Reward", "a/x": "Loss", "b/x": "Loss"}
    metrics = tuple(Metric(key=key, label=label, family="reward", expect="increase") for key, label in labels.items())
    assert row_titles(Study("s", "s", Source(kind="bundle", path="b.zip"), metrics, ())) == {
        "rows:eval/r": "rows: Eval Reward",
        "rows:a/x": "rows: a/x",
        "rows:b/x": "rows: b/x",
    }
