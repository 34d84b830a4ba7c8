"""The studies that can be chosen: shipped, opened and uploaded, and what a visitor added to them."""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import streamlit as st

from lib.app.session import access, fetching, saved, uploads, widget_keys
from lib.app.session.access import check_source, is_readable, shipped_study
from lib.app.session.state import session_state
from lib.curves import View, baseline_curve, file_bytes, read_baseline
from lib.formatting import one_line
from lib.runs import SavedStudy, is_upload, parse_saved, study_folders, study_text
from lib.sources import bundled_study
from lib.study import (
    MAX_STUDY,
    Baseline,
    InputError,
    Study,
    StudyError,
    Task,
    local_paths,
    set_after_looking,
    shipped_studies,
    with_baselines,
    with_paths,
)

#: The end of the name of a copy of a shipped study.
_COPY = "-own"
#: So many studies may ask for one name.
_NAMESAKES = 1_000


class _TakenError(Exception):
    """Another study has this name."""


def study_names() -> list[str]:
    """The names to choose from: the shipped studies, then the visitor's own."""
    return [*shipped_studies(), *saved.own_names()]


def study_named(name: str) -> Study:
    """The study chosen by that name; StudyError where there is none, or it is not valid."""
    if name in shipped_studies():
        return shipped_study(name)
    study = saved.saved_study(name).study
    if study is None:
        raise StudyError(
            session_state().address_message
            or f"There is no study named '{one_line(name)}' here: it was renamed, deleted or never opened here."
        )
    return study


def is_own(study: Study) -> bool:
    """Whether the study is one that the visitor opened."""
    return study.name in saved.own_names()


# ---- opening -----------------------------------------------------------------------------------------------------


def open_study(study: Study, edits: str = "") -> str:
    """Open a study as the visitor's own, and keep it; the name it is chosen by.

    It takes the place of the study of its name that it `edits`; beside any other one of that name it gets one of its own.
    """
    study = replace(with_paths(study, lambda path: os.path.abspath(study.at(path))), folder="")  # noqa: PTH100
    study, name = with_marks(study, edits), _own_name(study)
    files = [Path(path) for path in local_paths(study) if is_readable(path) and Path(path).is_file()]
    for number in range(1, _NAMESAKES):
        copy = replace(study, name=name if number == 1 else f"{name}-{number}")
        try:
            saved.change(copy.name, lambda before, named=copy: _in_place(before, named, edits), files)  # type: ignore[misc]
        except (_TakenError, StudyError):
            continue
        if number > 1:
            _say(f"Another study is named {name}: this one is {copy.name}.")
        return copy.name
    raise StudyError(f"There are too many studies named {name}: delete one, or give this one another name.")


def _own_name(study: Study) -> str:
    """The name of a study as the visitor's own: never that of a shipped one."""
    return f"{study.name}{_COPY}" if study.name in shipped_studies() else study.name


def with_marks(study: Study, edits: str = "") -> Study:
    """The study with what it declares otherwise than before marked as set after looking, where runs are in.

    Before is the study that it `edits`, else one of its name and source that is open or was.
    """
    name = _own_name(study)
    with suppress(InputError):
        before = study_named(edits or (name if name in saved.own_names() else study.name))
        if (edits or _same_source(study, before)) and fetching.has_runs(before):
            return set_after_looking(study, before)
    return study


def _same_source(study: Study, other: Study) -> bool:
    """Whether two studies of one name ask for the same runs: a bundle or a folder may have moved."""
    return replace(study.source, path="") == replace(other.source, path="")


def _in_place(before: SavedStudy, study: Study, edits: str) -> SavedStudy:
    """What is kept of a study once this one is opened under its name."""
    if before.study is not None and study_text(before.study) != study_text(study) and study.name != edits:
        raise _TakenError
    return replace(before, study=study)


def _say(text: str) -> None:
    session_state().notices.append((text, ":material/info:"))


def open_text(text: str, edits: str = "") -> str:
    """Open the text of a study file, as `open_study` does; InputError where it is none, or may not be read here."""
    study = parse_saved(text, "The study file", _upload)
    check_source(study)
    return open_study(study, edits)


def _upload(name: str) -> Path:
    """Where an upload lies that a text names: of this session, or of a saved study."""
    folders = [session_state().uploads, *(study_folders() if access.keeps_studies() else [])]
    return next((folder / name for folder in folders if (folder / name).exists()), folders[0] / name)


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
    return open_study(with_paths(study, lambda path: path if is_upload(path) else _uploaded_baseline(path)))


def _uploaded_baseline(path: str) -> str:
    """A baseline that came with a bundle, as an upload: what the bundle was unpacked to may go at any time."""
    return str(uploads.keep_upload(file_bytes(Path(path)), ".csv"))


def missing_bundle(study: Study) -> bool:
    """Whether the study is of an uploaded bundle that is not here: its link came without it."""
    return study.source.kind == "bundle" and is_readable(study.source.path) and not study.source_path.exists()


def bring_bundle(study: Study, name: str, content: bytes) -> None:
    """Take an upload for the bundle that a study lacks; InputError where it is another one."""
    if uploads.upload_name(content, ".zip") != study.source_path.name:
        raise StudyError(f"{one_line(name)} is another bundle than the one that this study was opened from.")
    saved.change(study.name, lambda before: before, [uploads.keep_upload(content)])


