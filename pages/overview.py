import polars as pl
import streamlit as st

from lib import methods, session, widgets, widgets_charts, widgets_overview

current = widgets.need_runs()
study = current.study

if study.hypothesis:
    st.markdown(f"*Hypothesis:* {study.hypothesis}")

widgets_charts.axis_notes(current)
effects = session.effects(current)
widgets_overview.answer(study, effects)
for task in study.tasks:
    st.header(task.title, anchor=False)
    rows = effects.filter(pl.col("task") == task.key)
    if rows.is_empty():
        st.caption("No detached run of this task: nothing to compare.")
    widgets_charts.effect_cards(study, rows)
    widgets_overview.charts(current, task)

widgets.how(f"{methods.curves_text(current.view)}\n\n{methods.EFFECTS}\n\n{methods.VERDICTS}\n\n{methods.DETACH}")
