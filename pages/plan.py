import streamlit as st

from lib.app.session.current import opened_study
from lib.app.widgets import page_frame, plan
from lib.report import methods

opened = opened_study()
page_frame.message(opened)
if opened.study is None:
    st.stop()
plan.plan(opened, opened.study)

page_frame.explanation(methods.PLAN)
