"""Exports read by ranges through Arrow: any layout in few requests, every fault of the server, the program's end."""

import io
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.exceptions import PanicException

from lib.sources import Deadline, HttpClient, RequestError, StopFetch
from lib.sources.cloud import run
from lib.sources.cloud.limits import DeadlineError
from lib.sources.cloud.parquet import ExportPart, RemoteFile
from tests.support.cloud_kit import PLACE, bring, points, study, walk
from tests.support.wandb_server import KEY, Fault, WandbServer

pytestmark = pytest.mark.server

ROWS = 25_000
NAMED = ["_step", "_timestamp", "k03", "k11", "k17", "k22", "a.b"]


def wide(columns: int = 28) -> pl.DataFrame:
    """Columns of 200 kB that do not compress; the name of one has a dot."""
    chance = np.random.default_rng(0)
    values = {f"k{i:02}": chance.normal(size=ROWS) for i in range(columns - 3)}
    values |= {"_step": np.arange(ROWS) * 4, "_timestamp": chance.random(ROWS), "a.b": chance.random(ROWS)}
    return pl.DataFrame(values)


def by_polars(frame: pl.DataFrame, **layout: int) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, **layout)
    return buffer.getvalue()


def by_arrow(frame: pl.DataFrame, **layout: int) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(frame.to_arrow(), buffer, **layout)
    return buffer.getvalue()


def with_gaps(frame: pl.DataFrame) -> bytes:
    """A file in which about 60 bytes lie between any two columns: they are an empty column, which nobody reads."""
    columns = {}
    for column in frame:
        columns |= {column.name: column, f"gap {column.name}": pl.Series([None] * len(frame), dtype=pl.Boolean)}
    return by_arrow(pl.DataFrame(columns))


LAYOUTS: dict[str, Callable[[pl.DataFrame], bytes]] = {
    "polars": by_polars,
    "polars, row groups": lambda frame: by_polars(frame, row_group_size=5000),
    "arrow": by_arrow,
    "arrow, small pages and row groups": lambda frame: by_arrow(frame, row_group_size=1000, data_page_size=4096),
    "gaps of 60 bytes": with_gaps,
}


@pytest.fixture
def server():
    with WandbServer() as started:
        yield started


def remote(server: WandbServer, content: bytes, deadline: Deadline | None = None) -> RemoteFile:
    """The content as a file behind a signed URL, its end already read."""
    server.add(PLACE, walk("a", [], parts=[content]))
    return RemoteFile(HttpClient(server.url, KEY, 4), url_of(server), deadline or Deadline(20.0))


def url_of(server: WandbServer) -> str:
    """The signed URL of the only part of run `a`."""
    return f"{server.files_url}/files/{PLACE}/a/0.parquet?signature={server.signature}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_arrive_whole_in_at_most_three_requests_however_the_file_was_laid_out(server, layout):
    frame = wide()
    part = ExportPart(remote(server, LAYOUTS[layout](frame)))
    part.select([*NAMED, "missing"], None)
    assert pl.from_arrow(part.read()).equals(frame.select(NAMED))
    assert part.rows == ROWS and not part.is_download
    assert server.count("GET") <= 3
    part.close()


def test_neighbours_with_gaps_of_60_bytes_are_one_request(server):
    frame = wide(60)
    neighbours = [f"k{i:02}" for i in range(10, 20)]
    part = ExportPart(remote(server, with_gaps(frame)))
    part.select(neighbours, None)
    assert pl.from_arrow(part.read()).equals(frame.select(neighbours))
    assert server.count("GET") == 2
    part.close()


@pytest.mark.parametrize("layout", ["polars", "arrow"])
def test_few_columns_of_a_wide_file_are_few_bytes(server, layout):
    frame = wide(150)
    content = LAYOUTS[layout](frame)
    part = ExportPart(remote(server, content))
    part.select(["_step", "_timestamp", "k10", "k40", "k77", "k101", "k146"], None)
    assert part.read().num_columns == 7
    assert server.sent("GET") < 0.12 * len(content)
    part.close()


def test_only_the_row_groups_that_reach_a_step_are_read(server):
    content = by_arrow(wide(), row_group_size=1000)
    part = ExportPart(remote(server, content))
    part.select(NAMED, 4 * 23_500)
    assert part.read()["_step"].to_pylist() == [4 * row for row in range(23_000, 25_000)]
    assert server.sent("GET") < 0.15 * len(content)
    part.close()


def test_a_cell_with_a_table_is_a_text_that_is_no_number(server):
    cells = [None if i == 4 else {"bins": [1, 2], "count": i} for i in range(9)]
    part = ExportPart(remote(server, by_arrow(pl.DataFrame({"_step": range(9), "table": cells}))))
    part.select(["table"], 3)
    assert part.read()["table"].to_pylist() == [None if i == 4 else "nested" for i in range(9)]
    part.close()


def test_threads_read_each_at_its_own_position(server):
    content = np.random.default_rng(0).bytes(1_000_000)
    file, wrong = remote(server, content), []

    def work(seed: int) -> None:
        chance = np.random.default_rng(seed)
        for start in chance.integers(0, len(content) - 500, 20):
            file.seek(int(start))
            if file.read(500) != content[start : start + 500] or file.tell() != start + 500:
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert file.seek(-10, io.SEEK_END) == len(content) - 10 and file.read() == content[-10:]
    assert file.read() == b"" and file.seek(-5, io.SEEK_CUR) == len(content) - 5


