"""The store: whole files or none, one writer at a time, clear sentences, and what it takes."""

import multiprocessing
import os
import re
import resource
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from lib.runs import (
    HISTORY,
    Points,
    Run,
    StoreError,
    clear,
    is_whole,
    points_of,
    project_folder,
    put,
    read_extra,
    read_run,
    store,
    store_root,
    usage,
    write_run,
    writing,
)
from tests.support.frames import table

KEY, SERVER = "k" * 40, "https://wandb.example.com"


def history(points: int = 1000) -> list[Points]:
    steps = list(range(points))
    columns = {"run_id": "r", "metric": "loss", "step": steps, "value": [float(s) for s in steps], "time": None}
    return points_of(pl.DataFrame(columns, schema=HISTORY))


def test_a_run_comes_back_as_it_was_written(tmp_path):
    run = write_run(tmp_path, Run("r", config={"lr": 0.1}, fetched=("loss",)), history(), {"stamp": "now"})
    assert run.file == "r.parquet"
    assert read_run(tmp_path / run.file) == run
    assert read_extra(tmp_path / run.file) == (run, {"stamp": "now"})
    assert pl.read_parquet(tmp_path / run.file, schema=HISTORY).equals(table("r", history()))


def test_damage_is_found(tmp_path):
    run = write_run(tmp_path, Run("r"), history())
    path = tmp_path / run.file
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"text", whole[:900] + bytes([whole[900] ^ 1]) + whole[901:]):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"r\.parquet is damaged"):
            read_extra(path)


def test_a_bit_that_flipped_is_found_wherever_it_is(tmp_path):
    path = tmp_path / write_run(tmp_path, Run("r", config={"lr": 0.1}), history(50)).file
    whole = path.read_bytes()
    assert is_whole(whole)
    # Every seventh byte: data, the footer with the run's description, and the marks at both ends.
    for place in range(0, len(whole), 7):
        assert not is_whole(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]), place


def test_identities_and_servers_lie_apart_and_no_key_is_in_a_name():
    folders = {project_folder(s, k, "team/p") for s in (SERVER, "https://other") for k in (KEY, "j" * 40, "")}
    # Without a key there is one local identity, whatever the server.
    assert len(folders) == 5
    assert (
        project_folder(SERVER, KEY, "team/p")
        == project_folder(SERVER, KEY, "team/p")
        != project_folder(SERVER, KEY, "team_p")
    )
    assert KEY not in str(folders)
    assert all(KEY.encode() not in file.read_bytes() for file in store_root().rglob("*") if file.is_file())


def test_what_is_stored_is_counted_and_cleared():
    folder = project_folder(SERVER, KEY, "team/p")
    with writing(folder, "team/p"):
        write_run(folder / "runs", Run("a"), history())
        write_run(folder / "runs", Run("b"), history())
    (entry,) = usage(SERVER, KEY)
    assert (entry.project, entry.folder, entry.runs) == ("team/p", folder, 2)
    assert entry.bytes == sum(f.stat().st_size for f in folder.rglob("*.*") if f.is_file() and f.name != ".lock")
    assert usage(SERVER, "j" * 40) == ()
    clear(entry.folder)
    assert usage(SERVER, KEY) == () and not folder.exists()
    clear(entry.folder)


def test_what_is_stored_is_counted_while_a_fetch_writes():
    folder = project_folder(SERVER, KEY, "team/p")
    with writing(folder, "team/p"):
        write_run(folder / "runs", Run("a"), history())
    (whole,) = usage(SERVER, KEY)
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            for k in range(20):
                for name in (f".aside-{k}", f"new-{k}.json"):
                    (folder / "runs" / name).write_bytes(b"x")
            for k in range(20):
                for name in (f".aside-{k}", f"new-{k}.json"):
                    (folder / "runs" / name).unlink()

    writer = threading.Thread(target=come_and_go)
    writer.start()
    try:
        for _ in range(200):
            (entry,) = usage(SERVER, KEY)
            assert whole.bytes <= entry.bytes <= whole.bytes + 20
    finally:
        over.set()
        writer.join()


def test_nothing_outside_the_store_is_cleared(tmp_path):
    for folder in (tmp_path, store_root(), store_root() / ".."):
        with pytest.raises(StoreError, match="is not a folder of the store"):
            clear(folder)
    assert tmp_path.exists()


def test_what_an_interrupted_writer_left_is_cleared_away():
    folder = project_folder(SERVER, KEY, "team/p")
    (folder / "runs").mkdir(parents=True)
    (folder / "runs" / ".aside-x").write_bytes(b"half")
    with writing(folder, "team/p"):
        assert not list(folder.rglob(".aside-*"))


def hold(folder: Path, ready, store_folder: str) -> None:
    os.environ["DETACH_STORE"] = store_folder
    with writing(folder, "team/p"):
        ready.set()
        time.sleep(600)


@pytest.mark.server
def test_one_writer_at_a_time_and_a_dead_one_holds_nothing():
    folder = project_folder(SERVER, KEY, "team/p")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(folder, ready, os.environ["DETACH_STORE"]), daemon=True)
    process.start()
    assert ready.wait(60)
    with pytest.raises(StoreError, match="another fetch"), writing(folder, "team/p", cancelled=lambda: True):
        pass
    process.kill()
    process.join()
    with writing(folder, "team/p"):
        put(folder / "x", b"1")
    assert (folder / "x").read_bytes() == b"1"


def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path):
    write_run(tmp_path, Run("r", name="old"), history(10))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(StoreError, match="There is no space left in"):
            write_run(tmp_path, Run("r", name="new"), history(50_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert read_run(tmp_path / "r.parquet").name == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["r.parquet"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    # A file where a folder should be: root may write to a read-only folder, but not through a file.
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("DETACH_STORE", str(tmp_path / "taken"))
    with pytest.raises(StoreError, match="taken cannot be written"):
        project_folder(SERVER, KEY, "team/p")
    with pytest.raises(StoreError, match="cannot be written"):
        put(tmp_path / "taken" / "x" / "y", b"")


@contextmanager
def without_privileges():
    """Root may write to read-only folders: where the tests run as root, be nobody for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_folder_is_one_sentence():
    # Not pytest's own folder, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(folder / "kept", b"old", shared=True)
        folder.chmod(0o555)
        with without_privileges():
            with pytest.raises(StoreError, match=re.escape(f"{folder} cannot be written (Permission denied).")):
                put(folder / "kept", b"new")
            assert (folder / "kept").read_bytes() == b"old"
        folder.chmod(0o755)


def test_the_salt_is_made_once(monkeypatch):
    first = store._salt(store_root())
    assert len(first) == 32 and store._salt(store_root()) == first
    assert [f.name for f in store_root().iterdir()] == ["salt"]


def test_a_file_of_the_first_version_is_verified_by_the_checksums_of_its_pages(tmp_path):
    run = write_run(tmp_path, Run("a"), history())
    path = tmp_path / run.file
    meta = {k: v for k, v in pq.read_metadata(path).metadata.items() if k not in {b"crc32", b"layout"}}
    rows = pq.read_table(path).replace_schema_metadata(meta)
    pq.write_table(rows, path, write_page_checksum=True, use_dictionary=False, compression=None)
    assert read_run(path).id == "a"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        read_run(path)
