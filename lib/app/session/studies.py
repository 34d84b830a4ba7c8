"""The studies of this session: shipped, opened and uploaded, and the baselines added to them."""

import hashlib
from dataclasses import replace
from pathlib import Path

import streamlit as st

from lib.app.session.access import NO_PATHS, _allow, may_name_paths
from lib.curves import View, baseline_curve, read_baseline
from lib.runs import put, store_root
from lib.sources import bundled_study
from lib.study import Baseline, Study, StudyError, Task, load_study, parse_study, shipped_studies, with_baselines

_OWN = "own_studies"
_CHOICE = "chosen_study"
_BASELINES = "own_baselines"


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
