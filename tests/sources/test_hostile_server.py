"""Answers of the wrong shape, of the wrong types or without end: one sentence each, and the other runs come."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.hardening.cases import peak_memory
from benchmarks.hardening.servers import listed, listing, of_run, running
from lib.runs import Drop
from lib.sources import Deadline, Request, SourceError, fetch
from lib.sources.cloud.answers import Exports, Rows, Runs, answer_of
from lib.sources.cloud.client import Client
from lib.sources.cloud.http import HttpClient
from lib.sources.cloud.limits import RequestError
from tests.support.cloud_kit import PLACE, points, study, walk
from tests.support.wandb_server import KEY, WandbServer

pytestmark = pytest.mark.server


def manifest_of(behaviour, deadline=5.0):
    with running(behaviour) as server:
        return fetch(study(server.url), Request(key=KEY, deadline=deadline))


def page(**fields):
    return {"runs": {"edges": [{"node": {"name": "a"} | fields, "cursor": "1"}], "pageInfo": {}}}


def the_node(**fields):
    return answer_of(Runs, page(**fields)).runs.edges[0].node


@pytest.mark.parametrize(
    "tree", [None, [], "text", 3, {"runs": None}, {"runs": []}, {"runs": {"edges": [{}], "pageInfo": {}}}]
)
def test_a_page_of_another_shape_is_none(tree):
    with pytest.raises(RequestError, match="its answer is not one of a W&B server"):
        answer_of(Runs, tree)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": None},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "\ud800"},
        {"state": []},
        {"config": "{"},
        {"config": "[" * 9000},
    ],
)
def test_a_run_of_other_types_is_none(fields):
    with pytest.raises(RequestError):
        the_node(**fields)


def test_texts_of_a_run_are_one_line_without_half_surrogates():
    run = the_node(
        displayName="a\nb\x00", group="g\ud800", config=json.dumps({"seed": {"value": "\ud800"}, "n": 10**40})
    )
    assert (run.displayName, run.group) == ("a b", "g���")
    assert run.config == {"seed": {"value": "���"}, "n": str(10**40)}


@pytest.mark.parametrize(
    ("step", "read"),
    [(7, 7), (7.0, 7), ("7", 7), (2**53 - 1, 2**53 - 1), (2**53, None), (None, None), (True, None), (1.5, None)],
)
def test_a_last_step_is_a_step_or_nothing(step, read):
    assert the_node(historyKeys={"keys": {}, "lastStep": step}).historyKeys.lastStep == read


def test_live_steps_that_are_none_are_left_out():
    tree = {"parquetHistory": {"parquetUrls": [], "liveData": [{"_step": 1}, {"_step": None}, {"_step": "x"}, {}]}}
    assert [row.step for row in answer_of(Exports, tree).parquetHistory.liveData] == [1, None, None, None]


@pytest.mark.parametrize("url", ["", " ", "http://h/\ud800", "http://h/é", "http://h/\n", None, 3])
def test_an_address_of_an_export_is_one(url):
    with pytest.raises(RequestError):
        answer_of(Exports, {"parquetHistory": {"parquetUrls": [url]}})


@pytest.mark.parametrize("row", ["", "[]", "3", "null", "{", "[" * 9000, "9" * 5000, None])
def test_a_row_is_a_json_object(row):
    with pytest.raises(RequestError):
        answer_of(Rows, {"history": [row]})


def test_more_exports_or_rows_than_a_run_has_are_refused():
    urls = ["http://127.0.0.1/x"] * 2001
    many = listed(lambda handler, _: handler.reply(of_run(parquetHistory={"parquetUrls": urls, "liveData": []})))
    (problem, *_) = manifest_of(many).problems
    assert "its answer is not one of a W&B server" in problem.message


def test_a_listing_without_end_is_refused_at_twenty_thousand_runs():
    def endless(handler, _):
        number = next(handler.server.counter)
        handler.reply(listing([f"r{number}-{i}" for i in range(2000)], str(number), True))

    with (
        running(endless) as server,
        pytest.raises(SourceError, match=r"it lists more than 20,000: name sweeps or a group"),
    ):
        Client(HttpClient(server.url, KEY, 1), "e", "p", Deadline(60)).runs({})


def test_an_answer_without_end_is_left_at_its_limit():
    endless, message = iter(lambda: b"0" * (1 << 20), b""), "the server's answer is larger than 64 MB"
    with running(lambda handler, _: handler.drip(endless, 0.0)) as server, pytest.raises(SourceError, match=message):
        Client(HttpClient(server.url, KEY, 1), "e", "p", Deadline(60)).runs({})


def test_lines_of_a_server_s_error_are_one():
    body = json.dumps({"errors": [{"message": "a\nb\x1b[31m"}], "data": None}).encode()
    with (
        running(lambda handler, _: handler.reply(body)) as server,
        pytest.raises(SourceError, match=r"the server said: a b \[31m\."),
    ):
        Client(HttpClient(server.url, KEY, 1), "e", "p", Deadline(5)).runs({})


def test_long_answers_beside_each_other_are_read_one_at_a_time():
    body = json.dumps({"data": {"project": {"runs": {"edges": [], "pageInfo": {}}}}, "more": "x" * (5 << 20)}).encode()
    with running(lambda handler, _: handler.reply(body)) as server:
        http = HttpClient(server.url, KEY, 4)
        client = Client(http, "e", "p", Deadline(20))
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(client.runs, [{}] * 4)) == [[]] * 4
        assert http._long_answer.acquire(blocking=False)


def test_a_footer_that_says_it_is_longer_than_any_is_damage():
    size = 1 << 40
    footer = (64 << 20).to_bytes(4, "little") + b"PAR1"

    def answer(handler, body):
        if body is None:
            first, last = size - (1 << 17), size - 1
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            handler.send_header("Content-Length", str(1 << 17))
            handler.end_headers()
            handler.wfile.write(bytes((1 << 17) - 8) + footer)
        else:
            urls = [f"{handler.server.url}/file.parquet"]
            handler.reply(of_run(parquetHistory={"parquetUrls": urls, "liveData": []}))

    assert "an export is damaged" in " ".join(problem.message for problem in manifest_of(listed(answer)).problems)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_text_that_every_row_repeats_is_read_once(kind):
    count = 100_000
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array(["y" * 50_000], kind))
    numbers = pa.array(["1.5", "NaN"] * (count // 2), kind)
    files = []
    for column in (texts, numbers):
        files.append(io.BytesIO())
        pq.write_table(pa.table({"_step": range(count), "loss": column}), files[-1], store_schema=False)
    with WandbServer() as server:
        server.add(PLACE, *(walk(name, [], parts=[file.getvalue()]) for name, file in zip("ab", files, strict=True)))
        peak_memory()
        before = peak_memory()
        manifest = fetch(study(server), Request(key=KEY))
    assert peak_memory() - before < 300, "MB; as texts the rows take 5 GB"
    by_id = {run.id: run for run in manifest.runs}
    assert by_id["a"].drops == (Drop("loss", "not a number", count),)
    assert by_id["b"].rows == {"loss": count}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([Decimal("1.25"), None], pa.decimal256(76, 10)), {0: 1.25}),
        (pa.array([Decimal("1.25"), Decimal(2)], pa.decimal128(20, 3)), {0: 1.25, 1: 2.0}),
        (pa.array([[Decimal(1)], None], pa.list_(pa.decimal256(50, 1))), {}),
        (pa.array([{"a": [{"b": 1}]}, {"a": None}]), {}),
    ],
)
def test_columns_of_types_that_polars_lacks_are_read(column, values, capfd):
    file = io.BytesIO()
    pq.write_table(pa.table({"_step": [0, 1], "loss": column}), file)
    with WandbServer() as server:
        server.add(PLACE, walk("a", [], parts=[file.getvalue()], keys=("loss",)))
        manifest = fetch(study(server), Request(key=KEY))
    assert points(manifest, "a") == values
    assert sum(drop.count for drop in manifest.runs[0].drops) == (0 if values else 2 - column.null_count)
    assert capfd.readouterr().err == ""


def test_an_export_with_two_columns_of_a_name_is_said():
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([0, 1])] * 3, names=["_step", "loss", "loss"]), file)
    with WandbServer() as server:
        server.add(PLACE, walk("a", [], parts=[file.getvalue()], keys=("loss",)), walk("b"))
        manifest = fetch(study(server), Request(key=KEY))
    assert "an export has two columns loss" in manifest.problems[0].message
    assert len(points(manifest, "b")) == 10
