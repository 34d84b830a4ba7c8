"""What is asked: a study with its tasks, metrics, source and detach rules, read from one TOML file."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from lib.complaints import first_complaint
from lib.study_values import condition_pairs, json_text, label_pairs, many

STUDIES = Path(__file__).parent.parent / "studies"
CONTROL = "control"
DETACHED = "detached"
_STRICT = ConfigDict(extra="forbid", strict=True)


class InputError(Exception):
    """Something the user gave cannot be used; the message is one sentence meant for them."""


class StudyError(InputError):
    """A study file that is missing, malformed or contradicts itself."""


Scalar = str | bool | int | float
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(many)]
SomeNames = Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(many)]
#: Larger steps are not whole numbers once they are floats, as every history's are on its way in.
Steps = Annotated[int, Field(gt=0, le=2**53)]
Number = Annotated[float, Field(allow_inf_nan=False)]


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
    falls_to: Number = 0.0


@dataclass(frozen=True, config=_STRICT)
class Randomised:
    """The uniform design from which each run's detach ratio was drawn, as fractions of the total steps."""

    low: Annotated[Number, Field(ge=0, le=1)]
    high: Annotated[Number, Field(ge=0, le=1)]


@dataclass(frozen=True, config=_STRICT)
class DetachRule:
    """Where a run's detach step comes from: typed, its config, and a signal that checks it."""

    step: Steps | None = None
    total_steps_key: str = ""
    ratio_key: str = ""
    ratio_counts: Literal["elapsed", "remaining"] = "elapsed"
    frozen_when: Annotated[tuple[tuple[str, Scalar], ...], BeforeValidator(condition_pairs)] = ()
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
    runs_filter: Annotated[str, BeforeValidator(json_text)] = ""
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
    def stem(self) -> str:
        """The start of the names of the task's files, as the original notebook writes it: no `-`, no space."""
        return re.sub(r"[^\w.]", "_", self.key)

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

    before: Annotated[Number, Field(gt=0)] = 0.1
    after: Literal["rest"] | Annotated[Number, Field(gt=0)] = "rest"
    settle: Annotated[Number, Field(ge=0)] = 0.0


@dataclass(frozen=True, config=_STRICT)
class Arms:
    """Arms told apart by a config key, with a label for each of its values (as text)."""

    key: Name
    labels: Annotated[tuple[tuple[str, str], ...], BeforeValidator(label_pairs)] = ()


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
    step_key: SomeNames = ("_step",)
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
    step_key: SomeNames = ("_step",)
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
_KNOWN = {
    name: tuple(signature(table).parameters)
    for name, table in {
        "": _File,
        "study": _Heading,
        "source": Source,
        "metrics": Metric,
        "tasks": Task,
        "detach": DetachRule,
        "signal": Signal,
        "randomised": Randomised,
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
    path = Path(name_or_path)
    if name_or_path in shipped_studies():
        path = STUDIES / f"{name_or_path}.toml"
    try:
        path = path.expanduser()
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        raise StudyError(_not_readable(name_or_path, error)) from None
    return parse_study(text, str(path), str(path.resolve().parent))


def shipped_studies() -> list[str]:
    """Names of the studies in studies/, the demo first."""
    return sorted((p.stem for p in STUDIES.glob("*.toml")), key=lambda n: (n != "demo", n))


def _not_readable(name: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) or not name:
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
        raise StudyError(f"{where}{first_complaint(error, _KNOWN)}") from None
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


def _no_dates(value: object) -> object:
    raise StudyError(f"{value} is a date or a time, which no key takes: put quotes around it.")


def _contradictions(study: Study) -> list[str]:
    found = []
    needs = {"wandb": ("entity", "project"), "offline": ("path",), "bundle": ("path",)}[study.source.kind]
    found += [f"[source] kind '{study.source.kind}' needs {need}." for need in needs if not getattr(study.source, need)]
    found += [f"metric '{k}' is named twice." for k in _repeated([m.key for m in study.metrics])]
    found += [
        f"task '{k}' is named twice: give one of them an id of its own."
        for k in _repeated([t.key for t in study.tasks])
    ]
    stems = {task.key: task.stem for task in study.tasks}
    found += [
        f"tasks {' and '.join(repr(k) for k, s in stems.items() if s == stem)} would write the same files ({stem}_…): "
        "give one of them an id of its own."
        for stem in _repeated(list(stems.values()))
    ]
    if study.arms and CONTROL in dict(study.arms.labels).values():
        found.append(f"[arms] labels: '{CONTROL}' is the arm that was never detached; choose another label.")
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
