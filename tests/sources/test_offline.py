"""Runs in local folders: real `.wandb` files and written ones, resumed, still running, and what the store keeps of them."""

import shutil
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.runs import Problem
from lib.sources import Progress, Request, SourceError, fetch, wandb_folder
from lib.study import DetachRule, Metric, Source, Study, Task
from tests.support.wandb_files import (
    FULL,
    REAL,
    chunk,
    exit_message,
    log_bytes,
    read_rows,
    row_message,
    run_message,
    write_run,
    written,
)

DETACHED = REAL / "offline-run-20261122_062739-inhbgymt" / "run-inhbgymt.wandb"
EVAL = Metric("eval/episode_reward", "reward", "increase")
LOSS = Metric("train/consistency_loss", "loss", "decrease", scale="log")
RULE = DetachRule(ratio_key="detach_encoder_ratio")


def asked(folder, *names, metrics=(EVAL,), **changes) -> Study:
    tasks = tuple(Task(name, 100_000, detach=RULE) for name in names or ("t",))
    return replace(Study("s", "S", Source("offline", path=str(folder)), metrics, tasks), **changes)


def refused(study, request=None) -> str:
    with pytest.raises(SourceError) as caught:
        fetch(study, request)
    return str(caught.value)


def points(manifest, run_id="r1"):
    rows = manifest.history([run for run in manifest.runs if run.id == run_id]).lazy().collect()
    return [(m, s, v) for _, m, s, v, _ in rows.rows()]


# ---- real files ----------------------------------------------------------------------------------------------------


def test_a_real_run_as_it_was_logged():
    log, history = read_rows(DETACHED)
    assert (log.run_id, log.sweep_id, log.state, log.damage) == ("inhbgymt", "acro0001", "finished", "")
    assert log.config == {
        "task": "acrobot-swingup",
        "seed": 1,
        "steps": 100_000,
        "detach_encoder_ratio": 0.5,
        "detach_step": 50_000,
        "latent_dim": 64,
        "hidden_dim": 128,
        "batch_size": 64,
        "horizon": 2,
        "action_repeat": 2,
        "discount": 0.99,
        "agent": "self-predictive TD3",
    }
    assert len(history) == 198
    assert [row["_step"] for row in history][:3] == [0, 1_000, 2_000]
    evaluated = [row["_step"] for row in history if "eval/episode_reward" in row]
    assert evaluated == list(range(0, 100_001, 5_000))


def test_a_study_of_real_runs():
    seen: list[Progress] = []
    study = asked(REAL, "acrobot-swingup", "cartpole-swingup", metrics=(EVAL, LOSS))
    manifest = fetch(study, Request(progress=seen.append))
    assert manifest.whole
    assert manifest.source == {"kind": "offline", "path": "wandb"}
    assert [(r.id, r.state, r.tasks, r.sweep_id, r.first_step, r.last_step) for r in manifest.runs] == [
        ("inhbgymt", "finished", ("acrobot-swingup",), "acro0001", 0, 100_000),
        ("pyj9fsox", "finished", ("acrobot-swingup",), "acro0001", 0, 100_000),
        ("ykcu4nqs", "finished", ("cartpole-swingup",), "cart0001", 0, 100_000),
    ]
    counts = {EVAL.key: 21, LOSS.key: 194}
    assert {r.id: r.rows for r in manifest.runs} == dict.fromkeys(("inhbgymt", "pyj9fsox", "ykcu4nqs"), counts)
    assert [(r.drops, r.warnings) for r in manifest.runs] == [((), ())] * 3
    raw = {row["_step"]: row[EVAL.key] for row in read_rows(DETACHED)[1] if EVAL.key in row}
    by_name = {s: v for m, s, v in points(manifest, "inhbgymt") if m == EVAL.key}
    assert by_name == raw
    steps = {s for _, s, _ in points(manifest, "inhbgymt")}
    assert steps == {row["_step"] for row in read_rows(DETACHED)[1]}
    assert [(p.done, p.total) for p in seen] == [(0, 0), (1, 3), (2, 3), (3, 3)]


