"""Times the reading of a folder of `.wandb` files of which a study asks for one key, each folder in a process of its own.

Run with `python -m benchmarks.offline`: it writes a run of 50 rows, one of 50,000 and a folder of many shorter runs, all of
25 keys, and prints the time of reading each into an empty store and the peak memory of the largest process. Start-up is left
out of the time, but for that of the processes which read the many runs.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KEYS = 25
#: By name, the runs of a folder and the rows of each.
FOLDERS = {"one run of 50 rows": (1, 50), "one run of 50,000 rows": (1, 50_000), "200 runs of 2,000 rows": (200, 2_000)}

STUDY = """
[study]
name = "offline"
title = "Offline"
[source]
kind = "offline"
path = "{folder}"
[[metrics]]
key = "metric/0"
family = "reward"
expect = "increase"
[[tasks]]
name = "walk"
total_steps = 100
detach = {{ ratio_key = "ratio" }}
"""


def write_folder(folder: Path, runs: int, rows: int) -> None:
    """Write runs of rows with `_step`, `_timestamp` and metrics, 25 keys in all."""
    from tests.support.wandb_files import exit_message, row_message, run_message, write_run

    for number in range(runs):
        history = [
            row_message(
                {
                    "_step": step,
                    "_timestamp": 1e9 + step,
                    **{f"metric/{key}": 0.1234567 * step + key for key in range(KEYS - 2)},
                },
                step,
            )
            for step in range(rows)
        ]
        config = {"task": "walk", "seed": number, "ratio": 0.5}
        run_id = f"r{number}"
        write_run(folder, [run_message(run_id, config), *history, exit_message()], run_id)


def read(folder: Path) -> None:
    """Read a folder and print the CPU time of all processes and the time in seconds, and the peak memory in MB."""
    import wandb.proto.wandb_internal_pb2  # noqa: F401 - start-up

    from lib.sources import fetch
    from lib.study import parse_study

    study = parse_study(STUDY.format(folder=folder), folder=str(folder))
    start, cpu = time.monotonic(), _cpu()
    manifest = fetch(study)
    seconds, cpu = time.monotonic() - start, _cpu() - cpu
    # Linux counts a parent's own peak in a child's `ru_maxrss`, and not here.
    own = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    peak = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
    print(cpu, seconds, peak, sum(run.rows["metric/0"] for run in manifest.runs))


def _cpu() -> float:
    """The CPU time of this process and of those that it started and that have ended, in seconds."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    """Print the table."""
    print("| folder | CPU, s | time, s | peak, MB | more than 50 rows, MB |\n| --- | --- | --- | --- | --- |")
    base = None
    for name, (runs, rows) in FOLDERS.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "runs")
            write_folder(folder, runs, rows)
            environment = {**os.environ, "DETACH_STORE": str(Path(temporary, "store"))}
            command = [sys.executable, "-m", "benchmarks.offline", str(folder)]
            output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        cpu, seconds, peak, points = (float(number) for number in output.split())
        if points != runs * rows:
            raise SystemExit(f"{name}: {points:,.0f} points were read of {runs * rows:,}.")
        base = peak if base is None else base
        print(f"| {name} | {cpu:.2f} | {seconds:.2f} | {peak:.0f} | {peak - base:.0f} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read(Path(sys.argv[1]))
    else:
        main()
