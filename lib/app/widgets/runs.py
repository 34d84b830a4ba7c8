"""Parts of the Runs page: leave runs out, raw points, config differences."""

from collections.abc import Sequence

import streamlit as st

from lib import runs
from lib.app.session import cached_results, widget_keys
from lib.app.session.current import Current
from lib.app.widgets.markdown import escaped, is_web_address
from lib.app.widgets.tables import table
from lib.report import with_names
from lib.study import Task


def leave_out(run_ids: Sequence[str], out: bool) -> None:
    """Leave runs out or bring them back, from a button's callback; the banner says so."""
    before = set(st.session_state.get(widget_keys.LEFT_OUT, []))
    st.session_state[widget_keys.LEFT_OUT] = sorted(before | {*run_ids} if out else before - {*run_ids})


def raw_points(current: Current, run_id: str) -> None:
    """A run's raw points, metric by metric, as logged."""
    run = next(run for run in current.manifest.runs if run.id == run_id)
    with st.expander(escaped(f"Raw points of {run.name or run.id}"), expanded=True):
        if is_web_address(run.url):
            st.link_button("Open on W&B", run.url, icon=":material/open_in_new:")
        table(
            with_names(cached_results.points(current, run_id), current.study), alt=f"Every logged point of run {run.id}"
        )


def config_differences(current: Current, task: Task) -> dict[str, list[str]]:
    """Config keys on which a task's runs differ, beyond those that the study names and the step that a ratio gives."""
    treatment_keys = {"detach_step", *(key for _, key in current.study.config_keys(task))}
    return runs.config_differences(current.manifest, task.key, treatment_keys)
