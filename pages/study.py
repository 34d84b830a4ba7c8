import streamlit as st

from lib.app.session.current import opened_study
from lib.app.widgets import edit, fetching, page_frame
from lib.app.widgets import study as study_widgets
from lib.app.widgets.markdown import escaped
from lib.app.widgets.metric_form import add_metric
from lib.report import methods
from lib.study import to_toml, without_folders

opened = opened_study()
study, manifest = opened.study, opened.manifest
if opened.message:
    st.error(escaped(opened.message), icon=":material/error:")
if study is not None:
    st.header(escaped(study.title), anchor=False)
    fetching.fetch_panel(study, manifest)
    if manifest is not None:
        fetching.problems(study, manifest)
    study_widgets.source(study, manifest)
    study_widgets.question(study)
    if manifest is not None:
        add_metric(study, manifest)
    with st.expander("The study file, every default included", icon=":material/description:"):
        st.code(to_toml(without_folders(study)), language="toml")
        st.button("Edit a copy", icon=":material/edit:", on_click=study_widgets.edit, args=(study,))
    edit.form(study)
    study_widgets.stored(study)
    study_widgets.share(opened)
    study_widgets.editor(study_widgets.open_with)

page_frame.explanation(methods.SOURCES)
