"""Which files of a folder are a run: projects, resumed and rewound runs, copies, and what the store keeps of them."""

import shutil
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.proto.wandb_internal_pb2 import Record

from lib.runs import BranchPoint, Problem, read_run, runs_table
from lib.runs import write_run as write_stored_run
from lib.sources import LocalRuns, Progress, Request, fetch, write_bundle
from lib.study import Metric, Source
from lib.workers import WorkerError
from tests.support.offline_kit import EVAL, logged, start, study, values
from tests.support.wandb_files import LINEAGE, exit_message, row_message, write_run

LOSS = Metric("train/consistency_loss", "loss", "decrease", scale="log")


def drops(run):
    return [(drop.metric, drop.reason, drop.count) for drop in run.drops]


# ---- runs of the real client ---------------------------------------------------------------------------------------


def test_one_id_in_two_projects_is_two_runs():
    manifest = fetch(study(LINEAGE, "walker-run", "acrobot-swingup"))
    assert [(run.id, run.tasks) for run in manifest.runs] == [
        ("acrobot/seed1", ("acrobot-swingup",)),
        ("walker/seed1", ("walker-run",)),
    ]
    assert values(manifest, "walker/seed1") == {step: 100.0 + step for step in range(5)}
    assert values(manifest, "acrobot/seed1") == {step: 200.0 + step for step in range(5)}
    assert [run.id for run in fetch(study(LINEAGE / "walker", "walker-run")).runs] == ["seed1"]


def test_a_run_resumed_from_a_checkpoint_leaves_the_rows_that_were_given_up():
    (run,) = fetch(study(LINEAGE / "jobs", metrics=(EVAL, LOSS))).runs
    manifest = fetch(study(LINEAGE / "jobs", metrics=(EVAL, LOSS)))
    assert values(manifest, "job1") == {s: (100.0 if s < 6 else 200.0) + s for s in range(11)}
    reason = "superseded: the run went back to step 6"
    assert drops(run) == [(EVAL.key, reason, 3), (LOSS.key, reason, 3)]
    assert run.config == {"task": "t", "algo": {"ratio": 0.5}, "lr": "5e-4"}
    assert (run.state, run.last_step) == ("finished", 10)


def test_forks_of_forks_begin_with_the_rows_of_runs_of_no_task():
    manifest = fetch(study(LINEAGE / "forks"))
    assert manifest.whole
    assert [(run.id, run.branch_point) for run in manifest.runs] == [
        ("f1", BranchPoint("base", 3)),
        ("f2", BranchPoint("f1", 5)),
    ]
    assert values(manifest, "f1") == {s: (100.0 if s <= 3 else 300.0) + s for s in range(8)}
    assert values(manifest, "f2") == {s: (100.0 if s <= 3 else 300.0 if s <= 5 else 400.0) + s for s in range(8)}
    assert [run.first_step for run in manifest.runs] == [0, 0]


def test_a_rewound_run_keeps_the_rows_up_to_its_branch_point():
    manifest = fetch(study(LINEAGE / "forks", "parents"))
    (run,) = manifest.runs
    assert values(manifest, "base") == {s: (100.0 if s <= 5 else 200.0) + s for s in range(12)}
    assert drops(run) == [(EVAL.key, "superseded: the run went back to step 5", 3)]
    assert run.branch_point is None


def test_a_bundle_carries_who_is_whose_fork(tmp_path):
    forks = study(LINEAGE / "forks")
    manifest = fetch(forks)
    write_bundle(forks, manifest, tmp_path / "forks.zip")
    bundle = fetch(replace(forks, source=Source("bundle", path=str(tmp_path / "forks.zip"))))
    assert [(run.id, run.branch_point) for run in bundle.runs] == [
        ("f1", BranchPoint("base", 3)),
        ("f2", BranchPoint("f1", 5)),
    ]
    assert values(bundle, "f2") == values(manifest, "f2")


# ---- which files are one run ---------------------------------------------------------------------------------------


def ids(folder):
    return [run.id for run in LocalRuns(folder).runs]


