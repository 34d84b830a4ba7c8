"""The log format of `.wandb` files: cut, damaged, records over several blocks, and what records say."""

from collections import Counter
from math import inf, isnan, nan

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.proto.wandb_internal_pb2 import Record

from lib.sources import Columns, SourceError, read_log, wandb_log
from tests.support.wandb_files import (
    BLOCK,
    FIRST,
    FULL,
    HEADER,
    LAST,
    MIDDLE,
    chunk,
    exit_message,
    log_bytes,
    read_rows,
    row_message,
    run_message,
    written,
)

# ---- written files: the log format ---------------------------------------------------------------------------------

ROWS = [{"_step": step, "eval/episode_reward": float(step), "_timestamp": 1.0 * step} for step in range(5)]
SMALL = [run_message("r1", {"task": "t"}), *(row_message(row) for row in ROWS), exit_message()]


def test_a_small_file_cut_at_every_byte(tmp_path):
    data, ends = log_bytes(SMALL), [len(log_bytes(SMALL[:n])) for n in range(len(SMALL) + 1)]
    for cut in range(ends[1], len(data) + 1):
        log, history = read_rows(written(tmp_path, data[:cut]))
        whole = max(n for n, end in enumerate(ends) if end <= cut)
        assert history == ROWS[: whole - 1]
        assert log.state == ("finished" if whole == len(SMALL) else "running")
        lost = cut - ends[whole]
        message = f"run-r1.wandb: The file ends inside a record: its last {lost} bytes were left out."
        assert log.damage == (message if lost else "")


def test_a_small_file_with_every_byte_flipped(tmp_path):
    data, start = log_bytes(SMALL), len(log_bytes(SMALL[:1]))
    for place in range(start, len(data)):
        log, history = read_rows(written(tmp_path, data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]))
        assert history == ROWS[: len(history)]
        assert log.state == "running"
        assert "left out" in log.damage


@pytest.mark.parametrize("size", [1, 100, BLOCK - 14, BLOCK - 7, BLOCK, 3 * BLOCK, 200_000])
def test_a_record_may_span_blocks(tmp_path, size):
    rows = [{"_step": 0, "text": "x" * size}, {"_step": 1, "text": "y"}, {"_step": 2, "text": "z" * size}]
    data = log_bytes([run_message(), *(row_message(row) for row in rows), exit_message(3)])
    log, history = read_rows(written(tmp_path, data))
    assert (history, log.damage, log.state) == (rows, "", "failed")


@pytest.mark.parametrize("room", range(16))
def test_a_record_may_begin_wherever_a_block_ends(tmp_path, room):
    start = len(log_bytes([run_message()]))
    empty = len(chunk(FULL, row_message({"_step": 0, "t": ""})))
    # Two bytes more: lengths over 127 take another byte in the message, twice.
    for guess in range(BLOCK - start - empty - room - 12, BLOCK - start - empty - room + 1):
        filler = {"_step": 0, "t": "x" * guess}
        if len(log_bytes([run_message(), row_message(filler)])) == BLOCK - room:
            break
    rows = [filler, {"_step": 1, "t": "after"}, {"_step": 2, "t": "end"}]
    data = log_bytes([run_message(), *(row_message(row) for row in rows), exit_message()])
    log, history = read_rows(written(tmp_path, data))
    assert (history, log.damage, log.state) == (rows, "", "finished")


def test_damage_in_one_block_leaves_the_others(tmp_path):
    rows = [{"_step": step, "t": "x" * 10_000} for step in range(12)]
    data = bytearray(log_bytes([run_message(), *(row_message(row) for row in rows), exit_message()]))
    data[BLOCK + 20_000] ^= 1
    log, history = read_rows(written(tmp_path, bytes(data)))
    # Row 3 crosses into the second block, where row 5 is hit; row 6 begins behind it and ends in the third block.
    assert [row["_step"] for row in history] == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]
    assert log.state == "finished"
    assert log.damage.startswith("run-r1.wandb: Damaged at byte ")
    assert log.damage.endswith(" bytes to the end of that block were left out.")


def test_every_place_of_damage_is_told_up_to_three(tmp_path):
    rows = [{"_step": step, "t": "x" * 10_000} for step in range(24)]
    data = bytearray(log_bytes([run_message(), *(row_message(row) for row in rows), exit_message()]))
    for block in range(1, 6):
        data[block * BLOCK + 20_000] ^= 1
    log, _ = read_rows(written(tmp_path, bytes(data[:-3])))
    assert log.damage.count("run-r1.wandb: Damaged at byte ") == 3
    assert log.damage.endswith(" And 3 more.")
    assert len(log.damages) == 6
    assert log.damages[-1].startswith("run-r1.wandb: The file ends inside a record: its last ")


