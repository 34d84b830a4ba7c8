"""Baseline files: CSV of step, reward and seed, from any program that writes one."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from math import isfinite, isnan, nan
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from lib.formatting import listing, one_line, plural
from lib.study import InputError, as_number, read_file, value_text

#: Columns of a baseline file; others are ignored.
FILE = ("step", "reward", "seed")
ROWS = pl.Schema({"step": pl.Int64, "reward": pl.Float64, "seed": pl.String})
MAX_BYTES, MAX_COLUMNS, MAX_ROWS = 20 * 1024**2, 200, 1_000_000
#: The header is one of these first lines, below a title or comments.
_HEADER_LINES = 20
_SEPARATORS = (",", ";", "\t")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
#: How programs write a missing value.
_MISSING = {"", "nan", "na", "n/a", "#n/a", "<na>", "null", "none"}
_NUMERIC = r"[+-]?[0-9., ]+(?:[eE][+-]?[0-9]+)?"
#: Thousands in groups of three, by the decimal mark.
_GROUPED = {
    ".": re.compile(r"[+-]?[1-9][0-9]{0,2}(?:[, ][0-9]{3})+(?:\.[0-9]*)?"),
    ",": re.compile(r"[+-]?[1-9][0-9]{0,2}(?:[. ][0-9]{3})+(?:,[0-9]*)?"),
}
#: A cell in quotation marks that goes on in the next lines, and what stands there for the end of a line.
_LONG_CELL = re.compile(r'(?<![^,;\t\r\n])"(?:[^"\r\n]++|"")*+[\r\n](?:[^"]++|"")*+"(?![^,;\t\r\n])')
_LINE_END = "\v"


class BaselineError(InputError):
    """A baseline file that cannot be drawn, in one sentence."""


class _Row(NamedTuple):
    """The texts of one line, "" where a value is missing, and what is wrong with the line as a whole."""

    line: int
    step: str
    reward: str
    seed: str
    fault: str = ""


_TEXTS = pl.Schema({"line": pl.Int64, "step": pl.String, "reward": pl.String, "seed": pl.String, "fault": pl.String})
_ROWS_AT_ONCE = 100_000


def file_bytes(path: Path) -> bytes:
    """What a baseline file holds; BaselineError where it cannot be read."""
    try:
        return read_file(path, MAX_BYTES)
    except InputError as error:
        raise BaselineError(f"The baseline {error}") from None
    except FileNotFoundError:
        raise BaselineError(f"There is no baseline at {one_line(str(path))}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BaselineError(f"The baseline {one_line(str(path))} cannot be read ({reason}).") from None


def read_baseline(
    content: bytes, name: str, step_scale: float = 1.0, warn: Callable[[str], None] = lambda _: None
) -> pl.DataFrame:
    """The rows of a baseline file.

    A line without a step and a reward is blank. An empty reward is a missing value. Any other line that cannot be read is
    left out, and `warn` is told.

    Parameters
    ----------
    content : CSV with a header, separated by commas, semicolons or tabs. Columns other than `FILE` are ignored, their
        order is free.
    name : what messages call the file.
    step_scale : environment steps per step of the file.
    warn : takes one sentence: how many rows are left out, and why.

    Returns
    -------
    Frame: step (Int64, environment steps), reward (Float64, NaN where missing), seed (String).

    Raises
    ------
    BaselineError
        Where the file is too large (in bytes, rows or columns) or no CSV, lacks a column, or no reward in it can be read.
    """
    if len(content) > MAX_BYTES:
        raise BaselineError(f"{name} is larger than {MAX_BYTES // 1024**2} MB: a baseline is a small file.")
    rows, separator = _rows(_text(content, name), name)
    mark = _decimal_mark(rows, separator)
    with np.errstate(over="ignore"):
        step, reward = step_scale * _numbers(rows["step"], mark), _numbers(rows["reward"], mark)
    has_seeds = rows["seed"].ne("").any()
    is_left_out = _left_out(rows, step, reward, has_seeds)
    fault = ""
    if is_left_out.any():
        index = int(np.argmax(is_left_out))
        row = _Row(*rows.row(index))
        fault = f"line {row.line}: {row.fault or _fault(row, float(step[index]), float(reward[index]), has_seeds)}"
    is_usable = ~is_left_out
    if not is_usable.any():
        raise BaselineError(f"{name}, {fault}." if fault else f"{name} holds no row below its header.")
    if np.isnan(reward[is_usable]).all():
        raise BaselineError(f"{name} holds no reward: every cell of that column is empty.")
    if fault:
        warn(f"{name}: {is_left_out.sum():,} of {plural(len(rows), 'row')} left out; {fault}.")
    seeds = rows["seed"].filter(is_usable)
    seeds = seeds.replace_strict({text: _seed(text, mark) for text in seeds.unique()}, return_dtype=pl.String)
    return pl.DataFrame([np.rint(step[is_usable]).astype(np.int64), reward[is_usable], seeds], schema=ROWS)


def _text(content: bytes, name: str) -> str:
    """The text of the file: UTF-8, UTF-16 as Excel writes it, or one byte per sign, in which numbers are the same."""
    utf_16 = content.startswith(_UTF_16)
    try:
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = "" if utf_16 else content.decode("latin-1")
    if not text.strip() or "\0" in text:
        raise BaselineError(f"{name} is not a CSV file of the columns {', '.join(FILE)}.")
    if max(text.count("\n"), text.count("\r")) > MAX_ROWS + _HEADER_LINES:
        raise BaselineError(f"{name} has more than {MAX_ROWS:,} rows: thin it out.")
    return text


def _rows(text: str, name: str) -> tuple[pl.DataFrame, str]:
    """Every line below the header but blank ones and comments, as columns like `_Row`, and what separates its cells."""
    lines = _lines(text)
    first = list(islice(lines, _HEADER_LINES))
    header, names, separator = _header([line for _, line in first], name)
    at = [names.index(column) for column in FILE]
    rows = (
        _row(number, line, separator, at, len(names))
        for number, line in chain(first[header + 1 :], lines)
        if not line.startswith("#") or line.upper().startswith("#N/A")
    )
    rows = (row for row in rows if row.fault or row.step or row.reward)
    frames = [pl.DataFrame(schema=_TEXTS)]
    # A part after the other: as Python's texts they take ten times the memory.
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        frames.append(pl.DataFrame(part, schema=_TEXTS, orient="row"))
    return pl.concat(frames), separator


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers; a cell in quotation marks that goes on in the next lines is in one."""
    number = 1
    for line in io.StringIO(_LONG_CELL.sub(lambda cell: re.sub(r"\r\n?|\n", _LINE_END, cell[0]), text), newline=None):
        yield number, line
        number += 1 + line.count(_LINE_END)


