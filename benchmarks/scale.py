"""Times what a study of many runs takes, each step in a process of its own: seconds and peak memory.

Run with `python -m benchmarks.scale [FOLDER] [--runs 100 1000] [--rows 10000] [--only STEP]`. Synthetic runs of two tasks and
five metrics are written once below the folder, as a fetch leaves them in the store; 10,000 runs of 10,000 rows take 6 GB.
`first` opens a study of which nothing is kept but its runs and makes what the Overview shows; `again` does so in a new
process; `report` writes html and csv; `cluster` is `first` on two workers of a Dask cluster, whose own CPU time and memory
are not counted.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

KEY = "k" * 40
REWARDS = ("eval/episode_reward", "train/episode_reward")
LOSSES = ("train/consistency_loss", "validation/consistency_loss", "train/reward_loss")
TOTAL = 1_000_000
TASKS = ("walk", "run")
STEPS = ("open", "first", "again", "report", "cluster")
TABLES = ("curves", "effects", "effects_detail", "runs")

STUDY = """
[study]
name = "scale"
title = "Scale"
[source]
kind = "wandb"
entity = "lab"
project = "scale"
base_url = "http://127.0.0.1:9"
"""


def study():
    """The study: two tasks, two rewards and three losses on a log scale."""
    from lib.study import parse_study

    metrics = [
        f'[[metrics]]\nkey = "{key}"\nfamily = "{family}"\nexpect = "{expect}"\nscale = "{scale}"\n'
        for keys, family, expect, scale in (
            (REWARDS, "reward", "increase", "linear"),
            (LOSSES, "loss", "decrease", "log"),
        )
        for key in keys
    ]
    tasks = [
        f'[[tasks]]\nname = "{name}"\ntotal_steps = {TOTAL}\nsmoothing_steps = 10000\n[tasks.detach]\nratio_key = "ratio"\n'
        for name in TASKS
    ]
    return parse_study(STUDY + "".join(metrics + tasks))


def write_one(folder: Path, rows: int, number: int):
    """Write one run: curves that saturate, with noise; every other run is a control."""
    import numpy as np
    import polars as pl

    from lib.runs import Points, Run, describe, write_run

    random = np.random.default_rng(number)
    step = np.sort(random.choice(TOTAL, size=rows, replace=False)) + 1
    is_detached, task = number % 2 == 0, TASKS[number // 2 % len(TASKS)]
    rise = 1 - np.exp(-step / TOTAL / random.uniform(0.2, 0.5)) + 0.05 * is_detached * (step > TOTAL / 2)
    points = [
        Points(key, pl.DataFrame({"step": step, "value": value, "time": 1.7e9 + step / 100}))
        for key, value in [
            *((key, 800 * rise + random.normal(0, 40, rows)) for key in REWARDS),
            *((key, np.exp(-2 * rise + random.normal(0, 0.2, rows))) for key in LOSSES),
        ]
    ]
    run = Run(
        f"r{number:05d}",
        name=f"run {number}",
        state="finished",
        config={"task": task, "seed": number // 4, "ratio": 0.5 if is_detached else 0.0, "batch_size": 256, "lr": 3e-4},
        tasks=(task,),
        created_at="2026-01-01T00:00:00Z",
        fetched_at="2026-01-02T00:00:00Z",
        stamp=f"stamp {number}",
    )
    return write_run(folder, describe(run, points, (), (*REWARDS, *LOSSES), ("_step",)), points)


def write(runs: int, rows: int) -> None:
    """Write the runs and their manifest into the store of this process."""
    from lib.runs import Manifest, writing
    from lib.sources.cloud.fetch import _folder, _store_manifest
    from lib.sources.request import run_folder

    example = study()
    base = _folder(example, example.source.base_url, KEY)
    folder = base / run_folder(example.step_key)
    with writing(base, "lab/scale"), ProcessPoolExecutor() as pool:
        written = tuple(pool.map(partial(write_one, folder, rows), range(runs), chunksize=8))
    source = {"kind": "wandb", "entity": "lab", "project": "scale", "server": example.source.base_url}
    _store_manifest(base, example, Manifest(example.name, source, "2026-01-02T00:00:00Z", str(folder), written))


def opened():
    """The study and its runs, as they are stored."""
    from lib.sources import Request
    from lib.sources.cloud.fetch import stored

    example = study()
    manifest = stored(example, Request(key=KEY))
    assert manifest is not None and manifest.whole, manifest and manifest.problems[:3]
    return example, manifest


def overview() -> int:
    """What the Overview shows: curves, their charts, claims and their chart; the bytes of the largest chart."""
    from lib.curves import View
    from lib.effects import analyse
    from lib.report import claims_figure, curve_figure, figure_data
    from lib.study import FAMILIES

    example, manifest = opened()
    marks = [("opened", time.process_time())]
    data = figure_data(example, manifest, View())
    marks.append(("curves", time.process_time()))
    specs = [curve_figure(data, task, *FAMILIES).chart(height=400) for task in example.tasks]
    marks.append(("charts", time.process_time()))
    analysis = analyse(example, manifest)
    marks.append(("effects", time.process_time()))
    specs.append(claims_figure(analysis.effects, example).chart())
    for (_, start), (name, end) in pairwise(marks):
        print(f"{name} {end - start:.1f} s", file=sys.stderr)
    return max(len(json.dumps(spec.to_dict())) for spec in specs)


def on_cluster() -> int:
    """What `overview` does, with what is computed of each run on two workers."""
    from lib.runs import computing_on, store_root
    from lib.workers import open_cluster
    from tests.support.dask_cluster import DaskCluster

    with (
        tempfile.TemporaryDirectory() as folder,
        DaskCluster(Path(folder)) as dask,
        open_cluster(dask.address, store_root()) as cluster,
        computing_on(cluster),
    ):
        return overview()


def report() -> int:
    """A report in html and csv; the bytes of its largest file."""
    from lib.curves import View
    from lib.report import write_report

    with tempfile.TemporaryDirectory() as folder:
        return max(p.stat().st_size for p in write_report(*opened(), Path(folder), View(), ("html", "csv")))


def step(name: str) -> None:
    """Do one step in this process; print its seconds, those of the CPU, its peak memory in MB and the bytes that it makes."""
    import lib.effects
    import lib.report
    import lib.sources.cloud.fetch  # noqa: F401 - start-up

    start, began = time.perf_counter(), time.process_time()
    steps = {"open": lambda: len(opened()[1].runs), "report": report, "cluster": on_cluster}
    size = steps.get(name, overview)()
    seconds, cpu = time.perf_counter() - start, time.process_time() - began
    # Linux counts a parent's own peak in a child's `ru_maxrss`, and not here.
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    print(seconds, cpu, peak, size)


def measured(store: Path, *command: str) -> list[float]:
    """What a step prints."""
    here = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", str(store), *command],
        cwd=here, env={**os.environ, "DETACH_STORE": str(store)}, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return [float(word) for word in done.stdout.split()]


def table(folder: Path, sizes: list[int], rows: int, only: list[str]) -> Iterator[str]:
    """The lines of the table."""
    yield "| runs | step | seconds | CPU, s | CPU per run, ms | peak, MB | largest chart or file, KB |"
    yield "|---|---|---|---|---|---|---|"
    for runs in sizes:
        store = folder / f"{runs}x{rows}"
        if not (store / "written").exists():
            shutil.rmtree(store, ignore_errors=True)
            measured(store, "--write", str(runs), "--rows", str(rows))
            (store / "written").touch()
        for name in only:
            if name in ("first", "cluster"):
                for kept in store.glob("v*/*/*/*/computed"):
                    shutil.rmtree(kept)
            seconds, cpu, peak, size = measured(store, "--step", name)
            yield f"| {runs:,} | {name} | {seconds:.1f} | {cpu:.1f} | {1000 * cpu / runs:.1f} | {peak:.0f} | {size / 1000:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(tempfile.gettempdir(), "scale_runs"))
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.rows)
    elif arguments.step:
        step(arguments.step)
    else:
        for line in table(arguments.folder.resolve(), arguments.runs, arguments.rows, arguments.only):
            print(line, flush=True)


if __name__ == "__main__":
    main()