def test_a_record_that_is_begun_and_never_ended_is_told(tmp_path):
    row, begun = row_message({"_step": 1}), row_message({"_step": 0})
    data = log_bytes([run_message()]) + chunk(FIRST, begun[:5]) + chunk(MIDDLE, begun[5:7]) + chunk(FULL, row)
    log, history = read_rows(written(tmp_path, data))
    assert history == [{"_step": 1}]
    place = len(data) - len(row)
    assert log.damage == f"run-r1.wandb: A record before byte {place:,} has no end: its 7 bytes were left out."
    cut, _ = read_rows(written(tmp_path, log_bytes([run_message()]) + chunk(FIRST, begun[:5])))
    assert cut.damage == "run-r1.wandb: The file ends inside a record: its last 5 bytes were left out."


def test_the_end_of_a_record_without_its_beginning_is_no_row(tmp_path):
    data = log_bytes([run_message()]) + chunk(LAST, row_message({"_step": 0})) + chunk(FULL, row_message({"_step": 1}))
    assert read_rows(written(tmp_path, data))[1] == [{"_step": 1}]


def test_zeros_where_records_should_be_are_damage(tmp_path):
    data = log_bytes(SMALL[:-1])
    log, history = read_rows(written(tmp_path, data + bytes(100)))
    assert history == ROWS
    assert log.damage == (
        f"run-r1.wandb: Damaged at byte {len(data):,}: the 100 bytes to the end of that block were left out."
    )


def test_a_record_that_is_no_message_is_left_out(tmp_path):
    data = log_bytes([run_message(), b"\xff\xff\xff", row_message({"_step": 1})])
    log, history = read_rows(written(tmp_path, data))
    assert history == [{"_step": 1}]
    assert log.damage == "run-r1.wandb: A record of 3 bytes could not be decoded and was left out."


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "run-r1.wandb is not a W&B run log (it is empty)."),
        (b"hello world", "run-r1.wandb is not a W&B run log (it does not start with ':W&B')."),
        (b":W&", "run-r1.wandb is not a W&B run log (it does not start with ':W&B')."),
        (HEADER[:5], "run-r1.wandb holds no run: it was cut before the first record was written."),
        (HEADER, "run-r1.wandb holds no run: it was cut before the first record was written."),
        (
            log_bytes([run_message()])[:-1],
            "run-r1.wandb holds no run: it was cut before the first record was written.",
        ),
    ],
)
def test_what_is_no_run(tmp_path, data, sentence):
    with pytest.raises(SourceError) as caught:
        read_rows(written(tmp_path, data))
    assert str(caught.value) == sentence


# ---- what records say ----------------------------------------------------------------------------------------------


def test_values_come_as_they_were_logged(tmp_path):
    record = Record()
    record.history.item.add(nested_key=["train", "loss"], value_json="NaN")
    record.history.item.add(key="x", value_json="not json")
    record.history.item.add(key="h", value_json='{"_type": "histogram"}')
    record.history.step.num = 7
    _, history = read_rows(written(tmp_path, log_bytes([run_message(), record.SerializeToString()])))
    (row,) = history
    assert row.pop("train.loss") != 0
    assert row == {"x": "not json", "h": {"_type": "histogram"}, "_step": 7}


def test_only_the_keys_asked_for_are_decoded(tmp_path, monkeypatch):
    data = log_bytes(
        [run_message(), row_message({"_step": 3, "a": 1.0, "b": "x", "c": None}), row_message({"d": 1}, 4)]
    )
    decoded: list[str] = []
    real = wandb_log.json_value
    monkeypatch.setattr(wandb_log, "json_value", lambda text: decoded.append(text) or real(text))
    columns = Columns(["a", "d", "none"])
    log = read_log(written(tmp_path, data), columns)
    frame, bad = columns.frame()
    assert frame.rows() == [(1.0, None, None), (None, 1.0, None)]
    assert (frame.columns, set(frame.dtypes), bad) == (["a", "d", "none"], {pl.Float64}, {})
    assert log.keys == {"_step", "a", "b", "c", "d"}
    assert not {'"x"', "null"} & {*decoded}


