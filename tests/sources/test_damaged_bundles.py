"""Bundles that are damaged, and files that are none."""

import hashlib
import io
import json
import zipfile

import numpy as np
import polars as pl
import pytest

from lib.runs import HISTORY, Problem, StoreError
from lib.sources import SourceError, archive, bundled_study
from lib.study import StudyError
from tests.support.bundle_files import bundled, files_of, opened


def refused(path) -> str:
    with pytest.raises(SourceError) as caught:
        opened(path)
    return str(caught.value)


def zipped(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def retold(files, **changes):
    """The files of a bundle with changes in its manifest."""
    return {**files, "manifest.json": json.dumps({**json.loads(files["manifest.json"]), **changes}).encode()}


# ---- what is damaged -----------------------------------------------------------------------------------------------

LEFT_OUT = "it was left out."


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PAR1 not really", "is damaged (runs/a.parquet is not what was bundled)"),
        (None, "has no file runs/a.parquet in the bundle"),
    ],
)
def test_a_damaged_run_is_left_out_and_told(tmp_path, content, why):
    files = files_of(bundled(tmp_path))
    files = {**files, "runs/a.parquet": content} if content else {n: f for n, f in files.items() if "a.parq" not in n}
    result = opened(zipped(tmp_path / "damaged.zip", files))
    assert [r.id for r in result.runs] == ["b"]
    assert result.problems == (Problem(f"Run a {why}: {LEFT_OUT}", run_id="a"),)


def test_one_changed_byte_of_a_history_is_seen(tmp_path):
    folder = bundled(tmp_path, "out")
    file = folder / "runs" / "a.parquet"
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert [p.run_id for p in opened(folder).problems] == ["a"]
    file.write_bytes(whole)
    assert opened(folder).whole


@pytest.mark.parametrize("other", [pl.DataFrame({"x": [1]}), pl.DataFrame(schema=HISTORY).drop("time"), None])
def test_a_file_that_is_no_history_is_left_out_whatever_its_checksum(tmp_path, other):
    files = files_of(bundled(tmp_path))
    buffer = io.BytesIO(b"PAR1 no parquet PAR1")
    if other is not None:
        other.write_parquet(buffer)
    sums = json.loads(files["manifest.json"])["sha256"] | {
        "runs/a.parquet": hashlib.sha256(buffer.getvalue()).hexdigest()
    }
    result = opened(zipped(tmp_path / "o.zip", retold({**files, "runs/a.parquet": buffer.getvalue()}, sha256=sums)))
    assert result.problems == (
        Problem(f"Run a holds no history (runs/a.parquet is not one of ours): {LEFT_OUT}", run_id="a"),
    )
    assert result.history().lazy().collect()["run_id"].unique().to_list() == ["b"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.parquet", "runs/../../x", "C:\\x", "..\\x"])
def test_a_manifest_cannot_name_files_outside(tmp_path, name):
    files = files_of(bundled(tmp_path))
    runs = json.loads(files["manifest.json"])["runs"]
    runs[0]["file"] = name
    result = opened(zipped(tmp_path / "o.zip", retold(files, runs=runs)))
    assert result.problems == (Problem(f"Run a names a file outside the bundle ({name}): {LEFT_OUT}", run_id="a"),)


def test_a_bundle_all_of_whose_runs_are_damaged_gives_none(tmp_path):
    files = {n: c if "parquet" not in n else b"x" for n, c in files_of(bundled(tmp_path)).items()}
    message = f"Run a is damaged (runs/a.parquet is not what was bundled): {LEFT_OUT}"
    assert refused(zipped(tmp_path / "o.zip", files)) == f"o.zip gives no run: {message}"


# ---- what is no bundle ---------------------------------------------------------------------------------------------


def test_what_is_not_there_or_no_bundle(tmp_path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "no.zip") == f"There is no bundle at {tmp_path / 'no.zip'}."
    assert refused(tmp_path / "text") == "text is not a bundle: it is neither a folder nor a readable .zip."
    assert refused(tmp_path / "empty") == "empty is not a bundle: it holds no manifest.json."
    assert refused(tmp_path / "text" / "x") == f"{tmp_path / 'text' / 'x'} cannot be read (Not a directory)."


def test_a_zip_without_a_manifest_or_with_it_in_a_folder(tmp_path):
    files = files_of(bundled(tmp_path))
    assert refused(zipped(tmp_path / "o.zip", {"x": b""})) == "o.zip is not a bundle: it holds no manifest.json."
    nested = zipped(tmp_path / "n.zip", {f"demo/{name}": content for name, content in files.items()})
    assert refused(nested) == (
        "n.zip is not a bundle: it holds no manifest.json (zip what is in the bundle's folder, not the folder)."
    )


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "{}", "[" * 100_000),
        '{"schema_version": 1}',
        '{"schema_version": "x", "sha256": {}}',
        '{"schema_version": 1, "sha256": 5, "study": "s", "source": {}, "fetched_at": "", "runs": []}',
    ],
)
def test_a_manifest_that_is_none(tmp_path, text, kind):
    files = {**files_of(bundled(tmp_path)), "manifest.json": text.encode()}
    path = tmp_path / "o"
    if kind == "zip":
        zipped(path, files)
    else:
        path.mkdir()
        (path / "manifest.json").write_bytes(files["manifest.json"])
    assert refused(path) == "o is not a bundle: its manifest.json is not one of ours."


