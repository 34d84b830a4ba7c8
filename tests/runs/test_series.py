"""A history read file by file is the history read as a table: the same parts, the same widths, the same bins."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.curves import View
from lib.curves.bins import bin_widths, bins
from lib.runs import HISTORY, Manifest, Run, metric_widths, ordered, run_file, schema, write_run
from lib.runs.model import files_of
from lib.runs.schema import table
from tests.support.frames import LOSS, REWARD, history, series, study, treatment

#: Regular, irregular, with repeats, gaps too wide to be told in few words, and more kinds of gaps than a few.
GAPS = st.sampled_from([[1], [4], [0, 1, 7], [1, 100_000], list(range(1, 60))])


def stored(folder: Path, runs: dict[str, list]) -> Manifest:
    written = [write_run(folder, Run(run, tasks=("task",)), history(logged).collect()) for run, logged in runs.items()]
    return Manifest("kit", {}, "", str(folder), tuple(written))


def drawn(logged: pl.LazyFrame, runs: dict[str, list], smoothing: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    task, treated, metrics = study().tasks[0], [treatment(run) for run in runs], (REWARD, LOSS)
    found = bins(logged, task, metrics, treated, View(window=smoothing)).collect()
    return found, bin_widths(logged, task, metrics).collect().sort("metric")


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


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(runs=logs(), smoothing=st.sampled_from([10, 1000]), size=st.sampled_from([7, 1 << 20]))
def test_files_are_read_as_a_table_is(runs, smoothing, size, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(run_file, "_ROWS", size)
    monkeypatch.setattr(schema, "_FEW", 5)
    manifest = stored(tmp_path_factory.mktemp("runs"), runs)
    whole = manifest.history()
    assert len(files_of(whole)) == len(runs)
    there = sorted((p.run_id, str(p.metric), p.rows) for p in ordered(whole, 1.0).parts)
    again = sorted((p.run_id, str(p.metric), p.rows) for p in ordered(whole.collect().lazy(), 1.0).parts)
    assert there == again
    for mine, other in zip(drawn(whole, runs, smoothing), drawn(whole.collect().lazy(), runs, smoothing), strict=True):
        assert mine.equals(other)


def test_a_file_holds_each_metric_in_row_groups_of_its_own(tmp_path):
    logged = [*series("a", REWARD.key, [(0, 1.0), (5, 2.0)]), *series("a", LOSS.key, [(1, 1.0)]), ("a", None, 9, None)]
    manifest = stored(tmp_path, {"a": logged})
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1, 1]
    assert manifest.history().collect().equals(history(logged).collect())
    assert pl.read_parquet_schema(tmp_path / "a.parquet") == HISTORY


def test_files_that_say_nothing_of_what_lies_where_are_read_all_the_same(tmp_path):
    logged = series("a", REWARD.key, [(step, float(step)) for step in range(50)])
    manifest = stored(tmp_path, {"a": logged, "b": [("b", *point[1:]) for point in logged]})
    before = drawn(manifest.history(), {"a": logged, "b": logged}, 10)
    pq.write_table(table("a", schema.points_of(history(logged).collect())).to_arrow(), tmp_path / "a.parquet")
    for mine, other in zip(drawn(manifest.history(), {"a": logged, "b": logged}, 10), before, strict=True):
        assert mine.equals(other)


def test_a_file_whose_steps_go_back_is_sorted(tmp_path):
    logged = series("a", REWARD.key, [(5, 1.0), (3, 2.0), (9, 4.0)])
    manifest = stored(tmp_path, {"a": logged})
    found, _ = drawn(manifest.history(), {"a": logged}, 10)
    assert found["x_weight"].sum() == 3
    assert found.equals(drawn(history(sorted(logged, key=lambda p: p[2])), {"a": logged}, 10)[0])


def test_a_history_that_was_filtered_is_not_read_from_its_files(tmp_path):
    manifest = stored(tmp_path, {"a": series("a", REWARD.key, [(0, 1.0), (5, 2.0)])})
    kept = manifest.history().filter(pl.col("step") > 0)
    assert files_of(kept) == ()
    assert [part.rows for part in ordered(kept, 1.0).parts] == [1]


def read(held) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """The rows of every part."""
    pairs = held.each(
        held.parts, ["step", "value"], lambda _, step, value: list(zip(step.tolist(), value.tolist(), strict=True))
    )
    return {(p.run_id, p.metric): rows for p, rows in zip(held.parts, pairs, strict=True)}


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("after", [{REWARD.key: 3, LOSS.key: 90}, {REWARD.key: 90, LOSS.key: 3}, {LOSS.key: 40}])
def test_a_file_that_is_replaced_while_it_is_read_gives_the_rows_of_one_of_the_two(tmp_path, filtered, after):
    def logged(counts: dict[str, int], factor: float) -> list:
        return [p for key, n in counts.items() for p in series("a", key, [(s, s * factor) for s in range(n)])]

    other = {"b": series("b", REWARD.key, [(step, 7.0) for step in range(5)])}
    manifest = stored(tmp_path, {"a": logged({REWARD.key: 50, LOSS.key: 40}, 1.0), **other})
    whole = manifest.history()
    held = ordered(whole.filter(pl.col("value").is_not_null()) if filtered else whole, 1.0)
    first = read(held)
    stored(tmp_path, {"a": logged(after, 2.0)})
    second = read(held)
    assert second["b", REWARD.key] == first["b", REWARD.key] == [(step, 7.0) for step in range(5)]
    for key in (REWARD.key, LOSS.key):
        assert second["a", key] == [(step, step * 2.0) for step in range(after.get(key, 0))]


@pytest.mark.parametrize(
    "layout",
    [
        {"run_id": "a", "metrics": [REWARD.key], "spacings": [None]},
        {"run_id": "a", "metrics": [REWARD.key, LOSS.key, LOSS.key], "spacings": [None] * 3},
        {"run_id": "a", "metrics": [REWARD.key, LOSS.key], "spacings": [None]},
        {"run_id": "a", "metrics": [REWARD.key, LOSS.key], "spacings": [None, [[1, 2], [1]]]},
        {"run_id": "a", "metrics": [REWARD.key, LOSS.key], "spacings": [None, [["x"], [1]]]},
        {"run_id": "a", "metrics": [REWARD.key, LOSS.key], "spacings": [None, [[1], [-1]]]},
        {"run_id": "a", "metrics": [REWARD.key, ["x"]], "spacings": [None, None]},
        {"run_id": "a", "metrics": [REWARD.key, LOSS.key], "spacings": "no"},
        {"run_id": "a", "metrics": [REWARD.key, LOSS.key], "spacings": [None, [[], []]]},
        {"run_id": "a", "metrics": [REWARD.key, LOSS.key], "spacings": [None, [[9], [7]]]},
        {"run_id": 7, "metrics": [REWARD.key, LOSS.key], "spacings": [None, None]},
        {"metrics": [REWARD.key, LOSS.key], "spacings": [None, None]},
        [],
        "{",
    ],
)
def test_a_layout_that_is_not_sound_is_not_believed(tmp_path, layout):
    logged = [*series("a", REWARD.key, [(0, 1.0), (5, 2.0)]), *series("a", LOSS.key, [(1, 3.0), (2, 4.0), (4, 5.0)])]
    manifest = stored(tmp_path, {"a": logged})
    held = ordered(manifest.history(), 1.0)
    before = read(held), metric_widths(held.parts, 1.0)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    groups = [file.read_row_group(group) for group in range(file.num_row_groups)]
    with pq.ParquetWriter(tmp_path / "a.parquet", file.schema_arrow) as writer:
        for group in groups:
            writer.write_table(group)
        writer.add_key_value_metadata({schema.LAYOUT: layout if isinstance(layout, str) else json.dumps(layout)})
    held = ordered(manifest.history(), 1.0)
    assert (read(held), metric_widths(held.parts, 1.0)) == before


@pytest.mark.parametrize(
    ("steps", "found"),
    [([0, 4, 8, 9], ([1, 4], [1, 2])), ([0], None), ([3, 2], None), ([0, 1 << 16], None), ([5, 5], ([0], [1]))],
)
def test_spacings_in_few_words(steps, found):
    assert schema.spacings(np.array(steps, dtype=np.int64)) == found