# What a program may log under a key, the number that it is, and whether it is a value that is no number.
NUMBER_OF = [
    ("1", 1.0, False),
    ("-0.5", -0.5, False),
    ("1e3", 1000.0, False),
    ("NaN", nan, False),
    ("-Infinity", -inf, False),
    ('"NaN"', nan, False),
    ('"Infinity"', inf, False),
    ('"0.5"', 0.5, False),
    ('"1e6"', 1e6, False),
    ("true", 1.0, False),
    ("null", None, False),
    ('"text"', None, True),
    ('" 1"', None, True),
    ('"nan"', None, True),
    ("not json", None, True),
    ("1_000", None, True),
    ("", None, True),
    ("[1]", None, True),
    ('{"_type": "histogram"}', None, True),
    ("[" * 100_000, None, True),
    ("1" + "0" * 400, inf, False),
]
KEYS = ("a", "train/loss", "x.y")
ITEM = st.tuples(st.sampled_from([*KEYS, "unasked"]), st.booleans(), st.sampled_from(NUMBER_OF))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.lists(ITEM, max_size=6), max_size=30), size=st.integers(1, 12))
def test_wild_rows_become_the_numbers_that_they_say(tmp_path_factory, rows, size):
    messages = [run_message()]
    expected, counts = list[tuple[float | None, ...]](), Counter[str]()
    for items in rows:
        record = Record()
        record.history.SetInParent()
        row = dict[str, tuple[float | None, bool]]()
        for key, is_nested, (text, number, is_bad) in items:
            name = {"nested_key": key.split(".")} if is_nested else {"key": key}
            record.history.item.add(value_json=text, **name)
            row[key] = (number, is_bad)  # Of a key twice in a row the last counts.
        messages.append(record.SerializeToString())
        expected.append(tuple(row.get(key, (None, False))[0] for key in KEYS))
        counts.update(key for key in KEYS if row.get(key, (None, False))[1])
    columns = Columns(KEYS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wandb_log, "_CHUNK", size)
        log = read_log(written(tmp_path_factory.mktemp("wild"), log_bytes(messages)), columns)
    frame, bad = columns.frame()
    assert repr(frame.rows()) == repr(expected)  # A NaN equals itself as text.
    assert (bad, log.row_count, log.damages) == (dict(counts), len(rows), [])
    assert log.keys == {key for items in rows for key, *_ in items}


def test_the_first_and_last_steps_of_a_log(tmp_path):
    rows = [{"_step": 7.5}, {"_step": 9, "_timestamp": "NaN"}, {"_step": 2**53, "_timestamp": 4}, {"_step": "12"}]
    log, _ = read_rows(written(tmp_path, log_bytes([run_message(), *(row_message(row) for row in rows)])))
    assert (log.first_step, log.last_step, isnan(log.first_time)) == (7.5, 9, True)
    log, _ = read_rows(written(tmp_path, log_bytes([run_message(), row_message({"a": 1}, 3)])))
    assert (log.first_step, log.last_step, log.first_time) == (3.0, 3, inf)


def test_config_changes_are_followed_and_the_clients_own_part_left_out(tmp_path):
    change = Record()
    change.config.update.add(key="a", value_json="2")
    change.config.update.add(nested_key=["b", "c"], value_json="3")
    change.config.update.add(key="_wandb", value_json="{}")
    change.config.remove.add(key="gone")
    first = run_message("r1", {"a": 1, "b": {"c": 1, "d": 4}, "gone": 1, "_wandb": {"v": 1}})
    log, _ = read_rows(written(tmp_path, log_bytes([first, change.SerializeToString()])))
    assert log.config == {"a": 2, "b": {"c": 3, "d": 4}}


def test_a_run_is_named_by_itself_or_its_id(tmp_path):
    named, _ = read_rows(written(tmp_path, log_bytes([run_message("r1", display_name="calm-sea-1", run_group="g")])))
    assert (named.name, named.group) == ("calm-sea-1", "g")
    assert read_rows(written(tmp_path, log_bytes([run_message("r1")])))[0].name == "r1"


def test_a_file_that_grows_too_large_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = tmp_path / "run.wandb"
    path.write_bytes(bytes(3 * 32768))
    monkeypatch.setattr(wandb_log, "MAX_BYTES", 2 * 32768)
    with path.open("rb") as file, pytest.raises(SourceError, match=r"run\.wandb grew beyond 0 MB while it was read"):
        list(wandb_log._blocks(file))