def bring_baseline(study: str, baseline: Baseline, name: str, content: bytes) -> None:
    """Take an upload for a baseline that a study lacks; InputError where it is another file."""
    if uploads.upload_name(content, ".csv") != Path(baseline.path).name:
        raise StudyError(f"{one_line(name)} is another file than the baseline {baseline.name} of this study.")
    saved.change(study, lambda before: before, [uploads.keep_upload(content, ".csv")])


def _is_missing(study: Study, baseline: Baseline) -> bool:
    """Whether a baseline is an upload that is not here: the study's link came without it."""
    path = study.at(baseline.path)
    return is_readable(str(path)) and not path.exists()


def missing_baselines(name: str, task: str) -> list[Baseline]:
    """The baselines of a task that were uploaded for the study of that name, and are not here."""
    study = with_added(study_named(name))
    return [baseline for baseline in study.task(task).baselines if _is_missing(study, baseline)]


def without_missing(study: Study) -> Study:
    """The study without the baselines that were uploaded for it and are not here."""

    def here(task: Task) -> Task:
        return replace(task, baselines=tuple(b for b in task.baselines if not _is_missing(study, b)))

    return replace(study, tasks=tuple(map(here, study.tasks)))


# ---- what is added to a study ------------------------------------------------------------------------------------


def add_baseline(study: Study, task: Task, name: str, content: bytes) -> None:
    """Draw an uploaded baseline behind a task's rewards, and keep it; BaselineError where it cannot be drawn."""
    label = Path(name).stem
    rows = read_baseline(content, name)
    baseline_curve(rows, task, Baseline(path=name, label=label), (), View())
    path = uploads.keep_upload(content, ".csv")
    saved.change(study.name, lambda before: _with_baseline(before, task, Baseline(str(path), label)), [path])


def _with_baseline(before: SavedStudy, task: Task, baseline: Baseline) -> SavedStudy:
    """What is kept of a study with this baseline of a task, in place of one of its name."""
    others = [(key, b) for key, b in before.baselines if (key, b.name) != (task.key, baseline.name)]
    return replace(before, baselines=(*others, (task.key, baseline)))


def scale_baseline(study: Study, task: Task, baseline: Baseline, key: str) -> None:
    """Count the steps of a task's baseline by the scale in that widget: from its callback."""
    path = os.path.abspath(study.at(baseline.path))  # noqa: PTH100
    scaled = replace(baseline, path=path, step_scale=st.session_state[key], label=baseline.name)
    saved.change_or_say(study.name, lambda before: _with_baseline(before, task, scaled))


def drop_baselines(study: Study) -> None:
    """Forget the baselines that were added to a study."""
    saved.change_or_say(study.name, lambda before: replace(before, baselines=()))


def added_baselines(study: Study) -> tuple[tuple[str, Baseline], ...]:
    """The baselines added to a study, with the ids of their tasks."""
    return saved.saved_study(study.name).baselines


def with_added(study: Study) -> Study:
    """The study with the baselines that were added to it."""
    return with_baselines(study, added_baselines(study))


# ---- choosing ----------------------------------------------------------------------------------------------------


def choose(name: str) -> None:
    """Make a study the current one on the next run."""
    session_state().next_study = name


def apply_choice() -> None:
    """Set the picker, before it is drawn, to the study that was just opened."""
    state = session_state()
    # A click that comes right after a rename still brings the old name.
    while (name := st.session_state.get(widget_keys.STUDY)) in state.renamed and name not in study_names():
        st.session_state[widget_keys.STUDY] = state.renamed[name]
    if state.next_study is not None:
        st.session_state[widget_keys.STUDY] = state.next_study
        state.next_study = None
        enter()


def enter() -> None:
    """Set the view to the study that was just chosen: its own runs are left out, and all else of it is drawn."""
    st.session_state.pop(widget_keys.TASK, None)
    for key in widget_keys.OF_STUDY:
        st.session_state[key] = []
    for key in widget_keys.CLEARABLE:
        st.session_state[key] = None
    st.session_state[widget_keys.LEFT_OUT] = _left_out(st.session_state[widget_keys.STUDY])


def shipped_original(study: Study) -> Study | None:
    """The shipped study that one of this session is an edited copy of."""
    name = study.name.removesuffix(_COPY)
    return shipped_study(name) if name != study.name and name in shipped_studies() else None


def _left_out(name: str) -> list[str]:
    """The runs that were left out of a study by hand."""
    try:
        return list(saved.saved_study(name).left_out)
    except StudyError:
        return []  # The page says what is wrong with it.


def restore_left_out(name: str) -> None:
    """Begin a session with the runs that were left out of the study by hand, unless its address names others.

    They are put into the address, as a link would have them: no widget is bound to it yet.
    """
    if session_state().left_out is None and widget_keys.LEFT_OUT not in st.query_params and _left_out(name):
        st.query_params[widget_keys.LEFT_OUT] = _left_out(name)
        st.rerun()


def keep_left_out(name: str) -> None:
    """Keep the runs that the visitor left out of the study, or brought back, since the last run of the page.

    Those of an address are no choice of this visitor's, and those that another tab left out stay so.
    """
    state, left_out = session_state(), tuple(st.session_state.get(widget_keys.LEFT_OUT, ()))
    before, state.left_out = state.left_out, (name, left_out)
    if before is not None and before[0] == name and before[1] != left_out:
        brought_back, new = {*before[1]} - {*left_out}, [run_id for run_id in left_out if run_id not in before[1]]

        def merged(kept: SavedStudy) -> SavedStudy:
            others = [run_id for run_id in kept.left_out if run_id not in brought_back]
            return replace(kept, left_out=tuple(dict.fromkeys([*others, *new])))

        saved.change_or_say(name, merged)
