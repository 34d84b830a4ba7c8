"""Faults of the server and the network: nothing lost, nothing hung, everything said."""

import math
import multiprocessing
import os
import random
import signal
import threading
import time
from multiprocessing.process import BaseProcess as Process
from pathlib import Path

import polars as pl
import pytest

from lib.runs import Manifest
from lib.sources import Request, SourceError, Unreachable, stored
from lib.sources.cloud import http
from tests.support.cloud_kit import PLACE, bring, bring_and_leave, points, rows, study, walk
from tests.support.wandb_server import KEY, Fault, WandbServer

pytestmark = pytest.mark.server

WHOLE = {step: 2.0 * step for step in range(10)}


@pytest.fixture
def server():
    with WandbServer() as started:
        started.add(PLACE, walk("a"), walk("b"), walk("c"))
        yield started


def runs_failed(manifest: Manifest) -> dict[str, str]:
    return {problem.run_id: problem.message for problem in manifest.problems}


@pytest.mark.parametrize("op", ["RunParquetHistory", "GET"])
@pytest.mark.parametrize(
    "fault",
    [Fault("status", status=429, times=2), Fault("status", status=500), Fault("reset", times=2), Fault("truncate")],
)
def test_a_burst_of_faults_passes(server, op, fault):
    server.faults = [Fault(fault.kind, op, "b", fault.times, fault.status, {"Retry-After": "1"})]
    manifest = bring(study(server))
    assert manifest.problems == ()
    assert all(points(manifest, run) == WHOLE for run in "abc")
    assert server.faults[0].times == 0


def test_a_burst_on_the_listing_passes(server):
    server.faults = [Fault("status", "Runs", status=429), Fault("status", "Runs", status=500)]
    assert bring(study(server)).whole


def test_a_silent_server_costs_one_run_its_deadline_and_no_more(server):
    server.faults = [Fault("silence", "GET", "b", times=99)]
    start = time.monotonic()
    manifest = bring(study(server), deadline=3.0)
    assert time.monotonic() - start < 45
    assert list(runs_failed(manifest)) == ["b"]
    assert "nothing of it is stored yet" in runs_failed(manifest)["b"]
    assert points(manifest, "a") == WHOLE and points(manifest, "c") == WHOLE
    server.faults = []
    server.forget()
    again = bring(study(server), only=("b",))
    assert again.whole and points(again, "b") == WHOLE
    assert server.count("RunParquetHistory") == 1


def test_one_silent_answer_is_not_the_end_of_a_run(server):
    server.faults = [Fault("silence", "GET", "b")]
    assert bring(study(server), deadline=6.0).whole


@pytest.mark.parametrize(
    "fault", [Fault("refuse", "GET", "b", times=99), Fault("status", "GET", "b", times=99, status=500)]
)
def test_a_run_that_cannot_be_read_keeps_what_is_stored(server, fault, monkeypatch):
    monkeypatch.setattr(http, "PAUSES", (0.1, 0.1))
    first = bring(study(server))
    server.projects[PLACE]["b"].heartbeat = "later"
    server.faults = [fault]
    for refresh in (False, True):
        manifest = bring(study(server), refresh=refresh)
        message = runs_failed(manifest)["b"]
        assert str(fault.status if fault.kind == "status" else 403) in message
        assert f"what was fetched at {first.runs[1].fetched_at} is used" in message
        assert manifest.runs[1].warnings == (message,)
        assert points(manifest, "b") == WHOLE


def test_an_expired_address_is_asked_for_again(server):
    server.faults = [Fault("refuse", "GET", "b")]
    assert bring(study(server)).whole
    assert server.count("RunParquetHistory") == 4


def test_a_run_deleted_meanwhile_is_said(server):
    server.faults = [Fault("delete", "RunParquetHistory", "b")]
    manifest = bring(study(server))
    assert "does not hold it any more" in runs_failed(manifest)["b"]
    assert points(manifest, "a") == WHOLE


def test_a_damaged_export_is_said_without_its_address(server):
    server.add(PLACE, walk("d", [], parts=[b"PAR1" + b"\0" * 500 + b"PAR1"]))
    manifest = bring(study(server))
    assert "an export is damaged" in runs_failed(manifest)["d"]
    assert server.signature not in manifest.to_json()


def test_a_stored_file_that_was_damaged_since_is_said_where_it_is_opened_and_fetched_anew(server):
    example = study(server)
    fetched = bring(example)
    whole = {run.id: points(fetched, run.id) for run in fetched.runs}
    file = Path(fetched.folder) / next(run.file for run in fetched.runs if run.id == "c")
    content = bytearray(file.read_bytes())
    content[40] ^= 1  # among the numbers, where a reader would notice nothing
    file.write_bytes(content)
    manifest = stored(example, Request(key=KEY))
    messages = [problem.message for problem in manifest.problems if problem.run_id == "c"]
    assert len(messages) == 1 and "is damaged" in messages[0] and messages[0].endswith("Fetch it again.")
    assert {run.id: points(manifest, run.id) for run in manifest.runs} == whole | {"c": {}}
    again = bring(example)
    assert {run.id: points(again, run.id) for run in again.runs} == whole


