"""The numbers of runs that effects are made of are kept beside the runs, and may be computed in another process."""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lib.effects import analyse
from lib.runs import History, Manifest, computing_on, project_folder
from lib.sources import fetch
from lib.study import load_study

STUDY = load_study("demo")


class Elsewhere(ThreadPoolExecutor):
    """Workers to which calls come as bytes, and from which results do."""

    def submit(self, function, /, *arguments):
        call = pickle.dumps((function, arguments))
        assert len(call) < 1_000_000  # redrawn detach steps, and no rows

        def made():
            there, its_arguments = pickle.loads(call)
            return pickle.loads(pickle.dumps(there(*its_arguments)))

        return super().submit(made)


def stored(manifest: Manifest) -> Manifest:
    """The same runs as a fetch leaves them in the store."""
    folder = project_folder("https://w.example", "key", "lab/project") / "runs"
    shutil.copytree(manifest.folder, folder)
    return replace(manifest, folder=str(folder), runs=tuple(replace(run, stamp="first") for run in manifest.runs))


def assert_same(analysis, other) -> None:
    assert analysis.effects.equals(other.effects)
    for task, before in zip(analysis.tasks, other.tasks, strict=True):
        assert repr(task.comparisons + task.parts + task.prices) == repr(
            before.comparisons + before.parts + before.prices
        )
        for name in ("per_run", "differences", "fits", "placebo", "gap"):
            assert getattr(task, name).equals(getattr(before, name)), name


@pytest.mark.slow
def test_effects_are_the_same_from_numbers_that_were_kept_and_from_workers_elsewhere(monkeypatch):
    shipped = fetch(STUDY)
    runs, before = stored(shipped), analyse(STUDY, shipped)
    with Elsewhere(2) as workers, computing_on(workers):
        assert_same(analyse(STUDY, runs), before)
    files = [path for path in Path(runs.folder).rglob("computed/*/*") if path.is_file()]
    assert len(files) == len(runs.runs)

    def read(history, run_id, metric, columns):
        raise AssertionError(f"rows of {metric} are read")

    monkeypatch.setattr(History, "_read", read)
    assert_same(analyse(STUDY, runs), before)
