import polars as pl
import streamlit as st

from lib import methods, session, widgets, widgets_charts
from lib.charts import FAMILIES

current = widgets.need_runs()
study = current.study

if study.hypothesis:
    st.markdown(f"*Hypothesis:* {study.hypothesis}")

effects = session.effects(current)
for task in study.tasks:
    st.header(task.title, anchor=False)
    rows = effects.filter(pl.col("task") == task.key)
    if rows.is_empty():
        st.caption("No detached run of this task: nothing to compare.")
    widgets_charts.effect_cards(study, rows)
    columns = st.columns(len(FAMILIES))
    for column, family in zip(columns, FAMILIES, strict=True):
        with column:
            widgets_charts.family(current, task, family, height=380)

widgets.how(f"{methods.curves_text(current.view)}\n\n{methods.EFFECTS}\n\n{methods.VERDICTS}\n\n{methods.DETACH}")
