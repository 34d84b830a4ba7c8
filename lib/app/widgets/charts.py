"""Curve charts as pages show them."""

import html
from typing import Any, Literal

import streamlit as st

from lib.app.session import cached_results, widget_keys
from lib.app.session.current import Current
from lib.app.widgets.markdown import escaped
from lib.app.widgets.missing_inputs import ask_baselines
from lib.charts import QUIET_ON, ChartSpec, LegendEntry, text_styles
from lib.curves import runs_not_drawn
from lib.runs import of_task
from lib.study import Task


def families(current: Current, task: Task, *names: str, height: int) -> None:
    """The chart of a task's families, and a sentence for each of which nothing was logged.

    A zoom is that of all families of the task: they are one chart. A brush sets the range of x of every chart. Sent to
    the server as it happens, a zoom would draw every chart of the page anew at each notch of the wheel, under the pointer.
    """
    _notes(current, task, *names)
    _draw(current, task, *names, height=height)


def family_page(current: Current, family: str) -> None:
    """The chart of a family of every task; where none of its metrics is shown, a sentence alone."""
    notes(current, family)
    if not current.visible_study.family(family):
        st.caption(f"No {family} metric is shown.")
        return
    for task in current.visible_study.tasks:
        st.header(escaped(task.title), anchor=False)
        families(current, task, family, height=460)


def cells(current: Current, task: Task, *names: str, height: int) -> None:
    """A chart of each of a task's families beside each other, where they fit, without legends."""
    _notes(current, task, *names)
    row = st.grid(len(names), min_column_width=320)
    for name in names:
        with row.cell():
            _draw(current, task, name, height=height, legend=False)


def legend(current: Current) -> None:
    """One legend of all the charts of a page."""
    entries = [
        f'<span style="white-space: nowrap">{_sample(entry)}{html.escape(entry.label)}</span>'
        for entry in cached_results.legend(cached_results.in_charts(current))
    ]
    st.html(f'<div style="display: flex; flex-wrap: wrap; gap: 0 1.2rem; font-size: 0.85rem">{"".join(entries)}</div>')


def _sample(entry: LegendEntry) -> str:
    """A piece of a line: its dash as stripes, of which the second of each two is a gap."""
    stripes, at = [], 0
    for index, length in enumerate(entry.dash):
        color = "transparent" if index % 2 else entry.color
        stripes.append(f"{color} {at}px {at + length}px")
        at += length
    return (
        '<span style="display: inline-block; width: 26px; height: 3px; margin-right: 6px; vertical-align: middle; '
        f'background: repeating-linear-gradient(to right, {", ".join(stripes)})"></span>'
    )


def _notes(current: Current, task: Task, *names: str) -> None:
    if "reward" in names:
        ask_baselines(current.study.name, task)
        if messages := cached_results.baselines(current, task.key)[1]:
            st.warning("  \n".join(map(escaped, messages)), icon=":material/warning:")
    if sentence := runs_not_drawn(task, of_task(current.treatments, task.key), current.view):
        st.caption(escaped(sentence))
    if current.view.color_by and (sentence := cached_results.one_metric_text(current, task.key, names)):
        st.caption(escaped(sentence))


def _draw(current: Current, task: Task, *names: str, height: int, legend: bool = True) -> None:
    of_charts = cached_results.in_charts(current)
    chart, missing = cached_results.task_chart(of_charts, task.key, names, height, brush=True, legend=legend)
    if chart:
        # A new range is a new chart: the brush that chose it is gone.
        key = f"chart_{task.key}_{'_'.join(names)}_{current.view.span}" + ("" if legend else "_cell")
        render_chart(chart, key, brush=True)
    for name in missing:
        st.caption(escaped(f"No run of {task.title} logged a {name} metric of this study."))


def notes(current: Current, *families: str) -> None:
    """What the view's x axis cannot show, and which metrics of these families its charts draw."""
    # Each has a place, empty or not: the charts below stay the same ones.
    with st.container():
        if sentences := cached_results.axis_notes(current):
            st.info("  \n".join(map(escaped, sentences)), icon=":material/schedule:")
    with st.container():
        if sentence := cached_results.default_metrics_text(current, families):
            st.caption(escaped(sentence))


def render_chart(chart: ChartSpec, key: str, brush: bool = False) -> None:
    """Show a chart; a drag with Shift held sets the view's range of x where it can be brushed."""
    config = chart.spec.get("config", {})
    config = config | {part: colors | config.get(part, {}) for part, colors in _text_colors().items()}
    spec = {**chart.spec, "config": config, "datasets": dict(chart.tables)}
    # Set before it is drawn, so that nothing moves when it is.
    height: int | Literal["content"] = spec["height"] if isinstance(spec.get("height"), int) else "content"
    if not brush:
        st.vega_lite_chart(spec, key=key, width="stretch", height=height, alt=chart.description)
        return
    st.vega_lite_chart(
        spec,
        key=key,
        width="stretch",
        height=height,
        alt=chart.description,
        selection_mode="range",
        on_select=lambda: _brushed(key),
    )


def _text_colors() -> dict[str, Any]:
    """Colours of a chart's texts that can be read on the page's ground; Streamlit's own are too pale in its light theme."""
    ground = st.context.theme.type or "light"
    label = {"labelColor": QUIET_ON[ground], "titleColor": QUIET_ON[ground]}
    return {"axis": label, "legend": label, "style": text_styles(ground)}


def _brushed(key: str) -> None:
    """Make the brushed range the view's, which every chart and export shares."""
    picked = st.session_state[key].selection.get("range", {}).get("step")
    if picked:
        low, high = sorted(picked)
        st.session_state[widget_keys.FROM], st.session_state[widget_keys.TO] = float(f"{low:.4g}"), float(f"{high:.4g}")
