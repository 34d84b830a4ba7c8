"""What can be corrected in a proposed study: doubts as questions, everything else under details."""

from dataclasses import dataclass, replace
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.app.widgets.markdown import escaped
from lib.app.widgets.metric_form import metric_rows
from lib.app.widgets.steps_field import steps_field
from lib.app.widgets.typed_step import typed_step
from lib.discover import (
    DETACH_STEP,
    OPTIONAL,
    RATIO,
    STEP,
    TASK,
    Choices,
    Finding,
    Inspection,
    Proposal,
    find_keys,
    preselected,
    propose,
    suggestions,
)
from lib.formatting import plural
from lib.sources import tasks_of
from lib.study import Metric, Task

_TYPED = Finding("", "typed", "typed by you")
#: The keys without which a study asks something else: where more than one may be it, the user is asked.
DOUBTS = {
    TASK: "Which config key names the task?",
    STEP: "Which key counts environment steps?",
    RATIO: "Which config key is the detach ratio?",
    DETACH_STEP: "Which config key is the detach step?",
}


@dataclass(frozen=True)
class Rooms:
    """Where controls stand: those that answer a question, those of keys and steps, those of metrics."""

    asked: DeltaGenerator
    keys: DeltaGenerator
    metrics: DeltaGenerator


@dataclass(frozen=True)
class Answers:
    """What the user said, the questions that stand beside a control, and whether every field can be used."""

    choices: Choices
    questions: tuple[str, ...]
    is_valid: bool


def ask(inspection: Inspection, rooms: Rooms, prefix: str) -> Answers:
    """The controls of a proposal and what they say.

    Raises
    ------
    InputError
        Where the runs give no study as long as a key or a metric is missing.
    """
    keys = _choose_keys(inspection, rooms, prefix)
    metrics, is_valid = _choose_metrics(inspection, keys, rooms, prefix)
    choices = Choices(keys=keys, metrics=metrics)
    draft = propose(inspection, choices)
    return Answers(_choose_detach(inspection, draft, choices, rooms, prefix), draft.questions, is_valid)


def _choose_keys(inspection: Inspection, rooms: Rooms, prefix: str) -> dict[str, str]:
    """The keys for which the user chose another value than the proposed one."""
    chosen: dict[str, str] = {}
    # A grid, not columns: in one column on a phone its fields keep their order.
    grid = rooms.keys.grid(4, min_column_width=200)
    for meaning, finding in find_keys(inspection).items():
        is_doubt = finding.assumed or (meaning == TASK and not finding.value)
        question = DOUBTS.get(meaning, "") if is_doubt else ""
        none = [""] if meaning in OPTIONAL or not finding.value else []
        options = [*dict.fromkeys([finding.value, *finding.options, *none])]
        with rooms.asked if question else grid.cell():
            key = st.selectbox(
                question or meaning.capitalize(),
                options,
                key=f"{prefix}_{meaning}",
                format_func=lambda key: key or "none",
                label_visibility=_asked(question),
            )
            _badge(finding if key == finding.value else Finding(meaning, key, "chosen by you"))
        if key != finding.value:
            chosen[meaning] = key
    return chosen


def _asked(question: str) -> Literal["visible", "collapsed"]:
    """Write a question above its control, whose label is the question too; where there is none its label shows."""
    if not question:
        return "visible"
    st.markdown(f":material/help: {escaped(question)}")
    return "collapsed"


def _badge(finding: Finding) -> None:
    """Whether something was found and where, or that it is assumed."""
    color = {"found": "green", "assumed": "orange", "not found": "gray"}[finding.status]
    # A caption is paler than a badge may be.
    st.markdown(f":{color}-badge[{finding.status}] :small[{escaped(finding.where)}]")


def _choose_metrics(
    inspection: Inspection, chosen_keys: dict[str, str], rooms: Rooms, prefix: str
) -> tuple[tuple[Metric, ...], bool]:
    """The metrics as corrected, and whether all of them can be used."""
    suggested = suggestions(inspection, find_keys(inspection, Choices(keys=chosen_keys))[STEP].value)
    default = preselected([*suggested])
    question = "" if default else "Which logged keys are rewards or losses?"
    with rooms.asked if question else rooms.metrics:
        chosen = st.multiselect(
            question or "Metrics",
            [*suggested],
            default=default,
            key=f"{prefix}_metrics",
            placeholder="search the keys that the runs logged",
            help=f"The runs logged {plural(len(suggested), 'key')}.",
            label_visibility=_asked(question),
        )
    with rooms.metrics:
        return metric_rows([suggested[key] for key in chosen], inspection.lowest, prefix)


