"""The store: fetches that are killed, and stored files of which a bit changes."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.hardening.cases import WrongNumbers
from benchmarks.hardening.files import points_of, require_subset, said, use
from benchmarks.hardening.servers import rows_of, study_of
from lib.runs import Manifest
from lib.sources import Request, fetch, stored
from lib.study import Study, to_toml
from tests.support.wandb_server import KEY, FakeRun, WandbServer


def _server(latency: float = 0.0) -> WandbServer:
    """Six runs: every second one is still going."""
    server = WandbServer(latency)
    for seed in range(1, 7):
        rows = rows_of(seed)
        config = {"task": "walk", "seed": seed, "ratio": 0.5 * (seed % 2)}
        state = "running" if seed % 2 else "finished"
        server.add(
            "team/walks", FakeRun(f"r{seed}", rows=rows[:80], live=rows[80:], config=config, sweep="s1", state=state)
        )
    return server


def killed_fetch(seed: int, folder: Path) -> str:
    """A fetch killed at a moment of its own: what is stored is whole, and the next fetch brings everything."""
    rng = random.Random(seed)
    os.environ["DETACH_STORE"] = str(folder / "store")
    with _server(0.01) as server:
        study = study_of(server.url)
        (folder / "study.toml").write_text(to_toml(study))
        environment = os.environ | {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
        command = [sys.executable, "-m", "lib", "fetch", str(folder / "study.toml")]
        program = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _wait_for_request(server)
        time.sleep(rng.uniform(0, 0.6))
        program.kill()
        program.wait()
        truth = _truth(server)
        if left := stored(study, Request(key=KEY)):
            require_subset(points_of(left), truth, "what a killed fetch left")
        manifest = fetch(study, Request(key=KEY, deadline=20))
        if points_of(manifest) != truth:
            raise WrongNumbers("the fetch after a killed one is not whole")
        if asides := list((folder / "store").rglob(".aside-*")):
            raise WrongNumbers(f"{len(asides)} temporary files stayed")
        return said(manifest)


def _wait_for_request(server: WandbServer) -> None:
    until = time.monotonic() + 20
    while not server.count() and time.monotonic() < until:
        time.sleep(0.005)


def _truth(server: WandbServer) -> dict[tuple[str, str, int], float]:
    return {
        (run.id, key, row["_step"]): float(row[key])
        for run in server.projects["team/walks"].values()
        for row in run.logged()
        for key in ("reward", "loss")
    }


def flipped_bit(seed: int, folder: Path) -> str:
    """One bit of one stored file changes: it is said or mended, never read as something else."""
    rng = random.Random(seed)
    os.environ["DETACH_STORE"] = str(folder / "store")
    with _server() as server:
        study, truth = study_of(server.url), _truth(server)
        fetch(study, Request(key=KEY, deadline=20))
        files = sorted(p for p in (folder / "store").rglob("*") if p.is_file() and p.stat().st_size)
        raw = [p for p in files if "raw" in p.parts]
        path = rng.choice(raw if rng.random() < 0.4 else files)
        data = bytearray(path.read_bytes())
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        what = f"bit of byte {at} of {path.relative_to(folder / 'store')}"
        if left := _opened(study):
            require_subset(points_of(left), truth, what)
            use(study, left)
        _go_on(server)
        manifest = fetch(study, Request(key=KEY, deadline=20))
        if points_of(manifest) != _truth(server):
            raise WrongNumbers(f"{what}: the next fetch did not mend it")
        return said(manifest)


def _opened(study: Study) -> Manifest | None:
    return stored(study, Request(key=KEY))


def _go_on(server: WandbServer) -> None:
    """Runs that are going log a row more, so that stored raw rows are joined."""
    for run in server.projects["team/walks"].values():
        if run.state == "running":
            run.live.append({"_step": 101, "_timestamp": 1e9 + 101, "reward": 7.0, "loss": 1.0})
            run.heartbeat = "2025-01-02T00:00:00Z"