def _left_out(rows: pl.DataFrame, step: np.ndarray, reward: np.ndarray, has_seeds: bool) -> np.ndarray:
    """By row, whether `_fault` or the row itself says what is wrong with it."""
    has_reward = rows["reward"].ne("").to_numpy()
    is_wrong = rows["fault"].ne("").to_numpy() | ~((step >= 0) & (step <= 2**53)) | (has_reward & ~np.isfinite(reward))
    return np.asarray(is_wrong | (has_seeds & has_reward & rows["seed"].eq("").to_numpy()))


def _row(number: int, line: str, separator: str, at: Sequence[int], width: int) -> _Row:
    """One line by the places of step, reward and seed."""
    if len(line) > MAX_COLUMNS and (count := line.count(separator)) >= MAX_COLUMNS:
        return _Row(number, "", "", "", f"it has {count + 1:,} cells below a header of {width}")
    cells = _cells(line, separator)
    if cells is None:
        return _Row(number, "", "", "", "its quotation marks do not match")
    if len(cells) > width and any(map(_clean, cells[width:])):
        return _Row(number, "", "", "", f"it has {len(cells)} cells below a header of {width}")
    step, reward, seed = (_clean(cells[i]) if i < len(cells) else "" for i in at)
    return _Row(number, step, reward, seed)


def _cells(line: str, separator: str) -> list[str] | None:
    """The texts of a line; None where its quotation marks do not match."""
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        return None


def _clean(text: str) -> str:
    """A cell's text without what surrounds it, with plain minus signs and spaces; "" for a missing value."""
    plain = text if text.isascii() else re.sub(r"\s", " ", text.replace("\u2212", "-"))
    stripped = plain.strip()
    return "" if stripped.lower() in _MISSING else stripped


