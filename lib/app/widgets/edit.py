"""Edit the open study as a form."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from lib.app.session import studies, widget_keys
from lib.app.widgets.evidence_form import evidence_form
from lib.app.widgets.markdown import escaped
from lib.app.widgets.metric_form import metric_rows
from lib.app.widgets.study import after_looking, edit, open_button, open_with, stamp
from lib.app.widgets.task_form import task_form
from lib.charts import with_colors
from lib.discover import Inspection, Suggestion, suggestions
from lib.formatting import plural
from lib.runs import Manifest
from lib.study import Metric, Study, Task, text_message, to_toml, with_edits


def form(study: Study, manifest: Manifest | None) -> None:
    """What the study says, to change; it is opened as the visitor's own."""
    panel = st.expander("Edit this study", icon=":material/edit:", key=widget_keys.EDIT_FORM, on_change="rerun")
    if not panel.open:
        return
    with panel:
        prefix = form_prefix(study)
        title = st.text_input("Title", study.title, key=f"{prefix}_title").strip()
        # A message has a place, empty or not: the fields below stay the same ones.
        with st.container():
            if not title:
                st.error("Give the study a title.")
        hypothesis = st.text_input("Hypothesis", study.hypothesis, key=f"{prefix}_hypothesis").strip()
        metrics, metrics_are_valid = _metrics(study, manifest, prefix)
        tasks, tasks_are_valid = _tasks(study, manifest, prefix)
        evidence, evidence_is_valid = evidence_form(study.evidence, manifest, prefix)
        is_valid = bool(title) and metrics_are_valid and tasks_are_valid and evidence_is_valid
        parts = {"metrics": metrics or study.metrics, "tasks": tasks, "evidence": evidence}
        edited = with_edits(study, title=title or study.title, hypothesis=hypothesis, **parts)
        edited = studies.with_marks(edited, study.name)
        # What no field says of itself: the study is opened as its file is read.
        message = text_message(to_toml(edited))[0] if is_valid else ""
        with st.container():
            after_looking(edited)
        with st.container():
            if message:
                st.error(escaped(message))
        missing = "" if is_valid and not message else "Mend what is marked above first."
        if not missing and edited == study:
            missing = "Change something above first."
        if _buttons(edited, study, missing):
            open_with(lambda: studies.open_study(edited, study.name), fetch=_asks_for_more(edited, study), before=study)


def _buttons(edited: Study, study: Study, missing: str) -> bool:
    """A button that opens the study as changed, unless something is `missing`, and one that goes on in its text."""
    with st.container(horizontal=True):
        is_clicked = open_button("Open as changed", "edit_open", missing)
        as_text = partial(edit, edited, study)
        st.button("Go on as text", "edit_text", "In the editor below.", icon=":material/code:", on_click=as_text)
    return is_clicked


def form_prefix(study: Study) -> str:
    """What the keys of the form's widgets start with: another study, or one that was changed, brings its own values."""
    return f"edit_{stamp(study)}"


def _asks_for_more(edited: Study, study: Study) -> bool:
    """Whether runs or keys are asked for that the study did not ask for before."""
    keys = set(edited.history_keys) - set(study.history_keys)
    return bool(keys) or [(t.sweeps, t.group) for t in edited.tasks] != [(t.sweeps, t.group) for t in study.tasks]


def _metrics(study: Study, manifest: Manifest | None, prefix: str) -> tuple[tuple[Metric, ...], bool]:
    """The metrics as changed, with those added that runs logged, and whether they can be used."""
    metrics = {metric.key: metric for metric in study.metrics}
    logged = {key: row for key, row in _logged(study, manifest).items() if key not in {*metrics, *study.step_key}}
    help = "Every key whose history is there is a metric already."
    if logged:
        help = f"The runs logged {plural(len(logged), 'more key')}."
    chosen = st.multiselect("Metrics", [*metrics, *logged], list(metrics), key=f"{prefix}_metrics", help=help)
    with st.container():
        if not chosen:
            st.error("Keep at least one metric.")
    own = {key: Suggestion(replace(metric, label=metric.name), "", assumed=False) for key, metric in metrics.items()}
    rows = [(logged | own)[key] for key in chosen]
    changed, is_valid = metric_rows(rows, {}, prefix, colors=_default_colors(study, rows))
    # A label that is the key goes without saying.
    changed = tuple(replace(metric, label="") if metric.label == metric.key else metric for metric in changed)
    return changed, is_valid and bool(chosen)


def _logged(study: Study, manifest: Manifest | None) -> dict[str, Suggestion]:
    """What the runs logged, by key; of a bundle what is in it."""
    runs = manifest.runs if manifest else ()
    if study.source.kind == "bundle":
        runs = tuple(replace(run, keys=tuple(run.rows)) for run in runs)
    return suggestions(Inspection(study.source, study.title, runs))


def _default_colors(study: Study, rows: Sequence[Suggestion]) -> dict[str, str]:
    """The colour of each metric where the study gives it none: whatever else is changed, it stays."""
    colors = dict[str, str]()
    for metric in (row.metric for row in rows):
        own = {other.key: other for other in study.metrics} | {metric.key: replace(metric, color="")}
        colors[metric.key] = with_colors(replace(study, metrics=tuple(own.values()))).metric(metric.key).color
    return colors


def _tasks(study: Study, manifest: Manifest | None, prefix: str) -> tuple[tuple[Task, ...], bool]:
    """The tasks as changed, and whether they can be used."""
    tasks, is_valid = list[Task](), True
    for task in study.tasks:
        titles = [other.title for other in tasks]
        changed, can_be_used = task_form(task, manifest, titles, f"{prefix}_{task.key}")
        tasks.append(changed)
        is_valid = is_valid and can_be_used
    return tuple(tasks), is_valid
