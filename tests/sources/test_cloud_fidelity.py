"""Every logged point arrives, once: random histories served by the loopback server and compared point by point."""

import itertools
import json
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.cloud_kit import PLACE, bring, study, walk
from tests.support.wandb_server import FakeRun, WandbServer

pytestmark = pytest.mark.server

METRICS = ("loss", "reward", "rare")
NUMBERS = st.floats(width=32) | st.integers(-(2**31), 2**31) | st.booleans()
TEXT = st.sampled_from(["NaN", "Infinity", "-Infinity"])
ODD = st.sampled_from(["text", {"_type": "histogram", "bins": [1, 2]}, [1, 2], None])
GAPS = st.sampled_from([0, 1, 1, 1, 3, 10, 1_000_000])
NAMES = itertools.count()


@st.composite
def histories(draw: st.DrawFn) -> tuple[FakeRun, dict[tuple[str, int], float]]:
    """A run in parts and live rows whose steps never go back, and what must arrive of it, by metric and step."""
    step = draw(st.sampled_from([0, 1, 17, 2_000_000]))
    logged: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 25))):
        step += draw(GAPS)
        row: dict[str, Any] = {"_step": step, "_timestamp": 1e9 + len(logged)}
        for key in draw(st.lists(st.sampled_from((*METRICS, "other")), unique=True)):
            row[key] = draw(NUMBERS | TEXT | ODD)
        logged.append(row)
    cuts = sorted(draw(st.lists(st.integers(0, len(logged)), min_size=2, max_size=2)))
    bits = [logged[: cuts[0]], logged[cuts[0] : cuts[1]], logged[cuts[1] :]]
    run = walk(f"r{next(NAMES)}", [], live=bits.pop(), state=draw(st.sampled_from(["finished", "running", "crashed"])))
    run.parts = [part for bit in bits if (part := exported(bit)) is not None]
    if draw(st.booleans()):
        run.parts.reverse()
    return run, expected(logged)


def exported(rows: list[dict[str, Any]]) -> pl.DataFrame | None:
    """A part as W&B exports it: one type a column; a column that mixes them is text; tables and lists stay out."""
    if not rows:
        return None
    columns = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row.get(key) for row in rows]
        if any(isinstance(value, str) for value in values):
            values = [None if value is None or isinstance(value, dict | list) else as_text(value) for value in values]
        else:
            values = [None if isinstance(value, dict | list) else value for value in values]
            if not all(isinstance(value, bool | None) for value in values):
                whole = all(isinstance(value, int | None) and not isinstance(value, bool) for value in values)
                values = values if whole else [None if value is None else float(value) for value in values]
        columns[key] = values
    return pl.DataFrame(columns, strict=True)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(float(value))


def expected(rows: list[dict[str, Any]]) -> dict[tuple[str, int], float]:
    """The points by metric and step; of a repeated step the latest."""
    by_name = {}
    for row in rows:
        for metric in METRICS:
            value = row.get(metric)
            if isinstance(value, str):
                value = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value)
            if isinstance(value, bool | int | float):
                by_name[metric, row["_step"]] = float(value)
    return by_name


@pytest.fixture(scope="module")
def server():
    with WandbServer() as started:
        yield started


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(cases=st.lists(histories(), min_size=1, max_size=3))
def test_every_point_arrives_once(server, cases):
    server.projects[PLACE] = {}
    server.sweeps[PLACE] = {"s1"}
    server.add(PLACE, *(run for run, _ in cases))
    manifest = bring(study(server, METRICS))
    assert not [problem for problem in manifest.problems if problem.run_id]
    history = manifest.history().lazy().collect()
    assert not history.select("run_id", "metric", "step").is_duplicated().any()
    for run, points in cases:
        rows = history.filter(pl.col("run_id") == run.id).drop_nulls("metric")
        values = {(metric, step): value for _, metric, step, value, _ in rows.iter_rows()}
        assert values.keys() == points.keys()
        assert [place for place in points if not same(values[place], points[place])] == []
        logged = {row["_step"] for part in run.frames() for row in part.iter_rows(named=True)} | {
            r["_step"] for r in run.live
        }
        assert set(history.filter(pl.col("run_id") == run.id)["step"]) == logged


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(case=histories(), at=st.integers(0, 25))
def test_a_run_fetched_in_two_steps_is_the_run_fetched_at_once(server, case, at):
    run, _ = case
    rows = [
        {k: v for k, v in row.items() if v is not None} for part in run.frames() for row in part.iter_rows(named=True)
    ]
    server.projects[PLACE] = {}
    server.sweeps[PLACE] = {"s1"}
    grown = walk(run.id, [], live=(rows + run.live)[:at], state="running")
    server.add(PLACE, grown)
    bring(study(server, METRICS))
    grown.live = rows + run.live
    grown.heartbeat = "later"
    second = bring(study(server, METRICS))
    frame = second.history().lazy().collect()
    anew = bring(study(server, METRICS), refresh=True)
    assert anew.history().lazy().collect().equals(frame)
    assert anew.runs[0].rows == second.runs[0].rows
