"""Checks while a study is edited: one sentence for a form field, or for a line of the text."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lib.formatting import plural
from lib.study.errors import StudyError
from lib.study.model import Metric, Study, Task
from lib.study.paths import with_absolute_paths, with_paths
from lib.study.toml import parse_study

_HEADER = re.compile(r"^\s*(\[\[?)\s*([\w\-. \"']+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([\w\-\"']+)\s*=")
#: What the fields of [evidence] declare.
_EVIDENCE = {
    "evidence windows": ("before", "after", "settle", "windows_after_looking"),
    "planned size": ("planned", "planned_after_looking"),
    "runs left out": ("leave_out", "leave_out_after_looking"),
}
_AT_LINE = re.compile(r"\(at line (\d+)")


def text_message(text: str) -> tuple[str, int | None]:
    """The error of a study file's text ("" where there is none), and its line, counted from 1, where it has one."""
    try:
        parse_study(text, "The study file")
    except StudyError as error:
        message = str(error)
        line = _AT_LINE.search(message)
        return message, int(line[1]) if line else line_of(text, error.place)
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


def changed_parts(study: Study, before: Study) -> list[str]:
    """What a study says otherwise than before, in a few words each: `title`, `2 metrics`, `evidence windows`."""
    # Where the same file is named in another way, nothing is different.
    study, before = (with_paths(one, lambda path, one=one: os.path.abspath(one.at(path))) for one in (study, before))  # type: ignore[misc]  # noqa: PTH100
    names = ("title", "hypothesis", "step_key", "task_key", "seed_key", "source", "arms")
    parts = [name.replace("_", " ") for name in names if getattr(study, name) != getattr(before, name)]
    for noun in ("metric", "task"):
        now, then = ({part.key: part for part in getattr(one, f"{noun}s")} for one in (study, before))
        if count := sum(now.get(key) != then.get(key) for key in now | then):
            parts.append(plural(count, noun))
    for name, fields in _EVIDENCE.items():
        if any(getattr(study.evidence, field) != getattr(before.evidence, field) for field in fields):
            parts.append(name)
    return parts


def task_messages(task: Task, others: Sequence[str]) -> dict[str, str]:
    """By field of a task, what is wrong with it; `others` are the titles of the other tasks."""
    rule, messages = task.detach, dict[str, str]()
    if task.title in others:
        messages["display_name"] = "Another task has this name: give it one of its own."
    if rule.step and rule.step > task.total_steps:
        messages["detach.step"] = f"Beyond the {task.total_steps:,} total steps."
    if task.smoothing_steps and task.smoothing_steps > task.total_steps:
        messages["smoothing_steps"] = f"Wider than the {task.total_steps:,} total steps."
    if rule.randomised and not (rule.ratio_key or rule.detach_step_key):
        messages["detach.ratio_key"] = (
            "Needed here, or a key of the detach step: each run's randomised draw is read there."
        )
    if rule.frozen_when and not (rule.step or rule.ratio_key or rule.detach_step_key):
        messages["detach.step"] = (
            "Needed here, or a config key: frozen_when says whether a run was detached, not where."
        )
    return messages


def set_after_looking(study: Study, before: Study) -> Study:
    """A study that was changed when runs are in: what it declares otherwise than before is marked as set after looking.

    Those are its margins, windows, left-out runs and planned size. A mark stays, whatever is changed later; that of a
    margin or of a planned size goes with it.
    """
    now, then = study.evidence, before.evidence
    windows = (now.before, now.after, now.settle) != (then.before, then.after, then.settle)
    left_out = dict(now.leave_out).keys() != dict(then.leave_out).keys()
    size = now.planned != then.planned
    evidence = replace(
        now,
        windows_after_looking=windows or now.windows_after_looking or then.windows_after_looking,
        leave_out_after_looking=left_out or now.leave_out_after_looking or then.leave_out_after_looking,
        planned_after_looking=now.planned is not None
        and (size or now.planned_after_looking or then.planned_after_looking),
    )
    metrics = {metric.key: metric for metric in before.metrics}
    marked = tuple(_set_after_looking(metric, metrics.get(metric.key)) for metric in study.metrics)
    return replace(study, metrics=marked, evidence=evidence)


def _set_after_looking(metric: Metric, before: Metric | None) -> Metric:
    margins = (metric.margin, metric.margin_abs)
    is_new = before is None or margins != (before.margin, before.margin_abs)
    was_marked = metric.margin_after_looking or (before is not None and before.margin_after_looking)
    return replace(metric, margin_after_looking=metric.margin_text != "" and (is_new or was_marked))


def parts_after_looking(study: Study) -> tuple[str, ...]:
    """What a study declares that was set after looking, in words: `planned size`, `margin of reward`."""
    evidence = study.evidence
    marks = {
        "windows": evidence.windows_after_looking,
        "left-out runs": evidence.leave_out_after_looking,
        "planned size": evidence.planned_after_looking,
    }
    marks |= {f"margin of {metric.name}": metric.margin_after_looking for metric in study.metrics}
    return tuple(part for part, is_marked in marks.items() if is_marked)


def with_edits(study: Study, **parts: Any) -> Study:
    """The study with these parts.

    One of W&B has no folder any more: it is its editor's, and only their key serves it. Its baselines stay where they are.
    """
    changed = replace(study, **parts)
    return replace(with_absolute_paths(changed), folder="") if study.source.kind == "wandb" else changed
