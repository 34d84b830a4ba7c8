"""An exported study: a folder or .zip of a manifest, the study file and one Parquet file per run."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from lib.formatting import one_line
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
)
from lib.sources.archive import MANIFEST, MAX_BYTES, MAX_FILES, MAX_MANIFEST, STUDY_FILE, is_inside, unpacked
from lib.sources.request import Request, SourceError, missing_tasks, stored_tasks_of
from lib.study import MAX_STUDY, InputError, Source, Study, check_file, parse_study, read_file, to_toml, with_source

#: Rows of one run, and the bytes of the step, value and time of all rows of a bundle, which an analysis holds, however
#: small they are in their files.
MAX_ROWS, MAX_MEMORY = 10_000_000, 400 << 20
_ROW_BYTES = 24
_EPOCH = (1980, 1, 1, 0, 0, 0)


def fetch(study: Study, request: Request) -> Manifest:
    """Open the study's bundle.

    Raises
    ------
    SourceError
        Where the path is no bundle, its schema is newer than this program, or none of its runs can be read.
    """
    path = study.source_path
    folder = unpacked(path)
    manifest, sums = _read_manifest(folder, path.name)
    damages = _damages(folder, manifest, sums, path.name)
    if damages and path != folder:
        # What was unpacked may have changed since; the .zip itself has its own checksums.
        folder = unpacked(path, anew=True)
        damages = _damages(folder, manifest, sums, path.name)
    problems = list(manifest.problems)
    runs = []
    for run in manifest.runs:
        if run.id in damages:
            problems.append(Problem(damages[run.id], run_id=run.id))
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
    folder = unpacked(path)
    _read_manifest(folder, path.name)
    try:
        text = read_file(folder / STUDY_FILE, MAX_STUDY).decode()
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
    if out.suffix.lower() == ".zip":
        put(out, zipped_bundle(study, manifest), shared=True)
        return
    if out.is_dir() and not (out / MANIFEST).exists() and any(out.iterdir()):
        raise StoreError(f"{out} is a folder that holds other files: name a file that ends in .zip, or a new folder.")
    for name, content in _contents(study, manifest).items():
        put(out / name, content, shared=True)


def zipped_bundle(study: Study, manifest: Manifest) -> bytes:
    """The study and its runs as a .zip; the errors of `write_bundle`."""
    return _zipped(_contents(study, manifest))


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
                    f"The baseline {baseline.name} of {task.title} cannot be read: {one_line(baseline.path)}."
                ) from None
            moved.append(replace(baseline, path=name, label=baseline.name))
        tasks.append(replace(task, baselines=tuple(moved)))
    return replace(study, tasks=tuple(tasks)), files


def _with_baseline_paths(study: Study, folder: Path, name: str) -> Study:
    """The study of an opened bundle with its baselines where they now lie; none may lie outside it."""
    for path in (b.path for t in study.tasks for b in t.baselines):
        if not is_inside(path):
            raise SourceError(
                f"{name} is not a safe bundle: it names a baseline outside its folder ({one_line(path)})."
            )
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
        text = read_file(folder / MANIFEST, MAX_MANIFEST).decode()
        tree = json.loads(text)
        # Asked first: a newer manifest may well have another shape.
        version = tree["schema_version"]
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise SourceError(
                f"{name} was written by a newer version (schema {version}, this program reads up to "
                f"{SCHEMA_VERSION}): update this program to open it."
            )
        if len(tree["runs"]) > MAX_FILES:
            raise SourceError(f"{name} names {len(tree['runs']):,} runs: a bundle holds at most {MAX_FILES:,}.")
        return manifest_from(text, folder), dict(tree["sha256"])
    except OSError:
        raise SourceError(f"{name} is not a bundle: it holds no {MANIFEST}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SourceError(f"{name} is not a bundle: its {MANIFEST} is not one of ours.") from None


def _damages(folder: Path, manifest: Manifest, sums: dict[str, str], name: str) -> dict[str, str]:
    """By run, what is wrong with its file."""
    messages, total = dict[str, str](), 0
    for run in manifest.runs:
        if message := _checksum_message(folder, run, sums):
            messages[run.id] = message
        elif run.file:
            rows = _row_count(folder / run.file)
            if rows is None:
                messages[run.id] = f"Run {run.id} holds no history ({run.file} is not one of ours): it was left out."
            elif rows > MAX_ROWS:
                messages[run.id] = f"Run {run.id} holds {rows:,} rows, more than {MAX_ROWS:,}: it was left out."
            else:
                total += rows
    if total * _ROW_BYTES > MAX_MEMORY:
        raise SourceError(
            f"{name} holds {total:,} rows, {total * _ROW_BYTES >> 20:,} MB in memory: a bundle of more than "
            f"{MAX_MEMORY >> 20} MB ({MAX_MEMORY // _ROW_BYTES:,} rows) does not open."
        )
    for run in manifest.runs:
        if run.file and run.id not in messages and not _is_history(folder / run.file, run.id):
            messages[run.id] = f"Run {run.id} holds no history ({run.file} is not one of ours): it was left out."
    return messages


def _checksum_message(folder: Path, run: Run, sums: dict[str, str]) -> str:
    if not run.file:
        return ""
    if not is_inside(run.file):
        return f"Run {run.id} names a file outside the bundle ({run.file}): it was left out."
    try:
        check_file(folder / run.file, MAX_BYTES)
        with (folder / run.file).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, InputError):
        return f"Run {run.id} has no file {run.file} in the bundle: it was left out."
    if digest != sums.get(run.file):
        return f"Run {run.id} is damaged ({run.file} is not what was bundled): it was left out."
    return ""


def _row_count(path: Path) -> int | None:
    """How many rows a file says that it holds; None where it is no Parquet file."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return None


def _is_history(path: Path, run_id: str) -> bool:
    """Whether all of a file can be read, as the history of this run: who made the bundle made its checksums too."""
    try:
        if pl.read_parquet_schema(path) != HISTORY:
            return False
        rows = pl.scan_parquet(path, glob=False)
        sizes = [pl.col("metric").str.len_bytes().sum(), pl.col("value").sum(), pl.col("time").sum()]
        is_sound = (pl.col("step").is_not_null() & pl.col("run_id").eq_missing(pl.lit(run_id))).all().alias("is_sound")
        return bool(rows.select(is_sound, *sizes).collect(engine="streaming")["is_sound"][0])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return False
