"""Where the runs of a new study are: addresses, a folder or a file, with the key that it takes."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from lib.app.session import access, listing, studies, widget_keys
from lib.app.session.state import session_state
from lib.app.widgets.fetching import progress_bar
from lib.app.widgets.key_form import key_field
from lib.app.widgets.landing import land
from lib.app.widgets.markdown import escaped
from lib.app.widgets.proposal import proposal
from lib.study import InputError

#: Pixels of what stands between address and button, whatever it is: the button stays under the pointer.
_KEY_HEIGHT = 92


def new_study() -> None:
    """Ask where the runs are, list them, and show the study that they look like."""
    with st.container(border=True):
        places, files = st.columns([3, 2], gap="large")
        with places:
            _places()
        with files:
            _file()
    current = session_state().listing
    if current is not None and current.job.result is not None:
        proposal(current.job.result, f"build{session_state().listings}")


def _places() -> None:
    """The field for addresses or a folder, the key for their server, and the button that lists their runs."""
    has_folders = listing.has_folders()
    text = st.text_area(
        "Addresses of sweeps, or a folder of runs" if has_folders else "Addresses of sweeps",
        key=widget_keys.BUILD_ADDRESS,
        height=100,
        placeholder="https://wandb.ai/entity/project/sweeps/id" + ("\nor ~/project/wandb" if has_folders else ""),
        help="One or more lines, from one project: sweeps, a run, a group or the whole project; also "
        "entity/project/sweep, `wandb agent` commands and what the wandb client prints. Runs are listed, not fetched.",
    )
    message = ""
    # In no form: its click reaches the server before what is typed into the field above, whose rerun then ends it.
    with st.container(height=_KEY_HEIGHT, border=False, gap="xsmall"):
        try:
            server = listing.server_in(text)
        except InputError as error:
            server, message = None, str(error)
        if server:
            _key(server)
        elif server == "":
            st.caption("The folder is read on the machine that runs this app; it takes no key.")
    current = session_state().listing
    st.button(
        "Find the runs",
        key=widget_keys.BUILD_LIST,
        icon=":material/search:",
        disabled=current is not None and current.job.is_running,
        on_click=_find,
    )
    if current is not None and current.job.is_running:
        _progress()
    elif current is not None and current.job.error and current.text in (text, ""):
        message = current.job.error
    if message:
        st.error(escaped(message), icon=":material/error:")


def _widget_key(server: str) -> str:
    """The key of the field for that server's key: what is typed for one server never becomes another one's."""
    return f"{widget_keys.BUILD_KEY}_{server}"


def _key(server: str) -> None:
    """The key that is used for the server, or the field for one."""
    host, other_keys = escaped(server.removeprefix("https://")), session_state().other_keys
    if access.own_key(server):
        _key_in_use(f"Your key for {host} is in use.", "Forget my key", partial(access.remember_key, server, ""))
    elif server not in other_keys and access.machine_key(server):
        sentence = f"The key of this machine's W&B login is used for {host}."
        _key_in_use(sentence, "Use another key", partial(other_keys.add, server))
    else:
        key_field(server, _widget_key(server))


def _key_in_use(sentence: str, other: str, change: Callable[[], None]) -> None:
    st.markdown(f":small[{sentence}]")
    icon = ":material/key_off:"
    st.button(other, key=widget_keys.BUILD_OTHER_KEY, type="tertiary", icon=icon, on_click=change)


def _find() -> None:
    """Keep the key that was typed for the server of the addresses, and list their runs."""
    text = st.session_state[widget_keys.BUILD_ADDRESS]
    try:
        field = _widget_key(server := listing.server_in(text))
    except InputError:
        field = server = ""
    if server and (key := st.session_state.get(field, "").strip()):
        access.remember_key(server, key)
        st.session_state[field] = ""
    listing.find(text)


@st.fragment(run_every="500ms")
def _progress() -> None:
    current = session_state().listing
    if current is None or not current.job.is_running:
        st.rerun()
    progress_bar(current.job.progress, widget_keys.BUILD_STOP, listing.forget)


def _file() -> None:
    """An upload: a study opens as it is; another one can be proposed from the runs of a bundle."""
    file = st.file_uploader(
        "Or a file: a study (.toml) or a bundle (.zip)", type=["toml", "zip"], key=widget_keys.STUDY_UPLOAD
    )
    if file is None:
        return
    with st.container(horizontal=True):
        if st.button("Open the file", key=widget_keys.BUILD_OPEN_FILE, icon=":material/folder_open:"):
            land(lambda: studies.open_upload(file.name, file.getvalue()))
        if file.name.endswith(".zip"):
            st.button(
                "Propose another study",
                key=widget_keys.BUILD_PROPOSE,
                icon=":material/inventory_2:",
                on_click=lambda: listing.find_in_bundle(file.getvalue()),
                help="From the runs of the bundle, whatever study it holds.",
            )
