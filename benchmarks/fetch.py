"""How fast, how lean: this project's fetch against the notebook's way, both in one run, on a loopback W&B server.

    python benchmarks/fetch.py            everything, about three minutes (the notebook's way takes most of it)
    python benchmarks/fetch.py --runs 4   a smaller first table, for a quick look

Start-up of Python and imports are left out on both sides. The server runs in a process of its own. What takes less than
a few seconds is timed three times, each first fetch into a store of its own, and the best counts, on both sides.
"""

import argparse
import io
import json
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from lib.curves import View, curves  # noqa: E402
from lib.runs import treatments_of  # noqa: E402
from lib.sources import Request, fetch, stored  # noqa: E402
from lib.study import Study, parse_study  # noqa: E402
from tests.support.wandb_server import KEY, FakeRun, WandbServer  # noqa: E402

NAMED = ("eval/reward", "train/reward", "train/loss", "val_all/loss", "val_recent/loss")
PROJECT = "team/project"
REPEATS = 3
ROWS, COLUMNS, LATENCY = 25_000, 28, 0.05


def by_polars(frame: pl.DataFrame) -> bytes:
    """A Parquet file as polars writes it: one row group."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def by_arrow(frame: pl.DataFrame, **layout: int) -> bytes:
    """A Parquet file as pyarrow writes it."""
    buffer = io.BytesIO()
    pq.write_table(frame.to_arrow(), buffer, **layout)
    return buffer.getvalue()


LAYOUTS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "polars": by_polars,
    "pyarrow": by_arrow,
    "pyarrow, small pages and row groups": lambda frame: by_arrow(frame, row_group_size=1000, data_page_size=4096),
}


def study(url: str, metrics: tuple[str, ...] = NAMED) -> Study:
    """Five metrics of one task, one sweep."""
    text = f"""[study]\nname = "bench"\ntitle = "Bench"\n[source]\nkind = "wandb"\nentity = "team"\nproject = "project"
base_url = "{url}"\n[[tasks]]\nname = "walk"\nsweep_id = "s1"\ntotal_steps = 100_000\ndetach = {{ step = 50_000 }}\n"""
    for key in metrics:
        family, expect = ("reward", "increase") if "reward" in key else ("loss", "decrease")
        text += f'[[metrics]]\nkey = "{key}"\nfamily = "{family}"\nexpect = "{expect}"\n'
    return parse_study(text)


@dataclass(frozen=True)
class Traffic:
    """What a server was asked since it was asked this last: its requests, those of the busiest run, and bytes."""

    requests: int
    of_one_run: int
    sent: int
    stored: int


def logged(chance: np.random.Generator, columns: int) -> pl.DataFrame:
    """A run's history: its steps and columns of noise in any order."""
    others = [f"other_{i:03}/x" for i in range(columns - 3 - len(NAMED))]
    frame = {"_step": np.arange(ROWS) * 4, "_timestamp": 1.7e9 + np.cumsum(chance.random(ROWS))}
    frame |= {name: chance.normal(size=ROWS) for name in chance.permutation(sorted([*NAMED, *others, "_runtime"]))}
    return pl.DataFrame(frame)


def serve(pipe: Connection, runs: int, columns: int, latency: float, growing: bool, layout: str) -> None:
    """The server, in its own process: answers `traffic`, and `grow` with ten more live rows of its first run."""
    chance = np.random.default_rng(0)
    with WandbServer(latency) as server:
        for seed in range(runs):
            frame = logged(chance, columns)
            state = "running" if growing and seed == 0 else "finished"
            config = {"task": "walk", "seed": seed}
            parts = [frame if layout == "pyarrow" else LAYOUTS[layout](frame)]
            run = FakeRun(f"r{seed:02}", parts=parts, config=config, sweep="s1", state=state)
            run.files()
            server.add(PROJECT, run)
        pipe.send(server.url)
        served = list(server.projects[PROJECT].values())
        while (word := pipe.recv()) != "stop":
            if word == "traffic":
                by_run = Counter(hit.run for hit in server.hits if hit.run)
                stored = sum(len(file) for run in served for file in run.files())
                most = max(by_run.values(), default=0)
                pipe.send(Traffic(server.count(), most, server.sent(), stored))
                server.forget()
            else:
                step = 4 * (ROWS + len(served[0].live))
                served[0].live += [
                    {"_step": step + 4 * i, "_timestamp": 1.8e9 + i} | dict.fromkeys(NAMED, 1.0) for i in range(10)
                ]
                pipe.send("grown")


