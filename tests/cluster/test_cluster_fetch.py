"""Runs read on the workers of a real Dask cluster, from the loopback W&B server."""

import math
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lib.__main__ import main
from lib.runs import Manifest, Problem, store_root
from lib.sources.cloud import history
from lib.study import to_toml
from lib.workers import ClusterError, WorkerError, open_cluster
from tests.support.cloud_kit import PLACE, bring, points, rows, study, walk
from tests.support.dask_cluster import DaskCluster, die
from tests.support.wandb_server import KEY, Fault, WandbServer

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def server():
    with WandbServer() as started:
        yield started


@pytest.fixture
def cluster(dask_cluster):
    with open_cluster(dask_cluster.address, store_root()) as cluster:
        yield cluster


def wait_until(condition, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def as_values(manifest: Manifest):
    """A manifest's runs, problems and history, without the times of fetching."""
    runs = tuple(replace(run, fetched_at="") for run in manifest.runs)
    return runs, manifest.problems, manifest.history().lazy().collect().sort("run_id", "metric", "step").rows()


def test_workers_read_what_is_read_here(server, cluster, dask_cluster, monkeypatch):
    """What takes the key is read here: live rows, and the rows of a fork's parent."""
    odd = {"reward": lambda step: step / 3 if step % 2 else None}
    server.add(
        PLACE,
        walk("a", rows(0, 60, **odd)),
        walk("b", rows(0, 40, **odd)),
        walk("empty", []),
        walk("live", rows(0, 9), live=rows(10, 12), state="running"),
        walk("parent", rows(0, 30)),
        walk("fork", rows(11, 20), branch_point=("parent", 10)),
    )
    read_here = list[str]()
    read = history._Reader.read
    monkeypatch.setattr(
        history._Reader, "read", lambda self, exports, *rest: read_here.append(exports) or read(self, exports, *rest)
    )
    example = study(server)
    on_workers = bring(example, cluster=cluster)
    assert len(read_here) == 3  # live, parent, fork
    assert on_workers.problems == ()
    assert points(on_workers, "fork") == {step: 2.0 * step for step in range(21)}
    # A metric more, and rows more.
    example = study(server, ("loss", "reward"))
    server.add(PLACE, walk("b", rows(0, 45, **odd), heartbeat="2025-01-02T00:00:00Z"))
    on_workers = bring(example, cluster=cluster)
    assert points(on_workers, "a", "reward") == {step: step / 3 for step in range(1, 61, 2)}
    assert max(points(on_workers, "b")) == 45
    # Nothing more: nothing is asked of the runs that have ended.
    server.forget()
    again = bring(example, cluster=cluster)
    assert server.count("GET") <= 2  # of the run that goes on
    values = as_values(on_workers)
    assert as_values(again) == values
    assert as_values(bring(example, refresh=True)) == values
    logs = dask_cluster.logs()
    assert "_result_of-" in logs
    assert not any(secret in logs for secret in (KEY, server.signature, "signature", "parquet?"))
    assert server.leaks == []


def test_a_report_from_workers_has_the_same_numbers(server, dask_cluster, tmp_path, monkeypatch, capsys):
    wave = {"loss": lambda step: 3.0 + math.sin(step) / 7}
    server.add(PLACE, *(walk(f"r{i}", rows(0, 900 + i, **wave), config={"task": "walk", "seed": i}) for i in range(4)))
    file = tmp_path / "walks.toml"
    file.write_text(
        to_toml(study(server, tasks='[[tasks]]\nname = "walk"\ntotal_steps = 1000\ndetach = { step = 500 }\n'))
    )
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    numbers = []
    for store, options in (("here", []), ("there", ["--scheduler", dask_cluster.address])):
        monkeypatch.setenv("DETACH_STORE", str(tmp_path / store))
        out = tmp_path / f"out-{store}"
        assert main(["report", str(file), "--out", str(out), "--formats", "csv", *options]) == 0
        bundle = tmp_path / f"{store}.zip"
        assert main(["bundle", str(file), "--out", str(bundle), *options]) == 0
        numbers.append({path.name: path.read_bytes() for path in out.glob("*.csv")})
    assert numbers[0] == numbers[1] and len(numbers[0]) == 4
    assert "4 runs are in" in capsys.readouterr().err
    monkeypatch.setattr("lib.workers._CONNECT", 0.5)
    assert main(["fetch", str(file), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "The cluster's scheduler does not answer: check that it runs, and its address."
    ]


def test_a_signed_url_that_has_expired_is_asked_for_again(server, cluster):
    server.add(PLACE, walk("a"), walk("b"))
    server.faults = [Fault("refuse", "GET", "a"), Fault("refuse", "GET", "b", times=9)]
    manifest = bring(study(server), cluster=cluster)
    assert points(manifest, "a") == {step: 2.0 * step for step in range(10)}
    reason = (
        "Run b was not brought up to date (the server refused it (403)): nothing of it is stored yet; fetch it again."
    )
    assert [problem.message for problem in manifest.problems] == [reason]


def test_a_fetch_that_is_stopped_ends_while_a_worker_waits(server, cluster):
    server.add(PLACE, walk("a"), walk("b"))
    server.faults = [Fault("silence", "GET", "b", times=9)]
    stop, messages = threading.Event(), list[str]()

    def say(progress) -> None:
        messages.append(f"{progress.done}/{progress.total}")
        if progress.done == 1:
            stop.set()

    manifest = bring(study(server), cluster=cluster, progress=say, cancelled=stop.is_set)
    assert messages[-1] == "1/2"
    assert len(points(manifest, "a")) == 10
    assert "the fetch was stopped" in manifest.problems[0].message
    server.released.set()


def test_workers_and_a_scheduler_that_go_away(server, tmp_path):
    server.add(PLACE, *(walk(f"r{i}") for i in range(6)))
    server.faults = [Fault("silence", "GET", "r2")]
    whole = {step: 2.0 * step for step in range(10)}
    with (
        ThreadPoolExecutor() as pool,
        DaskCluster(tmp_path / "cluster", workers=1, allowed_failures=1) as machines,
        open_cluster(machines.address, store_root()) as cluster,
    ):
        # The worker dies in the middle: another one takes its runs.
        fetch = pool.submit(bring, study(server), cluster=cluster)
        wait_until(lambda: not server.faults[0].times)
        machines.workers[0].kill()
        machines.start_worker()
        manifest = fetch.result(120)
        assert manifest.problems == ()
        assert all(points(manifest, f"r{i}") == whole for i in range(6))
        # A call of which two workers die is given up.
        machines.start_worker()
        with pytest.raises(WorkerError, match="the workers that took it died, several times"):
            cluster.submit(die, tmp_path / "deaths").result(120)
        assert (tmp_path / "deaths").read_text() == "xx"
        # The scheduler goes away in the middle: what has come is kept.
        machines.start_worker()
        machines.start_worker()
        for i in range(4):
            server.add(PLACE, walk(f"r{i}", rows(0, 19), heartbeat="2025-01-02T00:00:00Z"))
        server.faults = [Fault("silence", "GET", "r3", times=9)]
        done = threading.Event()
        fetch = pool.submit(
            bring, study(server), cluster=cluster, progress=lambda progress: progress.done == 5 and done.set()
        )
        assert done.wait(60)
        going_on = cluster.submit(time.sleep, 60)
        machines.scheduler.kill()
        manifest = fetch.result(60)
        server.released.set()
        gone = "The cluster's scheduler went away: start it again, then repeat this."
        for call in (going_on.result, lambda: cluster.submit(abs, 1)):
            with pytest.raises(ClusterError, match=f"^{re.escape(gone)}$"):
                call()
    assert manifest.problems == (Problem(f"{gone} 1 run of 6 stayed as stored."),)
    assert [len(points(manifest, f"r{i}")) for i in range(6)] == [20, 20, 20, 10, 10, 10]
