"""Bundles as files, to change by hand."""

import zipfile

from lib.runs import Run
from lib.sources import fetch, write_bundle
from lib.study import DetachRule, Source, with_source
from tests.support.frames import LOSS, REWARD, manifest, series, study

EXAMPLE = study(DetachRule(step=50), total=100)


def two_runs(folder):
    """Two runs of EXAMPLE's task, stored below `folder`."""
    config = {"task": "task", "seed": 1}
    return manifest(
        folder,
        [
            (Run("a", "A", "finished", config), series("a", REWARD.key, [(1, 1.5), (2, 2.5)])),
            (Run("b", "B", "running", {**config, "seed": 2}), [("b", LOSS.key, 1, float("nan")), ("b", None, 7, None)]),
        ],
    )


def bundled(tmp_path, name="out.zip", runs=None):
    out = tmp_path / name
    write_bundle(EXAMPLE, runs or two_runs(tmp_path / "runs"), out)
    return out


def opened(path):
    return fetch(with_source(EXAMPLE, Source("bundle", path=str(path))))


def files_of(path) -> dict[str, bytes]:
    if path.is_dir():
        return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
