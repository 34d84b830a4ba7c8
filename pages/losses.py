import streamlit as st

from lib.app.widgets import charts, page_frame
from lib.app.widgets.markdown import escaped
from lib.report import methods

current = page_frame.require_runs()
charts.notes(current, "loss")
for task in current.visible_study.tasks:
    st.header(escaped(task.title), anchor=False)
    charts.families(current, task, "loss", height=460)

page_frame.explanation(f"{methods.curves_text(current.view)}\n\n{methods.DETACH}")
