"""The settings in a run's config: flat, with numbers as numbers, without what only tells runs apart."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lib.study import as_number

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
_PATH = re.compile(r"(?:/|\.{1,2}/|~|[A-Za-z]:[\\/])")


def key_words(key: str) -> tuple[str, ...]:
    """The words of a config key in small letters: split at `_`, `.`, `/`, `-` and where camelCase turns."""
    return tuple(word.lower() for word in _WORD.findall(key))


def settings(config: Mapping[str, Any]) -> dict[str, Setting]:
    """What a config says about the training.

    Returns
    -------
    Values by dotted key, those of nested tables and lists one by one; text numbers as numbers. Keys of run names, paths,
    hosts and W&B itself are left out, and so are texts that are paths.
    """
    return {
        key: value
        for key, value in _values(config)
        if not _tells_runs_apart(key) and not (isinstance(value, str) and _PATH.match(value))
    }


def _values(tree: Any, path: str = "") -> Iterator[tuple[str, Setting]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _values(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list | tuple):
        for i, value in enumerate(tree):
            yield from _values(value, f"{path}.{i}")
    elif tree is None or isinstance(tree, bool):
        yield path, tree
    else:
        number = as_number(tree)
        yield path, str(tree) if number is None else number


def _tells_runs_apart(key: str) -> bool:
    words = key_words(key)
    named = bool(words) and words[-1] in ("name", "id", "group") and _OWNERS.issuperset(words[:-1])
    return named or not _PLACES.isdisjoint(words)
