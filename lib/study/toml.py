"""Read a study file into a `Study`, and write it."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from lib.formatting import listing, one_line
from lib.study.errors import InputError, StudyError
from lib.study.files import read_file, written_path
from lib.study.messages import first_message, first_place
from lib.study.model import (
    CONTROL,
    STRICT,
    UNKNOWN,
    Arms,
    Baseline,
    DetachRule,
    Evidence,
    Heading,
    Metric,
    Randomised,
    Signal,
    Source,
    Study,
    Task,
)
from lib.study.values import value_text

STUDIES = Path(__file__).parents[2] / "studies"
#: The most bytes of a study file.
MAX_STUDY = 1 << 20


@dataclass(frozen=True, config=STRICT)
class _File:
    """The study file as it is written."""

    study: Heading
    source: Source
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    evidence: Evidence = Evidence()
    arms: Arms | None = None


_FILE = TypeAdapter(_File)
#: The tables of the file besides [study].
_TABLES = tuple(signature(_File).parameters)[1:]
_KEYS = {
    name: tuple(signature(table).parameters)
    for name, table in {
        "": _File,
        "study": Heading,
        "source": Source,
        "metrics": Metric,
        "tasks": Task,
        "detach": DetachRule,
        "signal": Signal,
        "randomised": Randomised,
        "baselines": Baseline,
        "evidence": Evidence,
        "arms": Arms,
    }.items()
}


def load_study(name_or_path: str) -> Study:
    """Read a study: the name of one in studies/, or the path of a TOML file.

    Raises
    ------
    StudyError
        Where there is no such study, or the file is not a valid one.
    """
    path = written_path(name_or_path)
    if name_or_path in shipped_studies():
        path = STUDIES / f"{name_or_path}.toml"
    try:
        text = read_file(path, MAX_STUDY).decode()
    except InputError as error:
        raise StudyError(str(error) if name_or_path else _not_readable("", error)) from None
    except (OSError, ValueError) as error:
        raise StudyError(_not_readable(one_line(name_or_path), error)) from None
    return parse_study(text, str(path), str(path.resolve().parent))


def shipped_studies() -> list[str]:
    """Names of the studies in studies/, the demo first."""
    return sorted((p.stem for p in STUDIES.glob("*.toml")), key=lambda n: (n != "demo", n))


def _not_readable(name: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) or not name:
        names = ", ".join(shipped_studies())
        return f"There is no study '{name}': give the path of a TOML file or one of: {names}."
    if isinstance(error, UnicodeDecodeError):
        return f"{name} is not a text file: a study is a TOML file in UTF-8."
    return f"{name} cannot be read ({getattr(error, 'strerror', None) or error})."


def parse_study(text: str, where: str = "study", folder: str = "") -> Study:
    """Turn the text of a study file into a `Study`.

    Parameters
    ----------
    text : TOML.
    where : what errors call the file.
    folder : where relative paths of the source start.

    Raises
    ------
    StudyError
        One sentence: what is wrong, where, and what would be right.
    """
    try:
        tree = json.dumps(tomllib.loads(text.removeprefix("\ufeff")), default=_no_dates)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{where} is not TOML: {error}.") from None
    except (RecursionError, ValueError):
        raise StudyError(f"{where} is not a study: a number or a list in it is beyond all measure.") from None
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from None
    try:
        file = _FILE.validate_json(tree)
    except ValidationError as error:
        raise StudyError(f"{where}{first_message(error, _KEYS)}", first_place(error)) from None
    tables = {name: getattr(file, name) for name in _TABLES}
    study = Study(**vars(file.study), **tables, folder=folder)
    for message in _contradictions(study):
        raise StudyError(f"{where}: {message}")
    return study


def _no_dates(value: object) -> object:
    raise StudyError(f"{value} is a date or a time, which no key takes: put quotes around it.")


def _contradictions(study: Study) -> Iterator[str]:
    """What the study file says that cannot be, a sentence each."""
    yield from _source_contradictions(study.source)
    yield from _metric_contradictions(study.metrics)
    yield from _name_contradictions(study.tasks)
    yield from _arm_contradictions(study.arms.labels if study.arms else ())
    for task in study.tasks:
        yield from _task_contradictions(task)


def _arm_contradictions(labels: Sequence[tuple[str, str]]) -> Iterator[str]:
    for arm, meaning in {CONTROL: "was never detached", UNKNOWN: "is not compared"}.items():
        if arm in dict(labels).values():
            yield f"[arms] labels: '{arm}' is the arm that {meaning}; choose another label."
    for text in _repeated([value_text(value) for value, _ in labels]):
        values = listing(repr(value) for value, _ in labels if value_text(value) == text)
        yield f"[arms] labels: {values} are one value: give it one label."


def _source_contradictions(source: Source) -> Iterator[str]:
    needs = {"wandb": ("entity", "project"), "offline": ("path",), "bundle": ("path",)}[source.kind]
    yield from (f"[source] kind '{source.kind}' needs {need}." for need in needs if not getattr(source, need))


def _metric_contradictions(metrics: Sequence[Metric]) -> Iterator[str]:
    yield from (f"metric '{key}' is named twice." for key in _repeated([m.key for m in metrics]))
    for metric in metrics:
        yield from _margin_contradictions(metric)
    for name in _repeated([m.name for m in {m.key: m for m in metrics}.values()]):
        keys = listing(repr(m.key) for m in metrics if m.name == name)
        yield f"metrics {keys} have the same label '{name}': give one of them a label of its own."


def _margin_contradictions(metric: Metric) -> Iterator[str]:
    where = f"metric '{metric.key}'"
    if metric.margin is not None and metric.margin_abs is not None:
        yield f"{where}: margin is a fraction and margin_abs in the metric's unit: give one of them."
    if metric.margin_abs is not None and metric.scale == "log":
        yield f"{where}: changes of a log metric are ratios: give margin instead of margin_abs."


def _name_contradictions(tasks: Sequence[Task]) -> Iterator[str]:
    for key in _repeated([t.key for t in tasks]):
        yield f"task '{key}' is named twice: give one of them an id of its own."
    stems = {task.key: task.stem for task in tasks}
    for stem in _repeated(list(stems.values())):
        keys = listing(repr(key) for key, other in stems.items() if other == stem)
        yield f"tasks {keys} would write the same files ({stem}_…): give one of them an id of its own."


def _task_contradictions(task: Task) -> Iterator[str]:
    rule, where = task.detach, f"task '{task.key}'"
    if rule.step and rule.step > task.total_steps:
        yield f"{where}: detach step {rule.step:,} is beyond total_steps {task.total_steps:,}."
    if rule.frozen_when and not (rule.step or rule.ratio_key or rule.detach_step_key):
        yield f"{where}: detach.frozen_when needs step, ratio_key or detach_step_key."
    if rule.unchanged_when and not rule.frozen_when:
        yield f"{where}: detach.unchanged_when needs frozen_when, beside which it says what was left alone."
    if rule.randomised and not (rule.ratio_key or rule.detach_step_key):
        yield f"{where}: detach.randomised needs ratio_key or detach_step_key, where each run's draw is read."
    if rule.randomised and rule.randomised.low >= rule.randomised.high:
        yield f"{where}: detach.randomised needs low below high."
    for name in _repeated([b.name for b in task.baselines]):
        yield f"{where}: baseline '{name}' is named twice: give one of them a label of its own."


def _repeated(values: list[str]) -> list[str]:
    return sorted({v for v in values if values.count(v) > 1})


def to_toml(study: Study) -> str:
    """The study as the text of a study file; `parse_study` of it gives the study back."""
    heading = {name: getattr(study, name) for name in signature(Heading).parameters}
    tables = {name: getattr(study, name) for name in _TABLES}
    return tomli_w.dumps({"study": _table(heading), **_table(tables)})


def _table(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as a TOML table, without what is empty."""
    table = {key: _plain(key, value) for key, value in fields.items() if value not in (None, "", ())}
    table = {key: value for key, value in table.items() if value or not key.endswith("after_looking")}
    table = {key: value for key, value in table.items() if value != {} or key == "runs_filter"}
    for key in ("step_key", "sweep_id"):
        if len(table.get(key, ())) == 1:
            table[key] = table[key][0]
    return table


def _plain(key: str, value: Any) -> Any:
    """A value as TOML has it."""
    if key in ("frozen_when", "unchanged_when", "labels", "leave_out"):
        return dict(value)
    if key == "runs_filter":
        return json.loads(value)
    if isinstance(value, tuple):
        return [_plain("", item) for item in value]
    return _table(vars(value)) if is_dataclass(value) else value
