"""What no link and no store brings back, asked for in place: a key, the bundle of a study, its baselines."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from lib.app.session import access, studies
from lib.app.widgets.key_form import key_form
from lib.app.widgets.markdown import escaped
from lib.study import InputError, Study, Task


def ask_key(study: Study) -> bool:
    """Ask for the visitor's key for the study's server; False where that server may not be asked, as the page says."""
    try:
        server = access.server_for(study)
    except InputError:
        return False
    project, host = f"{study.source.entity}/{study.source.project}", escaped(server.removeprefix("https://"))
    st.info(f"Enter a key for {host} to see **{escaped(project)}**.", icon=":material/key:")
    key_form(server, "asked_key")
    return True


def ask_bundle(study: Study) -> None:
    """Ask for the bundle that the study was opened from, and see that it is that one."""
    label = f"Open the bundle that came with **{escaped(study.title)}**"
    st.info("The runs of this study are in a bundle, which its link does not bring.", icon=":material/inventory_2:")
    _ask(label, study.source.path, partial(studies.bring_bundle, study))


def ask_baselines(study: str, task: Task) -> None:
    """Ask for the baselines of a task that were uploaded for the study of that name, where they are not here."""
    for baseline in studies.missing_baselines(study, task.key):
        label = f"Open the baseline **{escaped(baseline.name)}** that came with this study, for {escaped(task.title)}"
        _ask(label, f"{task.key}_{baseline.path}", partial(studies.bring_baseline, study, baseline))


def _ask(label: str, key: str, bring: Callable[[str, bytes], None]) -> None:
    """A field for an upload; what is wrong with one is said below it."""
    file = st.file_uploader(label, type=[Path(key).suffix.removeprefix(".")], key=f"asked_{key}")
    if file is None:
        return
    try:
        bring(file.name, file.getvalue())
    except InputError as error:
        st.error(escaped(str(error)), icon=":material/error:")
    else:
        st.rerun()
