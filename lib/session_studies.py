"""Streamlit's side of choosing a study: which one, whose key may be used for it, and which files it may name."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from lib.baselines import baseline_curve, read_baseline, with_baselines
from lib.sources.bundle import bundled_study
from lib.store import put, store_root
from lib.study import STUDIES, Baseline, Study, StudyError, Task, load_study, parse_study, placed, shipped_studies
from lib.view import View

_OWN = "own_studies"
_KEYS = "keys_by_server"
_UPLOADS = "uploads"
_CHOICE = "chosen_study"
_BASELINES = "own_baselines"
NO_PATHS = "This deployment opens no local paths: upload the runs as a bundle instead."


def study_names() -> list[str]:
    """The names to choose from: the shipped studies, then those opened in this session."""
    return [*shipped_studies(), *st.session_state.get(_OWN, {})]


def open_study(study: Study) -> str:
    """Add a study to this session; the name it is chosen by."""
    taken = study.name in shipped_studies()
    study = replace(study, name=f"{study.name}-own") if taken else study
    st.session_state.setdefault(_OWN, {})[study.name] = study
    return study.name


def open_text(text: str) -> str:
    """Open the text of a study file; StudyError where it is not one, or names a local path it may not."""
    study = parse_study(text, "The study file")
    if not may_name_paths(study):
        raise StudyError(NO_PATHS)
    return open_study(study)


def open_upload(name: str, content: bytes) -> str:
    """Open an uploaded study file or bundle; InputError where it is neither."""
    if not name.endswith(".zip"):
        try:
            return open_text(content.decode())
        except UnicodeDecodeError:
            raise StudyError(f"{name} is not a text file: a study is a TOML file in UTF-8.") from None
    study = bundled_study(keep_upload(content))
    # A bundle's baselines lie where it was unpacked, which its path alone does not allow to read.
    _allow(*(baseline.path for task in study.tasks for baseline in task.baselines))
    return open_study(study)


def keep_upload(content: bytes, suffix: str = ".zip") -> Path:
    """Where an uploaded file is kept; this session may open it."""
    path = store_root() / "uploads" / f"{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
    put(path, content)
    _allow(str(path.resolve()))
    return path


def _allow(*paths: str) -> None:
    st.session_state.setdefault(_UPLOADS, set()).update(paths)


def add_baseline(study: Study, task: Task, name: str, content: bytes) -> None:
    """Draw an uploaded baseline behind a task's rewards, in this session; BaselineError where it cannot be drawn."""
    label = Path(name).stem
    rows = read_baseline(content, name)
    baseline_curve(rows, task, Baseline(path=name, label=label), (), View())
    added = Baseline(path=str(keep_upload(content, ".csv").resolve()), label=label)
    mine: list[tuple[str, Baseline]] = st.session_state.setdefault(_BASELINES, {}).setdefault(study.name, [])
    mine[:] = [(key, b) for key, b in mine if (key, b.label) != (task.key, label)] + [(task.key, added)]


def drop_baselines(study: Study) -> None:
    """Forget the baselines that were added to a study in this session."""
    st.session_state.get(_BASELINES, {}).pop(study.name, None)


def added_baselines(study: Study) -> tuple[tuple[str, Baseline], ...]:
    """The baselines added to a study in this session, with the ids of their tasks."""
    return tuple(st.session_state.get(_BASELINES, {}).get(study.name, ()))


def with_added(study: Study) -> Study:
    """The study with the baselines that were added to it in this session."""
    return with_baselines(study, added_baselines(study))


def choose(name: str) -> None:
    """Make a study the current one on the next run."""
    st.session_state[_CHOICE] = name


def apply_choice() -> None:
    """Set the picker, before it is drawn, to the study that was just opened."""
    name = st.session_state.pop(_CHOICE, None)
    if name is not None:
        st.session_state["study"] = name
        for key in ("out", "arms", "task", "only"):
            st.session_state.pop(key, None)


def study_named(name: str) -> Study:
    """The study chosen by that name; StudyError where its file is not valid."""
    own: dict[str, Study] = st.session_state.get(_OWN, {})
    return own[name] if name in own else load_study(name)


def is_own(study: Study) -> bool:
    """Whether the study was opened in this session, which no other one can look into."""
    return study.name in st.session_state.get(_OWN, {})


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
    from lib.sources.cloud import resolve_key, server_of

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
