"""What the app keeps of one session besides the values of widgets: one typed object."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from lib.study import Baseline, Study

if TYPE_CHECKING:
    from lib.app.session.current import Opened
    from lib.app.session.job import StudyFetches
    from lib.app.session.listing import Listing

KEY = "session"


@dataclass
class SessionState:
    """One visitor's session.

    `api_keys` are by server, and no representation shows them; `own_studies` and `added_baselines` (with the ids of
    their tasks) are by the study's name, and `fetches` by study and identity. `readable` are the local paths that
    came with the visitor's uploads, which lie in `uploads`. `next_study` is chosen on the next run. `opened` is
    what the frame opened for the page, and `has_frame` whether it did so in this run; `page` is the path of the
    page that runs. `listing` is what was last listed to propose a study from, and `listings` how many there were.
    `other_keys` are the servers for which another key is asked for than that of the machine.
    """

    api_keys: dict[str, str] = field(default_factory=dict, repr=False)
    readable: set[str] = field(default_factory=set)
    uploads: Path | None = None
    own_studies: dict[str, Study] = field(default_factory=dict)
    added_baselines: dict[str, tuple[tuple[str, Baseline], ...]] = field(default_factory=dict)
    fetches: "dict[tuple[Study, str], StudyFetches]" = field(default_factory=dict)
    notices: list[tuple[str, str]] = field(default_factory=list)
    next_study: str | None = None
    opened: "Opened | None" = None
    has_frame: bool = False
    page: str = ""
    listing: "Listing | None" = None
    listings: int = 0
    other_keys: set[str] = field(default_factory=set)


def session_state() -> SessionState:
    """The state of the session that is running."""
    if KEY not in st.session_state:
        st.session_state[KEY] = SessionState()
    state: SessionState = st.session_state[KEY]
    return state
