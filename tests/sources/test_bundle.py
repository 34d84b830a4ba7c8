"""Bundles: out and in again, byte for byte, and the demo."""

from dataclasses import replace
from pathlib import Path

import pytest

from lib.runs import Problem, Run, StoreError
from lib.sources import SourceError, bundled_study, fetch, write_bundle
from lib.study import Source, load_study, with_source
from tests.support.bundle_files import EXAMPLE, bundled, files_of, opened, two_runs

DEMO = Path(__file__).parents[2] / "data" / "demo"


# ---- out and in again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.zip", "out.ZIP", "out"])
def test_a_bundle_comes_back_as_it_was(tmp_path, name):
    runs = two_runs(tmp_path / "runs")
    out = bundled(tmp_path, name, runs)
    assert out.is_dir() == (name == "out")
    again = opened(out)
    assert again.whole
    assert [replace(r, file="") for r in again.runs] == [replace(r, file="") for r in runs.runs]
    assert (again.study, again.source, again.fetched_at) == ("kit", {"kind": "offline"}, "2026-01-01T00:00:00+00:00")
    assert again.history().lazy().collect().equals(runs.history().lazy().collect(), null_equal=True)


def test_the_study_travels_with_its_runs(tmp_path):
    out = bundled(tmp_path)
    carried = bundled_study(out)
    assert carried == with_source(EXAMPLE, Source("bundle", path=str(out.resolve())))
    assert [r.id for r in fetch(carried).runs] == ["a", "b"]
    unpacked = bundled(tmp_path, "folder")
    assert [r.id for r in fetch(load_study(str(unpacked / "study.toml"))).runs] == ["a", "b"]


def test_the_same_runs_give_the_same_bytes(tmp_path):
    first, second = bundled(tmp_path / "1"), bundled(tmp_path / "2")
    assert first.read_bytes() == second.read_bytes()
    assert files_of(bundled(tmp_path / "3", "out")) == files_of(first)
    assert sorted(files_of(first)) == ["manifest.json", "runs/a.parquet", "runs/b.parquet", "study.toml"]


def test_a_bundle_of_a_bundle_is_the_same_bundle(tmp_path):
    out = bundled(tmp_path)
    again = tmp_path / "again.zip"
    write_bundle(EXAMPLE, opened(out), again)
    assert again.read_bytes() == out.read_bytes()


def test_no_path_of_the_machine_is_in_a_bundle(tmp_path):
    assert str(tmp_path).encode() not in b"".join(files_of(bundled(tmp_path)).values())


def test_a_zip_is_unpacked_once(tmp_path, isolated_folders):
    out = bundled(tmp_path)
    opened(out)
    written = {f: f.stat().st_mtime_ns for f in (isolated_folders / "store").rglob("*") if f.is_file()}
    assert len(written) == 4
    opened(out)
    assert {f: f.stat().st_mtime_ns for f in (isolated_folders / "store").rglob("*") if f.is_file()} == written


def test_problems_travel_and_are_told_once(tmp_path):
    runs = replace(two_runs(tmp_path / "runs"), problems=(Problem("half came", run_id="a"),))
    out = bundled(tmp_path, runs=runs)
    other = replace(EXAMPLE.tasks[0], name="other", id="other")
    wider = replace(with_source(EXAMPLE, Source("bundle", path=str(out))), tasks=(*EXAMPLE.tasks, other))
    missing = Problem("No run of task 'other': check the task's name and sweep_id.", task="other")
    manifest = fetch(wider)
    assert manifest.problems == (Problem("half came", run_id="a"), missing)
    write_bundle(wider, manifest, tmp_path / "wider.zip")
    assert fetch(bundled_study(tmp_path / "wider.zip")).problems == manifest.problems


def test_a_run_without_history_travels_too(tmp_path):
    runs = two_runs(tmp_path / "runs")
    lost = Run("c", config={"task": "task"}, tasks=("task",))
    again = opened(bundled(tmp_path, runs=replace(runs, runs=(*runs.runs, lost))))
    assert (again.whole, again.runs[2]) == (True, lost)
    assert again.history().lazy().collect().height == 4