def test_the_two_arms_of_a_seed_are_one_run_until_the_detach():
    manifest = fetch(asked(REAL, "acrobot-swingup", metrics=(EVAL,)))
    first, second = (
        {s: v for m, s, v in points(manifest, run) if m and s < 50_000} for run in ("inhbgymt", "pyj9fsox")
    )
    assert first == second
    assert len(first) == 10


@pytest.mark.parametrize("share", [i / 23 for i in range(24)])
def test_a_real_file_cut_anywhere_gives_what_is_whole(tmp_path, share):
    data = DETACHED.read_bytes()
    whole = read_rows(DETACHED)[1]
    cut = int(3_000 + share * (len(data) - 3_001))
    log, history = read_rows(written(tmp_path, data[:cut], DETACHED.name))
    assert history == whole[: len(history)]
    assert len(history) >= int(len(whole) * (cut - 5_000) / len(data)) - 12
    assert log.state == "running"
    assert log.damage.startswith("run-inhbgymt.wandb: The file ends inside a record: its last ")
    assert log.damage.endswith(" bytes were left out.")


@settings(max_examples=40, deadline=None)
@given(st.integers(3_000, 141_000), st.integers(1, 255))
def test_a_flipped_byte_is_reported_and_changes_no_value(tmp_path_factory, place, mask):
    data = bytearray(DETACHED.read_bytes())
    data[place] ^= mask
    log, history = read_rows(written(tmp_path_factory.mktemp("flip"), bytes(data), DETACHED.name))
    whole = iter(read_rows(DETACHED)[1])
    assert all(row in whole for row in history)  # a subsequence: each row is found after the one before
    assert "left out" in log.damage


# ---- folders -------------------------------------------------------------------------------------------------------


def start(run_id="r1", **config):
    return run_message(run_id, {"task": "t", **config})


def logged(step, value, **more):
    return row_message({"_step": step, EVAL.key: value, **more})


def test_a_run_that_goes_on_is_read_as_far_as_it_is(tmp_path):
    path = write_run(tmp_path, [start(), logged(1, 1.0)])
    manifest = fetch(asked(tmp_path))
    assert [(r.state, r.last_step, r.warnings) for r in manifest.runs] == [("running", 1, ())]
    path.write_bytes(log_bytes([start(), logged(1, 1.0), logged(2, 2.0), exit_message(1)]))
    manifest = fetch(asked(tmp_path))
    assert [(r.state, r.last_step) for r in manifest.runs] == [("failed", 2)]
    assert points(manifest) == [(EVAL.key, 1, 1.0), (EVAL.key, 2, 2.0)]


def test_a_resumed_run_is_one_run_of_two_files(tmp_path):
    resumed = [start(lr=2), logged(2, 20.0, _timestamp=5.0), logged(3, 30.0), exit_message()]
    write_run(tmp_path, resumed, stamp="20260102_000000")
    write_run(tmp_path, [start(lr=1), logged(1, 1.0), logged(2, 2.0, _timestamp=4.0)], stamp="20260101_000000")
    (run,) = fetch(asked(tmp_path)).runs
    assert (run.state, run.config["lr"], run.last_step) == ("finished", 2, 3)
    assert points(fetch(asked(tmp_path))) == [(EVAL.key, 1, 1.0), (EVAL.key, 2, 20.0), (EVAL.key, 3, 30.0)]
    assert [(d.reason, d.count) for d in run.drops] == [("superseded: the run went back to step 2", 1)]


def test_an_unreadable_later_file_of_a_run_leaves_the_first(tmp_path):
    write_run(tmp_path, [start(), logged(1, 1.0), exit_message()])
    write_run(tmp_path, [], stamp="20260102_000000").write_bytes(b"")
    manifest = fetch(asked(tmp_path))
    assert manifest.whole
    (run,) = manifest.runs
    assert (run.last_step, run.warnings) == (1, ("run-r1.wandb is not a W&B run log (it is empty).",))


