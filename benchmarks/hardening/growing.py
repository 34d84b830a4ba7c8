"""Small uploads that unpack to much: each must be refused, soon and in little memory."""

import hashlib
import io
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from benchmarks.hardening.cases import LIMIT, WrongNumbers, peak_memory
from benchmarks.hardening.files import base_bundle, said, use, zipped
from lib.curves import read_baseline
from lib.sources import bundled_study, fetch


def growing_file(seed: int, folder: Path) -> str:
    """One of the uploads; making it counts neither for time nor for memory."""
    makers = (_long_manifest, _constant_rows, _empty_files, _zeros, _comma_csv, _many_rows_csv, _wide_csv, _fifo)
    upload = makers[seed % len(makers)](folder)
    peak_memory()
    start = time.perf_counter()
    try:
        if isinstance(upload, bytes):
            read_baseline(upload, "b.csv")
            return ""
        study = bundled_study(upload)
        manifest = fetch(study)
        use(study, manifest)
        return said(manifest)
    finally:
        if (seconds := time.perf_counter() - start) > LIMIT:
            raise WrongNumbers(f"{makers[seed % len(makers)].__name__} took {seconds:.1f} s")


def _long_manifest(folder: Path) -> Path:
    files, _ = base_bundle(os.environ["DETACH_STORE"])
    tree = json.loads(files["manifest.json"])
    tree["runs"] = tree["runs"] + [tree["runs"][0] | {"id": f"x{i}"} for i in range(60_000)]
    return _write(folder, dict(files) | {"manifest.json": json.dumps(tree).encode()})


def _constant_rows(folder: Path) -> Path:
    files = dict(base_bundle(os.environ["DETACH_STORE"])[0])
    name = next(name for name in files if name.endswith(".parquet"))
    whole = pl.read_parquet(io.BytesIO(files[name]))
    rows = 100_000_000
    buffer = io.BytesIO()
    part = pl.select(
        run_id=pl.lit(whole["run_id"][0]),
        metric=pl.lit("eval/episode_reward"),
        step=pl.lit(1, pl.Int64),
        value=pl.lit(1.0),
        time=pl.lit(1.0),
    )
    table = pl.concat([part] * 1_000_000).to_arrow(compat_level=pl.CompatLevel.oldest())
    with pq.ParquetWriter(buffer, table.schema, compression="zstd") as writer:
        for _ in range(rows // len(table)):
            writer.write_table(table)
    files[name] = buffer.getvalue()
    tree = json.loads(files["manifest.json"])
    tree["sha256"][name] = hashlib.sha256(files[name]).hexdigest()
    return _write(folder, files | {"manifest.json": json.dumps(tree).encode()})


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
