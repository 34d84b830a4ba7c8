"""Which raw rows are a run: files joined in any cutting, rewinds, restarts on a server, forks of forks."""

from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.runs import Drop, RunPart, drop_restarts, join_parts, raw_frame, with_ancestors

COLUMNS = ["_step", "env", "_timestamp", "train/loss", "eval/reward"]
METRICS = ["train/loss", "eval/reward"]


def frame(*rows):
    return raw_frame(rows, COLUMNS)[0]


def train(step, value=None, **more):
    return {"_step": step, "train/loss": float(step if value is None else value), **more}


def evaluation(step, value=None, **more):
    return {"_step": step, "eval/reward": float(step if value is None else value), **more}


def steps(rows, key="_step"):
    return [int(step) for step in rows[key]]


def superseded(count, step, metric="train/loss"):
    what = "steps" if "and" in str(step) else "step"
    return Drop(metric, f"superseded: the run went back to {what} {step}", count)


# ---- files of one run ----------------------------------------------------------------------------------------------


def test_one_file_is_left_as_it_is():
    rows = frame(train(0), train(5), train(3), train(5))
    joined, drops = join_parts([RunPart(rows)], METRICS, ["_step"])
    assert joined.equals(rows) and drops == ()


def test_a_resumed_file_supersedes_from_its_first_step_on():
    first = frame(*(train(step, 1.0) for step in range(0, 801, 100)), evaluation(800, 1.0))
    second = frame(*(train(step, 2.0) for step in range(602, 1000, 100)))
    joined, drops = join_parts([RunPart(first), RunPart(second)], METRICS, ["_step"])
    assert steps(joined) == [0, 100, 200, 300, 400, 500, 600, 602, 702, 802, 902]
    assert joined["train/loss"].to_list() == [1.0] * 7 + [2.0] * 4
    assert drops == (superseded(2, 602), superseded(1, 602, "eval/reward"))


def test_a_restart_supersedes_all_and_a_file_without_rows_nothing():
    first, second = frame(train(0, 1.0), train(10, 1.0)), frame(train(0, 2.0))
    joined, drops = join_parts(
        [RunPart(first), RunPart(frame()), RunPart(second), RunPart(frame())], METRICS, ["_step"]
    )
    assert joined.equals(second)
    assert drops == (superseded(2, 0),)


def test_a_late_row_in_the_later_file_supersedes_no_more_than_its_first():
    second = frame(train(6, 2.0), evaluation(1, 2.0))
    joined, _ = join_parts([RunPart(frame(*map(train, range(10)))), RunPart(second)], METRICS, ["_step"])
    assert steps(joined) == [0, 1, 2, 3, 4, 5, 6, 1]


def test_a_third_file_may_go_back_behind_the_second():
    parts = [frame(*map(train, steps)) for steps in ([0, 1, 2, 3, 4], [3, 4, 5], [1, 2])]
    joined, drops = join_parts([RunPart(part) for part in parts], METRICS, ["_step"])
    assert steps(joined) == [0, 1, 2]
    assert drops == (superseded(7, 1),)


def test_every_step_that_a_run_went_back_to_is_told_up_to_three():
    parts = [RunPart(frame(train(step), train(step + 5))) for step in range(0, 10, 2)]
    joined, drops = join_parts(parts, METRICS, ["_step"])
    assert steps(joined) == [0, 2, 4, 6, 8, 13]
    assert drops == (superseded(4, "2, 4, 6 and 1 more"),)


def test_a_rewound_file_keeps_the_rows_up_to_its_branch_point():
    first = frame(*(train(step, env=10 * step) for step in range(9)))
    second = RunPart(frame(train(7, env=30), train(8, env=40)), rewound_to=5)
    joined, drops = join_parts([RunPart(first), second], METRICS, ["env", "_step"])
    # By `_step` 6 to 8 are beyond the branch point; by `env` 30 to 50 are beyond the file's first, and stay.
    assert steps(joined) == [0, 1, 2, 3, 4, 5, 7, 8]
    assert drops == (superseded(3, 5),)
    assert steps(join_parts([RunPart(first), RunPart(frame(), rewound_to=2)], METRICS, ["env"])[0]) == [0, 1, 2]


def test_a_study_step_goes_back_although_the_step_of_wandb_does_not():
    first = frame(*(train(step, env=100 * step) for step in range(9)))
    second = frame(*(train(step, env=100 * (step - 3)) for step in range(9, 12)))
    joined, drops = join_parts([RunPart(first), RunPart(second)], METRICS, ["env"])
    assert steps(joined, "env") == [0, 100, 200, 300, 400, 500, 600, 700, 800]
    assert steps(joined) == [0, 1, 2, 3, 4, 5, 9, 10, 11]
    assert drops == (superseded(3, 600),)
    assert steps(join_parts([RunPart(first), RunPart(second)], METRICS, ["_step"])[0]) == list(range(12))


