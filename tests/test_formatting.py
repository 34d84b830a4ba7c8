import math

import pytest

from lib.formatting import (
    extent,
    file_name,
    fixed,
    interval_decimals,
    interval_ends,
    is_or_are,
    listing,
    number,
    numbers,
    one_line,
    percent,
    plural,
    scientific,
    slug,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (math.nan, "–"), (math.inf, "–"),
        (0, "0"), (0.001, "0.001"), (0.0009996, "1.00e-3"), (0.00012345, "1.23e-4"), (-5e-11, "-5.00e-11"),
        (1.5, "1.5"), (12.345, "12.3"), (99.95, "100"), (342.17, "342"), (999.6, "1,000"), (1234567.8, "1,234,568"),
    ],
)  # fmt: skip
def test_a_number_has_three_digits_and_all_before_the_point(value, text):
    assert number(value) == text


def test_zero_has_no_sign():
    assert [number(value, 2, "+") for value in (0.0, -0.0)] == ["0", "0"]
    assert number(-0.0) == "0"


def test_a_number_has_the_digits_and_the_sign_asked_for():
    assert [number(v, 4) for v in (342.17, 3.21987, 0.0312345, 12345.6)] == ["342.2", "3.22", "0.03123", "12,346"]
    assert [number(v, sign="+") for v in (0.5, -0.5, 1234, 2e-5)] == ["+0.5", "-0.5", "+1,234", "+2.00e-5"]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((10.1, 9.85, 10.35), ["10.10", "9.85", "10.35"]),
        ((2, -0.484, 4.484), ["2.0", "-0.5", "4.5"]),
        ((104.2, 103.9, 104.5), ["104.20", "103.90", "104.50"]),
        ((12_345.6, 12_111.1, 12_580.2), ["12,346", "12,111", "12,580"]),
        ((-0.0001, -5.2, 5.2), ["0.0", "-5.2", "5.2"]),
        ((-5.25, -17.7, 7.2), ["-5", "-18", "7"]),
        ((-71.72, -143.42, -0.02), ["-72", "-143", "-0.02"]),
        ((-5.25,), ["-5.25"]),
        ((1.2e-5,), ["1.20e-5"]),
        ((3.2e-5, 1e-5, 5.4e-5), ["3.2e-5", "1.0e-5", "5.4e-5"]),
        ((4e-4, 1e-9, 8e-4), ["4.0e-4", "1e-9", "8.0e-4"]),
        ((0.00512, 0.0051, 0.00514), ["0.005120", "0.005100", "0.005140"]),
        ((0.0,), ["0"]),
        ((0.0, 0.0, 0.0), ["0", "0", "0"]),
    ],
)
def test_an_estimate_and_its_interval_have_one_precision(values, texts):
    assert numbers(values) == texts


def test_signs_are_written_where_asked_for():
    assert numbers((29.04, 20.7, 36.4), sign="+") == ["+29.0", "+20.7", "+36.4"]
    assert numbers((0.02, -8, 9), sign="+") == ["0.0", "-8.0", "+9.0"]
    assert numbers((-0.0,), sign="+") == ["0"]


def test_an_exponent_has_no_zeros_in_front():
    assert [scientific(v) for v in (0.0031, 1.0, 250000.0)] == ["3.10e-3", "1.00e0", "2.50e5"]


def test_a_share_is_a_percentage():
    assert [percent(v) for v in (0.125, 1.0, 12.345)] == ["12.5%", "100%", "1,234%"]
    assert percent(0.07, sign="+") == "+7%"


def test_a_count_agrees_with_its_noun():
    assert [plural(n, "run") for n in (0, 1, 2, 1200)] == ["0 runs", "1 run", "2 runs", "1,200 runs"]


def test_a_verb_agrees_with_its_count():
    assert [is_or_are(n) for n in (0, 1, 2)] == ["are", "is", "are"]


def test_names_are_listed_as_in_a_sentence():
    assert listing([]) == ""
    assert listing(["A"]) == "A"
    assert listing(["A", "B"]) == "A and B"
    assert listing(iter("ABC")) == "A, B and C"
    assert listing(["reward", "loss"], "or") == "reward or loss"


def test_names_in_charts_keep_the_letters_of_every_alphabet():
    assert slug("walker:walk / état.1") == "walker_walk___état_1"
    assert slug("walker:walk.1-2", keep=".") == "walker_walk.1_2"


def test_names_of_files_are_ascii():
    assert file_name("team/projet état.v-1") == "team_projet_tat.v-1"


def test_somebody_elses_text_is_one_short_line():
    assert one_line("a\nb\x00c\ud800") == "a b\ufffdc\ufffd"
    assert one_line("x" * 200) == "x" * 200
    assert one_line("x" * 150 + "y" * 100, 100) == "x" * 50 + "…" + "y" * 25


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [(-16.7, 6.2, 0), (0.1, 0.9, 1), (-2.0, 2.0, 0), (-1.9, 1.9, 1), (1e-9, 2e-9, 10), (2.0, 2.0, 0)],
)
def test_half_an_intervals_width_is_two_of_the_last_digit(low, high, decimals):
    assert interval_decimals(low, high) == decimals
    assert interval_decimals(-1.9, 1.9, units=1) == 0


def test_an_end_of_an_interval_that_excludes_0_does_not_read_0():
    assert interval_ends([-143.42, -0.02], 0) == ["-143", "-0.02"]
    assert interval_ends([0.3, 8.0], 0, "+") == ["+0.3", "+8"]
    assert interval_ends([-8.0, 0.3], 0, "+") == ["-8", "0"]
    assert interval_ends([], 0) == []


def test_fixed_decimals_have_no_sign_before_zero():
    assert [fixed(value, 0, "+") for value in (-5.2, 10.1, -0.2, 0.2, 1234.0)] == ["-5", "+10", "0", "0", "+1,234"]
    assert [fixed(value, 1) for value in (-0.04, 0.06, 29.0)] == ["0.0", "0.1", "29.0"]
    assert fixed(-3.04e-5, 6, "+") == "-3.0e-5"
    assert [fixed(v, 6) for v in (-4e-9, 6e-7, 0.00512)] == ["0", "6e-7", "0.005120"]


def test_an_extent_names_one_number_once():
    assert (extent("26", "29"), extent("28", "28")) == ("26-29", "28")
