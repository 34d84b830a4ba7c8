"""Whose W&B key may be used for a study, and which local files a study may name."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from lib.sources import resolve_key, server_of
from lib.study import STUDIES, Study, StudyError, load_study, placed, shipped_studies

_KEYS = "keys_by_server"
_UPLOADS = "uploads"
NO_PATHS = "This deployment opens no local paths: upload the runs as a bundle instead."


def _allow(*paths: str) -> None:
    st.session_state.setdefault(_UPLOADS, set()).update(paths)


def is_shipped(study: Study) -> bool:
    """Whether the study is one of studies/, and not one a visitor brought."""
    return bool(study.folder) and Path(study.folder) == STUDIES.resolve()


def secret(name: str) -> Any:
    """A value of st.secrets, None where there is no secrets file or no such value.

    Loading the secrets also puts the top-level ones into the environment, where W&B's own tools read them.
    """
    try:
        return st.secrets.get(name)
    except StreamlitSecretNotFoundError:
        return None


def is_hosted() -> bool:
    """Whether the deployment says that strangers use it: `[deployment] hosted = true` in the secrets."""
    return bool((secret("deployment") or {}).get("hosted", False))


def may_name_paths(study: Study) -> bool:
    """Whether the study may read local paths: shipped ones may; others where the deployment allows it."""
    if is_shipped(study):
        return True
    paths = {baseline.path for task in study.tasks for baseline in task.baselines}
    if study.source.kind != "wandb":
        paths.add(study.source.path)
    paths -= st.session_state.get(_UPLOADS, set())
    # Anyone sees the baselines of shipped studies: an edited copy may go on drawing them.
    if not paths or paths <= _shipped_baselines():
        return True
    return bool((secret("deployment") or {}).get("local_paths", not is_hosted()))


def _shipped_baselines() -> set[str]:
    """Where the baselines of the shipped studies lie."""
    found = set[str]()
    for name in shipped_studies():
        with suppress(StudyError):
            found |= {b.path for task in placed(load_study(name)).tasks for b in task.baselines}
    return found


def key_for(study: Study) -> str | None:
    """The W&B key that may be used for this study.

    The visitor's own key for that server comes first. The deployer's key (secrets, environment, W&B login) serves only
    the shipped studies.
    """
    if study.source.kind != "wandb":
        return None
    secret("WANDB_API_KEY")
    server = server_of(study)
    own: str | None = st.session_state.get(_KEYS, {}).get(server)
    return own or (resolve_key(server) if is_shipped(study) else None)


def remember_key(server: str, key: str) -> None:
    """Keep a visitor's key for one server, in this session's memory only; an empty one forgets it."""
    keys = st.session_state.setdefault(_KEYS, {})
    if key:
        keys[server] = key
    else:
        keys.pop(server, None)


def own_key(server: str) -> str | None:
    """The key that the visitor gave for this server."""
    keys: dict[str, str] = st.session_state.get(_KEYS, {})
    return keys.get(server)


def has_own_key(server: str) -> bool:
    """Whether the visitor gave a key for this server."""
    return own_key(server) is not None