def test_each_metric_goes_back_by_its_own_step_key():
    """The loss is at `env`, the evaluation at `_step`: a row that holds both may lose one of them."""
    both = {"train/loss": 1.0, "eval/reward": 1.0}
    first = frame({"_step": 1, "env": 10, **both}, {"_step": 2, "env": 20, **both})
    second = frame({"_step": 3, "env": 20, "train/loss": 2.0})
    joined, drops = join_parts([RunPart(first), RunPart(second)], ["train/loss"], ["env", "_step"])
    assert steps(joined, "env") == [10, 20] and steps(joined) == [1, 3]
    rows = [
        {"_step": 1, "eval/reward": 1.0},
        {"_step": 2, "env": 20, "train/loss": 1.0},
        {"_step": 3, "eval/reward": 3.0},
    ]
    later = [{"_step": 2, "env": 30, "train/loss": 4.0}]
    joined, drops = join_parts([RunPart(frame(*rows)), RunPart(frame(*later))], METRICS, ["env", "_step"])
    assert joined.select(METRICS).rows() == [(None, 1.0), (1.0, None), (4.0, None)]
    assert drops == (superseded(1, 2, "eval/reward"),)


def test_a_row_keeps_the_metric_that_is_not_superseded():
    rows = [{"_step": 1, "eval/reward": 1.0}, {"_step": 5, "env": 10, "train/loss": 1.0, "eval/reward": 5.0}]
    later = [{"_step": 9, "env": 10, "train/loss": 2.0}, {"_step": 10, "eval/reward": 2.0}]
    # No row of the evaluation holds `env` alone, but one does: its key is `env`, the row without it has no step.
    joined, drops = join_parts([RunPart(frame(*rows)), RunPart(frame(*later))], METRICS, ["env"])
    assert drops == (superseded(1, 10), superseded(1, 10, "eval/reward"))
    assert steps(joined) == [1, 9, 10]


def test_rows_without_a_metric_are_superseded_too():
    first = frame({"_step": 0}, train(1), {"_step": 7}, {"_step": 8, "env": 1})
    joined, drops = join_parts([RunPart(first), RunPart(frame(train(5)))], METRICS, ["_step"])
    assert steps(joined) == [0, 1, 5] and drops == ()


def test_steps_that_are_no_numbers_are_left_for_the_history_to_count():
    first = frame(train(0), {"_step": "NaN", "train/loss": 1.0}, {"_step": "Infinity", "train/loss": 1.0})
    second = frame({"_step": "NaN", "train/loss": 1.0})
    assert len(join_parts([RunPart(first), RunPart(second)], METRICS, ["_step"])[0]) == 4


@dataclass(frozen=True)
class Session:
    """One job of a run: how far back it starts, which rows it logs, and whether it rewinds."""

    back: int
    rows: int
    rewind: bool


SESSIONS = st.lists(st.builds(Session, st.integers(0, 12), st.integers(0, 8), st.booleans()), min_size=1, max_size=6)


@given(SESSIONS, st.lists(st.integers(0, 3), min_size=50, max_size=50), st.booleans())
def test_any_cutting_of_a_run_into_files_gives_back_the_run(sessions, kinds, env):
    """The run is made row by row; `env` is the study's step where `_step` goes on after a restart."""
    run: list[dict] = []
    parts: list[RunPart] = []
    logged = 0
    for number, session in enumerate(sessions):
        last = run[-1]["_step"] if run else -1
        start = max(0, last + 1 - session.back)
        rows = []
        for step in range(start, start + session.rows):
            kind = kinds[(step + logged) % len(kinds)]
            row = {"_step": step, "env": step, "_timestamp": 1e3 - logged}
            row |= {"train/loss": 1.0 * logged} if kind else {}
            row |= {"eval/reward": 2.0 * logged} if kind > 1 else {}
            rows.append(row)
            logged += 1
        rewind = session.rewind and not env and number > 0
        if rewind:
            run = [row for row in run if row["_step"] < start]
        elif rows:
            run = [row for row in run if row["env"] < start]
        if env:
            rows = [{**row, "_step": logged + i} for i, row in enumerate(rows)]
        parts.append(RunPart(frame(*rows), start - 1 if rewind else None))
        run += [{**row, "_step": row["env"]} for row in rows]
    key = "env" if env else "_step"
    joined, drops = join_parts(parts, METRICS, [key])
    columns = [key, *METRICS, "_timestamp"]
    assert joined.select(columns).rows() == frame(*run).select(columns).rows()
    lost = {metric: sum(part.rows[metric].count() for part in parts) - joined[metric].count() for metric in METRICS}
    assert {drop.metric: drop.count for drop in drops} == {metric: count for metric, count in lost.items() if count}


# ---- a server without a branch point -------------------------------------------------------------------------------


