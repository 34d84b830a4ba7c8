"""The parts of a study: metrics, tasks, detach rules, source, windows and arms.

Plain frozen values, as the study file has them.
"""

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from lib.formatting import number, one_line, slug
from lib.study.files import written_path
from lib.study.values import config_value

STRICT = ConfigDict(extra="forbid", strict=True)
Scalar = str | bool | int | float
Name = Annotated[str, Field(min_length=1)]
#: Larger steps are not whole numbers once they are floats, as every history's are on its way in.
Steps = Annotated[int, Field(gt=0, le=2**53)]
Number = Annotated[float, Field(allow_inf_nan=False)]
#: Signs of a file's name that a task's name gives: file systems take 255 bytes.
_LONGEST_STEM = 60
Color = Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$")]


Family = Literal["reward", "loss"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True, config=STRICT)
class Metric:
    """A logged key with its label, family, expected direction and scale.

    `margin` is the largest change that does not matter, as a fraction of what a change is a percent of (log metrics: a
    ratio minus 1); `margin_abs` is the same in the metric's unit. `margin_after_looking` says that it was first entered
    when runs were in.
    """

    key: Name
    family: Family
    expect: Literal["increase", "decrease"]
    label: str = ""
    scale: Literal["linear", "log"] = "linear"
    color: Color = ""
    smooth: bool | None = None
    role: Literal["primary", "secondary", "guardrail"] = "primary"
    margin: Annotated[Number, Field(gt=0, lt=1)] | None = None
    margin_abs: Annotated[Number, Field(gt=0)] | None = None
    margin_after_looking: bool = False

    @property
    def name(self) -> str:
        """The label, or the key where the study gives none, on one line."""
        return one_line(self.label or self.key)

    @property
    def margin_text(self) -> str:
        """The margin as it was declared: `5%`, or `10` in the metric's unit; empty where there is none."""
        if self.margin is not None:
            return f"{100 * self.margin:.3g}%"
        if self.margin_abs is None:
            return ""
        return number(self.margin_abs, 4) if self.margin_abs >= 1 else f"{self.margin_abs:.4g}"

    @property
    def no_worse_text(self) -> str:
        """What the margin allows: `no worse than 5%`, or `at most 10 worse` in the metric's unit, which is no level of it."""
        return f"no worse than {self.margin_text}" if self.margin is not None else f"at most {self.margin_text} worse"

    @property
    def smoothed(self) -> bool:
        """Whether the metric is drawn as a moving average: by default only train rewards are."""
        if self.smooth is not None:
            return self.smooth
        return self.family == "reward" and "train" in self.key and "reward" in self.key


@dataclass(frozen=True, config=STRICT)
class Signal:
    """A logged key that falls to a value when the encoder is detached (a learning rate falling to 0)."""

    key: Name
    falls_to: Number = 0.0


@dataclass(frozen=True, config=STRICT)
class Randomised:
    """The uniform design from which each run's detach ratio was drawn, as fractions of the total steps."""

    low: Annotated[Number, Field(ge=0, le=1)]
    high: Annotated[Number, Field(ge=0, le=1)]


@dataclass(frozen=True, config=STRICT)
class Baseline:
    """A published learning curve to draw behind a task's rewards: a CSV file of step, reward and seed.

    A relative `path` starts at the study file's folder. `step_scale` is how many environment steps of the study one step
    of the file is (0.5: the file counts frames, with an action repeat of 2).
    """

    path: Name
    label: str = ""
    color: Color = ""
    step_scale: Annotated[Number, Field(gt=0)] = 1.0

    @property
    def name(self) -> str:
        """The label, or the file's name where the study gives none."""
        return self.label or Path(self.path).stem


@dataclass(frozen=True, config=STRICT)
class Source:
    """Where the runs come from."""

    kind: Literal["wandb", "offline", "bundle"]
    entity: str = ""
    project: str = ""
    base_url: str = ""
    path: str = ""


def text_pairs(value: object) -> object:
    """A table of texts (a label per config value, a reason per run), as sorted pairs."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(v, str) and v for v in value.values()):
        raise ValueError("must be a table, each value a text in quotes")
    return tuple(sorted(value.items()))


@dataclass(frozen=True, config=STRICT)
class Evidence:
    """What was declared before looking: the windows, the runs left out with the reason of each, and the number of runs.

    Values of a window up to 1 are fractions of the total steps, larger ones steps. `planned` are runs per arm, or pairs.
    What ends in `_after_looking` says that the windows, the runs left out or the number were changed when runs were in.
    """

    before: Annotated[Number, Field(gt=0)] = 0.1
    after: Literal["rest"] | Annotated[Number, Field(gt=0)] = "rest"
    settle: Annotated[Number, Field(ge=0)] = 0.0
    leave_out: Annotated[tuple[tuple[str, str], ...], BeforeValidator(text_pairs)] = ()
    planned: Annotated[int, Field(ge=2)] | None = None
    windows_after_looking: bool = False
    leave_out_after_looking: bool = False
    planned_after_looking: bool = False


def many(value: object) -> object:
    """One text stands for a list of one."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[Name, ...], BeforeValidator(many)]
