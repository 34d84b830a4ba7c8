"""Whose W&B key may be used for a study, and which servers and local files a study may name."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from lib.app.session.caches import cached_for_all, file_stamp
from lib.app.session.own_machine import is_at_own_machine
from lib.app.session.state import session_state
from lib.formatting import listing
from lib.runs import is_upload, shipped_paths, study_folders
from lib.sources import DEFAULT_SERVER, SourceError, resolve_key, server_address, server_of
from lib.study import STUDIES, InputError, Study, StudyError, load_study, local_paths, shipped_studies

NO_PATHS = "This deployment opens no local paths: upload the runs as a bundle instead."


def shipped_study(name: str) -> Study:
    """One of studies/ by its name, read once for all sessions; StudyError where its file is not valid."""
    return _shipped_study(name, file_stamp(STUDIES / f"{name}.toml"))


@cached_for_all
def _shipped_study(name: str, stamp: str) -> Study:
    return load_study(name)


def is_shipped(study: Study) -> bool:
    """Whether the study is one of studies/, and not one a visitor opened."""
    return bool(study.folder) and Path(study.folder) == STUDIES.resolve()


def is_public(study: Study) -> bool:
    """Whether what is computed of the study may be shared by all sessions.

    Only a bundle that is, in every field, one of studies/: no key fetched its runs, and no visitor uploaded or changed
    any part of it. A copy opened in a session has another name, and added baselines are fields of their own.
    """
    return study.source.kind == "bundle" and study.name in shipped_studies() and study == shipped_study(study.name)


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


def scheduler() -> str:
    """The address of the Dask scheduler whose workers read runs: `[cluster] scheduler` in the secrets; "" for none."""
    return str((secret("cluster") or {}).get("scheduler", ""))


def is_own_machine() -> bool:
    """Whether the visitor is at the machine that runs the app, for themselves alone; what is not certain is no.

    Other accounts of a machine that several people log in to pass for them.
    """
    return not is_hosted() and is_at_own_machine()


def keeps_studies() -> bool:
    """Whether studies are kept on this machine: only where it is the visitor's own, for others would see them."""
    return is_own_machine()


def may_name_paths(study: Study) -> bool:
    """Whether the study may read local paths: shipped ones may; others where the deployment allows it."""
    return is_shipped(study) or may_read_paths(local_paths(study))


def may_read_paths(paths: Iterable[str]) -> bool:
    """Whether a visitor may name these local paths."""
    # Anyone sees the files of shipped studies: an edited copy may still read them.
    others = {path for path in paths if not is_readable(path)}
    if not others or others <= {*shipped_paths().values()}:
        return True
    return bool((secret("deployment") or {}).get("local_paths", not is_hosted()))


def is_readable(path: str) -> bool:
    """Whether a path is that of an upload: of this session, or, where no strangers are, of a saved study."""
    if not is_upload(path):
        return False
    return Path(path).parent == session_state().uploads or (keeps_studies() and Path(path).parent in study_folders())


def server_for(study: Study) -> str:
    """The server that the study's runs are on; SourceError where that is none, or may not be asked."""
    secret("WANDB_BASE_URL")
    server = server_of(study)
    check_server(server)
    return server


def check_server(server: str) -> None:
    """Refuse a server that the deployment does not allow: by default a hosted one allows W&B's own alone.

    Raises
    ------
    SourceError
        Where it is neither one of `[deployment] servers` in the secrets nor the server of WANDB_BASE_URL.
    """
    servers = (secret("deployment") or {}).get("servers", [DEFAULT_SERVER] if is_hosted() else None)
    if servers is None or os.environ.get("WANDB_BASE_URL"):
        return
    allowed = [server_address(str(text), "[deployment] servers") for text in servers]
    if server not in allowed:
        raise SourceError(f"This deployment does not read {server}: it reads {listing(allowed) or 'no W&B server'}.")


def check_source(study: Study) -> None:
    """Refuse a study whose source may not be read here.

    Raises
    ------
    InputError
        Where it names a local path, or a server, that this deployment does not open.
    """
    if not may_name_paths(study):
        raise StudyError(NO_PATHS)
    if study.source.kind == "wandb":
        server_for(study)


def may_read(study: Study) -> bool:
    """Whether this deployment reads the study's source, as `check_source` says."""
    try:
        check_source(study)
    except InputError:
        return False
    return True


def key_for(study: Study) -> str | None:
    """The W&B key that may be used for this study, None where there is none; a fetch then says why.

    The visitor's own key for that server comes first. The deployer's key (secrets, environment, W&B login) serves only
    the shipped studies; on one's own machine it is one's own, for its server alone.
    """
    if study.source.kind != "wandb":
        return None
    try:
        server = server_for(study)
        return own_key(server) or (resolve_key(server) if is_shipped(study) or is_own_machine() else None)
    except SourceError:
        return None


def key_at(server: str) -> str | None:
    """The key that may be used for a place on this server that the visitor brings, None where there is none."""
    return own_key(server) or machine_key(server)


def machine_key(server: str) -> str | None:
    """The key that W&B's own tools use for this server, where the visitor is at their own machine."""
    try:
        return resolve_key(server) if is_own_machine() else None
    except SourceError:
        return None


def remember_key(server: str, key: str) -> None:
    """Keep a visitor's key for one server, in this session's memory only; an empty one forgets it."""
    api_keys = session_state().api_keys
    api_keys.pop(server, None)
    if key:
        api_keys[server] = key


def own_key(server: str) -> str | None:
    """The key that the visitor gave for this server."""
    return session_state().api_keys.get(server)
