from functools import partial

import streamlit as st

from lib.app.session.page_input import page_input
from lib.app.widgets import edit, fetching, page_frame
from lib.app.widgets import study as study_widgets
from lib.app.widgets.markdown import escaped
from lib.report import methods

inputs = page_input()
study, manifest = inputs.study, inputs.manifest
page_frame.message(inputs)
if study is not None:
    st.header(escaped(study.title), anchor=False)
    fetching.fetch_panel(study, manifest)
    if manifest is not None:
        fetching.problems(study, manifest)
    study_widgets.source(study, manifest)
    study_widgets.question(study)
    edit.form(study, manifest)
    study_widgets.editor(partial(study_widgets.open_with, before=study), study)
    study_widgets.stored(study)

page_frame.explanation(methods.SOURCES)
