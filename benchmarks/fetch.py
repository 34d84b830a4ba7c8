"""How fast, how lean: this project's fetch against the notebook's way, both in one run, on a loopback W&B server.

    python benchmarks/fetch.py            everything, about three minutes (the notebook's way takes most of it)
    python benchmarks/fetch.py --runs 4   a smaller first table, for a quick look

Start-up of Python and imports are left out on both sides. The server runs in a process of its own. What takes less than
a few seconds is timed three times, each first fetch into a store of its own, and the best counts, on both sides.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

from lib.curves import aggregate, view_settings  # noqa: E402
from lib.runs import detach  # noqa: E402
from lib.sources import Request, fetch, stored  # noqa: E402
from lib.study import Study, parse_study  # noqa: E402
from tests.support.wandb_server import KEY, FakeRun, WandbServer  # noqa: E402

NAMED = ("eval/reward", "train/reward", "train/loss", "val_all/loss", "val_recent/loss")
PLACE = "team/project"
REPEATS = 3


def study(url: str, metrics: tuple[str, ...] = NAMED) -> Study:
    """Five metrics of one task, one sweep."""
    text = f"""[study]\nname = "bench"\ntitle = "Bench"\n[source]\nkind = "wandb"\nentity = "team"\nproject = "project"
base_url = "{url}"\n[[tasks]]\nname = "walk"\nsweep_id = "s1"\ntotal_steps = 100_000\ndetach = {{ step = 50_000 }}\n"""
    for key in metrics:
        family, expect = ("reward", "increase") if "reward" in key else ("loss", "decrease")
        text += f'[[metrics]]\nkey = "{key}"\nfamily = "{family}"\nexpect = "{expect}"\n'
    return parse_study(text)


def serve(pipe: object, runs: int, rows: int, columns: int, latency: float, growing: bool) -> None:
    """The server, in its own process: answers `log` with requests and bytes, `grow` with ten more live rows."""
    rng = np.random.default_rng(0)
    with WandbServer(latency) as server:
        for seed in range(runs):
            others = [f"other_{i:03}/x" for i in range(columns - 3 - len(NAMED))]
            frame = {"_step": np.arange(rows) * 4, "_timestamp": 1.7e9 + np.cumsum(rng.random(rows))}
            names = rng.permutation(sorted([*NAMED, *others, "_runtime"]))
            frame |= {name: rng.normal(size=rows) for name in names}
            state = "running" if growing and seed == 0 else "finished"
            run = FakeRun(
                f"r{seed:02}",
                parts=[pl.DataFrame(frame)],
                config={"task": "walk", "seed": seed},
                sweep="s1",
                state=state,
            )
            run.files()
            server.add(PLACE, run)
        pipe.send(server.url)
        held = server.projects[PLACE].values()
        step = rows * 4
        while (word := pipe.recv()) != "stop":
            if word == "log":
                pipe.send((server.counters(), server.sent(), sum(len(f) for run in held for f in run.files())))
                server.forget()
            else:
                first = next(iter(held))
                first.live += [
                    {"_step": step + 4 * i, "_timestamp": 1.8e9 + i} | dict.fromkeys(NAMED, 1.0) for i in range(10)
                ]
                step += 40
                pipe.send("grown")


@contextmanager
def server(runs: int, rows: int = 25_000, columns: int = 28, latency: float = 0.05, growing: bool = False):
    """A server with these runs: its address, and a function that asks it something."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, runs, rows, columns, latency, growing), daemon=True)
    process.start()

    def ask(word: str) -> object:
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
    for run in api.sweep(f"{PLACE}/s1").runs:
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


def reopen(asked: Study) -> pl.DataFrame:
    """The store to the first curves: every metric, smoothed, on one grid."""
    manifest = stored(asked, Request(key=KEY))
    treated = detach.treatments(asked, manifest)
    return aggregate.curves(manifest.history(), asked.tasks[0], asked.metrics, treated, view_settings.View()).collect()


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


def warm_up() -> None:
    """Import on both sides, and start the client's own process."""
    with server(1, rows=100, latency=0) as (url, _), fresh_store():
        fetch(study(url), Request(key=KEY))
        reopen(study(url))
        notebook_way(url)