def test_an_entity_tells_runs_apart_where_the_project_does_not(tmp_path):
    for number, entity in enumerate(("ann", "bob")):
        write_run(tmp_path / str(number), [start(project="p", entity=entity), *logged([1])])
    assert ids(tmp_path) == ["ann/p/r1", "bob/p/r1"]


def test_a_file_without_an_entity_is_of_the_only_one_there_is(tmp_path):
    """A run begun on a server and continued without one."""
    write_run(tmp_path, [start(seconds=1, project="p", entity="ann"), *logged(range(4))], stamp="20260101_000000")
    write_run(tmp_path, [start(seconds=2, project="p"), *logged(range(4, 6), 10)], stamp="20260102_000000")
    manifest = fetch(study(tmp_path))
    assert values(manifest) == {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 14.0, 5: 15.0}
    write_run(tmp_path / "more", [start(project="p", entity="bob"), *logged([1])])
    assert len(ids(tmp_path)) == 3


def test_without_a_project_the_folder_of_the_job_stands_for_it(tmp_path):
    write_run(tmp_path / "walker" / "wandb", [start(task="w"), *logged([1])])
    write_run(tmp_path / "acrobot" / "wandb", [start(task="a"), *logged([1])])
    assert ids(tmp_path) == ["acrobot/r1", "walker/r1"]
    write_run(tmp_path / "acrobot" / "wandb", [start(task="b"), *logged([2])], stamp="20260102_000000")
    assert ids(tmp_path) == ["acrobot/r1", "walker/r1"]


def test_without_a_project_the_same_config_is_the_same_run(tmp_path):
    write_run(tmp_path / "job2", [start(seconds=2), *logged(range(3, 6), 10)])
    write_run(tmp_path / "job10", [start(seconds=1), *logged(range(5))])
    write_run(tmp_path / "job3", [start(seconds=3, project="p"), *logged(range(5, 7), 20)])
    assert ids(tmp_path) == ["r1"]
    assert values(fetch(study(tmp_path))) == {0: 0.0, 1: 1.0, 2: 2.0, 3: 13.0, 4: 14.0, 5: 25.0, 6: 26.0}


def test_copies_are_one_file(tmp_path):
    whole = [start(seconds=1, project="p"), *logged(range(5)), exit_message()]
    for number, folder in enumerate(("a", "b", "c/wandb")):
        write_run(tmp_path / folder, whole[: 7 - number])
    write_run(tmp_path / "d", [start(seconds=2, project="p"), *logged([7])])
    manifest = fetch(study(tmp_path))
    assert [(run.id, run.drops, run.warnings) for run in manifest.runs] == [("r1", (), ())]
    assert sorted(values(manifest)) == [0, 1, 2, 3, 4, 7]


def test_the_order_is_told_by_start_times_and_never_by_folders(tmp_path):
    write_run(tmp_path / "a", [start(seconds=30, project="p"), *logged([3], 30)], stamp="20260101_000000")
    write_run(tmp_path / "b", [start(seconds=10, project="p"), *logged(range(5), 10)], stamp="20260103_000000")
    write_run(tmp_path / "c", [start(seconds=20, project="p"), *logged([2, 3], 20)], stamp="20260102_000000")
    assert values(fetch(study(tmp_path))) == {0: 10.0, 1: 11.0, 2: 22.0, 3: 33.0}


@pytest.mark.parametrize("record", [{"resume": True}, {"resumed": True}, {"starting_step": 3}, {"branch": ("r1", 2)}])
def test_a_file_that_says_that_it_goes_on_comes_after_the_one_it_goes_on_with(tmp_path, record):
    """The clock of the second machine is an hour behind."""
    write_run(tmp_path, [start(seconds=3600, project="p"), *logged(range(5))], stamp="20260101_000000")
    write_run(tmp_path, [start(project="p", seconds=30, **record), *logged([3, 4], 10)], stamp="20260102_000000")
    assert values(fetch(study(tmp_path))) == {0: 0.0, 1: 1.0, 2: 2.0, 3: 13.0, 4: 14.0}