SomeNames = Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(many)]


def condition_pairs(value: object) -> object:
    """Config keys and the values they must have, as sorted pairs."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(v, str | bool | int | float) for v in value.values()):
        raise ValueError("must be a table of config keys, each with a text, a number, true or false")
    return tuple(sorted(value.items()))


@dataclass(frozen=True, config=STRICT)
class DetachRule:
    """Where a run's detach step comes from: typed, its config, and a signal that checks it."""

    step: Steps | None = None
    total_steps_key: str = ""
    ratio_key: str = ""
    ratio_counts: Literal["elapsed", "remaining"] = "elapsed"
    frozen_when: Annotated[tuple[tuple[str, Scalar], ...], BeforeValidator(condition_pairs)] = ()
    signal: Signal | None = None
    randomised: Randomised | None = None
    detach_step_key: str = ""
    unchanged_when: Annotated[tuple[tuple[str, Scalar], ...], BeforeValidator(condition_pairs)] = ()

    @property
    def config_keys(self) -> tuple[tuple[str, str], ...]:
        """The config keys that the rule names, each after its setting."""
        settings = [(name, getattr(self, name)) for name in ("total_steps_key", "ratio_key", "detach_step_key")]
        conditions = [(name, key) for name in ("frozen_when", "unchanged_when") for key, _ in getattr(self, name)]
        return tuple((name, key) for name, key in (*settings, *conditions) if key)


@dataclass(frozen=True, config=STRICT)
class Arms:
    """Arms told apart by a config key, with a label for each of its values (as text).

    `also` are further config keys that belong to the treatment.
    """

    key: Name
    labels: Annotated[tuple[tuple[str, str], ...], BeforeValidator(text_pairs)] = ()
    also: Names = ()


def json_text(value: object) -> object:
    """A filter as canonical JSON text, so that a study can be compared and hashed."""
    try:
        tree = json.loads(value) if isinstance(value, str) and value else value
    except ValueError:
        tree = None
    if tree != "" and not isinstance(tree, Mapping):
        raise ValueError("must be a table, as W&B's own run filters are")
    return json.dumps(tree, sort_keys=True) if tree != "" else ""


@dataclass(frozen=True, config=STRICT)
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
    baselines: tuple[Baseline, ...] = ()

    @property
    def key(self) -> str:
        """The task's own name in files and tables: its id, or the environment's name."""
        return self.id or self.name

    @property
    def title(self) -> str:
        """The name people read, on one line."""
        return one_line(self.display_name or self.key)

    @property
    def stem(self) -> str:
        """The start of the names of the task's files, as the original notebook writes it: no `-`, no space, not too long."""
        return slug(self.key, keep=".")[:_LONGEST_STEM]

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
        if config_value(config, task_key) != self.name:
            return False
        if self.sweeps and sweep_id not in self.sweeps:
            return False
        return not self.group or group == self.group


CONTROL = "control"
DETACHED = "detached"
#: The arm of runs of which nothing says whether they were detached: drawn, never compared.
UNKNOWN = "unknown"


@dataclass(frozen=True, config=STRICT)
class Heading:
    """The [study] table of a study file."""

    name: Name
    title: Name
    _: KW_ONLY
    hypothesis: str = ""
    step_key: SomeNames = ("_step",)
    task_key: Name = "task"
    seed_key: Name = "seed"


@dataclass(frozen=True, config=STRICT)
class Study(Heading):
    """A question with its tasks, metrics, source and settings.

    `folder` is where relative paths of the source start; it is not part of the file.
    """

    source: Source
    metrics: tuple[Metric, ...]
    tasks: tuple[Task, ...]
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
        metrics = [m for m in self.metrics if m.family == family]
        return tuple(sorted(metrics, key=lambda m: "train" not in m.key))

    def config_keys(self, task: Task) -> tuple[tuple[str, str], ...]:
        """The config keys that the study names for a task's runs, each after its setting: seed, detach and arms."""
        arms = (("[arms] key", self.arms.key), *(("[arms] also", key) for key in self.arms.also)) if self.arms else ()
        return ("seed_key", self.seed_key), *task.detach.config_keys, *arms

    @property
    def history_keys(self) -> tuple[str, ...]:
        """Every logged key the study needs: its metrics and the signals of its detach rules."""
        signals = [t.detach.signal.key for t in self.tasks if t.detach.signal]
        return tuple(dict.fromkeys([m.key for m in self.metrics] + signals))

    @property
    def source_path(self) -> Path:
        """The source's path, relative ones starting at the study file's folder."""
        return self.at(self.source.path)

    def at(self, path: str) -> Path:
        """A path that the study names; relative ones start at the study file's folder."""
        return Path(self.folder) / written_path(path)
