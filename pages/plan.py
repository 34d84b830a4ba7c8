import streamlit as st

from lib.app.session.page_input import page_input
from lib.app.widgets import page_frame, plan
from lib.report import methods

inputs = page_input()
page_frame.message(inputs)
if inputs.study is None:
    st.stop()
plan.plan(inputs, inputs.study)

page_frame.explanation(methods.PLAN)
