"""Metrics to choose and correct: label, family, direction, scale."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import streamlit as st

from lib.app.session import studies, widget_keys
from lib.app.widgets.markdown import escaped
from lib.app.widgets.study import open_with
from lib.discover import Inspection, Suggestion, suggestions
from lib.runs import Manifest
from lib.study import Metric, Study, with_edits


def metric_rows(
    suggested: Sequence[Suggestion], lowest: dict[str, float], prefix: str, used_labels: Collection[str] = ()
) -> tuple[tuple[Metric, ...], bool]:
    """A row of controls per metric, with a message below it where it cannot be used.

    Parameters
    ----------
    lowest : the lowest value that was logged, by key.
    used_labels : labels that other metrics have.

    Returns
    -------
    The metrics as corrected, and whether all of them can be used.
    """
    metrics, labels, is_valid = list[Metric](), set(used_labels), True
    for suggestion in suggested:
        with st.container(border=True):
            metric = _metric_row(suggestion, lowest, f"{prefix}_{suggestion.metric.key}")
            if not metric.label or metric.label in labels:
                is_valid = False
                repeated = "Another metric has this label: give it one of its own."
                st.error(repeated if metric.label else "Give it a label.")
            lowest_value = lowest.get(metric.key, 1.0)
            if metric.scale == "log" and lowest_value <= 0:
                st.warning(f"Values go down to {lowest_value:.4g}: a log axis shows none that are not above 0.")
        labels.add(metric.label)
        metrics.append(metric)
    return tuple(metrics), is_valid


def _metric_row(suggestion: Suggestion, lowest: dict[str, float], prefix: str) -> Metric:
    metric = suggestion.metric
    assumed = ":orange-badge[assumed] " if suggestion.assumed else ""
    reason = f": {escaped(suggestion.why)}" if suggestion.why else ""
    st.markdown(f"{assumed}:small[{escaped(metric.key)}{reason}]")
    columns = st.columns([3, 1, 1, 1])
    label = columns[0].text_input("Label", metric.label, key=f"{prefix}_label").strip()
    options = {"family": ("reward", "loss"), "expect": ("increase", "decrease"), "scale": ("linear", "log")}
    choices = {
        field: column.selectbox(
            field.capitalize(), values, index=values.index(getattr(metric, field)), key=f"{prefix}_{field}"
        )
        for column, (field, values) in zip(columns[1:], options.items(), strict=True)
    }
    return replace(metric, label=label, **choices)  # type: ignore[arg-type]


def add_metric(study: Study, manifest: Manifest) -> None:
    """Choose keys that the current study's runs logged, and open the study with them as metrics."""
    is_bundle = study.source.kind == "bundle"
    runs = tuple(replace(run, keys=tuple(run.rows)) if is_bundle else run for run in manifest.runs)
    used = {*study.step_key, *(metric.key for metric in study.metrics)}
    suggested = suggestions(Inspection(study.source, study.title, runs))
    unused = [key for key in suggested if key not in used]
    with st.expander("Add a metric that the runs logged", icon=":material/add_chart:"):
        if not unused:
            st.caption("Every key whose history is there is a metric of this study already.")
            return
        chosen = st.multiselect(
            "Logged keys", unused, key=widget_keys.ADD_METRICS, placeholder=f"search {len(unused)} keys"
        )
        labels = {metric.name for metric in study.metrics}
        metrics, is_valid = metric_rows([suggested[key] for key in chosen], {}, "add", labels)
        if st.button(
            "Add to the study", widget_keys.ADD_OPEN, icon=":material/check:", disabled=not (metrics and is_valid)
        ):
            more = with_edits(study, study.title, study.hypothesis, (*study.metrics, *metrics), study.tasks)
            open_with(lambda: studies.open_study(more), fetch=True)
