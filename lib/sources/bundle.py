"""An exported study: a folder or .zip of a manifest, the study file and one Parquet file per run."""

import hashlib
import io
import json
import lzma
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from lib.runs import (
    HISTORY,
    SCHEMA_VERSION,
    Manifest,
    Problem,
    Run,
    StoreError,
    is_whole,
    manifest_from,
    put,
    store_root,
)
from lib.sources.request import Request, SourceError, missing_tasks, stored_tasks_of
from lib.study import Source, Study, parse_study, to_toml, with_source

MANIFEST = "manifest.json"
STUDY_FILE = "study.toml"
#: What a .zip may unpack to, in bytes and files: an upload cannot fill the disk.
MAX_BYTES = 512 * 1024**2
MAX_FILES = 20_000
#: What reading a .zip raises where it is damaged, encrypted or packed in a way this Python cannot undo.
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, struct.error)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def fetch(study: Study, request: Request) -> Manifest:
    """Open the study's bundle.

    Raises
    ------
    SourceError
        Where the path is no bundle, its schema is newer than this program, or none of its runs can be read.
    """
    folder = _unpacked(study.source_path)
    manifest, sums = _read_manifest(folder, study.source_path.name)
    problems = list(manifest.problems)
    runs = []
    for run in manifest.runs:
        if message := _damage(folder, run, sums):
            problems.append(Problem(message, run_id=run.id))
        elif tasks := stored_tasks_of(study, run):
            runs.append(replace(run, tasks=tasks))
    if not runs:
        why = problems[0].message if problems else "none of its runs belongs to a task of the study."
        raise SourceError(f"{study.source_path.name} gives no run: {why}")
    problems += missing_tasks(study, runs)
    return replace(manifest, study=study.name, runs=tuple(runs), problems=tuple(dict.fromkeys(problems)))


