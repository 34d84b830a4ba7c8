"""The rows of a signal that say what all of its rows say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.runs.signals import SignalRows, is_edge

ROWS = st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.0, 1.0])), max_size=60)


@given(ROWS, st.integers(4, 90), st.lists(st.integers(0, 320), min_size=1, max_size=6))
def test_the_edges_of_pieces_say_what_all_rows_say(rows, wide, steps):
    points = sorted(dict(rows).items())
    every, values = np.array([s for s, _ in points], dtype=np.int64), np.array([v for _, v in points], dtype=float)
    edges = is_edge(every, values, wide)
    all_rows = SignalRows("lr", 0.0, every, values, 300, wide)
    few_rows = SignalRows("lr", 0.0, every[edges], values[edges], 300, wide)
    assert (few_rows.above, few_rows.fallen, few_rows.fall) == (all_rows.above, all_rows.fallen, all_rows.fall)
    assert few_rows.check_control(steps) == all_rows.check_control(steps)
    for step in steps:
        assert few_rows.check(step) == all_rows.check(step)
        assert few_rows.check_change(step, "scale 0.1") == all_rows.check_change(step, "scale 0.1")


def test_a_signal_that_stays_is_a_few_rows():
    steps = np.arange(0, 10_000)
    edges = is_edge(steps, np.where(steps < 5000, 3e-4, 0.0), 500.0)
    # Two rows for each of 80 pieces of 125 steps: the detach lies between two of them.
    assert edges.sum() == 160
    assert edges[[0, 124, 125, 4999, 5000, 9999]].all()
    assert not edges[1:124].any()
    assert is_edge(steps[:0], np.empty(0), 500.0).tolist() == []
