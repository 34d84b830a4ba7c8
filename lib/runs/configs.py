"""The settings in a run's config: flat, with numbers as numbers, without what only tells runs apart."""

import re
from collections.abc import Iterable, Iterator, Mapping
from math import isnan
from typing import Any

from lib.study import as_number, flat_config

Setting = float | bool | str | None

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
#: Words of keys that say where a run ran and wrote, or that W&B writes itself.
_PLACES = {
    "wandb",
    "host",
    "hostname",
    "path",
    "paths",
    "dir",
    "dirs",
    "directory",
    "logdir",
    "workdir",
    "folder",
    "file",
}
_PLACES |= {"url", "uri", "uuid", "pid", "port", "device", "cwd", "timestamp", "user", "username", "tags", "notes"}
#: What a `name`, an `id` or a `group` is of where it names a run and no part of its training.
_OWNERS = {"run", "exp", "experiment", "job", "sweep", "project", "entity", "group", "trial", "display", "log", "slurm"}
#: Texts that a sweep's YAML makes of true, false and null.
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}
_PATH = re.compile(r"(?:/|\.{1,2}/|~|[A-Za-z]:[\\/])")


def key_words(key: str) -> tuple[str, ...]:
    """The words of a config key in small letters: split at `_`, `.`, `/`, `-` and where camelCase turns."""
    return tuple(word.lower() for word in _WORD.findall(key))


def settings(config: Mapping[str, Any]) -> dict[str, Setting]:
    """What a config says about the training.

    Returns
    -------
    Values by dotted key, those of nested tables and lists one by one; numbers, flags and null as such where they arrive as
    text, and NaN, which equals nothing, as text. Keys of run names, paths,
    hosts and W&B itself are left out, and so are texts that are paths.
    """
    return {
        key: value
        for table_key, tree in flat_config(config).items()
        for key, value in _values(tree, table_key)
        if not _tells_runs_apart(key) and not (isinstance(value, str) and _PATH.match(value))
    }


def number_keys(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys under which some of these configs have a number: where a ratio or a step may be."""
    keys = set[str]()
    for config in configs:
        # A flag is a number to Python alone.
        keys |= {key for key, value in settings(config).items() if isinstance(value, float)}
    return sorted(keys)


def _values(tree: object, key: str) -> Iterator[tuple[str, Setting]]:
    """A value by its key, those of a list one by one."""
    if isinstance(tree, list | tuple | dict):
        inner = tree if isinstance(tree, dict) else dict(enumerate(tree))
        for name, value in inner.items():
            yield from _values(value, f"{key}.{name}")
    elif tree is None or isinstance(tree, bool):
        yield key, tree
    else:
        number, text = as_number(tree), str(tree)
        if number is not None and isnan(number):
            yield key, "nan"
        else:
            yield key, _WORDS.get(text.lower(), text) if number is None else number


def _tells_runs_apart(key: str) -> bool:
    words = key_words(key)
    named = bool(words) and words[-1] in ("name", "id", "group") and _OWNERS.issuperset(words[:-1])
    return named or not _PLACES.isdisjoint(words)
