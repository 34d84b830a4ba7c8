"""From raw rows to the one table: what is kept, what is dropped, and that it is counted."""

import json
import math
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.runs import (
    HISTORY,
    Drop,
    Manifest,
    Problem,
    Run,
    describe,
    manifest_from,
    normalise,
    numeric,
    raw_frame,
)
from lib.runs.model import run_from
from lib.study import as_number
from tests.support.frames import table

NAN, INF = math.nan, math.inf


def read(rows, metrics=("m",), step_keys=("_step",)):
    """History rows as (metric, step, value, time), and what was dropped as {(metric, reason): count}."""
    raw, bad = raw_frame(rows, [*step_keys, "_timestamp", *metrics])
    points, drops = normalise(raw, metrics, step_keys, bad)
    history = table("r", points)
    assert history.schema == HISTORY
    assert history["run_id"].unique().to_list() in ([], ["r"])
    return history.drop("run_id").rows(), {(d.metric, d.reason): d.count for d in drops}


def test_plain_rows_come_through():
    rows = [{"_step": 0, "m": 1.5, "_timestamp": 9.0}, {"_step": 10, "m": 2, "n": 7.0}]
    assert read(rows, ("m", "n")) == ([("m", 0, 1.5, 9.0), ("m", 10, 2.0, None), ("n", 10, 7.0, None)], {})


def test_numbers_that_arrive_as_text_are_numbers_and_other_values_are_counted():
    values = ["NaN", "Infinity", "-Infinity", True, 3, "x", {"_type": "histogram"}, [1], "1.5", None]
    history, dropped = read([{"_step": step, "m": value} for step, value in enumerate(values)])
    points = [(step, value) for metric, step, value, _ in history if metric]
    assert math.isnan(points[0][1])
    assert points[1:] == [(1, INF), (2, -INF), (3, 1.0), (4, 3.0), (8, 1.5)]
    assert [step for metric, step, _, _ in history if metric is None] == [5, 6, 7, 9]
    assert dropped == {("m", "not a number"): 3}


@pytest.mark.parametrize(
    ("value", "number"),
    [(10**400, INF), (-(10**400), -INF), (2**53, 2.0**53), (False, 0.0), ("nan", None), (None, None), ({}, None)],
)
def test_one_value(value, number):
    assert as_number(value) == number


def test_a_column_of_any_type_becomes_numbers():
    frame = pl.DataFrame(
        {
            "int": [1, None],
            "bool": [True, False],
            "text": ["NaN", "x"],
            "struct": [{"a": 1}, None],
            "list": [[1], None],
            "null": pl.Series([None, None], dtype=pl.Null),
        }
    )
    numbers, bad = numeric(frame)
    assert numbers.schema == dict.fromkeys(frame.columns, pl.Float64)
    assert bad == {"text": 1, "struct": 1, "list": 1}
    assert numbers.drop("text").rows() == [(1.0, 1.0, None, None, None), (None, 0.0, None, None, None)]
    assert math.isnan(numbers["text"][0])
    assert numbers["text"][1] is None


def test_of_a_repeated_step_the_row_logged_last_is_kept_whatever_the_clocks_say():
    rows = [
        {"_step": 5, "m": 1.0},
        {"_step": 5, "m": 2.0, "_timestamp": 30.0},
        {"_step": 5, "m": 3.0, "_timestamp": 20.0},
        {"_step": 6, "m": 4.0, "_timestamp": 1.0},
    ]
    assert read(rows) == ([("m", 5, 3.0, 20.0), ("m", 6, 4.0, 1.0)], {("m", "repeated step"): 2})


def test_repeats_are_told_apart_by_metric():
    rows = [
        {"_step": 5, "m": 1.0, "_timestamp": 2.0},
        {"_step": 5, "n": 8.0, "_timestamp": 1.0},
        {"_step": 5, "m": 3.0, "_timestamp": 1.0},
    ]
    assert read(rows, ("m", "n")) == ([("m", 5, 3.0, 1.0), ("n", 5, 8.0, 1.0)], {("m", "repeated step"): 1})


def test_rows_out_of_order_come_sorted():
    assert read([{"_step": s, "m": float(s)} for s in (30, 10, 20)])[0] == [
        ("m", 10, 10.0, None),
        ("m", 20, 20.0, None),
        ("m", 30, 30.0, None),
    ]


@pytest.mark.filterwarnings("error")
def test_steps_without_end_between_others_are_counted():
    history, dropped = read([{"_step": step, "m": 1.0} for step in (1, "Infinity", "Infinity", 2)])
    assert history == [("m", 1, 1.0, None), ("m", 2, 1.0, None)]
    assert dropped == {("m", "step is not a whole number"): 2}


def test_steps_that_are_not_whole_or_not_there_are_counted():
    steps = [1, 1.5, "NaN", "Infinity", None, "x", 2.0, 2**60]
    history, dropped = read([{"_step": step, "m": 1.0} for step in steps])
    assert history == [("m", 1, 1.0, None), ("m", 2, 1.0, None)]
    assert dropped == {("m", "step is not a whole number"): 4, ("m", "no step (_step)"): 2}


def test_a_run_without_the_step_key_has_no_history_and_says_so():
    rows = [{"_step": 1, "m": 1.0}, {"_step": 2, "m": 2.0}]
    assert read(rows, step_keys=("env_step",)) == ([], {("m", "no step (env_step)"): 2})