def test_a_run_that_may_resume_and_is_restarted_without_is_superseded(tmp_path):
    write_run(tmp_path, [start(seconds=1, project="p", resume=True), *logged(range(5))], stamp="20260101_000000")
    write_run(tmp_path, [start(seconds=2, project="p"), *logged(range(2), 10)], stamp="20260102_000000")
    assert values(fetch(study(tmp_path))) == {0: 10.0, 1: 11.0}


def test_a_study_step_goes_back_although_that_of_the_client_does_not(tmp_path):
    first = [row_message({"_step": i, "env": 100 * i, EVAL.key: 1.0}) for i in range(6)]
    second = [row_message({"_step": 6 + i, "env": 300 + 100 * i, EVAL.key: 2.0}) for i in range(2)]
    write_run(tmp_path, [start(seconds=1), *first], stamp="20260101_000000")
    write_run(tmp_path, [start(seconds=2, resumed=True), *second], stamp="20260102_000000")
    manifest = fetch(study(tmp_path, step_key=("env",)))
    assert values(manifest) == {0: 1.0, 100: 1.0, 200: 1.0, 300: 2.0, 400: 2.0}
    assert len(values(fetch(study(tmp_path)))) == 8


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=5), st.randoms(use_true_random=False)
)
def test_any_cutting_into_files_in_any_folders_gives_back_the_run(tmp_path_factory, sessions, random):
    folder = tmp_path_factory.mktemp("cut")
    places = random.sample(range(100), len(sessions))
    run: dict[int, float] = {}
    for number, ((back, count), place) in enumerate(zip(sessions, places, strict=True)):
        begin = max(0, max(run, default=-1) + 1 - back)
        steps = range(begin, begin + count)
        if count:
            run = {step: value for step, value in run.items() if step < begin}
        run |= {step: 100.0 * number + step for step in steps}
        write_run(folder / str(place), [start(seconds=10 + number, project="p"), *logged(steps, 100 * number)])
    assert values(fetch(study(folder))) == run


# ---- the store -----------------------------------------------------------------------------------------------------


def stored_names(manifest):
    return sorted(path.name for path in Path(manifest.folder).glob("*.parquet"))


def test_a_run_whose_id_changes_is_replaced_in_the_store(tmp_path):
    write_run(tmp_path / "a", [start(project="a"), *logged([1])])
    assert stored_names(fetch(study(tmp_path))) == ["r1.parquet"]
    write_run(tmp_path / "b", [start(project="b"), *logged([2])])
    manifest = fetch(study(tmp_path))
    assert [run.id for run in manifest.runs] == ["a/r1", "b/r1"]
    assert stored_names(manifest) == sorted(run.file for run in manifest.runs)
    shutil.rmtree(tmp_path / "b")
    manifest = fetch(study(tmp_path))
    assert (len(stored_names(manifest)), values(manifest)) == (2, {1: 1.0})
    assert manifest.runs[0].file == "r1.parquet"


def test_a_copy_that_comes_later_changes_nothing(tmp_path):
    path = write_run(tmp_path / "a", [start(project="a"), *logged([1])])
    first = fetch(study(tmp_path))
    shutil.copytree(path.parent, tmp_path / "copy" / path.parent.name)
    assert values(fetch(study(tmp_path))) == values(first) == {1: 1.0}


def test_a_history_stored_before_files_were_joined_is_read_again(tmp_path):
    write_run(tmp_path, [start(), *logged([1, 2])])
    manifest = fetch(study(tmp_path))
    stored = read_run(Path(manifest.folder) / "r1.parquet")
    write_stored_run(Path(manifest.folder), replace(stored, stamp="", fetched_at=stored.stamp), [])
    assert values(fetch(study(tmp_path))) == {1: 1.0, 2: 2.0}


def test_numbers_that_were_logged_as_text_are_numbers(tmp_path):
    rows = [row_message({"_step": step, EVAL.key: value}) for step, value in enumerate(["1e3", "-.5", "NaN", "x"])]
    write_run(tmp_path, [start(), *rows])
    (run,) = fetch(study(tmp_path)).runs
    assert [values(fetch(study(tmp_path)))[step] for step in (0, 1)] == [1000.0, -0.5]
    assert (run.rows, drops(run)) == ({EVAL.key: 3}, [(EVAL.key, "not a number", 1)])


