"""What no link and no store brings back, asked for in place: a key, the bundle that a study was opened from."""

import streamlit as st

from lib.app.session import access, studies
from lib.app.widgets.key_form import key_form
from lib.app.widgets.markdown import escaped
from lib.study import InputError, Study


def ask_key(study: Study) -> bool:
    """Ask for the visitor's key for the study's server; False where that server may not be asked, as the page says."""
    try:
        server = access.server_for(study)
    except InputError:
        return False
    place, shown = f"{study.source.entity}/{study.source.project}", escaped(server.removeprefix("https://"))
    st.info(f"Enter a key for {shown} to see **{escaped(place)}**.", icon=":material/key:")
    key_form(server, "asked_key")
    return True


def ask_bundle(study: Study) -> None:
    """Ask for the bundle that the study was opened from, and see that it is that one."""
    label = f"Open the bundle that came with **{escaped(study.title)}**"
    st.info("The runs of this study are in a bundle, which its link does not bring.", icon=":material/inventory_2:")
    file = st.file_uploader(label, type=["zip"], key=f"asked_{study.source.path}")
    if file is None:
        return
    try:
        studies.bring_bundle(study, file.name, file.getvalue())
    except InputError as error:
        st.error(escaped(str(error)), icon=":material/error:")
    else:
        st.rerun()
