"""A task to change: the common fields, and the others under "More"."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import streamlit as st

from lib.app.widgets.markdown import escaped
from lib.app.widgets.steps_field import steps_field
from lib.app.widgets.typed_step import typed_step
from lib.runs import Manifest, Run, number_keys
from lib.study import DetachRule, Task, has_config_key, task_messages


@dataclass(frozen=True)
class _Field:
    """A field of the form; of a `name` such as `detach.step` it is the task's detach rule that has it."""

    name: str
    label: str
    kind: Literal["text", "steps", "config key", "sweeps", "group", "reading"]
    placeholder: str = ""
    help: str | None = None

    @property
    def attribute(self) -> str:
        return self.name.removeprefix("detach.")

    def of(self, task: Task) -> Any:
        """The field's value in a task."""
        return getattr(task.detach if self.name != self.attribute else task, self.attribute)


_STEP = "detach.step"
_COMMON = (
    _Field("display_name", "Name shown", "text"),
    _Field("total_steps", "Total steps", "steps"),
    _Field(_STEP, "Detach step", "steps", "from config", "Typed; what a run's config says comes first."),
    _Field("smoothing_steps", "Smoothing steps", "steps", "1% of the total"),
)
_MORE = (
    _Field("sweep_id", "Sweeps", "sweeps", "every run of the task"),
    _Field("control_sweep_id", "Sweeps never detached", "sweeps", "none"),
    _Field("group", "Group of the runs", "group"),
    _Field("detach.detach_step_key", "Key of the detach step", "config key"),
    _Field("detach.ratio_key", "Key of the detach ratio", "config key"),
    _Field("detach.ratio_counts", "Ratio counts what is", "reading"),
)
#: Pixels that a field needs: two fit on a phone.
_WIDTH = 125


def task_form(task: Task, manifest: Manifest | None, others: Sequence[str], prefix: str) -> tuple[Task, bool]:
    """The task as changed, and whether it can be used.

    Parameters
    ----------
    manifest : the runs whose configs, sweeps and groups can be chosen; None where there are none yet.
    others : the titles of the other tasks.
    prefix : what the keys of the widgets start with.
    """
    runs = manifest.of_task(task.key) if manifest else ()
    choices = _choices(runs, manifest.runs if manifest else ())
    with st.container(border=True):
        st.markdown(f"**{escaped(task.title)}** :small[{escaped(task.name)}]")
        cells, values = _fields(_COMMON, task, choices, prefix)
        with st.expander("More"):
            more_cells, more = _fields(_MORE, task, choices, prefix)
        changed = _changed(task, values | more)
        with cells[_STEP]:
            changed = replace(changed, detach=typed_step(changed, runs, f"{prefix}_use_typed"))
        messages = task_messages(changed, others)
        for name, cell in (cells | more_cells).items():
            with cell:
                _say(messages.get(name, ""), changed.detach, name, runs)
    return changed, not messages


def _choices(runs: Sequence[Run], all_runs: Sequence[Run]) -> dict[str, list[str]]:
    """What can be chosen, by the kind of the field."""
    return {
        "config key": number_keys(run.config for run in runs),
        "sweeps": sorted({run.sweep_id for run in all_runs} - {""}),
        "group": sorted({run.group for run in all_runs} - {""}),
    }


def _fields(
    fields: Sequence[_Field], task: Task, choices: dict[str, list[str]], prefix: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cell and the value of each field, by its name."""
    grid, cells, values = st.grid(4, min_column_width=_WIDTH), {}, {}
    for field in fields:
        cells[field.name] = cell = grid.cell()
        with cell:
            value = task.title if field.name == "display_name" else field.of(task)
            values[field.name] = _widget(field, value, choices.get(field.kind, []), f"{prefix}_{field.attribute}")
    return cells, values


def _widget(field: _Field, value: Any, options: list[str], key: str) -> Any:
    label, help = field.label, field.help
    if field.kind == "text":
        return st.text_input(label, value, key=key, help=help).strip()
    if field.kind == "steps":
        return steps_field(label, value, key, field.placeholder, help)
    if field.kind == "sweeps":
        options = [*dict.fromkeys([*value, *options])]
        chosen = st.multiselect(
            label, options, value, key=key, placeholder=field.placeholder, help=help, accept_new_options=True
        )
        return tuple(chosen)
    if field.kind == "reading":
        return st.selectbox(label, ["elapsed", "remaining"], ["elapsed", "remaining"].index(value), key=key, help=help)
    options = [*dict.fromkeys([value, *options, ""])]
    return st.selectbox(
        label, options, key=key, help=help, accept_new_options=True, format_func=lambda name: name or "none"
    )


def _changed(task: Task, values: dict[str, Any]) -> Task:
    """The task with these values by the names of their fields."""
    rule = {name.removeprefix("detach."): value for name, value in values.items() if name.startswith("detach.")}
    own = {name: value for name, value in values.items() if not name.startswith("detach.")}
    if own["display_name"] == task.key:
        own["display_name"] = ""
    return replace(task, **own, detach=replace(task.detach, **rule))


def _say(message: str, rule: DetachRule, name: str, runs: Sequence[Run]) -> None:
    """What is wrong with a field, or what is odd."""
    if message:
        st.error(escaped(message))
    elif name in ("detach.ratio_key", "detach.detach_step_key"):
        key = getattr(rule, name.removeprefix("detach."))
        if key and runs and not any(has_config_key(run.config, key) for run in runs):
            st.markdown(":orange[:small[No run of the task has it in its config.]]")
