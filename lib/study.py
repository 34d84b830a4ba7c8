"""What is asked: a study with its tasks, metrics, source and detach rules, read from one TOML file."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

STUDIES = Path(__file__).parent.parent / "studies"
CONTROL = "control"
DETACHED = "detached"
_STRICT = ConfigDict(extra="forbid", strict=True)


class InputError(Exception):
    """Something the user gave cannot be used; the message is one sentence meant for them."""


class StudyError(InputError):
    """A study file that is missing, malformed or contradicts itself."""


def _pairs(value: object) -> object:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


def _many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _json(value: object) -> object:
    return json.dumps(value, sort_keys=True) if isinstance(value, Mapping) else value


Scalar = str | bool | int | float
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_many)]
Steps = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, config=_STRICT)
class Metric:
    """A logged key with its label, family, expected direction and scale."""

    key: Name
    family: Literal["reward", "loss"]
    expect: Literal["increase", "decrease"]
    label: str = ""
    scale: Literal["linear", "log"] = "linear"
    color: Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$")] = ""
    smooth: bool | None = None

    @property
    def name(self) -> str:
        """The label, or the key where the study gives none."""
        return self.label or self.key

    @property
    def smoothed(self) -> bool:
        """Whether the metric is drawn as a moving average: by default only train rewards are."""
        if self.smooth is not None:
            return self.smooth
        return "train" in self.key and "reward" in self.key


@dataclass(frozen=True, config=_STRICT)
class Signal:
    """A logged key that falls to a value when the encoder is detached (a learning rate falling to 0)."""

    key: Name
    falls_to: float = 0.0


@dataclass(frozen=True, config=_STRICT)
class Randomised:
    """The uniform design from which each run's detach ratio was drawn, as fractions of the total steps."""

    low: Annotated[float, Field(ge=0, le=1)]
    high: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=_STRICT)
class DetachRule:
    """Where a run's detach step comes from: typed, its config, and a signal that checks it."""

    step: Steps | None = None
    total_steps_key: str = ""
    ratio_key: str = ""
    ratio_counts: Literal["elapsed", "remaining"] = "elapsed"
    frozen_when: Annotated[tuple[tuple[str, Scalar], ...], BeforeValidator(_pairs)] = ()
    signal: Signal | None = None
    randomised: Randomised | None = None


@dataclass(frozen=True, config=_STRICT)
class Task:
    """One environment of the study, with the runs that belong to it and its detach rule."""

    name: Name
    total_steps: Steps
    id: str = ""
    display_name: str = ""
    sweep_id: Names = ()
    control_sweep_id: Names = ()
    group: str = ""
    runs_filter: Annotated[str, BeforeValidator(_json)] = ""
    smoothing_steps: Steps | None = None
    detach: DetachRule = DetachRule()

    @property
    def key(self) -> str:
        """The task's own name in files and tables: its id, or the environment's name."""
        return self.id or self.name

    @property
    def title(self) -> str:
        """The name people read."""
        return self.display_name or self.key

    @property
    def sweeps(self) -> tuple[str, ...]:
        """Every sweep whose runs belong to the task, the control arm's included."""
        return self.sweep_id + self.control_sweep_id

    @property
    def window(self) -> int:
        """Moving-average window in environment steps: as given, or 1% of the total steps."""
        return self.smoothing_steps or max(1, self.total_steps // 100)

    def holds(self, config: Mapping[str, Any], sweep_id: str, group: str, task_key: str) -> bool:
        """Whether a run with this config, sweep and group belongs to the task.

        `runs_filter` is the server's business and is not looked at here.
        """
        if config.get(task_key) != self.name:
            return False
        if self.sweeps and sweep_id not in self.sweeps:
            return False
        return not self.group or group == self.group


@dataclass(frozen=True, config=_STRICT)
class Source:
    """Where the runs come from."""

    kind: Literal["wandb", "offline", "bundle"]
    entity: str = ""
    project: str = ""
    base_url: str = ""
    path: str = ""


@dataclass(frozen=True, config=_STRICT)
class Evidence:
    """The windows declared before looking; values up to 1 are fractions of the total steps, larger ones steps."""

    before: Annotated[float, Field(gt=0)] = 0.1
    after: Literal["rest"] | Annotated[float, Field(gt=0)] = "rest"
    settle: Annotated[float, Field(ge=0)] = 0.0


@dataclass(frozen=True, config=_STRICT)
class Arms:
    """Arms told apart by a config key, with a label for each of its values (as text)."""

    key: Name
    labels: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)] = ()


