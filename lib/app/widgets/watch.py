"""Where the open study stands on its way to the declared number of runs."""

import streamlit as st

from lib.app.session import cached_effects, cached_results
from lib.app.session.current import Current
from lib.app.widgets import charts
from lib.app.widgets.markdown import escaped
from lib.effects import Standing, is_short_of_plan, standing
from lib.study import Metric, Task


def progress_link(current: Current) -> None:
    """The way to where the planned runs stand, while they are fewer than planned."""
    if is_short_of_plan(cached_results.analysis(current, current.evidence)):
        st.page_link("pages/plan.py", label="Where the planned runs stand", icon=":material/event_upcoming:", help="")


def watch(current: Current, task: Task, metric: Metric) -> None:
    """How far a metric of a task is, and its intervals so far; nothing where no run of it was detached."""
    analysis = cached_results.analysis(current, None).task(task.key)
    comparisons = [c for c in analysis.comparisons if c.metric.key == metric.key and c.design != "onset"]
    many = len({c.arm for c in analysis.comparisons}) > 1
    states = [standing(analysis, comparison) for comparison in comparisons]
    texts = [f"{state.comparison.arm}: {state.text}" if many else state.text for state in states]
    if states and current.study.evidence.planned is None:
        text = "No size is declared, so a claim carries that caveat: declare one below, before the next runs."
        st.info(escaped(f"{'. '.join(texts)}. {text}"), icon=":material/info:")
        return
    for text, state in zip(texts, states, strict=True):
        _standing(current, task, text, state)


def _standing(current: Current, task: Task, text: str, state: Standing) -> None:
    if state.planned is None or not state.is_short:
        st.caption(escaped(f"{text}."))
        return
    reach = f"; at {state.planned} the interval will be about ±{state.reach}" if state.reach else ""
    st.markdown(f"**{escaped(text)}**{escaped(reach)}")
    comparison = state.comparison
    figure = cached_effects.looks_figure(current, task.key, comparison.metric.key, comparison.arm, state.planned)
    if figure is None:
        st.caption(f"The first interval that holds at every look comes with the fifth of the {state.unit}.")
        return
    charts.render_chart(figure.page_chart, f"looks_{comparison.arm}")
    st.caption(figure.caption)