def _choose_detach(inspection: Inspection, draft: Proposal, choices: Choices, rooms: Rooms, prefix: str) -> Choices:
    """The choices with the reading of the ratio, the tasks, their total steps and their detach steps."""
    findings = {finding.what: finding for finding in draft.findings}
    ratio = findings[RATIO].value
    counts = _choose_reading(findings.get(f"{ratio} counts"), rooms, f"{prefix}_{ratio}_counts")
    unchanged = _choose_unchanged(draft, rooms, prefix)
    choices = replace(choices, ratio_counts=counts, unchanged=unchanged)
    names = [task.name for task in draft.study.tasks]
    with rooms.keys:
        tasks = st.multiselect("Tasks", names, default=names, key=f"{prefix}_{findings[TASK].value}_tasks")
    for task in draft.study.tasks:
        if task.name in tasks:
            choices = _choose_of_task(inspection, task, findings, choices, rooms, prefix)
    return replace(choices, tasks=tasks)


def _choose_of_task(
    inspection: Inspection, task: Task, findings: dict[str, Finding], choices: Choices, rooms: Rooms, prefix: str
) -> Choices:
    """The choices with the total steps of a task, its detach step and its sweeps that were never detached."""
    name, prefix = task.name, f"{prefix}_{task.name}"
    total, step = findings[f"total steps of {name}"], findings.get(f"detach step of {name}")
    questions = [finding.question for finding in (total, step) if finding and finding.question]
    with rooms.asked if questions else rooms.keys:
        for question in questions:
            _asked(question)
        if not questions:
            st.markdown(f"**{escaped(name)}**")
        columns = st.columns(3)
    with columns[0]:
        proposed = task.total_steps if total.value else None
        totals = _choose_steps("Total steps", name, total, proposed, f"{prefix}_total")
    choices = replace(choices, total_steps={**choices.total_steps, **totals})
    if step:
        with columns[1]:
            steps = _choose_steps("Detach step", name, step, task.detach.step, f"{prefix}_step")
        with columns[2]:
            controls = _choose_controls(task, f"{prefix}_controls")
        controls = [*choices.control_sweeps, *controls]
        return replace(choices, detach_steps={**choices.detach_steps, **steps}, control_sweeps=controls)
    with columns[1]:
        rule = findings[f"detach of {name}"]
        st.markdown(f":small[Detach of {escaped(name)}: {escaped(rule.value)}]")
        _badge(rule)
    with columns[2]:
        return _type_step(inspection, task, choices, f"{prefix}_typed")


def _choose_steps(label: str, task: str, finding: Finding, proposed: int | None, key: str) -> dict[str, int]:
    """The environment steps by task where the user typed others than proposed, else nothing."""
    # The key changes with what is proposed, so that a new proposal shows.
    steps = steps_field(escaped(f"{label} of {task}"), proposed, f"{key}_{proposed}")
    if not finding.question or steps is not None:
        _badge(finding if steps == proposed else _TYPED)
    return {} if steps is None or steps == proposed else {task: steps}


def _type_step(inspection: Inspection, task: Task, choices: Choices, key: str) -> Choices:
    """The choices with the step that the user types of a task whose configs say one, and whether it alone counts."""
    label, help = escaped(f"Detach step of {task.name}"), "Typed; what a run's config says comes first."
    step = steps_field(label, None, key, "from config", help)
    if step is None:
        return choices
    choices = replace(choices, detach_steps={**choices.detach_steps, task.name: step})
    study = propose(inspection, replace(choices, tasks=[task.name])).study
    [task] = study.tasks
    runs = [run for run in inspection.runs if tasks_of(study, run)]
    is_alone = typed_step(task, runs, f"{key}_alone") != task.detach
    return replace(choices, typed_alone=[*choices.typed_alone, task.name]) if is_alone else choices


def _choose_controls(task: Task, key: str) -> list[str]:
    """The sweeps of a task that no config tells apart whose runs were never detached."""
    if len(task.sweeps) < 2:
        return []
    label = escaped(f"Sweeps of {task.name} that were never detached")
    return st.multiselect(label, task.sweeps, key=key, placeholder="none", max_selections=len(task.sweeps) - 1)


def _choose_reading(finding: Finding | None, rooms: Rooms, key: str) -> str | None:
    """What the ratio counts, where the user says it."""
    if finding is None:
        return None
    proposed = None if finding.question else finding.value
    label = f"{finding.what.removesuffix(' counts')} counts the part of training that is"
    with rooms.asked if finding.question else rooms.keys:
        reading = st.segmented_control(
            escaped(finding.question or label),
            ["elapsed", "remaining"],
            default=proposed,
            key=key,
            label_visibility=_asked(finding.question),
        )
        if not finding.question:
            _badge(finding if reading in (None, proposed) else Finding(finding.what, reading, "chosen by you"))
    return None if reading in (None, proposed) else reading


def _choose_unchanged(draft: Proposal, rooms: Rooms, prefix: str) -> str | None:
    """The value of the learning rate's scale that leaves a run alone, "" for none; None where the user says nothing."""
    finding = next((finding for finding in draft.findings if finding.what.startswith("unchanged ")), None)
    if finding is None:
        return None
    key = finding.what.removeprefix("unchanged ")
    with rooms.asked:
        return st.segmented_control(
            escaped(finding.question),
            [*finding.options, ""],
            key=f"{prefix}_{key}_unchanged",
            format_func=lambda value: value or "none",
            label_visibility=_asked(finding.question),
        )