@dataclass(frozen=True, config=_STRICT)
class Study:
    """A question with its tasks, metrics, source and settings.

    `folder` is where relative paths of the source start; it is not part of the file.
    """

    name: Name
    title: Name
    source: Source
    metrics: tuple[Metric, ...]
    tasks: tuple[Task, ...]
    hypothesis: str = ""
    step_key: Names = ("_step",)
    task_key: Name = "task"
    seed_key: Name = "seed"
    evidence: Evidence = Evidence()
    arms: Arms | None = None
    folder: str = ""

    def metric(self, key: str) -> Metric:
        """The metric logged under `key`; KeyError where the study names none."""
        return {m.key: m for m in self.metrics}[key]

    def task(self, key: str) -> Task:
        """The task with that id; KeyError where the study names none."""
        return {t.key: t for t in self.tasks}[key]

    def family(self, family: str) -> tuple[Metric, ...]:
        """The metrics of one family, train first and eval last so that eval is drawn on top."""
        chosen = [m for m in self.metrics if m.family == family]
        return tuple(sorted(chosen, key=lambda m: "train" not in m.key))

    @property
    def history_keys(self) -> tuple[str, ...]:
        """Every logged key the study needs: its metrics and the signals of its detach rules."""
        signals = [t.detach.signal.key for t in self.tasks if t.detach.signal]
        return tuple(dict.fromkeys([m.key for m in self.metrics] + signals))

    @property
    def source_path(self) -> Path:
        """The source's path, relative ones starting at the study file's folder."""
        return Path(self.folder) / Path(self.source.path).expanduser()


@dataclass(frozen=True, config=_STRICT)
class _Heading:
    """The [study] table of the file."""

    name: Name
    title: Name
    hypothesis: str = ""
    step_key: Names = ("_step",)
    task_key: Name = "task"
    seed_key: Name = "seed"


@dataclass(frozen=True, config=_STRICT)
class _File:
    """The study file as it is written."""

    study: _Heading
    source: Source
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    evidence: Evidence = Evidence()
    arms: Arms | None = None


_FILE = TypeAdapter(_File)


def load_study(name_or_path: str) -> Study:
    """Read a study: the name of one in studies/, or the path of a TOML file.

    Raises
    ------
    StudyError
        Where there is no such study, or the file is not a valid one.
    """
    shipped = STUDIES / f"{name_or_path}.toml"
    path = Path(name_or_path).expanduser()
    if os.sep not in name_or_path and shipped.is_file():
        path = shipped
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(_not_readable(name_or_path, error)) from None
    return parse_study(text, str(path), str(path.resolve().parent))


def shipped_studies() -> list[str]:
    """Names of the studies in studies/, the demo first."""
    return sorted((p.stem for p in STUDIES.glob("*.toml")), key=lambda n: (n != "demo", n))


