"""Controls and parts of the Detach effect page: windows, claims, evidence of one task, event time."""

from dataclasses import replace
from typing import Any

import polars as pl
import streamlit as st

from lib import charts_effect, charts_evidence, session, widgets_charts
from lib.charts import detach_marks
from lib.claims import claim
from lib.detach import arms_of
from lib.gates import Gate
from lib.session import Current
from lib.session_effects import TaskEffects, task_effects
from lib.study import CONTROL, Evidence, Metric, Study, Task

_SINCE = {"steps": "since", "% of training": "since_percent"}


def windows(study: Study) -> Evidence | None:
    """The windows to look at: None for the declared ones; any other is marked as exploratory."""
    declared = study.evidence
    rest = declared.after == "rest"
    with st.popover("Windows", icon=":material/width:", help="Declared before looking, in the study file."):
        st.caption("Up to 1: a fraction of the training; larger: environment steps.")
        before = st.number_input("Before", 0.01, None, float(declared.before), key="before", bind="query-params")
        whole = st.toggle("After: the rest of the training", rest, key="rest", bind="query-params")
        length = 0.1 if rest else float(declared.after)
        after = st.number_input("After", 0.01, None, length, key="after", bind="query-params", disabled=whole)
        settle = st.number_input(
            "Settling lag left out after the detach",
            0.0,
            None,
            float(declared.settle),
            key="settle",
            bind="query-params",
        )
    chosen = Evidence(before=before, after="rest" if whole else after, settle=settle)
    if chosen == declared:
        return None
    st.badge("exploratory: window changed after looking", icon=":material/search:", color="orange")
    return chosen


def claims(current: Current, effects: pl.DataFrame) -> None:
    """The sentence of every claim, to copy, a tab a task."""
    study = current.study
    keys = effects["task"].unique(maintain_order=True).to_list()
    tabs = st.tabs(["Across tasks" if key == "*" else study.task(key).title for key in keys])
    for tab, key in zip(tabs, keys, strict=True):
        for row in effects.filter(pl.col("task") == key).iter_rows(named=True):
            with tab, st.container(gap="xsmall"):
                widgets_charts.verdict_badge(row)
                st.code(claim(row, study, current.treated), language=None, wrap_lines=True)


def forest(current: Current, effects: pl.DataFrame) -> None:
    """Every claim of the study on one axis."""
    takeaway = charts_effect.effects_text(effects, current.study)
    widgets_charts.draw(charts_effect.forest_chart(effects, current.study), "forest", takeaway)
    st.caption(takeaway)


def quadrant(current: Current, evidence: Evidence | None) -> None:
    """The hypothesis in one picture: reward effect against loss effect, a point a seed and task."""
    study = current.study
    rewards, losses = study.family("reward"), study.family("loss")
    if not rewards or not losses:
        return
    st.subheader("Reward against loss", anchor=False)
    with st.container(horizontal=True):
        reward = metric_picker(rewards, "Reward", "quadrant_reward", first=rewards[-1])
        loss = metric_picker(losses, "Loss", "quadrant_loss", first=losses[0])
    per_run = pl.concat([task_effects(current, task.key, evidence).per_run for task in study.tasks])
    points = charts_effect.quadrant_points(per_run, reward.key, loss.key)
    if points.is_empty():
        st.caption("No run has an effect in percent on both metrics.")
        return
    chart = charts_effect.quadrant_chart(
        points, study, reward=f"{reward.name}: effect (%)", loss=f"{loss.name}: effect (%)"
    )
    takeaway = charts_effect.quadrant_text(points, reward.name, loss.name)
    widgets_charts.draw(chart, "quadrant", takeaway)
    st.caption(takeaway)


def metric_picker(metrics: tuple[Metric, ...], label: str, key: str, first: Metric) -> Metric:
    """One of these metrics, kept in the URL."""
    names = {m.name: m for m in metrics}
    return names[st.selectbox(label, list(names), index=list(names).index(first.name), key=key, bind="query-params")]


def evidence_of_task(current: Current, task: Task, evidence: Evidence | None) -> None:
    """What stands behind one task's effects: the checklist, every seed, pair differences, local fits, placebo."""
    found = task_effects(current, task.key, evidence)
    checklist(found)
    st.subheader("Seed by seed", anchor=False)
    metric = metric_picker(current.study.metrics, "Metric", "effect_metric", first=current.study.metrics[0])
    rules = detach_marks(session.shown_treated(current, task.key))
    runs = found.per_run.filter(pl.col("metric") == metric.key)
    if runs.is_empty():
        st.caption(f"No run of {task.title} counts for {metric.name}: the checklist says why.")
        return
    left, right = st.columns(2)
    with left:
        takeaway = charts_effect.slope_text(found.per_run, task, metric)
        widgets_charts.draw(charts_effect.slope_chart(found.per_run, current.study, task, metric), "slope", takeaway)
        st.caption(takeaway)
    with right:
        order = ["seed", "arm", "before", "after", "change", "effect", "effect_pct", "detach_step", "pair", "run_id"]
        numbers(
            runs.select(*order, "rows_before", "rows_after"), f"Every run's {metric.name} before and after the detach"
        )
    _differences(current, task, metric, found, rules)
    _jump(current, task, metric, found, rules)


