"""Copies that a few rows of each run rule out, or do not, are those that comparing every two runs finds."""

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.runs import HISTORY, History
from lib.runs import copies as module

KEYS = ("x", "y")
VALUES = st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, float("nan"), float("inf")])


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Runs that log parts of a few lines of training, some with a row changed."""
    lines = draw(st.lists(st.lists(VALUES, min_size=12, max_size=12), min_size=1, max_size=3))
    frames = {}
    for number in range(draw(st.integers(2, 6))):
        parts = []
        for key in KEYS:
            values = np.array(draw(st.sampled_from(lines)))
            steps = np.array(sorted(draw(st.sets(st.integers(0, 11)))), dtype=int)
            values = values[steps]
            if len(steps) and draw(st.integers(0, 3)) == 0:
                values[draw(st.integers(0, len(steps) - 1))] = 9.0
            parts.append(
                pl.DataFrame(
                    {"run_id": "", "metric": key, "step": steps, "value": values, "time": None}, schema=HISTORY
                )
            )
        frames[f"r{number}"] = pl.concat(parts)
    return History(frames)


def by_pairs(history: History, run_ids: list[str]) -> dict[str, list[str]]:
    return {
        run: [other for other in run_ids[:place] if module._is_copy(run, other, KEYS, history.series)]
        for place, run in enumerate(run_ids)
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(history=histories(), sample=st.sampled_from([1, 3, 256]), few=st.sampled_from([1, 2, 8]))
def test_copies_are_those_that_every_two_runs_compared_give(history, sample, few, monkeypatch):
    monkeypatch.setattr(module, "_SAMPLE", sample)
    monkeypatch.setattr(module, "_FEW", few)
    run_ids = list(history._runs)
    assert module.copies(history, run_ids, KEYS) == by_pairs(history, run_ids)


def test_runs_that_differ_in_a_row_of_their_samples_are_not_read_again(monkeypatch):
    steps = np.arange(1000)
    frames = {
        run: pl.DataFrame(
            {"run_id": run, "metric": "x", "step": steps, "value": steps * factor, "time": None}, schema=HISTORY
        )
        for run, factor in {"a": 1.0, "b": 2.0, "c": 1.0}.items()
    }
    compared = []
    is_copy = module._is_copy
    monkeypatch.setattr(module, "_is_copy", lambda *of: compared.append(of[:2]) or is_copy(*of))
    assert module.copies(History(frames), ["a", "b", "c"], ["x"]) == {"a": [], "b": [], "c": ["a"]}
    assert compared == [("c", "a")]