def _not_readable(name: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        known = ", ".join(shipped_studies())
        return f"There is no study '{name}': give the path of a TOML file or one of: {known}."
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
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{where} is not TOML: {error}.") from None
    try:
        file = _FILE.validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise StudyError(f"{where}: {_first_error(error)}") from None
    heading = {f: getattr(file.study, f) for f in _Heading.__dataclass_fields__}
    study = Study(
        **heading,
        source=file.source,
        metrics=file.metrics,
        tasks=file.tasks,
        evidence=file.evidence,
        arms=file.arms,
        folder=folder,
    )
    for complaint in _contradictions(study):
        raise StudyError(f"{where}: {complaint}")
    return study


def _contradictions(study: Study) -> list[str]:
    found = []
    needs = {"wandb": ("entity", "project"), "offline": ("path",), "bundle": ("path",)}[study.source.kind]
    found += [f"[source] kind '{study.source.kind}' needs {need}." for need in needs if not getattr(study.source, need)]
    found += [f"metric '{k}' is named twice." for k in _repeated([m.key for m in study.metrics])]
    found += [
        f"task '{k}' is named twice: give one of them an id of its own."
        for k in _repeated([t.key for t in study.tasks])
    ]
    for task in study.tasks:
        rule = task.detach
        if rule.step and rule.step > task.total_steps:
            found.append(f"task '{task.key}': detach step {rule.step:,} is beyond total_steps {task.total_steps:,}.")
        if rule.frozen_when and not rule.ratio_key:
            found.append(f"task '{task.key}': detach.frozen_when needs ratio_key.")
        if rule.randomised and not rule.ratio_key:
            found.append(f"task '{task.key}': detach.randomised needs ratio_key, where each run's draw is read.")
        if rule.randomised and rule.randomised.low >= rule.randomised.high:
            found.append(f"task '{task.key}': detach.randomised needs low below high.")
    return found


def _repeated(values: list[str]) -> list[str]:
    return sorted({v for v in values if values.count(v) > 1})


_PLAIN = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "too_short": "needs at least one entry",
    "dataclass_type": "must be a table",
    "tuple_type": "must be a list",
}


def _first_error(error: ValidationError) -> str:
    errors = error.errors(include_url=False)
    # A union reports every branch it tried; the others only repeat the place.
    first = errors[0]
    kind, place = first["type"], _place(first["loc"])
    if kind == "unexpected_keyword_argument":
        text = f"unknown key {place}."
    else:
        reason = _PLAIN.get(kind) or first["msg"].replace("Input should be", "must be")
        given = "" if kind == "missing" else f", not {json.dumps(first['input'], default=str)[:60]}"
        text = f"{place} {reason}{given}."
    places = {_place(e["loc"]) for e in errors}
    return text + (f" ({len(places) - 1} more to mend after it.)" if len(places) > 1 else "")


def _place(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        elif part.isidentifier() and part not in {"int", "float", "str", "bool"}:
            text += f".{part}" if text else part
    return text


def to_toml(study: Study) -> str:
    """The study as the text of a study file; `parse_study` of it gives the study back."""
    heading = {f: getattr(study, f) for f in _Heading.__dataclass_fields__}
    if len(study.step_key) == 1:
        heading["step_key"] = study.step_key[0]
    tree = {
        "study": _plain(heading),
        "source": _plain(study.source),
        "metrics": [_plain(m) for m in study.metrics],
        "tasks": [_plain(t) for t in study.tasks],
        "evidence": _plain(study.evidence),
    }
    if study.arms:
        tree["arms"] = _plain(study.arms)
    return tomli_w.dumps(tree)


_TABLES = {"frozen_when", "labels"}


def _plain(item: Any) -> Any:
    """A dataclass as a TOML table, without what is empty."""
    fields = item if isinstance(item, dict) else {f: getattr(item, f) for f in item.__dataclass_fields__}
    table: dict[str, Any] = {}
    for key, value in fields.items():
        if value is None or value == () or value == "":
            continue
        if key in _TABLES:
            table[key] = dict(value)
        elif key == "runs_filter":
            table[key] = json.loads(value)
        elif hasattr(value, "__dataclass_fields__"):
            inner = _plain(value)
            if inner:
                table[key] = inner
        else:
            table[key] = list(value) if isinstance(value, tuple) else value
    if isinstance(table.get("sweep_id"), list) and len(table["sweep_id"]) == 1:
        table["sweep_id"] = table["sweep_id"][0]
    return table


def with_source(study: Study, source: Source, folder: str = "") -> Study:
    """The same question asked of another source."""
    return replace(study, source=source, folder=folder)