def bundled_study(path: Path) -> Study:
    """The study that a bundle carries, with the bundle as its source.

    Raises
    ------
    SourceError, StudyError
        Where the path is no bundle, or its study file is not valid.
    """
    folder = _unpacked(path)
    _read_manifest(folder, path.name)
    try:
        text = (folder / STUDY_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SourceError(f"{path.name} is not a bundle: it holds no readable {STUDY_FILE}.") from None
    study = parse_study(text, f"{path.name}/{STUDY_FILE}")
    study = _with_baseline_paths(study, folder, path.name)
    return with_source(study, Source(kind="bundle", path=str(path.resolve())))


def write_bundle(study: Study, manifest: Manifest, out: Path) -> None:
    """Write the study and its runs as a bundle: a .zip where `out` ends so, else a folder.

    The same runs give the same bytes. A .zip is replaced whole or not at all.

    Raises
    ------
    StoreError
        Where it cannot be written, or a run's stored file is gone or damaged.
    """
    files = _contents(study, manifest)
    if out.suffix.lower() == ".zip":
        put(out, _zipped(files), shared=True)
        return
    for name, content in files.items():
        put(out / name, content, shared=True)


def _contents(study: Study, manifest: Manifest) -> dict[str, bytes]:
    carried, files = _carry_baselines(study)
    runs = []
    for run in sorted(manifest.runs, key=lambda run: run.id):
        if not run.file:
            runs.append(run)
            continue
        try:
            content = (Path(manifest.folder) / run.file).read_bytes()
        except OSError:
            raise StoreError(f"The stored history of run {run.id} is gone: fetch the study again.") from None
        if not is_whole(content):
            raise StoreError(f"The stored history of run {run.id} is damaged: fetch the study again.")
        name = f"runs/{Path(run.file).name}"
        files[name] = content
        runs.append(replace(run, file=name))
    tree = json.loads(replace(manifest, runs=tuple(runs)).to_json())
    tree["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files[MANIFEST] = json.dumps(tree, indent=1, sort_keys=True).encode()
    files[STUDY_FILE] = to_toml(with_source(carried, Source(kind="bundle", path="."))).encode()
    return files


def _carry_baselines(study: Study) -> tuple[Study, dict[str, bytes]]:
    """The study with its baselines inside the bundle, and their files."""
    files: dict[str, bytes] = {}
    tasks = []
    for task in study.tasks:
        moved = []
        for i, baseline in enumerate(task.baselines, start=1):
            name = f"baselines/{task.stem}_{i}.csv"
            try:
                files[name] = study.at(baseline.path).read_bytes()
            except (OSError, ValueError):
                raise StoreError(
                    f"The baseline {baseline.name} of {task.title} cannot be read: {baseline.path}."
                ) from None
            moved.append(replace(baseline, path=name, label=baseline.name))
        tasks.append(replace(task, baselines=tuple(moved)))
    return replace(study, tasks=tuple(tasks)), files


def _with_baseline_paths(study: Study, folder: Path, name: str) -> Study:
    """The study of an opened bundle with its baselines where they now lie; none may lie outside it."""
    for path in (b.path for t in study.tasks for b in t.baselines):
        if not _is_inside(path):
            raise SourceError(f"{name} is not a safe bundle: it names a baseline outside its folder ({path}).")
    tasks = tuple(
        replace(t, baselines=tuple(replace(b, path=str((folder / b.path).resolve())) for b in t.baselines))
        for t in study.tasks
    )
    return replace(study, tasks=tasks)


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _read_manifest(folder: Path, name: str) -> tuple[Manifest, dict[str, str]]:
    """The manifest of the bundle that people know as `name`, and the checksum of each of its files."""
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        tree = json.loads(text)
        # Asked first: a newer manifest may well have another shape.
        version = tree["schema_version"]
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise SourceError(
                f"{name} was written by a newer version (schema {version}, this program reads up to "
                f"{SCHEMA_VERSION}): update this program to open it."
            )
        return manifest_from(text, folder), dict(tree["sha256"])
    except OSError:
        raise SourceError(f"{name} is not a bundle: it holds no {MANIFEST}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SourceError(f"{name} is not a bundle: its {MANIFEST} is not one of ours.") from None


def _damage(folder: Path, run: Run, sums: dict[str, str]) -> str:
    """What is wrong with a run's file, or nothing."""
    if not run.file:
        return ""
    if not _is_inside(run.file):
        return f"Run {run.id} names a file outside the bundle ({run.file}): it was left out."
    try:
        content = (folder / run.file).read_bytes()
    except OSError:
        return f"Run {run.id} has no file {run.file} in the bundle: it was left out."
    if hashlib.sha256(content).hexdigest() != sums.get(run.file):
        return f"Run {run.id} is damaged ({run.file} is not what was bundled): it was left out."
    try:
        readable = pl.read_parquet_schema(io.BytesIO(content)) == HISTORY
    except pl.exceptions.PolarsError:
        readable = False
    return "" if readable else f"Run {run.id} holds no history ({run.file} is not one of ours): it was left out."


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and ":" not in name


def _unpacked(path: Path) -> Path:
    """The bundle's folder: itself, or where its .zip is unpacked in the store (by its content, so only once)."""
    if path.is_dir():
        return path
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            _check_members(path.name, members)
            folder = store_root() / "bundles" / hashlib.sha256(content).hexdigest()[:32]
            for member in sorted(members, key=lambda m: m.filename == MANIFEST):
                target = folder / member.filename
                if not target.exists():
                    put(target, archive.read(member))
    except FileNotFoundError:
        raise SourceError(f"There is no bundle at {path}.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error}).") from None
    except _BAD_ZIP:
        raise SourceError(f"{path.name} is not a bundle: it is neither a folder nor a readable .zip.") from None
    return folder


def _check_members(name: str, members: list[zipfile.ZipInfo]) -> None:
    names = {m.filename for m in members}
    if MANIFEST not in names:
        inner = any(n.endswith(f"/{MANIFEST}") for n in names)
        hint = " (zip what is in the bundle's folder, not the folder)" if inner else ""
        raise SourceError(f"{name} is not a bundle: it holds no {MANIFEST}{hint}.")
    outside = [m.filename for m in members if not _is_inside(m.filename)]
    if outside:
        raise SourceError(f"{name} is not a safe bundle: it would write outside its folder ({outside[0]}).")
    size = sum(m.file_size for m in members)
    if size > MAX_BYTES or len(members) > MAX_FILES:
        raise SourceError(f"{name} would unpack to {size / 1024**2:,.0f} MB in {len(members):,} files: too large.")