def _header(lines: Sequence[str], name: str) -> tuple[int, list[str], str]:
    """The index of the header line, its names in lower case, and what separates them."""
    candidates = [
        (number, names, separator)
        for number, line in enumerate(lines[:_HEADER_LINES])
        for separator in _SEPARATORS
        if line.count(separator) < MAX_COLUMNS
        and any(names := [_clean(cell).lower() for cell in _cells(line.lstrip("# "), separator) or []])
    ]
    # Where no line has all columns, the first that has most of them is what was meant.
    best = max(candidates, key=lambda header: sum(column in header[1] for column in FILE), default=None)
    names = best[1] if best else []
    missing = [column for column in FILE if column not in names]
    if missing and any(line.count(separator) >= MAX_COLUMNS for line in lines for separator in _SEPARATORS):
        raise BaselineError(f"{name} has more than {MAX_COLUMNS} columns: keep {listing(FILE)}.")
    if best is None or missing:
        raise BaselineError(
            f"{name} has no column {listing(missing, 'or')}: a baseline is a CSV file of the columns {', '.join(FILE)}"
            f"{_hint(names)}."
        )
    for column in FILE:
        if names.count(column) > 1:
            raise BaselineError(f"{name} has {names.count(column)} columns {column}: keep one of them.")
    return best


def _hint(names: Sequence[str]) -> str:
    """What to do with the export of a chart on W&B's page, which has a column per run."""
    is_chart = any(column.endswith(("__min", "__max")) or " - " in column for column in names)
    return ", with a row per step and seed; this is a chart of W&B with a column per run" if is_chart else ""


def _decimal_mark(rows: pl.DataFrame, separator: str) -> str:
    """Point or comma. Where both readings are open, a file separated by semicolons has a comma, its steps being whole numbers.

    In any other file a comma is decimal where thousands are written without one: `1000` beside `1,234`.
    """
    steps, rewards = (_marked(rows[column]) for column in ("step", "reward"))
    numeric = pl.concat([steps, rewards])
    has_comma = numeric.str.contains(",", literal=True)
    if separator == ";":
        comma = has_comma.any() or _is_grouped(steps, ",").any()
    else:
        groups_none = rows["step"].str.contains("^[0-9]{4,}$").any() and not steps.str.contains(",", literal=True).any()
        comma = (has_comma & (~_is_grouped(numeric, ".") | groups_none)).any()
    point = (numeric.str.contains(".", literal=True) & ~_is_grouped(numeric, ",")).any()
    return "," if comma and not point else "."


def _marked(texts: pl.Series) -> pl.Series:
    """The numbers with a point or a comma."""
    return texts.filter(texts.str.contains("[.,]") & texts.str.contains(f"^(?:{_NUMERIC})$"))


def _is_grouped(texts: pl.Series, mark: str) -> pl.Series:
    return texts.str.contains(f"^(?:{_GROUPED[mark].pattern})$")


def _numbers(texts: pl.Series, mark: str) -> np.ndarray:
    """The numbers that cells write, as `_number` reads them: most are plain, and quickly read all together."""
    plain = texts.str.contains(rf"^[+-]?[0-9]+(?:[{mark}][0-9]*)?(?:[eE][+-]?[0-9]+)?$")
    values = texts.set(~plain, None).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    others = values.is_null() & texts.ne("")
    numbers = values.fill_null(nan).to_numpy().copy()
    numbers[others.to_numpy()] = [_number(text, mark) for text in texts.filter(others)]
    return numbers


def _number(text: str, mark: str) -> float:
    """The number that a cell writes; NaN where it is empty or writes none."""
    if not text.isdigit() and _GROUPED[mark].fullmatch(text):
        text = re.sub(r"[ .]" if mark == "," else r"[ ,]", "", text)
    number = as_number(text.replace(",", ".") if mark == "," else text)
    return nan if number is None else number


def _fault(row: _Row, step: float, reward: float, has_seeds: bool) -> str:
    """Why a row cannot be drawn, or nothing; `has_seeds` where other rows have one."""
    if isnan(step):
        return f"step is '{row.step[:40]}', not a number" if row.step else "step is empty"
    if not 0 <= step <= 2**53:
        return f"step is {row.step[:40]}, which no step can be"
    if row.reward and not isfinite(reward):
        return f"reward is '{row.reward[:40]}', not a number"
    return "seed is empty" if has_seeds and row.reward and not row.seed else ""


def _seed(text: str, mark: str) -> str:
    """A seed's name: 1.0 and 1 are one seed."""
    number = _number(text, mark)
    return value_text(text) if text.isdecimal() else str(int(number)) if number.is_integer() else text
