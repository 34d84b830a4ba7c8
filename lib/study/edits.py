"""Checks while a study is edited: one sentence for a form field, or for a line of the text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lib.study.errors import StudyError
from lib.study.model import Metric, Study, Task
from lib.study.paths import placed
from lib.study.toml import parse_study

_HEADER = re.compile(r"^\s*(\[\[?)\s*([\w\-. \"']+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([\w\-\"']+)\s*=")
_AT_LINE = re.compile(r"\(at line (\d+)")


def text_complaint(text: str) -> tuple[str, int | None]:
    """What is wrong with the text of a study file ("" where nothing is), and its line, counted from 1, where one can be told."""
    try:
        parse_study(text, "The study file")
    except StudyError as error:
        said = str(error)
        at = _AT_LINE.search(said)
        return said, int(at[1]) if at else line_of(text, error.place)
    return "", None


def line_of(text: str, place: Sequence[int | str]) -> int | None:
    """The line of the key at this path of the file's tree, or of the innermost table around it that is written down."""
    names = [part for part in place if isinstance(part, str)]
    index = next((part for part in place if isinstance(part, int)), None)
    best: tuple[int, int] | None = None
    for number, path, at in _written(text):
        fits = path == names[: len(path)] and (index is None or at == index or len(path) == 0)
        if fits and path and (best is None or len(path) > best[0]):
            best = (len(path), number)
    return best[1] if best else None


def _written(text: str) -> Iterator[tuple[int, list[str], int | None]]:
    """Every header and key with its line, its path, and which entry of its list of tables it is in."""
    table, counts = list[str](), dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = [part.strip(" \"'") for part in header[2].split(".")]
            if header[1] == "[[" and len(table) == 1:
                counts[table[0]] = counts.get(table[0], -1) + 1
            yield number, table, counts.get(table[0])
        elif key := _KEY.match(line):
            yield number, [*table, key[1].strip("\"'")], counts.get(table[0]) if table else None


def task_complaints(task: Task, others: Sequence[str]) -> dict[str, str]:
    """What is wrong with a task's fields, by field; `others` are the names that other tasks show."""
    found = {}
    if task.title in others:
        found["display_name"] = "Another task has this name: give it one of its own."
    if task.detach.step and task.detach.step > task.total_steps:
        found["detach_step"] = f"Beyond the {task.total_steps:,} total steps."
    if task.smoothing_steps and task.smoothing_steps > task.total_steps:
        found["smoothing_steps"] = f"Wider than the {task.total_steps:,} total steps."
    return found


def edited(study: Study, title: str, hypothesis: str, metrics: Sequence[Metric], tasks: Sequence[Task]) -> Study:
    """The study with these parts.

    One of W&B has no folder any more: it is its editor's, and only their key serves it. Its baselines stay where they lie.
    """
    changed = replace(study, title=title, hypothesis=hypothesis, metrics=tuple(metrics), tasks=tuple(tasks))
    return replace(placed(changed), folder="") if study.source.kind == "wandb" else changed
