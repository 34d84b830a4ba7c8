"""What the app keeps of one session besides the values of widgets: one typed object."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from lib.app.session.current import PageInput
from lib.app.session.job import Listing, StudyFetches
from lib.runs import SavedStudy, store_root
from lib.study import Study

KEY = "session"


@dataclass
class SessionState:
    """One visitor's session.

    `api_keys` are by server, and no representation shows them; `studies` are by name those kept in this session
    alone, where they cannot be, or may not be, saved in the store; `unsaved` are, of those that could not be, what was
    saved then, and the uploads that they need. `fetches` are by study and identity.
    `uploads` is the folder of the visitor's uploads. `next_study` is chosen on the next run, and `renamed` are
    the new names of studies by their old ones. `left_out` are the
    study of the last run and the runs left out of it. `address` is the study that the page's address last held, and
    `address_message` what is wrong with it; `too_long` is the last study that is too long for one. `page_input` is what
    the frame hands to the page, and `has_frame` whether it did so in this run; `page` is the path of the page
    that runs, and `panels` are the keys of the sidebar's panels that are open. `listing` is what was last listed to propose
    a study from, and `listings` how many there were.
    `changed` are the settings that were ever changed: to draw one that had a value in the address anew would bring that back.
    `other_keys` are the servers for which another key is asked for than that of the machine.
    """

    api_keys: dict[str, str] = field(default_factory=dict, repr=False)
    uploads: Path = field(default_factory=lambda: store_root().resolve() / "uploads" / secrets.token_hex(16))
    studies: dict[str, SavedStudy] = field(default_factory=dict)
    unsaved: dict[str, tuple[SavedStudy, tuple[Path, ...]]] = field(default_factory=dict)
    fetches: dict[tuple[Study, str], StudyFetches] = field(default_factory=dict)
    notices: list[tuple[str, str]] = field(default_factory=list)
    next_study: str | None = None
    renamed: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, tuple[str, ...]] | None = None
    address: str = ""
    address_message: str = ""
    too_long: str = ""
    page_input: PageInput | None = None
    has_frame: bool = False
    page: str = ""
    panels: set[str] = field(default_factory=set)
    listing: Listing | None = None
    listings: int = 0
    changed: set[str] = field(default_factory=set)
    other_keys: set[str] = field(default_factory=set)


def session_state() -> SessionState:
    """The state of the session that is running."""
    if KEY not in st.session_state:
        st.session_state[KEY] = SessionState()
    state: SessionState = st.session_state[KEY]
    return state
