"""Baseline files as programs write them: the right rows, or one sentence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.curves import BaselineError, read_baseline

TWO_SEEDS = "step,reward,seed\n0,1,1\n500,20,1\n0,2,2\n500,22,2\n"
ROWS = [(0, 1.0, "1"), (500, 20.0, "1"), (0, 2.0, "2"), (500, 22.0, "2")]


def read(content: str | bytes, scale: float = 1.0) -> tuple[list[tuple], list[str]]:
    """The rows of a file called b.csv, and what its reader is warned of."""
    warnings: list[str] = []
    raw = content.encode() if isinstance(content, str) else content
    return read_baseline(raw, "b.csv", scale, warnings.append).rows(), warnings


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_cell_in_quotation_marks_goes_on_in_the_next_lines(end):
    lines = [
        'step,"a ""note"",',
        '(free)",reward,seed',
        '0,"two',
        "",
        'lines",1,1',
        '500,"x",20,1',
        "x,,3,1",
        '9,"open,4,1',
    ]
    assert read(end.join(lines)) == (
        [(0, 1.0, "1"), (500, 20.0, "1")],
        ["b.csv: 2 of 4 rows left out; line 7: step is 'x', not a number."],
    )


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("1.000;2;1,0\n100.000;3;2,0", [(1000, 2.0, "1"), (100_000, 3.0, "2")]),
        ("1000;2.345;1\n2000;3.456;2", [(1000, 2.345, "1"), (2000, 3.456, "2")]),
        ("1000;0,125;1", [(1000, 0.125, "1")]),
    ],
)
def test_steps_and_seeds_are_whole_numbers_in_every_locale(content, rows):
    assert read(f"step;reward;seed\n{content}\n") == (rows, [])


def message(content: str | bytes) -> str:
    with pytest.raises(BaselineError) as caught:
        read(content)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        TWO_SEEDS,
        TWO_SEEDS + "\n\n",
        TWO_SEEDS + ",,\n,,\n",
        TWO_SEEDS.replace(",", ";") + ";;\n",
        TWO_SEEDS.replace("0,2,2", "\n , ,\n\n0,2,2"),
        "\n\n" + TWO_SEEDS,
        "# TD-MPC2, 2 seeds\n" + TWO_SEEDS.replace("500,22", "# the last one\n500,22"),
        "# " + TWO_SEEDS,
        "sep=;\n" + TWO_SEEDS.replace(",", ";"),
        TWO_SEEDS.replace("\n", "\r\n"),
        TWO_SEEDS.replace("\n", "\r"),
        TWO_SEEDS.replace(",", "\t"),
        TWO_SEEDS.encode("utf-8-sig"),
        TWO_SEEDS.replace(",", "\t").encode("utf-16"),
        TWO_SEEDS.replace(",", ", "),
        TWO_SEEDS.replace("step,reward,seed", '"Step", "Reward", "SEED"'),
        TWO_SEEDS.replace("500,20,1", '"500","20","1"'),
        TWO_SEEDS.replace("500,22,2", "5e2,+22.0,2.0"),
        TWO_SEEDS.replace("500,22,2", "500,22\u00a0,\u00a02,,"),
        "note,step,reward,seed\n" + "".join(f"caf\xe9,{row}\n" for row in TWO_SEEDS.split()[1:]),
        ("note,step,reward,seed\n" + "".join(f"caf\xe9,{row}\n" for row in TWO_SEEDS.split()[1:])).encode("latin-1"),
        ",step,reward,seed\n" + "".join(f"{i},{row}\n" for i, row in enumerate(TWO_SEEDS.split()[1:])),
        ",step,reward,seed\n" + "".join(f"{i},{row}\n" for i, row in enumerate(TWO_SEEDS.split()[1:])) + "4,,,\n",
    ],
)
def test_rows_are_the_same_however_they_are_written(content):
    assert read(content) == (ROWS, [])


@pytest.mark.parametrize("missing", ["", "nan", "NaN", "NA", "null", "None", "#N/A", " "])
def test_an_empty_reward_is_a_missing_value(missing):
    rows, warnings = read(f"step,reward,seed\n0,1,1\n500,{missing},1\n1000,3,1\n")
    assert [(step, None if math.isnan(reward) else reward) for step, reward, _ in rows] == [
        (0, 1.0),
        (500, None),
        (1000, 3.0),
    ]
    assert warnings == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",7,1", "step is empty"),
        ("NaN,7,1", "step is empty"),
        ("#N/A,7,1", "step is empty"),
        ("100_000,7,1", "step is '100_000', not a number"),
        ("0.1M,7,1", "step is '0.1M', not a number"),
        ("-5,7,1", "step is -5, which no step can be"),
        ("1e30,7,1", "step is 1e30, which no step can be"),
        ("5,high,1", "reward is 'high', not a number"),
        ("5,50%,1", "reward is '50%', not a number"),
        ("5,inf,1", "reward is 'inf', not a number"),
        ("5,7,", "seed is empty"),
        ("5,7", "seed is empty"),
        ("5,1,5,1", "it has 4 cells below a header of 3"),
        ('5,"7,1', "its quotation marks do not match"),
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_and_said(line, reason):
    file = TWO_SEEDS.replace("0,2,2", f"\n{line}\n0,2,2")
    assert read(file) == (ROWS, [f"b.csv: 1 of 5 rows left out; line 5: {reason}."])
    assert read(f"{file}{line}\n")[1] == [f"b.csv: 2 of 6 rows left out; line 5: {reason}."]


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        ("step;reward;seed\n0;1,5;1\n1000;2,25;1\n", [(0, 1.5), (1000, 2.25)]),
        ("step;reward;seed\n0;812,500;1\n", [(0, 812.5)]),
        ("step;reward;seed\n100.000;1,5;1\n1.000.000;1.234,5;1\n", [(100_000, 1.5), (1_000_000, 1234.5)]),
        ("step;reward;seed\n0;1.5;1\n", [(0, 1.5)]),
        ("step\treward\tseed\n0\t1,5\t1\n", [(0, 1.5)]),
        ('step,reward,seed\n0,"1,5",1\n', [(0, 1.5)]),
        ('step,reward,seed\n"100,000","1,234.5",1\n', [(100_000, 1234.5)]),
        ("step\treward\tseed\n1000\t1,234\t1\n", [(1000, 1.234)]),
        ('step,reward,seed\n"1,000","1,234",1\n', [(1000, 1234)]),
        ("step,reward,seed\n100\u202f000,1.5,1\n", [(100_000, 1.5)]),
        ("step,reward,seed\n0,\u22121.5,1\n", [(0, -1.5)]),
    ],
)
def test_numbers_as_countries_write_them(content, numbers):
    assert [(step, reward) for step, reward, _ in read(content)[0]] == numbers


def test_one_and_one_point_nought_are_one_seed():
    rows, _ = read("step,reward,seed\n0,1,1\n5,2,1.0\n0,3,two\n0,4,2.5\n")
    assert [seed for *_, seed in rows] == ["1", "1", "two", "2.5"]
    long = [str(2**63 + 1), str(2**63 + 2)]
    assert [seed for *_, seed in read(f"step,reward,seed\n0,1,{long[0]}\n0,1,{long[1]}\n")[0]] == long


def test_a_file_without_seeds_is_one_run():
    assert read("step,reward,seed\n0,1,\n5,2\n") == ([(0, 1.0, ""), (5, 2.0, "")], [])


def test_steps_are_scaled_to_environment_steps():
    assert read("step,reward,seed\n0,1,1\n1001,2,1\n2000,3,1\n", 0.5)[0] == [
        (0, 1.0, "1"),
        (500, 2.0, "1"),
        (1000, 3.0, "1"),
    ]
    assert message("step,reward,seed\n0,x,1\n") == "b.csv, line 2: reward is 'x', not a number."
    with pytest.raises(BaselineError, match=r"^b, line 2: step is 5, which no step can be\.$"):
        read_baseline(b"step,reward,seed\n5,1,1\n", "b", 1e300)


EXPECTED = "a baseline is a CSV file of the columns step, reward, seed"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "b.csv is not a CSV file of the columns step, reward, seed."),
        (b" \n\n", "b.csv is not a CSV file of the columns step, reward, seed."),
        (b"\xff\xfe\x00binary", "b.csv is not a CSV file of the columns step, reward, seed."),
        (b"PK\x03\x04\x00\x00", "b.csv is not a CSV file of the columns step, reward, seed."),
        ("step,reward\n1,2\n", f"b.csv has no column seed: {EXPECTED}."),
        ("x\n1\n", f"b.csv has no column step, reward or seed: {EXPECTED}."),
        (",,\n", f"b.csv has no column step, reward or seed: {EXPECTED}."),
        ("# notes\nenv_step,episode_return,seed\n", f"b.csv has no column step or reward: {EXPECTED}."),
        ('"Step","run1 - eval/episode_reward","run1 - eval/episode_reward__MIN"\n0,1,1\n',
         f"b.csv has no column reward or seed: {EXPECTED}, with a row per step and seed; this is a chart of W&B with a "
         "column per run."),
        ("step,reward,Reward,seed\n0,1,9,1\n", "b.csv has 2 columns reward: keep one of them."),
        ("step,reward,seed\n", "b.csv holds no row below its header."),
        ("step,reward,seed\n,,\n\n", "b.csv holds no row below its header."),
        ("step,reward,seed\n0,,1\n5,nan,1\n", "b.csv holds no reward: every cell of that column is empty."),
        ("step,reward,seed\n5,high,1\n", "b.csv, line 2: reward is 'high', not a number."),
        ("step,reward,seed\n1,2,3,4\n", "b.csv, line 2: it has 4 cells below a header of 3."),
    ],
)  # fmt: skip
def test_a_file_of_which_nothing_can_be_read_is_said_in_one_sentence(content, text):
    assert message(content) == text


values = st.floats(-1e9, 1e9).map(lambda value: round(value, 4))
tables = st.lists(st.tuples(st.integers(0, 2**40), values, st.integers(0, 9)), min_size=1, max_size=20)


@given(
    tables,
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from([0, 2])), max_size=5),
)
def test_any_table_is_read_back(table, separator, end, encoding, blanks):
    lines = ["step,reward,seed", *(f"{step},{reward!r},{seed}" for step, reward, seed in table)]
    for place, commas in blanks:
        lines.insert(1 + place % len(lines), "," * commas)
    text = end.join(lines).replace(",", separator) + end
    assert read(text.encode(encoding)) == ([(step, reward, str(seed)) for step, reward, seed in table], [])


@given(st.binary(max_size=200))
def test_any_bytes_give_rows_or_one_sentence(content):
    try:
        rows, _ = read(b"step,reward,seed\n" + content)
        assert rows
    except BaselineError as error:
        assert str(error).startswith("b.csv")
        assert "\n" not in str(error)