def test_a_newer_bundle_says_so_whatever_its_shape(tmp_path):
    files = files_of(bundled(tmp_path))
    newer = "was written by a newer version (schema 2, this program reads up to 1): update this program to open it."
    assert refused(zipped(tmp_path / "o.zip", retold(files, schema_version=2))) == f"o.zip {newer}"
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "manifest.json").write_text('{"schema_version": 2, "everything": "else"}')
    assert refused(tmp_path / "o") == f"o {newer}"


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "..\\out", "C:/out"])
def test_a_zip_cannot_write_outside_its_folder(tmp_path, isolated_folders, name):
    path = zipped(tmp_path / "o.zip", {**files_of(bundled(tmp_path)), name: b"x"})
    assert refused(path) == f"o.zip is not a safe bundle: it would write outside its folder ({name})."
    assert [f for f in (isolated_folders / "store").rglob("*") if f.is_file()] == []


def test_a_zip_that_unpacks_to_too_much_is_refused_before_it_does(tmp_path, isolated_folders, monkeypatch):
    files = files_of(bundled(tmp_path))
    path = zipped(tmp_path / "o.zip", {**files, "zeros": bytes(30 * 1024**2)})
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(archive, "MAX_BYTES", 20 * 1024**2)
    assert refused(path) == "o.zip would unpack to 30 MB in 5 files: too large."
    monkeypatch.setattr(archive, "MAX_BYTES", 2 * 1024**3)
    monkeypatch.setattr(archive, "MAX_FILES", 4)
    assert refused(path) == "o.zip holds more than 4 files: too many for a bundle."
    assert [f for f in (isolated_folders / "store").rglob("*") if f.is_file()] == []


def test_a_zip_that_understates_what_it_holds_is_refused(tmp_path, isolated_folders):
    files = {**files_of(bundled(tmp_path)), "zeros": bytes(1024**2)}
    tree = json.loads(files["manifest.json"])
    tree["sha256"]["zeros"] = "x"
    path = zipped(tmp_path / "o.zip", {**files, "manifest.json": json.dumps(tree).encode()})
    data = path.read_bytes()
    size = (1024**2).to_bytes(4, "little")
    assert data.count(size) == 2
    path.write_bytes(data.replace(size, (10).to_bytes(4, "little")))
    assert refused(path) == "o.zip is not a bundle: it is neither a folder nor a readable .zip."
    assert [f for f in (isolated_folders / "store").rglob("*") if f.is_file()] == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_any_byte_changed_opens_or_is_refused(tmp_path, method):
    whole = zipped(tmp_path / "whole.zip", files_of(bundled(tmp_path)), method).read_bytes()
    assert opened(tmp_path / "whole.zip").whole
    random = np.random.default_rng(method)
    for number in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data), size=random.integers(1, 4)):
            data[place] ^= int(random.integers(1, 256))
        path = tmp_path / f"{number}.zip"
        path.write_bytes(bytes(data[: None if number % 3 else int(random.integers(1, len(data)))]))
        try:
            result = opened(path)
        except (SourceError, StoreError) as error:
            assert "\n" not in str(error)
        else:
            assert {r.id for r in result.runs} <= {"a", "b"}


def test_a_bundle_without_its_study(tmp_path):
    files = {n: c for n, c in files_of(bundled(tmp_path)).items() if n != "study.toml"}
    path = zipped(tmp_path / "o.zip", files)
    with pytest.raises(SourceError) as caught:
        bundled_study(path)
    assert str(caught.value) == "o.zip is not a bundle: it holds no readable study.toml."
    assert [r.id for r in opened(path).runs] == ["a", "b"]
    bad = zipped(tmp_path / "p.zip", {**files, "study.toml": b"x"})
    with pytest.raises(StudyError) as wrong:
        bundled_study(bad)
    assert str(wrong.value).startswith("p.zip/study.toml is not TOML: ")