@contextmanager
def fresh_store():
    """An empty store for a while."""
    before = os.environ.get("DETACH_STORE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DETACH_STORE"] = folder
        yield folder
    if before is not None:
        os.environ["DETACH_STORE"] = before


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    """The table: what, ours, the notebook's, the target."""
    warm_up()
    table = []
    cache = Path(tempfile.mkdtemp()) / "cache.jsonl"
    with server(runs) as (url, ask), fresh_store():
        asked = study(url)
        ours = []
        for _ in range(REPEATS):
            with fresh_store():
                ask("log")
                ours.append(timed(lambda: fetch(asked, Request(key=KEY)))[0])
        counts, _, _ = ask("log")
        fetch(asked, Request(key=KEY))
        ask("log")
        theirs, frames = timed(lambda: notebook_way(url))
        before, _, _ = ask("log")
        table.append((f"first fetch, {runs} runs x 25,000 rows x 28 columns, 50 ms a request",
                      f"{min(ours):.2f} s ({max(ours):.2f} s at worst)", f"{theirs:.1f} s",
                      f"{theirs / min(ours):.0f} x (at least 100 x)"))  # fmt: skip
        budget = 3 + runs / 200 + 4 * runs
        table.append(("requests of it", str(sum(counts.values())), str(sum(before.values())), f"at most {budget:.0f}"))
        again, _ = timed(lambda: fetch(asked, Request(key=KEY)))
        counts, _, _ = ask("log")
        again = min(again, *(timed(lambda: fetch(asked, Request(key=KEY)))[0] for _ in range(REPEATS - 1)))
        ask("log")
        table.append(
            ("refresh, nothing changed", f"{again:.2f} s, {sum(counts.values())} requests", "all of it", "listing only")
        )
        more = study(url, (*NAMED, "other_003/x"))
        again, _ = timed(lambda: fetch(more, Request(key=KEY)))
        _, sent, _ = ask("log")
        table.append(("a metric more", f"{again:.2f} s, {sent / 1e6:.1f} MB", "all of it", "that metric only"))
        notebook_cache(frames, cache)
        shut = min(timed(lambda: notebook_reopen(cache))[0] for _ in range(REPEATS))
        opened = min(timed(lambda: reopen(asked))[0] for _ in range(REPEATS))
        table.append((f"reopen: store to first curves, {runs} runs", f"{opened:.2f} s", f"{shut:.1f} s",
                      f"{shut / opened:.0f} x (at least 20 x)"))  # fmt: skip
    with server(4, columns=150, latency=0) as (url, ask), fresh_store():
        fetch(study(url), Request(key=KEY))
        counts, sent, total = ask("log")
        table.append(("bytes, 5 of 150 columns named", f"{sent / 1e6:.1f} MB", f"{total / 1e6:.0f} MB",
                      f"{sent / total:.1%} (at most 5%)"))  # fmt: skip
    with server(2, latency=0, growing=True) as (url, ask), fresh_store():
        fetch(study(url), Request(key=KEY))
        ask("log")
        ask("grow")
        fetch(study(url), Request(key=KEY))
        counts, sent, total = ask("log")
        table.append(
            (
                "refresh, a run logged 10 rows more",
                f"{sent / 1e3:.0f} kB, {sum(counts.values())} requests",
                "all of it",
                "only its new rows",
            )
        )
    peaks = []
    for count in (8, 64):
        with server(count, latency=0) as (url, _), fresh_store():
            peaks.append(peak(url))
    table.append(("peak memory at 8 and 64 runs", f"{peaks[0]:.0f} and {peaks[1]:.0f} MB", "", "independent of runs"))
    return table


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=24)
    options.add_argument("--fetch", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.fetch:
        fetch(study(chosen.fetch), Request(key=KEY))
        print(peak_of_this_process())
        return
    table = rows(chosen.runs)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("wandb", "polars", "pyarrow", "pandas"))
    print(f"{os.cpu_count()} CPU cores, {memory:.0f} GB, Python {platform.python_version()}, {versions}\n")
    print("| | this project | the notebook's way | target |\n|---|---|---|---|")
    for row in table:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
