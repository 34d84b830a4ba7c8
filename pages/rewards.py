import streamlit as st

from lib import methods, widgets, widgets_baselines, widgets_charts

current = widgets.need_runs()
widgets_baselines.baselines(current)
widgets_charts.axis_notes(current)
for task in widgets.focus(current.study):
    st.header(task.title, anchor=False)
    widgets_charts.families(current, task, "reward", height=460)

widgets.how(f"{methods.curves_text(current.view)}\n\n{methods.DETACH}")
