"""What this visitor's studies are kept with: in the store on one's own machine, in the session where strangers are."""

from collections.abc import Callable, Sequence
from dataclasses import replace
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
    names = [name for name, saved in session_state().studies.items() if saved.study is not None]
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
    if name in session_state().studies or not access.keeps_studies():
        return session_state().studies.get(name, SavedStudy(name))
    saved, message = _saved_in(folder_of(name))
    if saved is None:
        raise StudyError(message)
    return saved


def damage(name: str) -> str:
    """A sentence where what was added to a study cannot be read; else ""."""
    return "" if not access.keeps_studies() or name in session_state().studies else _saved_in(folder_of(name))[1]


def is_saved(name: str) -> bool:
    """Whether what is kept under a name outlives the session by itself."""
    return access.keeps_studies() and name not in session_state().studies


def change(name: str, edit: Callable[[SavedStudy], SavedStudy], files: Sequence[Path] = ()) -> None:
    """Change what is kept under a name, with more uploads that it needs; where it cannot be saved, for this session.

    Raises
    ------
    StudyError
        Where what is kept is damaged.
    """
    state = session_state()
    if is_saved(name):
        try:
            change_saved(name, edit, files)
        except StoreError as error:
            _say_not_saved(error)
        else:
            return
    state.studies[name] = edit(saved_study(name))


def change_or_say(name: str, edit: Callable[[SavedStudy], SavedStudy]) -> bool:
    """The same from the callback of a widget: what is wrong becomes a notice; whether nothing is."""
    try:
        change(name, edit)
    except InputError as error:
        session_state().notices.append((str(error), ":material/error:"))
        return False
    return True


def _say_not_saved(error: StoreError) -> None:
    session_state().notices.append((f"Kept for this session only: {error}", ":material/warning:"))


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
    session_state().renamed[name] = new
    if is_saved(name):
        rename_saved(name, new)
        return
    saved = session_state().studies.pop(name)
    if saved.study is not None:
        saved = replace(saved, name=new, study=replace(saved.study, name=new, title=new))
    session_state().studies[new] = saved


def delete(name: str) -> None:
    """Delete one of the visitor's own studies with all that it is kept with; StoreError where it cannot be."""
    if is_saved(name):
        delete_saved(name)
    session_state().studies.pop(name, None)
