"""Metrics to choose and correct: label, family, direction, scale, role and margin, and how they are drawn."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lib.app.widgets.markdown import escaped
from lib.discover import Suggestion
from lib.study import Metric

#: Widths of fields in pixels: on a small laptop they fit one line, on a phone three.
_LABEL, _CHOICE, _MARGIN = 212, 116, 86
#: Fields with few values: label, width, and values by their names.
_CHOICES: dict[str, tuple[str, int, dict[str, object]]] = {
    "family": ("Family", 94, {"reward": "reward", "loss": "loss"}),
    "expect": ("Expected to", 106, {"increase": "increase", "decrease": "decrease"}),
    "scale": ("Scale", 90, {"linear": "linear", "log": "log"}),
    "role": ("Role", _CHOICE, {"primary": "primary", "secondary": "secondary", "guardrail": "guardrail"}),
    "smooth": ("Smoothed", _CHOICE, {"default": None, "yes": True, "no": False}),
}
#: Those to correct in every metric.
_COMMON = ("family", "expect", "scale")
_MARGIN_HELP = "The largest change that does not matter: a guardrail must not get worse by more."


def metric_rows(
    suggested: Sequence[Suggestion],
    lowest: Mapping[str, float],
    prefix: str,
    used_labels: Collection[str] = (),
    colors: Mapping[str, str] | None = None,
) -> tuple[tuple[Metric, ...], bool]:
    """A row of controls per metric, with a message below it where it cannot be used.

    Parameters
    ----------
    lowest : the lowest value that was logged, by key.
    used_labels : labels that other metrics have.
    colors : the colour by key that a metric has where the study gives none; where it is passed, role, margin and how a
        metric is drawn can be chosen too.

    Returns
    -------
    The metrics as corrected, and whether all of them can be used.
    """
    metrics, labels, is_valid = list[Metric](), set(used_labels), True
    previous = ""
    for suggestion in suggested:
        with st.container(gap="xsmall"):
            # Said once of rows that follow each other.
            if (origin := _origin(suggestion)) not in ("", previous):
                st.markdown(origin)
            previous = origin
            metric = _metric_row(suggestion, f"{prefix}_{suggestion.metric.key}", colors)
            if not metric.label or metric.label in labels:
                is_valid = False
                repeated = "Another metric has this label: give it one of its own."
                st.error(repeated if metric.label else "Give it a label.")
            lowest_value = lowest.get(metric.key, 1.0)
            if metric.scale == "log" and lowest_value <= 0:
                st.warning(f"Values go down to {lowest_value:.4g}: a log axis shows none that are not above 0.")
            if metric.role == "guardrail" and not metric.margin_text:
                st.warning("A guardrail needs a margin: without one nothing can be said of it.")
        labels.add(metric.label)
        metrics.append(metric)
    return tuple(metrics), is_valid


def _origin(suggestion: Suggestion) -> str:
    """Why a metric is suggested, and whether that is assumed."""
    assumed = ":orange-badge[assumed] " if suggestion.assumed else ""
    return f"{assumed}:small[{escaped(suggestion.why)}]" if suggestion.why or suggestion.assumed else ""


def _metric_row(suggestion: Suggestion, prefix: str, colors: Mapping[str, str] | None) -> Metric:
    metric = suggestion.metric
    with st.container(horizontal=True, gap="xxsmall", vertical_alignment="bottom"):
        # The field of the label is named by the key.
        label = st.text_input(escaped(metric.key), metric.label, key=f"{prefix}_label", width=_LABEL).strip()
        fields = {name: _choice(metric, name, prefix) for name in _COMMON}
        if colors is not None:
            fields |= _of_study(metric, fields["scale"] == "log", colors[metric.key], prefix)
    return replace(metric, label=label, **fields)  # type: ignore[arg-type]


def _of_study(metric: Metric, is_log: bool, default_color: str, prefix: str) -> dict[str, object]:
    """The fields of a study that there is already; those that few change are behind a button."""
    role, margin_place = _choice(metric, "role", prefix), st.container(width=_MARGIN)
    with st.popover(":material/tune:", help="Unit of the margin, smoothing, colour"):
        margin = _margin(metric, is_log, margin_place, prefix)
        smooth = _choice(metric, "smooth", prefix)
        color = _color(metric, default_color, f"{prefix}_color")
    return {"role": role, "smooth": smooth, "color": color} | margin


def _choice(metric: Metric, field: str, prefix: str) -> object:
    label, width, values = _CHOICES[field]
    index = list(values.values()).index(getattr(metric, field))
    return values[st.selectbox(label, list(values), index, key=f"{prefix}_{field}", width=width)]


def _margin(metric: Metric, is_log: bool, place: DeltaGenerator, prefix: str) -> dict[str, object]:
    """The margin, typed at a place, in percent or, of a linear metric, in its unit."""
    units = {"%": ("margin", 100)} | ({} if is_log else {"own unit": ("margin_abs", 1)})
    index = 0 if metric.margin_abs is None or is_log else 1
    unit = st.selectbox("Margin in", list(units), index, key=f"{prefix}_margin_in", width=_CHOICE)
    field, factor = units[unit]
    margin, most = getattr(metric, field), 99.0 if field == "margin" else None
    initial = None if margin is None else round(factor * margin, 9)
    value = place.number_input(
        "Margin (%)" if unit == "%" else "Margin",
        0.0,
        most,
        initial,
        key=f"{prefix}_{field}",
        format="%g",
        placeholder="none",
        help=_MARGIN_HELP,
    )
    if value != initial:
        margin = round(value / factor, 9) if value else None
    return {"margin": None, "margin_abs": None, field: margin}


def _color(metric: Metric, default: str, key: str) -> str:
    """The colour of a metric; empty where it is the one that it has without."""
    initial = (metric.color or default).lower()
    color = st.color_picker("Colour", initial, key=key)
    if color != default.lower():
        reset = partial(st.session_state.__setitem__, key, default.lower())
        icon, help = ":material/format_color_reset:", "The colour that it has where the study gives none"
        st.button(icon, f"{key}_default", type="tertiary", on_click=reset, help=help)
    if color == initial:
        return metric.color
    return "" if color == default.lower() else color
