"""Values of configs and logged rows: numbers that arrive as text, and dotted keys."""

import re
from collections.abc import Mapping
from math import inf, isfinite
from typing import Any

_TEXT_NUMBERS = {"NaN": float("nan"), "Infinity": inf, "-Infinity": -inf}
#: Tables within tables of a config.
_DEEPEST = 50
#: How a number is written as text: a decimal, perhaps with an exponent, and nothing else.
NUMBER_PATTERN = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_NUMBER = re.compile(NUMBER_PATTERN.removesuffix("$") + r"\Z")
_WHOLE = re.compile(r"[+-]?[0-9]+\Z")


def as_number(value: object) -> float | None:
    """A value as a number; None where it is none.

    W&B writes NaN and the infinities as text, and a sweep's YAML makes text of numbers ("0.5", "1e6").
    """
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return inf if value > 0 else -inf
    if not isinstance(value, str):
        return None
    return float(value) if _NUMBER.match(value) else _TEXT_NUMBERS.get(value)


def plain_value(value: Any, depth: int = 0) -> Any:
    """A JSON value of somebody else's as every table, file and page can hold it.

    Halves of surrogate pairs become the replacement character; whole numbers beyond 64 bits, which are seeds, and what is
    nested deeper than any config become text.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else _digits(value)
    if isinstance(value, dict | list) and depth >= _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {plain_value(str(key)): plain_value(inner, depth + 1) for key, inner in value.items()}
    return [plain_value(inner, depth + 1) for inner in value] if isinstance(value, list) else value


def _digits(value: int) -> str | float | None:
    """A whole number as text; as infinity where it has more digits than Python writes."""
    try:
        return str(value)
    except ValueError:
        return as_number(value)


def config_value(config: Mapping[str, Any], key: str) -> object:
    """The value of a config key, None where the config has none.

    The literal key comes first, then the path through nested tables that a dotted key (`algo.detach_ratio`) names.
    """
    if key in config:
        return config[key]
    for start in (i for i, sign in enumerate(key) if sign == "."):
        table = config.get(key[:start])
        if isinstance(table, Mapping) and (value := config_value(table, key[start + 1 :])) is not None:
            return value
    return None


def config_number(config: Mapping[str, Any], key: str) -> float | None:
    """The number under a config key; None where there is none, or true or false."""
    value = config_value(config, key)
    return None if isinstance(value, bool) else as_number(value)


def has_config_key(config: Mapping[str, Any], key: str) -> bool:
    """Whether a config names a key, dotted or not, be its value null."""
    if key in config:
        return True
    tables = ((config.get(key[:start]), key[start + 1 :]) for start, sign in enumerate(key) if sign == ".")
    return any(isinstance(table, Mapping) and has_config_key(table, rest) for table, rest in tables)


def flat_config(config: Mapping[str, Any]) -> dict[str, object]:
    """A config with one level: the keys of nested tables are joined by dots, as `config_value` reads them."""
    tables = {key: value for key, value in config.items() if isinstance(value, Mapping) and value}
    flat = {key: value for key, value in config.items() if key not in tables}
    for key in sorted(tables, key=len):
        for inner, value in flat_config(tables[key]).items():
            flat.setdefault(f"{key}.{inner}", value)
    return flat


def value_text(value: object) -> str:
    """A config value as a study file writes it, numbers and text numbers alike.

    Whole numbers have no point, true and false small letters: 2.0, "2" and "2.0" are `2`, "0.50" is `0.5`.
    """
    value = _flag(value)
    if isinstance(value, bool):
        return str(value).lower()
    number = as_number(value)
    if number is None or not isfinite(number):
        return str(value)
    if isinstance(value, int) or (isinstance(value, str) and _WHOLE.match(value)):
        return str(int(value))
    return str(int(number)) if number.is_integer() else str(number)


def same_value(first: object, second: object) -> bool:
    """Whether two config values are the same: as numbers where both are (0 is "0.0" and false), else as text."""
    numbers = as_number(_flag(first)), as_number(_flag(second))
    return numbers[0] == numbers[1] if None not in numbers else value_text(first) == value_text(second)


def _flag(value: object) -> object:
    """True and false where they arrive as text, in whatever letters."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value
