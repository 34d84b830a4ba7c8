"""A part of a study: the tasks and metrics that somebody chose by name or pattern."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from lib.study.model import Study


def part_of(study: Study, tasks: Collection[str], metrics: Collection[str]) -> Study:
    """The study with the tasks of these ids and the metrics of these keys alone; where none is its own, with all."""
    return replace(
        study,
        tasks=tuple(task for task in study.tasks if task.key in tasks) or study.tasks,
        metrics=tuple(metric for metric in study.metrics if metric.key in metrics) or study.metrics,
    )


def matches(entry: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """The keys that an entry stands for, in their order.

    An entry that is a name stands for its key alone. Any other is a pattern of keys and names, whose letters may be of
    either case: `*` stands for any text, `?` for one letter; a text with neither stands for all that contain it.

    Parameters
    ----------
    names : the name of every key.
    """
    if exact := tuple(key for key, name in names.items() if name == entry):
        return exact
    # Of the pattern language no other sign is special: names hold brackets.
    pattern = entry.casefold().replace("[", "[[]")
    if not {"*", "?"} & set(entry):
        pattern = f"*{pattern}*"
    return tuple(
        key for key, name in names.items() if any(fnmatchcase(text.casefold(), pattern) for text in (key, name))
    )


def keys_of(entries: Sequence[str], names: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys that any of these entries stands for, in the order of `names`, and the entries that stand for none.

    Where the entries stand for every key or for none there is no choice, and no key.
    """
    by_entry = {entry: matches(entry, names) for entry in entries}
    matching = {key for keys in by_entry.values() for key in keys}
    keys = tuple(key for key in names if key in matching)
    return keys if len(keys) < len(names) else (), tuple(entry for entry, keys in by_entry.items() if not keys)