def test_runs_whose_stored_file_is_gone_are_not_bundled(tmp_path):
    runs = two_runs(tmp_path / "runs")
    (tmp_path / "runs" / "b.parquet").unlink()
    with pytest.raises(StoreError) as caught:
        write_bundle(EXAMPLE, runs, tmp_path / "out.zip")
    assert str(caught.value) == "The stored history of run b is gone: fetch the study again."
    assert not (tmp_path / "out.zip").exists()


def test_runs_whose_stored_file_is_damaged_are_not_bundled(tmp_path):
    runs = two_runs(tmp_path / "runs")
    stored = tmp_path / "runs" / "b.parquet"
    whole = stored.read_bytes()
    for at in (10, len(whole) // 2, len(whole) - 6):
        stored.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StoreError) as caught:
            write_bundle(EXAMPLE, runs, tmp_path / "out.zip")
        assert str(caught.value) == "The stored history of run b is damaged: fetch the study again."
    assert not (tmp_path / "out.zip").exists()


def test_tasks_are_given_anew_by_the_study_that_opens_it(tmp_path):
    out = bundled(tmp_path)
    filtered = replace(EXAMPLE.tasks[0], runs_filter='{"state": "finished"}')
    example = replace(with_source(EXAMPLE, Source("bundle", path=str(out))), tasks=(filtered,))
    assert [r.tasks for r in fetch(example).runs] == [("task",), ("task",)]
    elsewhere = replace(example, tasks=(replace(filtered, id="new"),))
    with pytest.raises(SourceError) as caught:
        fetch(elsewhere)
    assert str(caught.value) == "out.zip gives no run: none of its runs belongs to a task of the study."


def test_a_bundle_is_not_written_among_other_files(tmp_path):
    runs, own = two_runs(tmp_path / "runs"), tmp_path / "mine" / "study.toml"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(StoreError) as caught:
        write_bundle(EXAMPLE, runs, own.parent)
    text = f"{own.parent} is a folder that holds other files: name a file that ends in .zip, or a new folder."
    assert (str(caught.value), own.read_text()) == (text, "mine")
    for _ in range(2):  # the second time in the place of the first
        write_bundle(EXAMPLE, runs, tmp_path / "new")


def test_where_a_bundle_cannot_be_written(tmp_path):
    runs = two_runs(tmp_path / "runs")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        write_bundle(EXAMPLE, runs, tmp_path / "file" / "out.zip")
    assert str(caught.value) == f"{tmp_path / 'file'} cannot be written: part of that path is a file, not a folder."
    with pytest.raises(StoreError) as caught:
        write_bundle(EXAMPLE, runs, tmp_path / "file" / "out")
    folder = tmp_path / "file" / "out" / "runs"
    assert str(caught.value) == f"{folder} cannot be written: part of that path is a file, not a folder."


# ---- the demo ------------------------------------------------------------------------------------------------------


def test_the_demo_opens_whole():
    manifest = fetch(load_study("demo"))
    assert manifest.whole
    forks = [r for r in manifest.runs if r.sweep_id != "cart0002"]
    assert sorted({(r.config["task"], r.config["detach_encoder_ratio"]) for r in forks}) == [
        ("acrobot-swingup", 0.0),
        ("acrobot-swingup", 0.5),
        ("cartpole-swingup", 0.0),
        ("cartpole-swingup", 0.5),
    ]
    assert (len(forks), len(manifest.runs)) == (24, 32)
    drawn = [r.config["detach_encoder_ratio"] for r in manifest.runs if r not in forks]
    assert len(set(drawn)) == 8
    assert all(0.3 <= ratio <= 0.7 for ratio in drawn)
    assert {(r.state, r.last_step, r.drops, r.warnings) for r in manifest.runs} == {("finished", 100_000, (), ())}
    assert {r.rows["eval/episode_reward"] for r in manifest.runs} == {21}


def test_the_demo_is_small_and_knows_no_machine():
    files = [f for f in DEMO.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) < 2 * 1000**2
    for file in files:
        content = file.read_bytes()
        assert not any(word in content for word in (b"/work", b"/home", b"/root", b"/tmp", b"/Users", b"C:\\"))


def test_the_demos_own_study_asks_what_the_shipped_one_asks():
    shipped, carried = load_study("demo"), bundled_study(DEMO)
    assert carried == with_source(shipped, Source("bundle", path=str(DEMO.resolve())))
