"""Small uploads that unpack to much, which are refused soon and in little memory; and inputs just under the bounds."""

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from benchmarks.hardening.cases import LIMIT, WrongNumbers, elapsed, start_clock
from benchmarks.hardening.files import STUDY, base_bundle, said, use, zipped
from lib.curves import read_baseline
from lib.runs import HISTORY
from lib.runs.reader import LAYOUT
from lib.sources import bundled_study, fetch
from lib.sources.bundle import MAX_MEMORY, MAX_ROWS
from lib.study import parse_study
from tests.support import wandb_files


def growing_file(seed: int, folder: Path) -> str:
    """One of the uploads; making it counts neither for time nor for memory."""
    makers = (_long_manifest, _constant_rows, _empty_files, _zeros, _comma_csv, _many_rows_csv, _wide_csv, _fifo)
    upload = makers[seed % len(makers)](folder)
    start_clock()
    try:
        return _open(upload)
    finally:
        if (seconds := elapsed()) > LIMIT:
            raise WrongNumbers(f"{makers[seed % len(makers)].__name__} took {seconds:.1f} s")


def large_bundle(seed: int, folder: Path) -> str:
    """A bundle just under what is read: runs of constant rows, of rows in order, and as many runs as there may be."""
    makers = (_one_row_again_and_again, _a_row_per_step, _as_many_rows_as_a_bundle_may_hold)
    upload = makers[seed % len(makers)](folder)
    start_clock()
    return _open(upload)


def large_baseline(seed: int, _folder: Path) -> str:
    """A baseline just under what is read: as many rows, or columns, as there may be."""
    long = b"step,reward,seed\n" + b"".join(b"%d,%d.5,1\n" % (i, i % 97) for i in range(999_999))
    row = b"1,2.5,3" + b",0.12345678" * 197 + b"\n"
    wide = b",".join([b"step,reward,seed", *(b"c%d" % i for i in range(197))]) + b"\n"
    upload = (long, wide + row * ((19 << 20) // len(row)))[seed % 2]
    start_clock()
    return _open(upload)


def large_log(_seed: int, folder: Path) -> str:
    """A `.wandb` file of 500 MB: a row of two metrics again and again."""
    content = wandb_files.log_of_blocks(
        wandb_files.run_message("r1", {"task": "walk", "seed": 1, "ratio": 0.5}, project="p", entity="e"),
        wandb_files.row_message({"_step": 51, "_timestamp": 1e9 + 0.25, "reward": 0.123456789, "loss": 0.987654321}),
        (500 << 20) // wandb_files.BLOCK,
    )
    path = folder / "offline-run-20260101_000000-r1" / "run-r1.wandb"
    path.parent.mkdir()
    path.write_bytes(content)
    del content
    study = parse_study(STUDY, folder=str(folder))
    start_clock()
    manifest = fetch(study)
    use(study, manifest)
    return said(manifest)


def _open(upload: bytes | Path) -> str:
    """Do with an upload what the app does."""
    if isinstance(upload, bytes):
        read_baseline(upload, "b.csv")
        return ""
    study = bundled_study(upload)
    manifest = fetch(study)
    use(study, manifest)
    return said(manifest)


def _long_manifest(folder: Path) -> Path:
    files, _ = base_bundle(os.environ["DETACH_STORE"])
    tree = json.loads(files["manifest.json"])
    tree["runs"] = tree["runs"] + [tree["runs"][0] | {"id": f"x{i}"} for i in range(60_000)]
    return _write(folder, dict(files) | {"manifest.json": json.dumps(tree).encode()})


def _constant_rows(folder: Path) -> Path:
    return _bundle_of_rows(folder, [100_000_000])


def _one_row_again_and_again(folder: Path) -> Path:
    return _bundle_of_rows(folder, [MAX_ROWS])


def _a_row_per_step(folder: Path) -> Path:
    return _bundle_of_rows(folder, [MAX_ROWS], is_ordered=True)


def _as_many_rows_as_a_bundle_may_hold(folder: Path) -> Path:
    left = MAX_MEMORY // 24 - MAX_ROWS - 1_000
    return _bundle_of_rows(folder, [MAX_ROWS, left // 2, left // 2], is_ordered=True)


def _bundle_of_rows(folder: Path, counts: Sequence[int], *, is_ordered: bool = False) -> Path:
    """A bundle whose first runs hold so many rows of one metric, with constant steps or one after the other."""
    files = dict(base_bundle(os.environ["DETACH_STORE"])[0])
    tree = json.loads(files["manifest.json"])
    names = [name for name in files if name.endswith(".parquet")]
    for name, count in zip(names, counts, strict=False):
        run_id, metric = pl.read_parquet(io.BytesIO(files[name])).select("run_id", "metric").row(0)
        files[name] = _long_run(run_id, metric, count, is_ordered=is_ordered)
        tree["sha256"][name] = hashlib.sha256(files[name]).hexdigest()
    return _write(folder, files | {"manifest.json": json.dumps(tree).encode()})


def _long_run(run_id: str, metric: str, count: int, *, is_ordered: bool) -> bytes:
    buffer, part = io.BytesIO(), 1_000_000
    parts = [range(start, min(start + part, count)) for start in range(0, count, part)]
    with pq.ParquetWriter(buffer, HISTORY.to_frame().to_arrow().schema, compression="zstd") as writer:
        for steps in parts:
            step = pl.Series(range(1, 2)).new_from_index(0, len(steps)) if not is_ordered else pl.Series(steps)
            rows = pl.DataFrame({"step": step}).select(
                run_id=pl.lit(run_id), metric=pl.lit(metric), step="step", value=pl.lit(1.0), time=pl.lit(1.0)
            )
            writer.write_table(rows.to_arrow().cast(writer.schema))
        if is_ordered:
            writer.add_key_value_metadata({LAYOUT: json.dumps({"metrics": [metric] * len(parts)})})
    return buffer.getvalue()


def _empty_files(folder: Path) -> Path:
    files = dict(base_bundle(os.environ["DETACH_STORE"])[0])
    return _write(folder, files | {f"extra/{i}.txt": b"" for i in range(19_900)})


def _zeros(folder: Path) -> Path:
    files = dict(base_bundle(os.environ["DETACH_STORE"])[0])
    return _write(folder, files | {"extra.bin": bytes(505 << 20)})


def _comma_csv(_folder: Path) -> bytes:
    return b"step,reward,seed\n" + b"," * (4 << 20)


def _many_rows_csv(_folder: Path) -> bytes:
    return b"step,reward,seed\n" + b"1,1,1\n" * 3_000_000


def _wide_csv(_folder: Path) -> bytes:
    return b",".join(b"c%d" % i for i in range(100_000)) + b"\n"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "b.zip")
    return folder / "b.zip"


def _write(folder: Path, files: Mapping[str, bytes]) -> Path:
    path = folder / "b.zip"
    path.write_bytes(zipped(files))
    return path