def test_a_server_without_ranges_sends_the_file_once(server):
    server.ranges, frame = False, wide()
    part = ExportPart(remote(server, by_polars(frame)))
    part.select(NAMED, None)
    assert pl.from_arrow(part.read()).equals(frame.select(NAMED)) and part.is_download
    assert server.count("GET") == 1
    part.close()


def test_a_server_that_knows_no_ranges_any_more_sends_the_file(server):
    frame = wide()
    part = ExportPart(remote(server, by_polars(frame)))
    server.ranges = False
    part.select(NAMED, None)
    assert pl.from_arrow(part.read()).equals(frame.select(NAMED)) and part.is_download
    assert server.count("GET") == 2
    part.close()


def test_a_file_that_changes_meanwhile_is_said(server):
    part = ExportPart(remote(server, by_polars(wide())))
    server.projects[PLACE]["a"] = walk("a", [], parts=[by_polars(wide(27))])
    part.select(NAMED, None)
    with pytest.raises(RequestError, match="changed while it was read"):
        part.read()


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1" + b"\0" * 500 + b"PAR1", by_polars(pl.DataFrame({"a": [1]}))[:-9]]
)
def test_a_damaged_file_is_said(server, content):
    with pytest.raises(RequestError):
        ExportPart(remote(server, content))


def test_silence_ends_at_the_deadline_though_arrow_waits(server):
    part = ExportPart(remote(server, by_polars(wide()), Deadline(1.5)))
    server.faults = [Fault("silence", "GET", times=9)]
    part.select(NAMED, None)
    start = time.monotonic()
    with pytest.raises(DeadlineError, match="longer than"):
        part.read()
    assert time.monotonic() - start < 4


def test_a_read_can_be_stopped_though_arrow_waits(server):
    stop = threading.Event()
    part = ExportPart(remote(server, by_polars(wide()), Deadline(60.0, stop.is_set)))
    server.faults = [Fault("silence", "GET", times=9)]
    part.select(NAMED, None)
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StopFetch):
        part.read()


def test_whatever_ends_a_runs_thread_is_that_runs_problem(server, monkeypatch):
    """polars raises a PanicException on some damaged files, which is no Exception."""
    server.add(PLACE, walk("a"), walk("b"), walk("c"))
    normalise = run.normalise

    def panic(frame, *args):
        if len(frame) == 3:
            raise PanicException("a damaged page")
        return normalise(frame, *args)

    server.add(PLACE, walk("d", [{"_step": i, "loss": 1.0} for i in range(3)]))
    monkeypatch.setattr(run, "normalise", panic)
    manifest = bring(study(server))
    (problem,) = manifest.problems
    assert problem.run_id == "d" and "it cannot be read: PanicException" in problem.message
    assert len(points(manifest, "c")) == 10


def test_waiting_for_a_processor_does_not_count_as_the_servers_time(server, monkeypatch):
    normalise = run.normalise

    def slow(*args):
        time.sleep(0.5)
        return normalise(*args)

    server.add(PLACE, *(walk(f"r{i}") for i in range(8)))
    monkeypatch.setattr(run, "normalise", slow)
    assert bring(study(server), deadline=1.0).problems == ()


SCRIPT = """
    import sys, threading
    from contextlib import suppress
    from lib.sources import Deadline, HttpClient, StopFetch
    from lib.sources.cloud.parquet import ExportPart, RemoteFile

    def read():
        with suppress(StopFetch):
            part.read()

    server, url = sys.argv[1:]
    part = ExportPart(RemoteFile(HttpClient(server, "key", 4), url, Deadline(600.0)))
    part.select(["k03"], None)
    print("open", flush=True)
    sys.stdin.readline()
    threading.Thread(target=read, daemon=True).start()
    sys.stdin.readline()
"""


def program(script: str, server: WandbServer) -> subprocess.Popen:
    """A program of its own that has opened the export and waits for a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), server.url, url_of(server)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout.readline() == "open\n"
    return process


def test_a_program_ends_well_while_arrow_waits_for_a_server(server):
    server.add(PLACE, walk("a", [], parts=[by_polars(wide())]))
    process = program(SCRIPT, server)
    server.faults = [Fault("silence", "GET", times=9)]
    process.stdin.write("\n")
    process.stdin.flush()
    until = time.monotonic() + 60
    while server.count("GET") < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    # The server stays silent, and the program would wait 200 s for it: a third of its deadline.
    _, errors = process.communicate("\n", timeout=60)
    assert (process.returncode, errors) == (0, "")


GIVES_UP = """
    import sys
    from contextlib import suppress
    from lib.sources import Deadline, RequestError, HttpClient
    from lib.sources.cloud.parquet import ExportPart, RemoteFile

    server, url = sys.argv[1:]
    part = ExportPart(RemoteFile(HttpClient(server, "key", 8), url, Deadline(5.0)))
    part.select(["k03", "k11", "k17", "k22"], None)
    print("open", flush=True)
    sys.stdin.readline()
    with suppress(RequestError):
        part.read()
    part.close()
"""


def test_a_program_ends_well_after_one_of_several_ranges_failed(server):
    server.add(PLACE, walk("a", [], parts=[by_arrow(wide(150), row_group_size=ROWS // 4)]))
    process = program(GIVES_UP, server)
    server.faults = [Fault("refuse", "GET"), Fault("silence", "GET", times=9)]
    _, errors = process.communicate("\n", timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert server.faults[0].times == 0