def test_a_server_run_that_goes_back_loses_the_rows_from_there_on():
    rows = frame(
        *(train(10 * i, 1.0) for i in range(81)),
        evaluation(700, 1.0),
        *(train(602 + 7 * i, 2.0) for i in range(50)),
        evaluation(700, 2.0),
    )
    joined, drops = drop_restarts(rows, METRICS, ["_step"])
    assert steps(joined) == [*range(0, 601, 10), *range(602, 950, 7), 700]
    assert joined["eval/reward"].drop_nulls().to_list() == [2.0]
    assert drops == (superseded(20, 602), superseded(1, 602, "eval/reward"))


def test_a_late_evaluation_is_no_restart():
    rows = frame(*map(train, range(0, 50)), evaluation(10), evaluation(20), evaluation(30), *map(train, range(50, 99)))
    assert drop_restarts(rows, METRICS, ["_step"]) == (rows, ())


@pytest.mark.parametrize("order", [[0, 20, 10, 30, 50, 40, 60], [0, 100, 200, 50, 300, 400], [0, 1, 1, 2, 2], [5], []])
def test_single_rows_out_of_order_are_no_restart(order):
    rows = frame(*map(train, order))
    assert drop_restarts(rows, METRICS, ["_step"])[1] == ()


def test_two_actors_beside_each_other_are_no_restart():
    order = [step + shift for step in range(0, 100_000, 200) for shift in (100, 150, 0, 50)]
    assert drop_restarts(frame(*map(train, order)), METRICS, ["_step"])[1] == ()


def test_metrics_that_begin_anew_one_after_the_other_make_one_restart():
    columns = ["_step", "train/a", "train/b", "eval/c"]
    old = [{"_step": s, key: 1.0} for s in range(0, 100, 10) for key in ("train/a", "train/b")]
    new = [{"_step": s, key: 2.0} for s in range(50, 120, 10) for key in ("eval/c", "train/a", "train/b")]
    joined, drops = drop_restarts(raw_frame([*old, *new], columns)[0], columns[1:], ["_step"])
    assert joined.rows() == raw_frame([*old[:10], *new], columns)[0].rows()
    assert [(drop.metric, drop.count) for drop in drops] == [("train/a", 5), ("train/b", 5)]


def test_a_run_restarted_twice_keeps_the_last():
    joined, drops = drop_restarts(frame(*map(train, [*range(9), *range(4, 7), *range(2, 12)])), METRICS, ["_step"])
    assert steps(joined) == list(range(12))
    assert drops == (superseded(10, 2),)


@given(st.lists(st.tuples(st.integers(6, 30), st.integers(8, 60)), min_size=1, max_size=5))
def test_a_server_run_of_any_restarts_is_what_was_logged_last(sessions):
    run: list[tuple[int, float]] = []
    logged: list[dict] = []
    for number, (back, count) in enumerate(sessions):
        start = max(0, len(run) - back)
        run = run[:start] + [(start + i, number) for i in range(count)]
        logged += [train(start + i, number, env=start + i) for i in range(count)]
    rows = frame(*({**row, "_step": i} for i, row in enumerate(logged)))
    joined, _ = drop_restarts(rows, METRICS, ["env"])
    assert joined.select("env", "train/loss").rows() == run


# ---- forks ---------------------------------------------------------------------------------------------------------


def test_a_fork_begins_with_its_parents_rows():
    parent, own = frame(*(train(s, 1.0, _timestamp=s) for s in range(10))), frame(*(train(s, 2.0) for s in range(6, 9)))
    rows = with_ancestors(own, [(parent, 5)])
    assert steps(rows) == [*range(6), 6, 7, 8]
    assert rows["train/loss"].to_list() == [1.0] * 6 + [2.0] * 3
    assert rows["_timestamp"].to_list() == [*map(float, range(6)), None, None, None]
    assert with_ancestors(own, []).equals(own)


@pytest.mark.parametrize(("first", "second", "expected"), [(3, 6, [0, 0, 0, 0, 1, 1, 1, 2]), (3, 2, [0, 0, 0, 2])])
def test_a_fork_of_a_fork_begins_with_its_grandparents_rows(first, second, expected):
    grandparent = frame(*(train(s, 0) for s in range(10)))
    parent = frame(*(train(s, 1) for s in range(first + 1, 10)))
    own = frame(train(second + 1, 2))
    rows = with_ancestors(own, [(parent, second), (grandparent, first)])
    assert rows["train/loss"].to_list() == expected
    assert steps(rows) == list(range(second + 2))


def test_columns_of_ancestors_may_differ():
    rows = with_ancestors(pl.DataFrame({"_step": [3.0], "b": [1.0]}), [(pl.DataFrame({"_step": [1.0], "a": [2.0]}), 2)])
    assert rows.select("_step", "a", "b").rows() == [(1.0, 2.0, None), (3.0, None, 1.0)]
