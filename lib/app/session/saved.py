"""What this visitor's studies are kept with: in the store on one's own machine, in the session where strangers are."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

from lib.app.session import access
from lib.app.session.caches import cached_for_session, file_stamp
from lib.app.session.state import session_state
from lib.runs import (
    SavedStudy,
    StoreError,
    change_saved,
    delete_saved,
    folder_of,
    read_saved,
    rename_saved,
    study_files,
    study_folders,
)
from lib.study import InputError, StudyError, shipped_studies


@cached_for_session
def _read(folder: str, stamp: str) -> tuple[SavedStudy | None, str]:
    """What a folder holds, or None, and what is wrong with it."""
    try:
        return read_saved(Path(folder))
    except InputError as error:
        return None, str(error)


def _saved_in(folder: Path) -> tuple[SavedStudy | None, str]:
    return _read(str(folder), file_stamp(*study_files(folder)))


def own_names() -> list[str]:
    """The names of the visitor's own studies; one that cannot be read goes by its folder's."""
    names = [name for name in session_state().studies if saved_study(name).study is not None]
    if access.keeps_studies():
        for folder in study_folders():
            saved, _ = _saved_in(folder)
            if saved is None or saved.study is not None:
                names.append(saved.name if saved else folder.name)
    return sorted({*names} - {*shipped_studies()})


def saved_study(name: str) -> SavedStudy:
    """What is kept under a name: the visitor's own study, or what was added to a shipped one; empty where that is nothing.

    Raises
    ------
    StudyError
        Where it is damaged.
    """
    if not access.keeps_studies():
        return session_state().studies.get(name, SavedStudy(name))
    return _with_unsaved(_stored(name))


def _stored(name: str) -> SavedStudy:
    saved, message = _saved_in(folder_of(name))
    if saved is None:
        raise StudyError(message)
    return replace(saved, name=name)


def _with_unsaved(saved: SavedStudy) -> SavedStudy:
    """What is saved, with what this session changed and could not save: another one may have changed the rest since."""
    state = session_state()
    own = state.studies.get(saved.name)
    if own is None:
        return saved
    before, _ = state.unsaved[saved.name]
    names = [part.name for part in fields(SavedStudy) if getattr(own, part.name) != getattr(before, part.name)]
    return replace(saved, **{name: getattr(own, name) for name in names})


def damage(name: str) -> str:
    """A sentence where what was added to a study cannot be read; else ""."""
    return _saved_in(folder_of(name))[1] if is_saved(name) else ""


def is_saved(name: str) -> bool:
    """Whether what is kept under a name outlives the session by itself."""
    return access.keeps_studies() and name not in session_state().studies


def change(name: str, edit: Callable[[SavedStudy], SavedStudy], files: Sequence[Path] = ()) -> None:
    """Change what is kept under a name, with more uploads that it needs; where it cannot be saved, for this session.

    What could not be saved before is saved with it.

    Raises
    ------
    StudyError
        Where what is kept is damaged.
    """
    state = session_state()
    if not access.keeps_studies():
        state.studies[name] = edit(saved_study(name))
        return
    uploads = (*_unsaved_uploads(name), *files)
    try:
        _save(name, edit, uploads)
    except StoreError as error:
        state.notices.append((f"Kept for this session only: {error}", ":material/warning:"))
        stored = _stored(name)
        state.studies[name] = edit(_with_unsaved(stored))
        state.unsaved[name] = stored, uploads


def _unsaved_uploads(name: str) -> tuple[Path, ...]:
    """The uploads that a study needs and that could not be saved with it."""
    _, uploads = session_state().unsaved.get(name, (None, ()))
    return uploads


def _save(name: str, edit: Callable[[SavedStudy], SavedStudy], uploads: Sequence[Path]) -> None:
    """Save what could not be saved before, and a change of it; StoreError where it cannot be."""
    change_saved(name, lambda saved: edit(_with_unsaved(saved)), uploads)
    _forget(name)


def _forget(name: str) -> None:
    """Keep nothing of a study in this session: it is saved, or deleted."""
    session_state().studies.pop(name, None)
    session_state().unsaved.pop(name, None)


def change_or_say(name: str, edit: Callable[[SavedStudy], SavedStudy]) -> bool:
    """The same from the callback of a widget: what is wrong becomes a notice; whether nothing is."""
    try:
        change(name, edit)
    except InputError as error:
        session_state().notices.append((str(error), ":material/error:"))
        return False
    return True


def rename(name: str, new: str) -> None:
    """Give one of the visitor's own studies another name.

    Raises
    ------
    InputError
        Where there is one of that name, or the store cannot be written.
    """
    if not new.strip():
        raise StudyError("A study needs a name.")
    if new in shipped_studies() or new in own_names():
        raise StudyError(f"There is a study named '{new}': choose another name.")
    if access.keeps_studies():
        if not is_saved(name):
            _save(name, lambda kept: kept, _unsaved_uploads(name))
        rename_saved(name, new)
    else:
        saved = session_state().studies.pop(name)
        if saved.study is not None:
            saved = replace(saved, name=new, study=replace(saved.study, name=new, title=new))
        session_state().studies[new] = saved
    session_state().renamed[name] = new


def delete(name: str) -> None:
    """Delete one of the visitor's own studies with all that it is kept with; StoreError where it cannot be."""
    if access.keeps_studies() and folder_of(name).exists():
        delete_saved(name)
    _forget(name)
