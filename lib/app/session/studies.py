"""The studies of this session: shipped, opened and uploaded, and the baselines added to them."""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from lib.app.session import uploads, widget_keys
from lib.app.session.access import check_source, is_hosted, shipped_study
from lib.app.session.state import session_state
from lib.curves import View, baseline_curve, read_baseline
from lib.runs import store_root
from lib.sources import bundled_study
from lib.study import (
    MAX_STUDY,
    Baseline,
    Study,
    StudyError,
    Task,
    parse_study,
    shipped_studies,
    to_toml,
    with_baselines,
)


def study_names() -> list[str]:
    """The names to choose from: the shipped studies, then those opened in this session."""
    return [*shipped_studies(), *session_state().own_studies]


#: The end of the name of a copy of a shipped study.
_COPY = "-own"


def open_study(study: Study) -> str:
    """Add a study to this session; the name it is chosen by."""
    if study.name in shipped_studies():
        study = replace(study, name=f"{study.name}{_COPY}")
    session_state().own_studies[study.name] = study
    return study.name


#: How the editor names a file of the store where strangers look: no path of the serving machine is shown.
_STORE = "store:"


def editable_text(study: Study) -> str:
    """The study as text for the editor, which `open_text` opens again."""
    text = to_toml(study)
    return text.replace(f'"{store_root().resolve()}/', f'"{_STORE}') if is_hosted() else text


def open_text(text: str) -> str:
    """Open the text of a study file; InputError where it is not one, or names a path or a server that it may not."""
    if is_hosted():
        text = text.replace(f'"{_STORE}', f'"{store_root().resolve()}/')
    study = parse_study(text, "The study file")
    check_source(study)
    return open_study(study)


def open_upload(name: str, content: bytes) -> str:
    """Open an uploaded study file or bundle; InputError where it is neither."""
    if not name.endswith(".zip"):
        if len(content) > MAX_STUDY:
            raise StudyError(f"{name} is larger than {MAX_STUDY >> 20} MB: a study file is a short text.")
        try:
            return open_text(content.decode())
        except UnicodeDecodeError:
            raise StudyError(f"{name} is not a text file: a study is a TOML file in UTF-8.") from None
    study = bundled_study(uploads.keep_upload(content))
    # A bundle's baselines lie where it was unpacked, which its path alone does not allow to read.
    session_state().readable.update(baseline.path for task in study.tasks for baseline in task.baselines)
    return open_study(study)


def add_baseline(study: Study, task: Task, name: str, content: bytes) -> None:
    """Draw an uploaded baseline behind a task's rewards, in this session; BaselineError where it cannot be drawn."""
    label = Path(name).stem
    rows = read_baseline(content, name)
    baseline_curve(rows, task, Baseline(path=name, label=label), (), View())
    _add(study, task, Baseline(path=str(uploads.keep_upload(content, ".csv").resolve()), label=label))


def _add(study: Study, task: Task, baseline: Baseline) -> None:
    others = [(key, b) for key, b in added_baselines(study) if (key, b.label) != (task.key, baseline.label)]
    session_state().added_baselines[study.name] = (*others, (task.key, baseline))


def scale_baseline(study: Study, task: Task, baseline: Baseline, key: str) -> None:
    """Count the steps of a task's baseline by the scale in that widget, in this session: from its callback."""
    _add(study, task, replace(baseline, step_scale=st.session_state[key], label=baseline.name))


def drop_baselines(study: Study) -> None:
    """Forget the baselines that were added to a study in this session."""
    session_state().added_baselines.pop(study.name, None)


def added_baselines(study: Study) -> tuple[tuple[str, Baseline], ...]:
    """The baselines added to a study in this session, with the ids of their tasks."""
    return session_state().added_baselines.get(study.name, ())


def with_added(study: Study) -> Study:
    """The study with the baselines that were added to it in this session."""
    return with_baselines(study, added_baselines(study))


def choose(name: str) -> None:
    """Make a study the current one on the next run."""
    session_state().next_study = name


def apply_choice() -> None:
    """Set the picker, before it is drawn, to the study that was just opened."""
    state = session_state()
    if state.next_study is not None:
        st.session_state[widget_keys.STUDY] = state.next_study
        state.next_study = None
        for key in widget_keys.OF_STUDY:
            st.session_state.pop(key, None)


def study_named(name: str) -> Study:
    """The study chosen by that name; StudyError where its file is not valid."""
    return session_state().own_studies.get(name) or shipped_study(name)


def shipped_original(study: Study) -> Study | None:
    """The shipped study that one of this session is an edited copy of."""
    name = study.name.removesuffix(_COPY)
    return shipped_study(name) if name != study.name and name in shipped_studies() else None


def is_own(study: Study) -> bool:
    """Whether the study was opened in this session, which no other one can look into."""
    return study.name in session_state().own_studies
