import streamlit as st

from lib import session, widgets
from lib.study import to_toml

study, manifest, complaint = session.opened()
if complaint:
    st.error(complaint, icon=":material/error:")
if study is not None:
    widgets.fetch_panel(study, manifest)
    if manifest is not None:
        widgets.problems(manifest)
    widgets.study_source(study, manifest)
    st.subheader("What is being asked", anchor=False)
    st.caption("As read, every default included.")
    st.code(to_toml(study), language="toml")
