"""Calls on the workers of a real Dask cluster."""

import gc
import math
import os
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest

from lib.study import StudyError
from lib.workers import Cluster, ClusterError, WorkerError, open_cluster, versions
from tests.support.dask_cluster import DaskCluster, fail, refuse

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def cluster(dask_cluster: DaskCluster, tmp_path: Path) -> Iterator[Cluster]:
    with open_cluster(dask_cluster.address, tmp_path) as cluster:
        yield cluster


def test_calls_are_made_on_the_workers(cluster):
    process = cluster.submit(os.getpid).result(60)
    assert process != os.getpid()
    assert list(cluster.map(math.sqrt, [1.0, 4.0, 9.0])) == [1.0, 2.0, 3.0]
    assert cluster.submit(int, "11", base=2).result(60) == 3
    assert cluster.size >= 1


def test_an_error_for_the_user_comes_back_as_it_is_and_any_other_without_its_text(cluster):
    with pytest.raises(StudyError, match=r"^one sentence$"):
        cluster.submit(refuse, "one sentence").result(60)
    with pytest.raises(WorkerError, match=r"^it failed on a worker: ValueError$"):
        cluster.submit(fail, "http://host/?signature=secret").result(60)


def test_a_call_that_is_cancelled_is_not_made(cluster, tmp_path):
    calls = [cluster.submit(time.sleep, 0.3) for _ in range(4)]
    late = cluster.submit((tmp_path / "made").touch)
    assert late.cancel()
    wait(calls)
    cluster.submit(time.sleep, 0).result(60)
    assert not (tmp_path / "made").exists()


def test_a_result_goes_with_its_future(cluster):
    gc.disable()  # the results of thousands of calls must not wait for it
    try:
        array = weakref.ref(cluster.submit(np.ones, 10).result(60))
        end = time.monotonic() + 10
        while array() is not None and time.monotonic() < end:
            time.sleep(0.05)
        assert array() is None
    finally:
        gc.enable()


def test_no_log_shows_an_argument(cluster, dask_cluster):
    text = "http://files/part.parquet?signature=of-no-log"
    assert cluster.submit(len, text).result(60) == len(text)
    with pytest.raises(WorkerError):
        cluster.submit(fail, text).result(60)
    assert "_result_of-" in dask_cluster.logs()  # the logs are not empty
    assert "signature" not in dask_cluster.logs()
    assert "of-no-log" not in dask_cluster.logs()


def test_a_worker_with_another_store_is_named(dask_cluster, tmp_path):
    with open_cluster(dask_cluster.address, tmp_path) as cluster:
        for token in tmp_path.glob(".cluster-*"):
            token.write_text("that of another machine")
        with pytest.raises(ClusterError, match=r"^A worker on \S+ does not see this store: name a folder .*\.$"):
            cluster.submit(os.getpid).result(60)
    assert list(tmp_path.iterdir()) == []


def test_versions_that_differ_are_named(dask_cluster, tmp_path, monkeypatch):
    here = {**versions(), "polars": "0.1"}
    monkeypatch.setattr("lib.workers.versions", lambda: here)
    with open_cluster(dask_cluster.address, tmp_path) as cluster:
        message = (
            rf"^A worker on \S+ has polars {versions.__wrapped__()['polars']} \(here 0\.1\): start the cluster from"
        )
        with pytest.raises(ClusterError, match=message):
            cluster.submit(os.getpid).result(60)
    monkeypatch.setattr("lib.workers.versions", lambda: {**here, "distributed": "1.0"})
    with (
        pytest.raises(ClusterError, match=r"^The cluster's scheduler has distributed \S+ \(here 1\.0\): start"),
        open_cluster(dask_cluster.address, tmp_path),
    ):
        pass


def test_a_scheduler_that_does_not_answer_is_said_in_a_sentence(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("lib.workers._CONNECT", 0.5)
    message = r"^The cluster's scheduler does not answer: check that it runs, and its address\.$"
    with pytest.raises(ClusterError, match=message), open_cluster("tcp://127.0.0.1:9", tmp_path):
        pass
    message = r"^That is no address of a scheduler: write it as tcp://host:8786\.$"
    with pytest.raises(ClusterError, match=message), open_cluster("nonsense", tmp_path):
        pass
    assert capfd.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []
