"""Calls in processes of this machine."""

import os
import time
from concurrent.futures import wait

import pytest

from lib.processes import Processes
from lib.study import StudyError
from lib.workers import WorkerError
from tests.support.dask_cluster import die, fail, refuse

pytestmark = pytest.mark.server


def test_calls_are_made_in_processes_that_end_with_them(tmp_path, capfd):
    with Processes(2) as processes:
        first = {processes.submit(os.getpid).result(60) for _ in range(4)}
        assert os.getpid() not in first and len(first) <= 2
        assert list(processes.map(int, ["1", "2", "3"])) == [1, 2, 3]
        # What a call prints is no result.
        assert processes.submit(print, "printed", flush=True).result(60) is None
        with pytest.raises(StudyError, match=r"^one sentence$"):
            processes.submit(refuse, "one sentence").result(60)
        with pytest.raises(WorkerError, match=r"^it failed on a worker: ValueError$"):
            processes.submit(fail, "?").result(60)
        with pytest.raises(WorkerError, match=r"^the process that took it died 2 times, exit status 1$"):
            processes.submit(die, tmp_path / "deaths").result(60)
        assert (tmp_path / "deaths").read_text() == "xx"
        assert processes.submit(int, "4").result(60) == 4
        going_on = [processes.submit(time.sleep, 60) for _ in range(3)]
        assert not wait(going_on, 0.2).done
        pids = [process.pid for process in processes._processes]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    # Whoever waits for a call is told.
    assert not wait(going_on, 10).not_done and all(call.cancelled() for call in going_on)
    assert capfd.readouterr() == ("", "printed\n")