def test_a_part_of_a_range_is_never_taken_for_the_range(server):
    logged = {
        run: rows(0, 20_000, loss=lambda step, by=by: math.sin(step * by)) for run, by in (("d", 1.1), ("e", 1.3))
    }
    server.add(PLACE, *(walk(run, frame) for run, frame in logged.items()))
    assert bring(study(server)).whole
    server.range_cap = 1000
    for run in logged:
        server.projects[PLACE][run].heartbeat = "later"
    manifest = bring(study(server), refresh=True)
    assert set(runs_failed(manifest)) == set(logged)
    for run, frame in logged.items():
        assert "another part of the file" in runs_failed(manifest)[run]
        assert points(manifest, run) == {row["_step"]: row["loss"] for row in frame}


def test_a_server_that_is_not_there_is_unreachable_at_once():
    with WandbServer() as server:
        example = study(server)
    start = time.monotonic()
    with pytest.raises(Unreachable, match="cannot be reached"):
        bring(example)
    assert time.monotonic() - start < 20


def test_a_server_that_never_answers_is_unreachable_in_time(server):
    server.faults = [Fault("silence", "Runs", times=99)]
    with pytest.raises(Unreachable, match="did not answer within 2 s"):
        bring(study(server), deadline=2.0)


# ---- stopping ----------------------------------------------------------------------------------------------------


def test_a_fetch_that_is_stopped_keeps_what_came(server):
    stop = threading.Event()
    server.faults = [Fault("silence", "GET", "b", times=99)]
    events = []

    def progress(step):
        events.append(step)
        if step.done == 2:
            stop.set()

    start = time.monotonic()
    manifest = bring(study(server), progress=progress, cancelled=stop.is_set)
    assert time.monotonic() - start < 30
    assert "the fetch was stopped" in runs_failed(manifest)["b"]
    assert points(manifest, "a") == WHOLE and points(manifest, "c") == WHOLE
    assert stored(study(server), Request(key=KEY)).runs[0].rows == {"loss": 10}


def test_a_fetch_is_stopped_while_the_server_is_silent_about_the_runs(server):
    server.faults = [Fault("silence", "Runs", times=99)]
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    start = time.monotonic()
    with pytest.raises(SourceError, match="Stopped before"):
        bring(study(server), cancelled=stop.is_set)
    assert time.monotonic() - start < 30


def child(url: str, deadline: float = 60.0) -> Process:
    """A process of its own that fetches, started from one that has imported the libraries."""
    context = multiprocessing.get_context("forkserver")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    context.set_forkserver_preload(
        ["tests.support.cloud_kit", "lib.sources.cloud.fetch", "wandb.apis.public", "pyarrow.dataset"]
    )
    process = context.Process(target=bring_and_leave, args=(url, os.environ["DETACH_STORE"], deadline))
    process.start()
    return process


def test_a_process_ends_though_the_server_keeps_a_run_waiting(server):
    server.faults = [Fault("silence", "GET", "b", times=99)]
    process = child(server.url, deadline=8.0)
    process.join(90)
    assert process.exitcode == 1
    assert points(stored(study(server), Request(key=KEY)), "c") == WHOLE


def test_killed_at_any_moment_the_store_holds_whole_runs_only():
    """SIGKILL at 30 moments of a refresh: every file that is left is one whole version of a run, and all open."""
    chance = random.Random(7)
    with WandbServer() as server:
        runs = [walk(f"r{i}", rows(0, 99)) for i in range(6)]
        server.add(PLACE, *runs)
        example = study(server)
        folder, cut_short = Path(bring(example).folder), 0
        for moment in range(30):
            for run in runs:
                run.replace([row | {"loss": row["_step"] * (3.0 + moment)} for row in rows(0, 99)], str(moment))
            server.forget()
            process = child(server.url)
            # Two requests list the runs, twelve bring them; what is written comes between and after.
            wait_for(server, chance.randint(2, 14), process)
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
            process.join()
            cut_short += process.exitcode == -signal.SIGKILL
            by_name = {file.name: factor(file) for file in folder.glob("*.parquet")}
            assert sorted(by_name) == [f"r{i}.parquet" for i in range(6)]
            assert set(by_name.values()) <= {2.0, *(3.0 + past for past in range(moment + 1))}
            assert len(stored(example, Request(key=KEY)).runs) == 6
        assert cut_short > 10
        whole = bring(example)
        assert whole.whole and points(whole, "r3") == {step: step * 32.0 for step in range(100)}
        assert not list(folder.parent.rglob(".aside-*"))


def factor(file: Path) -> float:
    """The factor that all the points of a file were made with."""
    frame = pl.read_parquet(file)
    assert frame["step"].to_list() == list(range(100))
    (only,) = (frame["value"] / frame["step"]).drop_nans().unique()
    return only


def wait_for(server: WandbServer, requests: int, process: Process) -> None:
    """Wait until the server has seen so many requests, or the process has ended by itself."""
    until = time.monotonic() + 60
    while server.count() < requests and process.is_alive():
        assert time.monotonic() < until
        time.sleep(0.002)
