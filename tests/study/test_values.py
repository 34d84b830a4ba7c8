"""Numbers that arrive as text, and dotted config keys."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.runs import numeric
from lib.study import (
    as_number,
    config_number,
    config_value,
    flat_config,
    has_config_key,
    plain_value,
    same_value,
    value_text,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0), (True, 1.0), (2.5, 2.5), ("0.5", 0.5), ("1e6", 1e6), ("-3", -3.0), (".5", 0.5), ("5.", 5.0),
        ("+1.5E-3", 1.5e-3), ("Infinity", math.inf), ("-Infinity", -math.inf), (10**400, math.inf), (-(10**400), -math.inf),
        ("1e999", math.inf), ("", None), ("half", None),
        ("1_000", None), (" 1", None), ("0x10", None), ("1\n", None),
        ("nan", None), ("inf", None), ("1,5", None), (None, None), ({}, None), ([1], None), ("e5", None), (".", None),
        ("１", None),
    ],
)  # fmt: skip
def test_a_number_is_one_as_text_too(value, number):
    assert as_number(value) == number


def test_not_a_number_is_a_number():
    assert math.isnan(as_number("NaN"))


@given(st.lists(st.one_of(st.text("0123456789+-.eE_ \nNaInfity", max_size=12), st.floats().map(repr)), min_size=1))
def test_a_text_column_holds_the_numbers_that_its_texts_are(texts):
    frame, bad = numeric(pl.DataFrame({"x": texts}, schema={"x": pl.String}))
    expected = [as_number(text) for text in texts]
    assert frame["x"].is_null().to_list() == [number is None for number in expected]
    assert frame["x"].equals(pl.Series("x", expected, dtype=pl.Float64), null_equal=True)
    assert bad.get("x", 0) == sum(number is None for number in expected)


CONFIG = {"a.b": 1, "a": {"b": 2, "c": {"d": "0.5"}, "e.f": 4, "n": None}, "flag": True, "zero": 0}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a.b", 1), ("a.c.d", "0.5"), ("a.e.f", 4), ("a.n", None), ("a.x", None), ("flag", True), ("flag.x", None),
        ("x", None), ("", None), (".", None), ("a.c", {"d": "0.5"}),
    ],
)  # fmt: skip
def test_the_literal_key_comes_before_the_path(key, value):
    assert config_value(CONFIG, key) == value


def test_config_numbers():
    assert config_number(CONFIG, "a.c.d") == 0.5
    assert config_number(CONFIG, "flag") is None
    assert config_number(CONFIG, "zero") == 0


def test_a_null_is_there():
    assert has_config_key(CONFIG, "a.n") and has_config_key(CONFIG, "a.b") and has_config_key(CONFIG, "a.c.d")
    assert (
        not has_config_key(CONFIG, "a.x") and not has_config_key(CONFIG, "n") and not has_config_key(CONFIG, "flag.x")
    )


def test_a_flat_config_has_the_values_of_dotted_keys():
    assert flat_config({"a": {"b": {"c": 1}, "d": [2]}, "e": {}, "f": None}) == {
        "a.b.c": 1,
        "a.d": [2],
        "e": {},
        "f": None,
    }
    flat = flat_config(CONFIG)
    assert flat == {"a.b": 1, "a.c.d": "0.5", "a.e.f": 4, "a.n": None, "flag": True, "zero": 0}
    assert {key: config_value(CONFIG, key) for key in flat} == flat


leaves = st.integers() | st.text(max_size=3) | st.booleans()
parts = st.sampled_from("abc")
configs = st.dictionaries(
    parts, st.recursive(leaves, lambda some: st.dictionaries(parts, some, max_size=3), max_leaves=6)
)


@given(configs)
def test_a_flat_config_reads_as_the_nested_one(config):
    for key, value in flat_config(config).items():
        assert config_value(config, key) == value
        assert has_config_key(config, key)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([2, 2.0, "2", "2.0", "02", "+2", "2e0"], "2"), ([0.5, "0.5", "0.50", ".5", "5e-1"], "0.5"),
        ([True, "true", "True"], "true"), ([False, "False"], "false"), (["half"], "half"), ([None], "None"),
        ([2**60 + 1, str(2**60 + 1)], "1152921504606846977"), (["NaN"], "NaN"), ([[1]], "[1]"),
        ([1234567.5, "1234567.5"], "1234567.5"),
    ],
)  # fmt: skip
def test_a_value_has_one_text_in_every_form(values, text):
    assert {value_text(value) for value in values} == {text}
    assert all(same_value(a, b) for a in values for b in values) or text == "NaN"


@pytest.mark.parametrize(("a", "b"), [(0.1, 0), ("1", 0), (True, False), ("a", "b"), (None, 0), ("", 0), ("half", 0.5)])
def test_values_that_differ(a, b):
    assert not same_value(a, b)


def test_a_flag_is_a_number():
    assert same_value(True, 1)
    assert same_value(False, "0.0")
    assert same_value("True", 1)


def test_whole_numbers_beyond_64_bits_keep_their_digits():
    seeds = [2**63 + 1, 2**63 + 2]
    assert [value_text(plain_value(seed)) for seed in seeds] == ["9223372036854775809", "9223372036854775810"]
    assert plain_value([2**63 - 1, 10**5000]) == [2**63 - 1, math.inf]