def test_damage_is_a_warning_of_the_run(tmp_path):
    path = write_run(tmp_path, [start(), logged(1, 1.0), logged(2, 2.0)])
    path.write_bytes(path.read_bytes()[:-4])
    manifest = fetch(asked(tmp_path))
    lost = len(chunk(FULL, logged(2, 2.0))) - 4
    assert manifest.whole
    assert manifest.runs[0].warnings == (
        f"run-r1.wandb: The file ends inside a record: its last {lost} bytes were left out.",
    )
    assert points(manifest) == [(EVAL.key, 1, 1.0)]


def test_nested_folders_and_other_files(tmp_path):
    write_run(tmp_path / "a" / "b" / "wandb", [start("r1"), logged(1, 1.0)], "r1")
    write_run(tmp_path / "c", [start("r2"), logged(1, 2.0)], "r2")
    (tmp_path / "notes.txt").write_text("x")
    assert [r.id for r in fetch(asked(tmp_path)).runs] == ["r1", "r2"]


def test_a_file_that_is_no_run_is_a_problem_beside_the_others(tmp_path):
    write_run(tmp_path, [start("r1"), logged(1, 1.0)], "r1")
    write_run(tmp_path, [], "r2").write_bytes(b"hello")
    (tmp_path / "run-r3.wandb").mkdir()
    manifest = fetch(asked(tmp_path))
    assert [r.id for r in manifest.runs] == ["r1"]
    assert manifest.problems == (
        Problem("run-r2.wandb is not a W&B run log (it does not start with ':W&B')."),
        Problem("run-r3.wandb is not a file: name a regular file, not a folder, a pipe or a device."),
    )


def test_which_runs_belong(tmp_path):
    write_run(tmp_path, [run_message("r1", {"task": "t"}, sweep_id="a")], "r1")
    write_run(tmp_path, [run_message("r2", {"task": "t"}, sweep_id="b")], "r2")
    write_run(tmp_path, [run_message("r3", {"task": "u"}, sweep_id="a")], "r3")
    study = asked(tmp_path)
    only = replace(study, tasks=(replace(study.tasks[0], sweep_id=("a",)),))
    assert [r.id for r in fetch(only).runs] == ["r1"]
    both = replace(study, tasks=(*only.tasks, Task("v", 10)))
    manifest = fetch(both)
    assert manifest.problems == (Problem("No run of task 'v': check the task's name and sweep_id.", task="v"),)
    assert [(r.tasks, r.last_step, r.rows) for r in manifest.runs] == [(("t",), None, {})]


def test_other_step_keys_and_seldom_logged_metrics(tmp_path):
    rows = [{"_step": 1, "env": 100, EVAL.key: 1.0}, {"_step": 2, "env": 200}, {"_step": 3, LOSS.key: 0.5}]
    write_run(tmp_path, [start(), *(row_message(row) for row in rows)])
    study = asked(tmp_path, metrics=(EVAL, LOSS), step_key=("env", "_step"))
    assert points(fetch(study)) == [(EVAL.key, 100, 1.0), (LOSS.key, 3, 0.5), (None, 200, None)]


def test_what_cannot_be_given_is_one_sentence(tmp_path):
    missing, empty, foreign, broken = (tmp_path / name for name in ("missing", "empty", "foreign", "broken"))
    empty.mkdir()
    write_run(foreign, [run_message("r1", {"task": "u"})])
    write_run(broken, []).write_bytes(b"")
    expected = "source.path must name"
    assert refused(asked(missing)) == f"{missing} is not a folder: {expected} one that holds wandb run directories."
    assert refused(asked(empty)) == f"{empty} holds no .wandb file: {expected} a folder with wandb run directories."
    assert refused(asked(foreign)) == (
        f"{foreign} gives no run: No run of task 't': check the task's name and sweep_id."
    )
    assert refused(replace(asked(foreign), task_key="env.id")) == (
        f"{foreign} gives no run: No run has 'env.id' in its config: check task_key."
    )
    assert refused(asked(broken)) == f"{broken} gives no run: run-r1.wandb is not a W&B run log (it is empty)."


