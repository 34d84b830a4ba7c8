"""Validation errors of a study file as one sentence."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

_UNKNOWN = "unexpected_keyword_argument"
_LISTS = {"metrics": "metric", "tasks": "task"}
_REASONS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "too_short": "needs at least one entry",
    "dataclass_type": "must be a table",
}
#: By key, where the general reason would mislead.
_KEYS = {
    "after": 'must be "rest" or a number above 0',
    "color": "must be a colour such as #1f77b4",
    "step_key": "must be a key or a list of keys",
    "sweep_id": "must be an id or a list of ids",
    "control_sweep_id": "must be an id or a list of ids",
}


def first_message(error: ValidationError, keys_by_table: Mapping[str, Sequence[str]]) -> str:
    """The first thing to mend, and how many more there are: `, task 2: total_steps must be a whole number, not "1".`

    Parameters
    ----------
    error : pydantic's, of the file's tree.
    keys_by_table : by table (the last name of its path, "" for the file itself) the keys it may hold.

    Returns
    -------
    The sentence after the file's name, with the comma or colon that joins them.
    """
    errors = _distinct(error)
    more = len(errors) - 1
    return _sentence(_first(errors), keys_by_table) + (f" ({more} more to mend after it.)" if more else "")


def first_place(error: ValidationError) -> tuple[int | str, ...]:
    """The path in the file of the key that `first_message` is about."""
    return _place(_first(_distinct(error)))


def _first(errors: Sequence[Any]) -> Any:
    # A misspelt key is often why another one is missing.
    return next((e for e in errors if e["type"] == _UNKNOWN), errors[0])


def _distinct(error: ValidationError) -> list[Any]:
    """One error per place: a union reports every branch it tried, and a list counts entries that failed as absent."""
    by_place: dict[tuple[int | str, ...], Any] = {}
    for detail in error.errors(include_url=False):
        by_place.setdefault(_place(detail), detail)
    return [
        detail
        for place, detail in by_place.items()
        if detail["type"] != "too_short" or not any(_within(other, place) for other in by_place)
    ]


def _within(inner: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _place(error: Any) -> tuple[int | str, ...]:
    """The path of the key in the file, without the names of union branches (they are never a key's own)."""
    path: tuple[int | str, ...] = error["loc"]
    for depth, part in enumerate(path):
        if part in _KEYS:
            return path[: depth + 1]
    return path


def _sentence(error: Any, keys_by_table: Mapping[str, Sequence[str]]) -> str:
    place, kind = _place(error), error["type"]
    where, key = _where(place)
    if kind == _UNKNOWN:
        return f"{where}: unknown key {key}{_hint(place, keys_by_table)}."
    if kind == "missing":
        return f"{where}: {_table(key) if len(place) == 1 else key} is missing."
    if kind == "tuple_type" and key == "baselines":
        return f"{where}: {key} must be a list of tables: write [[tasks.baselines]], with two brackets, above each."
    if kind == "tuple_type" and key in _LISTS:
        return f"{where}: {key} must be a list of tables: write {_table(key)}, with two brackets, above each."
    reason = _KEYS.get(str(place[-1])) or _REASONS.get(kind) or _plain(error["msg"])
    value = "" if kind in ("too_short", "value_error") else f", not {_short(error['input'])}"
    return f"{where}: {key} {reason}{value}."


def _where(place: tuple[int | str, ...]) -> tuple[str, str]:
    """The table that holds the key, as the sentence starts, and the key's path in it."""
    head, *rest = place
    if not rest:
        return "", str(head)
    if head in _LISTS and isinstance(rest[0], int):
        name = f"{_LISTS[str(head)]} {rest[0] + 1}"
        return (f", {name}", _dotted(rest[1:])) if rest[1:] else ("", name)
    return f", [{head}]", _dotted(rest)


def _dotted(parts: Sequence[int | str]) -> str:
    return "".join(f" entry {p + 1}" if isinstance(p, int) else f".{p}" for p in parts).removeprefix(".").strip()


def _table(key: str) -> str:
    return f"[[{key}]]" if key in _LISTS else f"[{key}]"


def _hint(place: tuple[int | str, ...], keys_by_table: Mapping[str, Sequence[str]]) -> str:
    tables = [str(part) for part in place[:-1] if isinstance(part, str)]
    keys = keys_by_table.get(tables[-1] if tables else "", ())
    close = get_close_matches(str(place[-1]), keys, n=1)
    return f", perhaps {close[0]} is meant" if close else f" (known: {', '.join(keys)})"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "must be")


def _short(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
