"""A history read from files is the history read from a frame: the same rows, the same bins."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.curves import View
from lib.curves.bins import bins
from lib.curves.notebook_arithmetic import exact_curves
from lib.curves.wall_time import clocks, first_timestamps
from lib.runs import (
    HISTORY,
    History,
    Manifest,
    Run,
    StoreError,
    points_of,
    reader,
    run_file,
    unusable_points,
    write_run,
)
from tests.support.frames import LOSS, REWARD, history, series, study, table, treatment

#: Regular, irregular, with repeats, and wide gaps.
GAPS = st.sampled_from([[1], [4], [0, 1, 7], [1, 100_000], list(range(1, 60))])


def rows(points: list) -> pl.DataFrame:
    return history(points).lazy().collect()


def stored(folder: Path, runs: dict[str, list]) -> Manifest:
    written = [write_run(folder, Run(run, tasks=("task",)), points_of(rows(points))) for run, points in runs.items()]
    return Manifest("kit", {}, "", str(folder), tuple(written))


def binned(logged: History, runs: dict[str, list], smoothing: int) -> pl.DataFrame:
    treatments = [treatment(run) for run in runs]
    return bins(logged, study().tasks[0], (REWARD, LOSS), treatments, View(window=smoothing))


def read(logged: History, run: str = "a") -> dict[str, list[tuple[int, float]]]:
    """Step and value of each metric of a run."""
    keys = (REWARD.key, LOSS.key, "other")
    return {key: list(zip(*(array.tolist() for array in logged.series(run, key)), strict=True)) for key in keys}


@st.composite
def logs(draw: st.DrawFn) -> dict[str, list]:
    runs: dict[str, list] = {}
    for run in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        logged = runs.setdefault(run, [])
        for metric in draw(st.lists(st.sampled_from([REWARD.key, LOSS.key, "other"]), min_size=1, unique=True)):
            gaps = draw(st.lists(st.sampled_from(draw(GAPS)), max_size=80))
            steps = np.cumsum([draw(st.integers(0, 500)), *gaps]).tolist()
            logged += series(run, metric, [(step, 1.0 + step % 7) for step in steps])
        if draw(st.booleans()):
            logged += [(run, None, step, None) for step in (3, 900)]
    return runs


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(runs=logs(), smoothing=st.sampled_from([10, 1000]), size=st.sampled_from([7, 1 << 20]))
def test_files_are_read_as_a_frame_is(runs, smoothing, size, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(run_file, "_ROWS", size)
    files = stored(tmp_path_factory.mktemp("runs"), runs).history()
    frame = history([point for points in runs.values() for point in points])
    for run in runs:
        assert read(files, run) == read(frame, run)
    assert binned(files, runs, smoothing).equals(binned(frame, runs, smoothing))
    assert files.lazy().collect().equals(frame.lazy().collect())


def test_a_series_has_its_times_where_they_are_asked_for():
    frame = pl.DataFrame([("a", "m", 2, 1.0, None), ("a", "m", 1, 2.0, 5.0)], schema=HISTORY, orient="row")
    step, value, time = History.of_frame(frame).series("a", "m", ["step", "value", "time"])
    assert step.tolist() == [1, 2] and value.tolist() == [2.0, 1.0]
    assert time[0] == 5.0 and np.isnan(time[1])


def test_a_metric_or_run_that_logged_nothing_is_empty(tmp_path):
    points = series("a", REWARD.key, [(0, 1.0)])
    for logged in (history(points), stored(tmp_path, {"a": points}).history()):
        for run, metric in (("a", LOSS.key), ("b", REWARD.key)):
            step, value = logged.series(run, metric)
            assert (step.dtype, value.dtype, len(step), len(value)) == (np.int64, np.float64, 0, 0)


def test_a_file_holds_each_metric_in_row_groups_of_its_own(tmp_path):
    logged = [*series("a", REWARD.key, [(0, 1.0), (5, 2.0)]), *series("a", LOSS.key, [(1, 1.0)]), ("a", None, 9, None)]
    manifest = stored(tmp_path, {"a": logged})
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1, 1]
    assert manifest.history().lazy().collect().equals(rows(logged))
    assert pl.read_parquet_schema(tmp_path / "a.parquet") == HISTORY


def test_files_that_say_nothing_of_what_lies_where_are_read_all_the_same(tmp_path):
    logged = series("a", REWARD.key, [(step, float(step)) for step in range(50)])
    runs = {"a": logged, "b": [("b", *point[1:]) for point in logged]}
    manifest = stored(tmp_path, runs)
    before = binned(manifest.history(), runs, 10)
    pq.write_table(table("a", points_of(rows(logged))).to_arrow(), tmp_path / "a.parquet")
    assert binned(manifest.history(), runs, 10).equals(before)


READERS = {
    "series": lambda manifest: manifest.history().series("a", REWARD.key),
    "series of a file without a layout": lambda manifest: manifest.history().series("b", REWARD.key),
    "bins": lambda manifest: binned(manifest.history(), {"a": [], "b": []}, 10),
    "first timestamps": lambda manifest: first_timestamps(manifest.history()),
    "clocks": lambda manifest: clocks(manifest.history(), [treatment("a")], [REWARD]),
    "exact curves": lambda manifest: exact_curves(
        manifest.history(), study().tasks[0], [REWARD], [treatment("a"), treatment("b")], View()
    ),
    "unusable points": lambda manifest: unusable_points(study(), manifest),
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_gone_while_it_is_read_is_one_sentence(tmp_path, name):
    logged = series("a", REWARD.key, [(step, float(step)) for step in range(50)])
    manifest = stored(tmp_path, {"a": logged, "b": [("b", *point[1:]) for point in logged]})
    pq.write_table(table("b", points_of(rows(logged))).to_arrow(), tmp_path / "b.parquet")
    READERS[name](manifest)
    gone = "b" if "without" in name else "a"
    (tmp_path / f"{gone}.parquet").unlink()
    with pytest.raises(StoreError, match=f"^The stored history of run {gone} is gone: fetch the study again.$"):
        READERS[name](manifest)


def test_a_file_that_is_damaged_after_it_was_verified_is_one_sentence(tmp_path):
    manifest = stored(tmp_path, {"a": series("a", REWARD.key, [(0, 1.0)])})
    (tmp_path / "a.parquet").write_bytes(b"PAR1" * 10)
    with pytest.raises(StoreError, match=r"^A stored history cannot be read: fetch the study again.$"):
        manifest.history().series("a", REWARD.key)


def test_a_metric_whose_rows_are_out_of_order_or_apart_is_stored_as_one_series(tmp_path):
    logged = [*series("a", REWARD.key, [(5, 1.0), (3, 2.0)]), *series("a", LOSS.key, [(1, 7.0)])]
    logged += series("a", REWARD.key, [(9, 4.0), (1, 5.0)])
    expected = {REWARD.key: [(1, 5.0), (3, 2.0), (5, 1.0), (9, 4.0)], LOSS.key: [(1, 7.0)], "other": []}
    assert read(stored(tmp_path, {"a": logged}).history()) == read(history(logged)) == expected


@pytest.mark.parametrize("after", [{REWARD.key: 3, LOSS.key: 90}, {REWARD.key: 90, LOSS.key: 3}, {LOSS.key: 40}])
def test_a_file_that_is_replaced_gives_the_rows_of_the_new_one(tmp_path, after):
    def logged(counts: dict[str, int], factor: float) -> list:
        return [p for key, n in counts.items() for p in series("a", key, [(s, s * factor) for s in range(n)])]

    whole = stored(tmp_path, {"a": logged({REWARD.key: 50, LOSS.key: 40}, 1.0)}).history()
    assert {key: len(points) for key, points in read(whole).items()} == {REWARD.key: 50, LOSS.key: 40, "other": 0}
    stored(tmp_path, {"a": logged(after, 2.0)})
    again = read(whole)
    for key in (REWARD.key, LOSS.key):
        assert again[key] == [(step, step * 2.0) for step in range(after.get(key, 0))]


@pytest.mark.parametrize(
    "layout",
    [
        {"metrics": [REWARD.key]},
        {"metrics": [REWARD.key, LOSS.key, LOSS.key]},
        {"metrics": "no"},
        {"metrics": 2},
        {},
        [],
        "{",
    ],
)
def test_a_layout_that_does_not_fit_the_file_is_not_believed(tmp_path, layout):
    logged = [*series("a", REWARD.key, [(0, 1.0), (5, 2.0)]), *series("a", LOSS.key, [(1, 3.0), (2, 4.0), (4, 5.0)])]
    manifest = stored(tmp_path, {"a": logged})
    before = read(manifest.history())
    file = pq.ParquetFile(tmp_path / "a.parquet")
    groups = [file.read_row_group(group) for group in range(file.num_row_groups)]
    with pq.ParquetWriter(tmp_path / "a.parquet", file.schema_arrow) as writer:
        for group in groups:
            writer.write_table(group)
        writer.add_key_value_metadata({reader.LAYOUT: layout if isinstance(layout, str) else json.dumps(layout)})
    assert read(manifest.history()) == before == read(history(logged))
