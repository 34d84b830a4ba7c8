"""How values of a study file become the plain, hashable values of a study."""

import json
from collections.abc import Mapping


def many(value: object) -> object:
    """One text stands for a list of one."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


def condition_pairs(value: object) -> object:
    """Config keys and the values they must have, as sorted pairs."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(v, str | bool | int | float) for v in value.values()):
        raise ValueError("must be a table of config keys, each with a text, a number, true or false")
    return tuple(sorted(value.items()))


def label_pairs(value: object) -> object:
    """A label for each value of a config key, as sorted pairs."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(v, str) and v for v in value.values()):
        raise ValueError("must be a table of config values, each with its label as text")
    return tuple(sorted(value.items()))


def json_text(value: object) -> object:
    """A filter as canonical JSON text, so that a study can be compared and hashed."""
    try:
        tree = json.loads(value) if isinstance(value, str) and value else value
    except ValueError:
        tree = None
    if tree != "" and not isinstance(tree, Mapping):
        raise ValueError("must be a table, as W&B's own run filters are")
    return json.dumps(tree, sort_keys=True) if tree != "" else ""