def _differences(current: Current, task: Task, metric: Metric, found: TaskEffects, rules: tuple) -> None:
    mine = found.differences.filter(pl.col("metric") == metric.key)
    if mine.is_empty():
        return
    st.subheader("Fork pairs over steps", anchor=False)
    chart = charts_evidence.difference_chart(found.differences, current.study, task, metric, rules=rules)
    widgets_charts.draw(
        chart, "differences", f"{metric.name}: detached minus control over steps, mean of the fork pairs"
    )
    st.caption("Detached minus control, with its pointwise 95% t interval: a picture, the claim is the window's.")


def _jump(current: Current, task: Task, metric: Metric, found: TaskEffects, rules: tuple) -> None:
    fits = found.fits.filter(pl.col("metric") == metric.key)
    if fits.is_empty():
        st.caption(f"No local fit of {metric.name}: fewer than five points on a side of the detach.")
        return
    left, right = st.columns(2)
    with left:
        st.subheader("The jump at the detach", anchor=False)
        low, high = fits.select(low=pl.col("step").min(), high=pl.col("step").max()).row(0)
        points = session.rows_around(current, tuple(fits["run_id"].unique().sort()), metric.key, low, high)
        chart = charts_evidence.jump_chart(points, found.fits, current.study, task, metric, rules=rules)
        widgets_charts.draw(chart, "jump", f"{metric.name} around the detach with a line fitted on each side, by run")
    with right:
        st.subheader("Pretended detach steps", anchor=False)
        for arm in found.placebo.filter(pl.col("metric") == metric.key)["arm"].unique(maintain_order=True):
            takeaway = charts_evidence.placebo_text(found.placebo, task, metric, arm)
            chart = charts_evidence.placebo_chart(found.placebo, task, metric, arm)
            widgets_charts.draw(chart, f"placebo_{arm}", takeaway)
            st.caption(f"{takeaway} Windows overlap: a picture, not a test.")


def _mark(gate: Gate) -> str:
    if gate.passed:
        return ":green[:material/check_circle:]"
    return ":red[:material/cancel:]" if gate.needed else ":orange[:material/warning:]"


def checklist(found: TaskEffects) -> None:
    """Can I claim this? Every gate with pass or fail and what would mend it; how many seeds would show an effect."""
    st.subheader("Can I claim this?", anchor=False)
    lines = [
        f"{_mark(gate)} **{gate.name}**: {gate.text}" + (f" *{gate.mend}*" if gate.mend else "") for gate in found.gates
    ]
    st.markdown("  \n".join(lines))
    with st.expander("How many seeds would show a change of 10% or 25%?", icon=":material/bolt:"):
        st.dataframe(found.hints, hide_index=True, alt="Seeds needed to show a change of 10% or 25%, by metric")
    if found.gap.height:
        with st.expander("Train-to-validation consistency gap", icon=":material/difference:"):
            st.caption(
                "Validation loss over train loss, before and after: does the frozen encoder overfit? Descriptive."
            )
            columns = [
                "metric",
                "arm",
                "control",
                "before",
                "after",
                "change",
                "ci_low",
                "ci_high",
                "design",
                "reasons",
            ]
            numbers(found.gap.select(columns), "The ratio of validation to train loss before and after the detach")


def event_time(current: Current) -> None:
    """Every task on one axis that counts from the detach."""
    study = current.study
    st.subheader("Event time", anchor=False)
    with st.container(horizontal=True):
        metric = metric_picker(study.metrics, "Metric", "event_metric", first=study.metrics[0])
        unit = st.segmented_control(
            "Since the detach in", list(_SINCE), default="% of training", required=True, key="event_unit"
        )
        arms = arms_of(current.treated)
        if len(arms) > 1:
            arms = tuple(st.multiselect("Arms compared", arms, key="event_arms", placeholder="all arms")) or arms
    view = replace(current.view, x=_SINCE[unit], grid="aligned")  # type: ignore[arg-type]
    here = replace(current, view=view)
    curves = pl.concat([session.curves(here, task.key) for task in study.tasks])
    placed = set(curves.filter(pl.col("metric") == metric.key)["arm"])
    if not placed & set(arms):
        st.caption(f"No run of {' or '.join(arms)} has a curve of {metric.name} around a detach.")
        return
    chart = charts_evidence.curves_since_detach(curves, study, metric, arms, view=view)
    widgets_charts.draw(chart, "event_time", f"{metric.name} of every task, aligned at the detach")
    if CONTROL in arms and CONTROL not in placed:
        st.caption("Detach steps differ, so the control arm has no step to be aligned at.")


def table(effects: pl.DataFrame) -> None:
    """The effect table, four significant digits; the export has them all."""
    numbers(effects, "The effect of the detach on every metric, task and arm")


def numbers(frame: pl.DataFrame, alt: str) -> None:
    """A table whose numbers keep four digits that matter, however small they are."""
    floats = [name for name, kind in frame.schema.items() if kind.is_float()]
    config: dict[str, Any] = {
        name: st.column_config.NumberColumn(name.replace("_pct", " (%)").replace("_", " "), format="%.4g")
        for name in floats
    }
    others = {name: name.replace("_", " ") for name in frame.columns if name not in floats}
    st.dataframe(frame, hide_index=True, column_config=config | others, alt=alt)
