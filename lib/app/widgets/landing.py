"""Open a new study: on the Overview, where its runs are fetched."""

from collections.abc import Callable

import streamlit as st

from lib.app.session import access, fetching, listing, studies
from lib.app.widgets.markdown import escaped
from lib.study import InputError

#: Seconds in which a small folder or bundle is read: the Overview then begins with its answer.
_SHORT = 0.5


def land(opening: Callable[[], str]) -> None:
    """Open a study, begin to fetch its runs where that takes no key or one is there, and go to the Overview.

    What is wrong with it is said in place.

    Parameters
    ----------
    opening : adds the study to the session and returns its name.
    """
    try:
        name = opening()
    except InputError as error:
        st.error(escaped(str(error)), icon=":material/error:")
        return
    study = studies.study_named(name)
    if study.source.kind != "wandb" or access.key_for(study):
        fetching.start_fetch(study, wait=_SHORT)
    listing.forget()
    studies.choose(name)
    # Streamlit refuses to clear parameters that widgets are bound to: the widgets of the next run set them.
    st.switch_page("pages/overview.py", query_params={})