# ---- the store -----------------------------------------------------------------------------------------------------


def test_a_run_is_read_once_and_again_when_it_changed_or_is_asked_to(tmp_path, monkeypatch):
    path = write_run(tmp_path / "w", [start(), logged(1, 1.0), exit_message()])
    read: list[str] = []
    real = wandb_folder.read_log
    monkeypatch.setattr(wandb_folder, "read_log", lambda file, *rest: read.append(file.name) or real(file, *rest))
    study = asked(tmp_path / "w")
    first = fetch(study)
    assert (len(read), fetch(study).runs == first.runs, len(read)) == (1, True, 1)
    fetch(study, Request(refresh=True))
    assert len(read) == 2
    path.write_bytes(log_bytes([start(), logged(1, 5.0), logged(9, 9.0)]))
    assert (fetch(study).runs[0].last_step, len(read)) == (9, 3)


def test_a_damaged_file_of_the_store_is_made_again(tmp_path):
    write_run(tmp_path, [start(), logged(1, 1.0)])
    manifest = fetch(asked(tmp_path))
    [stored] = Path(manifest.folder).rglob("*.parquet")
    stored.write_bytes(b"PAR1" + struct.pack("<I", 7))
    again = fetch(asked(tmp_path))
    assert (again.whole, points(again)) == (True, [(EVAL.key, 1, 1.0)])


def test_studies_of_one_folder_do_not_disturb_each_other(tmp_path):
    write_run(tmp_path, [start(), row_message({"_step": 1, "env": 10, EVAL.key: 1.0, LOSS.key: 2.0})])
    first = fetch(asked(tmp_path, metrics=(EVAL,)))
    other = fetch(asked(tmp_path, metrics=(LOSS,)))
    third = fetch(asked(tmp_path, metrics=(EVAL,), step_key=("env",)))
    assert (EVAL.key, 1, 1.0) in points(first)
    assert (LOSS.key, 1, 2.0) in points(other)
    assert points(third) == [(EVAL.key, 10, 1.0)]


def test_a_fetch_that_is_stopped_keeps_what_came(tmp_path):
    for name in ("r1", "r2", "r3"):
        write_run(tmp_path, [start(name), logged(1, 1.0)], name)
    done: list[Progress] = []
    manifest = fetch(asked(tmp_path), Request(progress=done.append, cancelled=lambda: len(done) > 2))
    assert [r.id for r in manifest.runs] == ["r1", "r2"]
    assert manifest.problems == (Problem("Stopped after 2 of 3 runs."),)


def test_a_stop_inside_a_run_ends_it(tmp_path):
    write_run(tmp_path, [start(), *(logged(step, 1.0) for step in range(100))])
    calls: list[None] = []
    manifest = fetch(asked(tmp_path), Request(cancelled=lambda: calls.append(None) or len(calls) > 50))
    assert (manifest.runs, manifest.problems[0]) == ((), Problem("Stopped after 0 of 1 run."))
    assert not list(Path(manifest.folder).rglob("*.parquet"))


def test_a_store_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    write_run(tmp_path / "w", [start(), logged(1, 1.0)])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DETACH_STORE", str(tmp_path / "file"))
    message = refused(asked(tmp_path / "w"))
    assert message.startswith(f"{tmp_path / 'w'} gives no run: Run r1: ")
    assert message.endswith("cannot be written: part of that path is a file, not a folder.")


def test_real_files_are_not_touched(tmp_path):
    shutil.copytree(REAL, tmp_path / "wandb")
    before = {f: f.read_bytes() for f in sorted((tmp_path / "wandb").rglob("*"), key=str) if f.is_file()}
    fetch(asked(tmp_path / "wandb", "acrobot-swingup"))
    after = {f: f.read_bytes() for f in sorted((tmp_path / "wandb").rglob("*"), key=str) if f.is_file()}
    assert before == after
