import streamlit as st

from lib import methods, widgets, widgets_charts

current = widgets.need_runs()
widgets_charts.axis_notes(current)
for task in widgets.focus(current.study):
    st.header(task.title, anchor=False)
    widgets_charts.families(current, task, "loss", height=460)

widgets.how(f"{methods.curves_text(current.view)}\n\n{methods.DETACH}")
