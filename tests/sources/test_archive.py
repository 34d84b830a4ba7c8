"""Uploads that grow, pipes, unpacked files that change, and histories that are none, whoever made their checksums."""

import hashlib
import io
import json
import os
import time
import zipfile

import polars as pl
import pytest

from lib.runs import HISTORY, Problem, quota
from lib.sources import SourceError, bundle, bundled_study, fetch
from lib.study import StudyError, load_study
from tests.support.bundle_kit import StudyParts, run
from tests.support.bundle_kit import bundle as write_kit


@pytest.fixture
def kit(tmp_path):
    """The path of a bundle of two runs, its files, and a way to write them changed."""
    write_kit(tmp_path, StudyParts().study(), [run(1, 0.5), run(2, 0.0)])
    path = tmp_path / "kit.zip"
    with zipfile.ZipFile(path) as file:
        return path, {name: file.read(name) for name in file.namelist()}


def rewritten(kit, changes=None, manifest=None):
    """The bundle with files and entries of its manifest changed, their checksums right."""
    path, files = kit
    files = files | (changes or {})
    tree = json.loads(files["manifest.json"]) | (manifest or {})
    tree["sha256"] |= {name: hashlib.sha256(content).hexdigest() for name, content in (changes or {}).items()}
    files["manifest.json"] = json.dumps(tree).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def refused(path):
    with pytest.raises(SourceError) as error:
        fetch(bundled_study(path))
    return str(error.value)


def parquet(frame):
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def test_a_long_manifest_is_refused(kit):
    entry = json.loads(kit[1]["manifest.json"])["runs"][0]
    path = rewritten(kit, manifest={"runs": [entry] * 60_000})
    assert path.stat().st_size < 1_000_000
    assert refused(path) == "The manifest.json of kit.zip is larger than 16 MB: too large."


def test_more_runs_than_files_are_refused(kit):
    entry = json.loads(kit[1]["manifest.json"])["runs"][0] | {"config": {}, "rows": {}}
    path = rewritten(kit, manifest={"runs": [entry] * 5_001})
    assert refused(path) == "kit.zip names 5,001 runs: a bundle holds at most 5,000."


def test_many_files_are_refused_at_once(kit):
    path = rewritten(kit, {f"extra/{i}": b"" for i in range(19_900)})
    start = time.perf_counter()
    assert refused(path) == "kit.zip holds more than 5,000 files: too many for a bundle."
    assert time.perf_counter() - start < 1


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "kit.zip")
    os.mkfifo(tmp_path / "study.toml")
    message = "is not a file: name a regular file, not a folder, a pipe or a device."
    assert refused(tmp_path / "kit.zip") == f"kit.zip {message}"
    with pytest.raises(StudyError, match=f"study.toml {message}"):
        load_study(str(tmp_path / "study.toml"))


def test_only_what_the_manifest_names_is_unpacked(kit, isolated_folders):
    path, files = kit
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("extra.bin", bytes(1 << 20))
    assert fetch(bundled_study(path)).whole
    unpacked = {f.name for f in (isolated_folders / "store" / "bundles").rglob("*") if f.is_file()}
    assert unpacked == {name.rpartition("/")[2] for name in files}


def test_an_unpacked_file_that_changed_is_unpacked_again(kit, isolated_folders):
    study = bundled_study(kit[0])
    before = fetch(study).history().lazy().collect()
    file = next((isolated_folders / "store" / "bundles").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    after = fetch(study)
    assert after.whole
    assert after.history().lazy().collect().equals(before)


def test_a_day_old_bundle_goes_when_another_opens(kit, isolated_folders, tmp_path):
    bundled_study(kit[0])
    (old,) = (isolated_folders / "store" / "bundles").iterdir()
    os.utime(old, (0, 0))
    bundled_study(rewritten(kit, {"note.txt": b"other"}))
    assert not old.exists()


def test_the_oldest_bundle_goes_where_all_take_too_much(kit, isolated_folders, monkeypatch):
    bundled_study(kit[0])
    (old,) = (isolated_folders / "store" / "bundles").iterdir()
    monkeypatch.setattr(quota, "QUOTA", 100)
    bundled_study(rewritten(kit, {"note.txt": b"other"}))
    assert not old.exists()
    assert fetch(bundled_study(kit[0])).whole


def change(kit, **columns):
    """The bundle with the columns of its first run changed, its checksums right; the run's id."""
    name = next(name for name in kit[1] if name.endswith(".parquet"))
    frame = pl.read_parquet(io.BytesIO(kit[1][name]), schema=HISTORY).with_columns(**columns)
    return rewritten(kit, {name: parquet(frame)}), next(
        entry["id"] for entry in json.loads(kit[1]["manifest.json"])["runs"] if entry["file"] == name
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"step": pl.when(pl.col("step") == 10).then(None).otherwise(pl.col("step"))},
        {"step": pl.col("step").cast(pl.Float64)},
        {"value": pl.col("value").cast(pl.String)},
        {"run_id": pl.lit("another")},
    ],
)
def test_a_file_that_is_no_history_of_its_run_is_left_out(kit, columns):
    path, run_id = change(kit, **columns)
    manifest = fetch(bundled_study(path))
    assert [r.id for r in manifest.runs] == [r for r in ("r1-0.5", "r2-0.0") if r != run_id]
    assert [(p.run_id, "holds no history" in p.message) for p in manifest.problems] == [(run_id, True)]


def test_rows_are_counted_before_they_are_read(kit, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_ROWS", 100)
    assert "rows, more than 100: it was left out." in refused(kit[0])
    monkeypatch.setattr(bundle, "MAX_ROWS", 1000)
    monkeypatch.setattr(bundle, "MAX_MEMORY", 404 * 24)
    assert len(fetch(bundled_study(kit[0])).runs) == 2
    monkeypatch.setattr(bundle, "MAX_MEMORY", 404 * 24 - 1)
    sentence = "kit.zip holds 404 rows, 0 MB in memory: a bundle of more than 0 MB (403 rows) does not open."
    assert refused(kit[0]) == sentence


def test_a_path_that_is_too_long_is_told_of_in_one_short_line(kit, tmp_path, monkeypatch):
    for path in (tmp_path / ("x" * 5000), tmp_path / "/".join(["x" * 200] * 30) / "b.zip"):
        message = refused(path)
        assert message.endswith("cannot be read (File name too long).") and len(message) < 250
    with pytest.raises(SourceError, match=r"^There is no bundle at .*…x+\.$"):
        bundled_study(tmp_path / "/".join(["x" * 100] * 20))
    monkeypatch.setenv("DETACH_STORE", str(tmp_path / ("x" * 5000)))
    message = refused(kit[0])
    assert message.startswith(str(tmp_path)[:60]) and message.endswith("cannot be written (File name too long).")


@pytest.mark.parametrize(
    "change",
    [{"id": "\ud800"}, {"last_step": 10**40}, {"config": {"task": "walk", "x": 10**400}}, {"name": "a\ud800b"}],
)
def test_odd_values_of_a_manifest_are_plain_or_refused(kit, change):
    tree = json.loads(kit[1]["manifest.json"])
    path = rewritten(kit, manifest={"runs": [tree["runs"][0] | change, *tree["runs"][1:]]})
    try:
        manifest = fetch(bundled_study(path))
    except SourceError as error:
        assert str(error) == "kit.zip is not a bundle: its manifest.json is not one of ours."
    else:
        json.dumps(manifest.to_json()).encode()
        assert all(r.id.encode() and r.name.encode() for r in manifest.runs)
        assert all(isinstance(p, Problem) for p in manifest.problems)
