import streamlit as st

from lib import methods, session, widgets, widgets_build, widgets_edit, widgets_study
from lib.baselines import without_folders
from lib.study import to_toml

study, manifest, complaint = session.opened()
if complaint:
    st.error(complaint, icon=":material/error:")
if study is not None:
    st.header(study.title, anchor=False)
    widgets.fetch_panel(study, manifest)
    if manifest is not None:
        widgets.problems(study, manifest)
    widgets_study.source(study, manifest)
    widgets_study.asked(study)
    if manifest is not None:
        widgets_build.add_metric(study, manifest)
    with st.expander("The study file, every default included", icon=":material/description:"):
        st.code(to_toml(without_folders(study)), language="toml")
        st.button("Edit a copy", icon=":material/edit:", on_click=widgets_study.edit, args=(study,))
    widgets_edit.form(study)
    widgets_study.stored(study)
    widgets_study.share(study, manifest)
widgets_build.build()
widgets_study.another()

widgets.how(methods.SOURCES)
