"""Which runs count: copies, superseded runs, replicates, and runs that the study leaves out."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lib.curves import View, included_runs
from lib.runs import HISTORY, History, common_end, counted, replicates, uncounted, with_duplicates
from lib.study import Evidence, Source, Study, Task
from tests.support.frames import EVAL, LOSS, treatment

TASK = Task("task", total_steps=100)
KEYS = (EVAL.key, LOSS.key)
STUDY = Study("kit", "Kit", Source("bundle", path="."), (EVAL, LOSS), (TASK,))


def rows(*values, every=10, start=0):
    steps = start + every * np.arange(len(values))
    return steps, np.array(values, dtype=float)


def run(name, values, arm="detached", at=50, seed=None, state="finished", loss=(), **config):
    """A run that logs the values every 10 steps; its seed is in its config where one is given."""
    last = 10 * (max(len(values), len(loss)) - 1)
    treatments = replace(treatment(name, arm, at, seed=seed or name), last_step=last, state=state)
    config = config if seed is None else {"seed": seed, **config}
    return treatments, config, {EVAL.key: rows(*values), LOSS.key: rows(*loss)}


def marked(*runs, study=STUDY):
    configs = {t.run_id: config for t, config, _ in runs}

    def frame(series, key):
        step, value = series
        return pl.DataFrame({"run_id": "", "metric": key, "step": step, "value": value, "time": None}, schema=HISTORY)

    frames = {t.run_id: pl.concat(map(frame, points.values(), points)) for t, _, points in runs}
    return with_duplicates(study, TASK, [t for t, _, _ in runs], configs, History(frames), KEYS)


def reasons(*runs, **options):
    return uncounted(marked(*runs, **options))


RISING = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)


def test_a_run_logged_twice_counts_once():
    assert reasons(run("a", RISING), run("b", RISING)) == {"b": "copy of run a"}
    assert reasons(run("a", RISING), run("b", RISING), run("c", RISING)).keys() == {"b", "c"}


def test_the_longest_copy_counts():
    assert reasons(run("a", RISING[:6]), run("b", RISING), run("c", RISING[:8])).keys() == {"a", "c"}


def test_of_copies_that_end_together_the_one_with_the_most_rows_counts():
    whole, config, points = run("b", RISING)
    steps, values = points[EVAL.key]
    late = {**points, EVAL.key: (steps[5:], values[5:])}
    assert reasons((replace(whole, run_id="a"), config, late), (whole, config, points)) == {"a": "copy of run b"}


def test_a_copy_counts_where_its_original_is_left_out():
    runs = marked(run("a", RISING), run("b", RISING), run("c", RISING))
    assert [t.run_id for t in counted(runs[1:])] == ["b"]
    assert [t.run_id for t in included_runs(runs, View(left_out=("a",)))] == ["b"]


def test_on_the_exact_grid_every_run_stays():
    runs = marked(run("a", RISING), run("b", RISING))
    assert [t.run_id for t in included_runs(runs, View(grid="exact"))] == ["a", "b"]


@pytest.mark.parametrize(
    "other",
    [
        run("b", (*RISING[:10], 11.5)),  # one row differs
        run("b", RISING, arm="control"),  # the other arm
        run("b", RISING, at=60),  # another detach step
    ],
)
def test_what_differs_is_no_copy(other):
    assert reasons(run("a", RISING), other) == {}


def test_few_rows_and_few_values_tell_nothing():
    assert reasons(run("a", RISING), run("b", RISING[:4])) == {}
    assert reasons(run("a", RISING), run("b", RISING[:5])) == {"b": "copy of run a"}
    zeros = (0,) * 10 + (1,)
    assert reasons(run("a", zeros), run("b", zeros)) == {}


def test_every_metric_must_be_the_same():
    zeros = (0,) * 11
    assert reasons(run("a", zeros, loss=RISING), run("b", zeros, loss=RISING)) == {"b": "copy of run a"}
    assert reasons(run("a", RISING, loss=RISING), run("b", RISING, loss=(*RISING[:-1], 0))) == {}


def test_steps_that_one_of_them_skipped_say_nothing():
    a, config, points = run("a", RISING)
    steps, values = points[EVAL.key]
    thin = {**points, EVAL.key: (steps[::2], values[::2])}
    assert reasons((a, config, points), (replace(a, run_id="b"), config, thin)) == {"b": "copy of run a"}


def test_a_trunk_is_a_copy_of_its_forks_and_its_forks_are_none_of_each_other():
    trunk, forks = (
        run("trunk", RISING[:6]),
        [run(f"fork{i}", (*RISING[:6], *(i + v for v in range(5)))) for i in (20, 40)],
    )
    assert reasons(*forks, trunk) == {"trunk": "copy of run fork20"}


def test_not_a_number_is_equal_to_itself():
    broken = (*RISING[:6], float("nan"), float("nan"))
    assert reasons(run("a", broken), run("b", broken)) == {"b": "copy of run a"}


def early(name="old", upto=6, **options):
    return run(name, [v + 0.5 for v in RISING[:upto]], **{"seed": "1", "state": "crashed", "lr": 1} | options)


def test_a_rerun_supersedes_the_run_that_crashed():
    whole = run("new", RISING, seed="1", lr="1e0", exp_name="again")
    assert reasons(early(exp_name="first"), whole) == {"old": "superseded by run new"}
    assert reasons(early(state="finished"), whole) == {"old": "superseded by run new"}


@pytest.mark.parametrize(
    "old",
    [
        early(state="running"),
        early(lr=2),  # other settings
        early(upto=11),  # reached the end
        early(seed=None),  # no seed in its config
        early(seed="2"),
    ],
)
def test_what_no_rerun_supersedes_counts(old):
    assert reasons(old, run("new", RISING, seed="1", lr=1)) == {}


def test_crashed_runs_supersede_none():
    other = run("b", [2 * v for v in RISING[:5]], seed="1", state="crashed", lr=1)
    assert reasons(early("a"), other, run("c", RISING, seed="3")) == {}


def test_runs_of_one_seed_that_differ_are_replicates():
    a, b, c = run("a", RISING, seed="1"), run("b", RISING[::-1], seed="1"), run("c", (*RISING[:-1], 0), seed="2")
    assert [t.run_id for t in replicates(counted(marked(a, b, c)))] == ["a", "b"]
    assert replicates(counted(marked(a, run("b", RISING, seed="1")))) == ()
    unseeded = [(replace(t, seed="1"), {}, points) for t, _, points in (a, b)]
    assert replicates(counted(marked(*unseeded))) == ()


def test_runs_of_unknown_arm_are_no_replicates():
    runs = [
        run(name, values, arm="unknown", at=None, seed="1") for name, values in (("a", RISING), ("b", RISING[::-1]))
    ]
    assert replicates(marked(*runs)) == ()


def test_what_the_study_declares_is_left_out():
    study = replace(STUDY, evidence=Evidence(leave_out=(("a", "the sensor broke"),)))
    runs = (run("a", RISING), run("b", RISING))
    assert reasons(*runs, study=study) == {"a": "left out by declaration: the sensor broke"}
    assert [t.run_id for t in included_runs(marked(*runs, study=study), View(grid="exact"))] == ["b"]


@pytest.mark.parametrize(
    ("ends", "end"),
    [
        ([(60, "crashed"), (98, "finished"), (120, "running")], 98),
        ([(60, "finished"), (120, "finished")], 100),
        ([(60, "crashed"), (80, "running"), (70, "running")], 70),
        ([(60, "crashed"), (80, "failed")], 80),
        ([(60, "")], 60),
        ([], 0),
    ],
)
def test_the_common_end(ends, end):
    assert common_end(ends, 100) == end


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=11), min_size=1, max_size=5),
    st.data(),
)
def test_a_copy_of_any_run_changes_nothing_of_what_counts(histories, data):
    runs = [run(f"r{i}", values) for i, values in enumerate(histories)]
    values = data.draw(st.sampled_from(histories))
    copied = values[: data.draw(st.integers(1, len(values)))]
    assume(len(copied) >= 5 and len(set(copied)) >= 3)
    assert counted(marked(*runs, run("z", copied))) == counted(marked(*runs))
