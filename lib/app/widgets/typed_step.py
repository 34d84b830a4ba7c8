"""A typed detach step that configs override: said beside its field, with a way to use it."""

from collections.abc import Sequence

import streamlit as st

from lib.app.widgets.markdown import escaped
from lib.runs import Run, dropped_text, overridden_text, with_typed_step
from lib.study import DetachRule, Task


def typed_step(task: Task, runs: Sequence[Run], key: str) -> DetachRule:
    """Say what configs of the task's runs say instead of its typed step; the detach rule, as the visitor wants it.

    Nothing is said where no run's config says another step.
    """
    text = overridden_text(task, runs)
    if not text:
        return task.detach
    st.markdown(f":orange[:small[{escaped(text)}]]")
    if not st.checkbox("Use the typed step", key=key):
        return task.detach
    st.caption(escaped(dropped_text(task, runs)))
    return with_typed_step(task.detach)