@contextmanager
def server(
    runs: int, columns: int = COLUMNS, latency: float = LATENCY, growing: bool = False, layout: str = "pyarrow"
) -> Iterator[tuple[str, Callable[[str], Any]]]:
    """A server with these runs: its address, and a function that asks it for its traffic or to grow."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, runs, columns, latency, growing, layout), daemon=True)
    process.start()

    def ask(word: str) -> Any:
        ours.send(word)
        return ours.recv()

    yield ours.recv(), ask
    ours.send("stop")
    process.join(10)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds and result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def notebook_way(url: str) -> list:
    """What the original notebook's tools do: the sweep's runs, their config, every row as a dict, a DataFrame each."""
    import pandas as pd
    import wandb

    api = wandb.Api(api_key=KEY, overrides={"base_url": url, "entity": "team"}, timeout=60)
    frames = []
    for run in api.sweep(f"{PROJECT}/s1").runs:
        frame = pd.DataFrame(list(run.scan_history(page_size=20_000_000)))
        frames.append((run.id, dict(run.config), frame))
    return frames


def notebook_cache(frames: list, path: Path) -> None:
    """The notebook's cache: one line of JSON a run, with the history's rows."""
    with path.open("w") as file:
        for run_id, config, frame in frames:
            rows = frame[["_step", *NAMED]].to_dict("records")
            file.write(json.dumps({"id": run_id, "config": config, "history": {"rows": rows}}) + "\n")


def notebook_reopen(path: Path) -> list:
    """The cache to the first curves: mean and std over seeds at each step, moving average of the train reward."""
    import pandas as pd

    frames = []
    for line in path.read_text().splitlines():
        run = json.loads(line)
        frames.append(pd.DataFrame(run["history"]["rows"]).assign(seed=run["config"]["seed"]))
    data = pd.concat(frames, ignore_index=True)
    drawn = []
    for metric in NAMED:
        valid = data[["_step", metric, "seed"]].dropna()
        stats = (
            valid.groupby("_step").agg(mean=(metric, "mean"), std=(metric, "std"), n=(metric, "count")).reset_index()
        )
        if metric == "train/reward":
            stats["mean"] = stats["mean"].rolling(250, min_periods=1).mean()
            stats["std"] = stats["std"].fillna(0).rolling(250, min_periods=1).mean()
        drawn.append(stats)
    return drawn


def reopen(example: Study) -> pl.DataFrame:
    """The store to the first curves: every metric, smoothed, on one grid."""
    manifest = stored(example, Request(key=KEY))
    treatments = treatments_of(example, manifest)
    return curves(manifest.history(), example.tasks[0], example.metrics, treatments, View())


def peak(url: str) -> float:
    """Peak memory in MB of a process that only fetches, start-up included."""
    done = subprocess.run([sys.executable, __file__, "--fetch", url], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def peak_of_this_process() -> float:
    """Peak memory in MB; Linux counts a parent's own peak in a child's `ru_maxrss`, and not here."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def fresh_store() -> Iterator[None]:
    """An empty store for a while."""
    before = os.environ.pop("DETACH_STORE", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DETACH_STORE"] = folder
        try:
            yield
        finally:
            del os.environ["DETACH_STORE"]
            if before is not None:
                os.environ["DETACH_STORE"] = before


def fetch_all(url: str, metrics: tuple[str, ...] = NAMED) -> None:
    """Fetch the study; a run that fails ends the benchmark."""
    manifest = fetch(study(url, metrics), Request(key=KEY))
    assert manifest.whole, manifest.problems


def warm_up() -> None:
    """Import on both sides, and start the process of W&B's client."""
    with server(1, latency=0) as (url, _), fresh_store():
        fetch_all(url)
        reopen(study(url))
        notebook_way(url)


Row = tuple[str, str, str, str]


def first_fetch(runs: int) -> list[Row]:
    """Fetch, fetch again, add a metric and reopen, beside the notebook's way."""
    cache = Path(tempfile.mkdtemp()) / "cache.jsonl"
    with server(runs) as (url, ask), fresh_store():
        ours = []
        for _ in range(REPEATS):
            with fresh_store():
                ask("traffic")
                ours.append(timed(lambda: fetch_all(url))[0])
        traffic = ask("traffic")
        fetch_all(url)
        ask("traffic")
        theirs, frames = timed(lambda: notebook_way(url))
        notebook_requests = ask("traffic").requests
        again = [timed(lambda: fetch_all(url))[0] for _ in range(REPEATS)]
        again_requests = ask("traffic").requests // REPEATS
        more, _ = timed(lambda: fetch_all(url, (*NAMED, "other_003/x")))
        more_sent = ask("traffic").sent
        notebook_cache(frames, cache)
        slow = min(timed(lambda: notebook_reopen(cache))[0] for _ in range(REPEATS))
        seconds = min(timed(lambda: reopen(study(url)))[0] for _ in range(REPEATS))
    return [
        (f"first fetch, {runs} runs x {ROWS:,} rows x {COLUMNS} columns, {1000 * LATENCY:.0f} ms per request",
         f"{min(ours):.2f} s ({max(ours):.2f} s at worst)", f"{theirs:.1f} s",
         f"{theirs / min(ours):.0f} x (at least 100 x)"),
        ("its requests and bytes", f"{traffic.requests} requests, {traffic.sent / 1e6:.0f} MB",
         f"{notebook_requests} requests", f"at most {3 + runs / 200 + 4 * runs:.0f} requests"),
        ("refresh, nothing changed", f"{min(again):.2f} s, {again_requests} request", "all of it", "listing only"),
        ("a metric more", f"{more:.2f} s, {more_sent / 1e6:.1f} MB", "all of it", "that metric only"),
        (f"reopen: store to first curves, {runs} runs", f"{seconds:.2f} s", f"{slow:.1f} s",
         f"{slow / seconds:.0f} x (at least 20 x)"),
    ]  # fmt: skip


def requests_by_layout(runs: int = 12) -> list[Row]:
    """Requests per run, whoever wrote the files and however."""
    table = []
    for layout in LAYOUTS:
        with server(runs, latency=0, layout=layout) as (url, ask), fresh_store():
            fetch_all(url)
            traffic = ask("traffic")
        ours = f"{traffic.requests / runs:.1f} on average with the listing, {traffic.of_one_run} at most"
        bytes_read = f"{traffic.sent / traffic.stored:.0%} of the bytes"
        table.append((f"requests per run, files written by {layout}", f"{ours}; {bytes_read}", "", "4"))
    return table


def bytes_of_wide_runs() -> list[Row]:
    """The share of a file with 150 columns and one row group that is read where five are named."""
    table = []
    for layout in ("polars", "pyarrow"):
        with server(4, columns=150, latency=0, layout=layout) as (url, ask), fresh_store():
            fetch_all(url)
            traffic = ask("traffic")
        share = f"{traffic.sent / traffic.stored:.1%} (at most 12%)"
        sent, stored_size = f"{traffic.sent / 1e6:.1f} MB", f"{traffic.stored / 1e6:.0f} MB"
        table.append((f"bytes, 5 of 150 columns named, files written by {layout}", sent, stored_size, share))
    return table


def growing_run() -> list[Row]:
    """A refresh after one of two runs has logged ten rows more."""
    with server(2, latency=0, growing=True) as (url, ask), fresh_store():
        fetch_all(url)
        ask("traffic")
        ask("grow")
        fetch_all(url)
        traffic = ask("traffic")
    ours = f"{traffic.sent / 1e3:.0f} kB, {traffic.requests} requests"
    return [("refresh, a run logged 10 rows more", ours, "all of it", "only its new rows")]


def peak_memory() -> list[Row]:
    """Peak memory of a process that only fetches."""
    peaks = []
    for runs in (8, 64):
        with server(runs, latency=0) as (url, _), fresh_store():
            peaks.append(peak(url))
    return [("peak memory at 8 and 64 runs", f"{peaks[0]:.0f} and {peaks[1]:.0f} MB", "", "independent of runs")]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=24)
    options.add_argument("--fetch", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.fetch:
        fetch_all(chosen.fetch)
        print(peak_of_this_process())
        return
    warm_up()
    table = [*first_fetch(chosen.runs), *requests_by_layout(), *bytes_of_wide_runs(), *growing_run(), *peak_memory()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("wandb", "polars", "pyarrow", "pandas"))
    print(f"{os.cpu_count()} CPU cores, {memory:.0f} GB, Python {platform.python_version()}, {versions}\n")
    print("| | this project | the notebook's way | target |\n|---|---|---|---|")
    for row in table:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