def test_step_keys_are_tried_in_order_for_each_metric():
    rows = [
        {"_step": 1, "env": 100, "train": 1.0},
        {"_step": 2, "eval": 5.0},
        {"_step": 3, "train": 2.0},
        {"_step": 4, "env": 400},
    ]
    assert read(rows, ("train", "eval"), ("env", "_step")) == (
        [("train", 100, 1.0, None), ("eval", 2, 5.0, None), (None, 400, None, None)],
        {("train", "no step (env, _step)"): 1},
    )


def test_every_logged_step_is_kept_also_of_rows_without_a_metric():
    rows = [{"_step": 1, "other": 1.0}, {"_step": 2, "m": 2.0}, {"_step": 1}, {"_step": 0}, {"_step": 2.5}, {"x": 1}]
    assert read(rows) == ([("m", 2, 2.0, None), (None, 0, None, None), (None, 1, None, None)], {})
    assert read([{"_step": 7}]) == ([(None, 7, None, None)], {})
    assert read([]) == ([], {})


def test_a_metric_without_a_column_gives_nothing():
    assert table("r", normalise(pl.DataFrame({"_step": [1.0]}), ["m"])[0]).rows() == [("r", None, 1, None, None)]
    points, drops = normalise(pl.DataFrame(), ["m"])
    assert (points, drops) == ([], ())


values = st.floats(allow_nan=True, allow_infinity=True)
rows_of_a_run = st.lists(
    st.fixed_dictionaries(
        {"_step": st.integers(0, 12)},
        optional={"a": values, "b": st.one_of(values, st.none(), st.text(max_size=3)), "_timestamp": st.floats(0, 3)},
    ),
    max_size=25,
)


@given(rows_of_a_run)
def test_every_metric_and_step_survives_once_with_the_value_logged_last(rows):
    expected, repeats, steps = {}, {}, set()
    for row in rows:
        if all(as_number(row.get(m)) is None for m in "ab"):
            steps.add(row["_step"])
        for metric in "ab":
            value = as_number(row.get(metric))
            if value is None:
                continue
            place = (metric, row["_step"])
            if place in expected:
                repeats[metric] = repeats.get(metric, 0) + 1
            expected[place] = value
    history, dropped = read(rows, ("a", "b"))
    by_name = {(metric, step): value for metric, step, value, _ in history if metric}
    assert len(by_name) == len([row for row in history if row[0]])
    assert by_name.keys() == expected.keys()
    assert all(value == by_name[p] or (value != value and by_name[p] != by_name[p]) for p, value in expected.items())
    assert [step for metric, step, _, _ in history if metric is None] == sorted(steps)
    assert {m: n for (m, reason), n in dropped.items() if reason == "repeated step"} == repeats


def test_a_run_is_described_by_its_history():
    raw, bad = raw_frame([{"_step": 3, "m": 1.0}, {"_step": 9}, {"_step": 5, "m": "x"}], ["_step", "m"])
    points, drops = normalise(raw, ("m",), ("_step",), bad)
    assert describe(Run("r"), points, drops, ["m"], ["_step"]) == Run(
        "r",
        first_step=3,
        last_step=9,
        rows={"m": 1},
        drops=(Drop("m", "not a number", 1),),
        fetched=("m",),
        step_key=("_step",),
    )
    empty = describe(Run("r"), [], (), ["m"], ["_step"])
    assert (empty.first_step, empty.last_step, empty.rows) == (None, None, {})


def test_a_manifest_comes_back_from_its_json(tmp_path):
    run = Run("r", config={"a": [1, None]}, tasks=("t",), rows={"m": 2}, keys=("m",), drops=(Drop("m", "why", 1),))
    manifest = Manifest("s", {"kind": "offline"}, "2026", str(tmp_path), (run,), (Problem("p", run_id="r"),))
    text = manifest.to_json()
    assert str(tmp_path) not in text
    assert manifest_from(text, tmp_path) == manifest
    assert run_from(json.loads(text)["runs"][0]) == run
    assert (manifest.whole, replace(manifest, problems=()).whole) == (False, True)
    assert manifest.of_task("t") == (run,)
    assert manifest.of_task("u") == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"study": 1}', "null", '{"study": "s", "source": {}, "runs": 5}'])
def test_what_is_no_manifest_is_a_value_error(text, tmp_path):
    with pytest.raises(ValueError):
        manifest_from(text, tmp_path)


def test_histories_are_read_from_folders_of_any_name(tmp_path):
    folder = tmp_path / "a [1] * {b}?"
    folder.mkdir()
    frames = {"x": pl.DataFrame({"s": [1]}), "y": pl.DataFrame({"s": [2]})}
    for name, frame in frames.items():
        frame.select(
            pl.lit(name).alias("run_id"), pl.lit("m").alias("metric"), pl.col("s").alias("step"), value=1.0, time=2.0
        ).write_parquet(folder / f"{name}.parquet")
    runs = (Run("x", file="x.parquet"), Run("y", file="y.parquet"), Run("z"))
    manifest = Manifest("s", {}, "", str(folder), runs)
    assert manifest.history().lazy().collect().rows() == [("x", "m", 1, 1.0, 2.0), ("y", "m", 2, 1.0, 2.0)]
    assert manifest.history(runs[1:2]).lazy().collect()["run_id"].to_list() == ["y"]
    assert manifest.history([runs[2]]).lazy().collect().schema == HISTORY
