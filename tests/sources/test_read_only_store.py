"""A store that can be read but not written: what it holds serves, and the reader is told."""

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib.runs import StoreError
from lib.sources import Request, bundled_study, fetch
from lib.study import parse_study
from tests.support import wandb_files
from tests.support.bundle_kit import StudyParts, bundle, run
from tests.support.cloud_kit import PLACE, bring, points, rows, study, walk
from tests.support.wandb_server import KEY, WandbServer

pytestmark = pytest.mark.server
NOBODY = 65534


@pytest.fixture
def store(monkeypatch):
    """A store that another user can reach: root may write anywhere."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setenv("DETACH_STORE", str(folder / "store"))
    yield folder / "store"
    shutil.rmtree(folder)


@contextmanager
def read_only(store: Path):
    """Nothing below the store can be written while the context lasts."""
    paths = [store, *store.rglob("*")]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_fetch_serves_what_is_stored_and_says_so(store):
    with WandbServer() as server:
        server.add(PLACE, walk("a", rows(0, 9), state="running"), walk("b"))
        first = bring(study(server))
        server.projects[PLACE]["a"].live += rows(10, 12)
        server.projects[PLACE]["a"].heartbeat = "2025-01-02T00:00:00Z"
        with read_only(store):
            manifest = bring(study(server))
            assert points(manifest, "a") == {step: 2.0 * step for step in range(10)}
        assert manifest.runs == first.runs
        (problem,) = manifest.problems
        assert "cannot be written (Permission denied)" in problem.message
        assert f": what was fetched at {first.fetched_at} is used." in problem.message
        assert points(bring(study(server)), "a") == {step: 2.0 * step for step in range(13)}


def test_a_fetch_without_anything_stored_is_refused(store):
    store.mkdir()
    with WandbServer() as server:
        server.add(PLACE, walk("a"))
        bring(study(server, name="warm"))
        with read_only(store), pytest.raises(StoreError, match="cannot be written"):
            fetch(study(server), Request(key=KEY))


def test_a_local_run_that_has_grown_is_shown_as_it_was_stored(store):
    folder = store.parent / "runs"
    local = parsed(folder)
    write(folder, 5)
    whole = fetch(local)
    write(folder, 9)
    with read_only(store):
        manifest = fetch(local)
        assert manifest.runs[0].rows == whole.runs[0].rows == {"loss": 5}
    assert "cannot be written (Permission denied)" in manifest.problems[0].message
    assert fetch(local).runs[0].rows == {"loss": 9}


def test_an_unpacked_bundle_opens(store):
    bundle(store.parent, StudyParts().study(), [run(1, 0.5, 10), run(2, 0.0)])
    path = store.parent / "kit.zip"
    path.chmod(0o644)
    manifest = fetch(bundled_study(path))
    with read_only(store):
        assert fetch(bundled_study(path)).runs == manifest.runs


def parsed(folder: Path):
    text = '[study]\nname = "s"\ntitle = "S"\n[source]\nkind = "offline"\npath = "."\n'
    text += (
        '[[metrics]]\nkey = "loss"\nfamily = "loss"\nexpect = "decrease"\n[[tasks]]\nname = "walk"\ntotal_steps = 10\n'
    )
    return parse_study(text, folder=str(folder))


def write(folder: Path, steps: int) -> None:
    messages = [wandb_files.run_message("r1", {"task": "walk"})]
    messages += [wandb_files.row_message({"_step": step, "loss": 1.0}, step) for step in range(steps)]
    folder.mkdir(exist_ok=True)
    (folder / "run-r1.wandb").write_bytes(wandb_files.log_bytes(messages))
