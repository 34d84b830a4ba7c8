"""Whose data: nothing fetched with one key is visible under another, and no key is written or said anywhere."""

import logging
import os
import threading
from pathlib import Path

import pytest

from lib.runs import store_root, usage
from lib.sources import Request, SourceError, fetch, stored
from lib.sources.cloud import http
from tests.support.cloud_kit import PLACE, bring, points, study, walk
from tests.support.wandb_server import KEY, Fault, WandbServer

pytestmark = pytest.mark.server

STRANGER = "f00d" * 10


@pytest.fixture
def server():
    with WandbServer() as started:
        started.keys = {KEY, STRANGER}
        started.private[PLACE] = {KEY}
        started.add(PLACE, walk("a"), walk("b", state="running", live=[{"_step": 10, "loss": 20.0}]))
        yield started


def refused(server: WandbServer) -> None:
    example = study(server)
    with pytest.raises(SourceError, match="There is no project team/walks"):
        fetch(example, Request(key=STRANGER))
    assert stored(example, Request(key=STRANGER)) is None
    assert usage(server.url, STRANGER) == ()


def test_a_stranger_sees_nothing_before_and_after_the_owner_has_fetched(server):
    refused(server)
    assert points(bring(study(server)), "b")[10] == 20.0
    refused(server)
    assert server.leaks == []


def test_two_who_may_see_a_project_have_stores_of_their_own(server):
    server.private[PLACE].add(STRANGER)
    first, second = bring(study(server)), bring(study(server), key=STRANGER)
    assert first.folder != second.folder
    # The second brought everything itself: nothing came from the first one's store or from a cache of the client.
    assert server.count("RunParquetHistory") == 4
    assert first.history().lazy().collect().equals(second.history().lazy().collect())


def test_two_sessions_at_once_do_not_see_each_other(server):
    failed: list[str] = []

    def stranger() -> None:
        try:
            fetch(study(server), Request(key=STRANGER))
        except SourceError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=stranger) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert bring(study(server)).whole
    for thread in threads:
        thread.join(90)
    assert len(failed) == 3


def test_the_key_and_the_signature_are_nowhere(server, capfd, caplog, monkeypatch):
    """Not on the screen, in the logs, in an error, a manifest, a representation, the store or the client's folders."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(http, "PAUSES", (0.1, 0.1))
    server.add(PLACE, walk("c"), walk("d"))
    server.faults = [
        Fault("refuse", "GET", "c", times=9),
        Fault("status", "RunParquetHistory", "d", times=9),
    ]
    request = Request(key=KEY, deadline=60.0)
    manifest = fetch(study(server), request)
    assert len(manifest.problems) == 2
    messages = [manifest.to_json(), repr(manifest), repr(request), caplog.text, *capfd.readouterr()]
    server.keys = {STRANGER}
    with pytest.raises(SourceError) as raised:
        fetch(study(server), request)
    messages += [str(raised.value), repr(raised.value), repr(raised.value.__cause__), caplog.text, *capfd.readouterr()]
    folders = [store_root(), *(Path(os.environ[f"WANDB_{name}_DIR"]) for name in ("CACHE", "CONFIG", "DATA"))]
    files = [
        file for folder in [*folders, Path(os.environ["WANDB_DIR"])] for file in folder.rglob("*") if file.is_file()
    ]
    assert any(file.suffix == ".parquet" for file in files)
    for secret in (KEY, server.signature):
        assert not any(secret in text for text in messages)
        assert not [file for file in files if secret.encode() in file.read_bytes() or secret in str(file)]


def test_the_client_leaves_the_netrc_alone(server):
    bring(study(server))
    assert not Path(os.environ["NETRC"]).exists()


def test_a_login_of_the_buckets_host_is_not_sent_there(server):
    netrc = Path(os.environ["NETRC"])
    netrc.write_text(f"machine localhost\n  login user\n  password {STRANGER}\n")
    netrc.chmod(0o600)
    bring(study(server))
    assert server.leaks == []