# ---- values that no run should have ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[" * 60 + "]" * 60, '{"a":' * 100_000, "9" * 5_000, '"\\ud800"', '{"\\udc00": 1}'])
def test_a_value_that_cannot_be_handled_is_its_own_runs_affair(tmp_path, text):
    row = Record()
    row.history.item.add(key=EVAL.key, value_json=text)
    row.history.item.add(nested_key=["_step"], value_json="2")
    config = Record()
    config.config.update.add(key="odd", value_json=text)
    wild = [start("r2", seconds=2**62), config.SerializeToString(), *logged([1]), row.SerializeToString()]
    write_run(tmp_path, [start("r1"), *logged([1])], "r1")
    write_run(tmp_path, wild, "r2")
    write_run(tmp_path, [start("r" * 5_000), *logged([1])], "r3")
    manifest = fetch(study(tmp_path))
    assert manifest.whole
    assert [run.id for run in manifest.runs] == ["r1", "r2", "r" * 5_000]
    assert values(manifest, "r1") == {1: 1.0}
    assert values(manifest, "r2") == ({1: 1.0, 2: float("inf")} if text.isdigit() else {1: 1.0})
    assert manifest.runs[1].created_at == ""
    assert runs_table(study(tmp_path), manifest)["run_id"].to_list() == [run.id for run in manifest.runs]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_branch_point_that_is_no_step_is_none(tmp_path, value):
    write_run(tmp_path, [start("f", branch=("base", value)), *logged([4])], "f")
    assert [(run.branch_point, run.warnings) for run in fetch(study(tmp_path)).runs] == [(None, ())]


# ---- on all cores ----------------------------------------------------------------------------------------------------

EVERY_TASK = ("walker-run", "acrobot-swingup", "t", "parents")


@pytest.mark.server
def test_processes_read_what_is_read_here(tmp_path, monkeypatch):
    example = study(LINEAGE, *EVERY_TASK)
    here = fetch(example)
    history = here.history().lazy().collect()
    monkeypatch.setattr("lib.sources.offline._PROCESSES_FROM", 0)
    messages: list[Progress] = []
    there = fetch(example, Request(refresh=True, progress=messages.append))
    assert [replace(run, fetched_at="") for run in there.runs] == [replace(run, fetched_at="") for run in here.runs]
    assert there.problems == here.problems
    assert there.history().lazy().collect().equals(history)
    total = messages[-1].total
    assert [progress.done for progress in messages] == list(range(total + 1)) and total > 2
    # A stop ends the processes.
    stopped = fetch(example, Request(refresh=True, progress=messages.append, cancelled=lambda: messages[-1].done == 1))
    assert f"Stopped after 1 of {total} runs." in [problem.message for problem in stopped.problems]


def test_a_run_whose_process_dies_is_named(monkeypatch):
    class Dying(Executor):
        def submit(self, function, /, read):
            future = Future()
            if read.local_run.id == here.runs[0].id:
                future.set_exception(WorkerError("the process that took it died 2 times, signal 9"))
            else:
                future.set_result(function(read))
            return future

    example = study(LINEAGE, *EVERY_TASK)
    here = fetch(example)
    manifest = fetch(example, Request(refresh=True, cluster=Dying()))
    run_id = here.runs[0].id
    message = f"Run {run_id} was not read (the process that took it died 2 times, signal 9)."
    assert Problem(message, run_id=run_id) in manifest.problems
    assert [run.id for run in manifest.runs] == [run.id for run in here.runs[1:]]


def test_a_filter_of_the_server_is_said_not_to_be_applied(tmp_path):
    write_run(tmp_path, [start(), *logged([1])])
    example = study(tmp_path)
    filtered = replace(example, tasks=(replace(example.tasks[0], runs_filter='{"state": "finished"}'),))
    text = "The runs_filter of task 't' is not applied: only a W&B server can."
    assert [problem.message for problem in fetch(filtered).problems] == [text]
