"""Bins that are kept beside the runs are those that are computed anew, whatever has changed since."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.curves import View
from lib.curves.bins import bins
from lib.runs import History, Manifest, Run, StoreError, clear, disk_cache, points_of, project_folder, quota, write_run
from lib.runs.disk_cache import FOLDER
from tests.support.frames import LOSS, REWARD, history, series, study, treatment

TASK = study().tasks[0]
METRICS = (REWARD, LOSS)
VIEW = View(window=20)


def rows(run: str, seed: int) -> list:
    steps = range(0, 300, 2 + seed % 3)
    return [
        *series(run, REWARD.key, [(step, 1.0 + (step * seed) % 7) for step in steps]),
        *series(run, LOSS.key, [(step, 2.0 + (step * seed) % 5) for step in steps]),
    ]


def folder() -> Path:
    return project_folder("https://w.example", "key", "lab/project") / "runs"


def written(run: str, seed: int, stamp: str = "first") -> Run:
    """A run as a fetch leaves it in the store; its file is as old as its seed."""
    run_ = write_run(
        folder(), Run(run, tasks=("task",), stamp=stamp), points_of(history(rows(run, seed)).lazy().collect())
    )
    os.utime(folder() / run_.file, (seed, seed))
    return run_


def manifest(**seeds: int) -> Manifest:
    return Manifest("kit", {}, "", str(folder()), tuple(written(run, seed) for run, seed in seeds.items()))


def fresh(runs: Manifest) -> History:
    """The same history, which keeps nothing and reads nothing that was kept."""
    return History({run.id: Path(runs.folder) / run.file for run in runs.runs})


def binned(logged: History, view: View = VIEW, at: int = 100) -> pl.DataFrame:
    return bins(logged, TASK, METRICS, [treatment("a", at=at), treatment("b", at=at)], view)


def kept() -> list[Path]:
    return sorted(path for path in (folder() / FOLDER).rglob("*") if path.is_file())


def no_rows(monkeypatch) -> None:
    """From here on no rows are read."""

    def read(*_: object) -> None:
        raise AssertionError("rows are read")

    monkeypatch.setattr(History, "series", read)


def test_a_second_look_reads_no_rows(monkeypatch):
    runs = manifest(a=1, b=2)
    before = binned(runs.history())
    # The numbers and the bins of two runs, for their owner alone.
    assert len(kept()) == 4 and {path.stat().st_mode & 0o77 for path in kept()} == {0}
    no_rows(monkeypatch)
    assert binned(runs.history()).equals(before)


CHANGES = st.sampled_from(["run", "stamp", "window", "detach", "axis", "damage", "cut", "gone", "cleared"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGES, max_size=4), place=st.integers(0, 10_000))
@pytest.mark.slow
def test_what_was_kept_is_what_is_computed_anew(changes, place, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DETACH_STORE", str(tmp_path_factory.mktemp("store")))
    runs, view, at, seed = manifest(a=1, b=2), VIEW, 100, 3
    for change in ["none", *changes]:
        if change == "run":
            runs, seed = replace(runs, runs=(written("a", seed), runs.runs[1])), seed + 1
        elif change == "stamp":
            runs = replace(runs, runs=(written("a", seed, "second"), runs.runs[1]))
        elif change == "window":
            view = replace(view, window=30)
        elif change == "axis":
            view = replace(view, x="since_percent")
        elif change == "detach":
            at = 150
        elif change == "damage":
            path = kept()[place % len(kept())]
            content = bytearray(path.read_bytes())
            content[place % len(content)] ^= 1 + place % 255
            path.write_bytes(content)
        elif change == "cut":
            path = kept()[place % len(kept())]
            path.write_bytes(path.read_bytes()[: place % path.stat().st_size])
        elif change == "gone":
            shutil.rmtree(kept()[place % len(kept())].parent)
        elif change == "cleared":
            clear(folder().parent)
            assert not folder().exists()
            runs = manifest(a=1, b=2)
        assert binned(runs.history(), view, at).equals(binned(fresh(runs), view, at))


def test_what_is_computed_of_cleared_runs_does_not_come_back():
    runs = manifest(a=1, b=2)
    clear(folder().parent)
    with pytest.raises(StoreError):
        binned(runs.history())
    assert not folder().exists()


def test_runs_without_a_stamp_and_runs_that_somebody_brought_keep_nothing(tmp_path):
    runs = manifest(a=1, b=2)
    binned(replace(runs, runs=tuple(replace(run, stamp="") for run in runs.runs)).history())
    shutil.copytree(folder(), tmp_path / "bundle")
    binned(replace(runs, folder=str(tmp_path / "bundle")).history())
    assert not kept() and not list(tmp_path.rglob(FOLDER))


def test_a_store_that_cannot_be_written_keeps_nothing():
    runs = manifest(a=1, b=2)
    (folder() / FOLDER).write_text("a file where the folder would be")
    assert binned(runs.history()).equals(binned(fresh(runs)))


def test_a_full_disk_keeps_nothing(monkeypatch):
    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    runs = manifest(a=1, b=2)
    monkeypatch.setattr(Path, "write_bytes", write)
    assert binned(runs.history()).equals(binned(fresh(runs)))
    assert [path for path in (folder() / FOLDER).rglob("*") if path.is_file()] == []


def test_a_read_only_store_serves_what_it_has(monkeypatch):
    def utime(*_: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    runs = manifest(a=1, b=2)
    before = binned(runs.history())
    monkeypatch.setattr(disk_cache, "_USED_WITHIN", -1.0)
    monkeypatch.setattr(os, "utime", utime)
    no_rows(monkeypatch)
    assert binned(runs.history()).equals(before)


def test_what_other_code_computed_does_not_serve(monkeypatch):
    runs = manifest(a=1, b=2)
    binned(runs.history())
    monkeypatch.setattr(disk_cache, "versions", lambda: {"this project's code": "other"})
    no_rows(monkeypatch)
    with pytest.raises(AssertionError, match="rows are read"):
        binned(runs.history())


def test_what_is_kept_has_a_quota_that_is_never_less_than_what_the_runs_take(monkeypatch):
    runs = manifest(a=1, b=2)
    binned(runs.history())
    before = {path.parent for path in kept()}
    assert len(before) == 2
    monkeypatch.setattr(quota, "QUOTA", 0)
    large = folder() / "c.parquet"
    large.write_bytes(bytes(1 << 20))
    binned(runs.history(), View(window=40))
    before = {path.parent for path in kept()}
    assert len(before) == 3
    large.unlink()
    view = View(window=30)
    # What is new makes room for itself; what takes few bytes stays.
    assert binned(runs.history(), view).equals(binned(fresh(runs), view))
    after = {path.parent for path in kept()}
    assert len(after) == 2 and len(after & before) == 1


def test_a_file_that_grew_large_begins_anew(monkeypatch):
    runs = manifest(a=1, b=2)
    binned(runs.history())
    monkeypatch.setattr(disk_cache, "_LARGEST", 64)
    assert binned(runs.history()).equals(binned(fresh(runs)))
    sizes = [path.stat().st_size for path in kept()]
    binned(runs.history(), at=150)
    # Bins from another step took the place of the first ones.
    assert [path.stat().st_size for path in kept()] == pytest.approx(sizes, rel=0.1)
