"""Files of the store that change behind its back: said or mended, never read as something else."""

from pathlib import Path

import pyarrow as pa
import pytest

from lib.runs import store_root, usage
from lib.sources import Request, bundled_study, stored
from lib.sources.cloud.history import Download
from lib.sources.cloud.limits import RequestError
from tests.support.bundle_kit import StudyParts, bundle, run
from tests.support.cloud_kit import PLACE, bring, points, rows, study, walk
from tests.support.wandb_server import KEY, WandbServer

pytestmark = pytest.mark.slow

PANIC = Path("tests/data/damaged/panic.parquet").read_bytes()


@pytest.fixture
def server():
    with WandbServer() as started:
        started.add(PLACE, walk("a", rows(0, 9), live=rows(10, 12), state="running"), walk("b"))
        yield started


def stored_file(pattern: str) -> Path:
    (path,) = store_root().rglob(pattern)
    return path


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("part", range(0, 100, 5))
def test_raw_rows_that_changed_are_fetched_anew(server, part):
    bring(study(server))
    raw = stored_file("raw/*/a.parquet")
    flip(raw, len(raw.read_bytes()) * part // 100)
    server.projects[PLACE]["a"].live += rows(13, 13)
    server.projects[PLACE]["a"].heartbeat = "2025-01-02T00:00:00Z"
    assert points(bring(study(server)), "a") == {step: 2.0 * step for step in range(14)}


def test_a_stored_manifest_that_changed_is_none(server):
    manifest = bring(study(server))
    path = stored_file("studies/*.json")
    assert stored(study(server), Request(key=KEY)).runs == manifest.runs
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"seed": 1', b'"seed": 3'))
    assert stored(study(server), Request(key=KEY)) is None
    bring(study(server))
    assert stored(study(server), Request(key=KEY)).runs[0].config["seed"] == 1


def test_a_manifest_of_an_earlier_version_has_no_checksum(server):
    manifest = bring(study(server))
    stored_file("studies/*.json").write_text(manifest.to_json())
    assert stored(study(server), Request(key=KEY)).runs == manifest.runs


def test_a_project_name_that_changed_gives_way_to_the_folder_and_is_mended(server):
    bring(study(server))
    about = stored_file("about.json")
    about.write_bytes(about.read_bytes().replace(b"walks", b"talks"))
    (entry,) = usage(server.url, KEY)
    assert entry.project == about.parent.name
    bring(study(server))
    assert usage(server.url, KEY)[0].project == PLACE


@pytest.mark.parametrize("name", ["manifest.json", "study.toml"])
def test_an_unpacked_bundle_that_changed_is_unpacked_again(tmp_path, name):
    bundle(tmp_path, StudyParts().study(), [run(1, 0.5, 10), run(2, 0.0)])
    path = tmp_path / "kit.zip"
    bundled = bundled_study(path)
    file = stored_file(f"bundles/*/{name}")
    content = file.read_bytes()
    flip(file, len(content) // 2)
    assert bundled_study(path) == bundled
    assert file.read_bytes() == content


def test_an_export_at_which_polars_panicked_is_read(server):
    server.add(PLACE, walk("c", [], parts=[PANIC]))
    manifest = bring(study(server))
    assert manifest.problems == ()
    assert len(points(manifest, "c")) == 3


def test_a_panic_of_polars_is_the_failure_of_its_run():
    table = pa.table({"_step": [1]}).replace_schema_metadata({b"\x8d": b"\x8d"})
    with pytest.raises(RequestError, match="an export is damaged"):
        Download(["_step"], None, [table], [], 1, 1, ()).decode()


def test_a_stored_file_at_which_polars_panics_is_fetched_anew(server):
    bring(study(server))
    path = stored_file("runs/b.parquet")
    path.write_bytes(PANIC)
    left = stored(study(server), Request(key=KEY))
    assert [problem.run_id for problem in left.problems] == ["b"]
    assert len(points(bring(study(server)), "b")) == 10
