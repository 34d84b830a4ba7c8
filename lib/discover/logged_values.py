"""What a run's rows say before its history is read: its numbers, their lowest values, and where a signal falls."""

from collections.abc import Iterator, Mapping
from typing import Any

from lib.discover import key_names
from lib.runs import Run
from lib.study import as_number


def signal_of(run: Run) -> str:
    """The key that a run logged whose name says that it is the encoder's learning rate; empty where there is none."""
    return next((key for key in run.keys if key_names.SIGNAL.search(key)), "")


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a logged row by key, W&B's own left out; true and false are 1 and 0, as in a history."""
    values = ((key, as_number(value)) for key, value in row.items())
    return {key: number for key, number in values if number is not None and not key.startswith("_")}


def note_lowest(lowest: dict[str, float], numbers: Mapping[str, float]) -> None:
    """Note the values that are lower than those seen before."""
    for key, number in numbers.items():
        if number < lowest.get(key, float("inf")):
            lowest[key] = number


def note_fall(falls: dict[str, tuple[int | None, int]], run_id: str, rows: Iterator[Any]) -> None:
    """Note the last step at which a signal was above 0 and the first one at 0 after it, where it ends at 0."""
    above: int | None = None
    at: int | None = None
    for step, value in rows:
        number = as_number(value)
        if number is None:
            continue
        if number > 0:
            above, at = int(step), None
        elif at is None:
            at = int(step)
    if at is not None:
        falls[run_id] = (above, at)
