"""Saved studies: a folder each in the store, with the study file, what was added to it, and the files that it needs."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from lib.runs.atomic import put, remove_leftovers, stage, store_errors, temporary_prefix
from lib.runs.saved_study import SavedStudy, from_json, parse_saved, study_text, to_json
from lib.runs.store_root import store_root
from lib.study import MAX_STUDY, InputError, StudyError, read_file, shipped_studies

_STUDY, _ADDED = "study.toml", "added.json"
#: Names that are a folder's as they are, on any system: others have a hash at their end, which none of these has.
_PLAIN = re.compile(r"(?!.*-[0-9a-f]{8}$)[a-z0-9_][a-z0-9_-]{0,59}")


def _root() -> Path:
    return store_root().resolve() / "studies"


def study_folder(name: str) -> Path:
    """The folder of the study of that name."""
    if _PLAIN.fullmatch(name):
        return _root() / name
    digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:8]
    return _root() / f"{re.sub(r'[^a-z0-9_-]', '_', name.lower())[:50]}-{digest}"


def study_folders() -> list[Path]:
    """The folders of all saved studies, by name."""
    try:
        return sorted(path for path in _root().iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def folder_of(name: str) -> Path:
    """The folder of the study chosen by that name: one that cannot be read is chosen by its folder's."""
    folder = study_folder(name)
    return folder if folder.exists() else next((other for other in study_folders() if other.name == name), folder)


def study_files(folder: Path) -> tuple[Path, Path]:
    """The files of a folder that say what is saved: the study file, and what was added to it."""
    return folder / _STUDY, folder / _ADDED


def read_saved(folder: Path) -> tuple[SavedStudy, str]:
    """Read a saved study, and a sentence where what was added to it cannot be read.

    Raises
    ------
    StudyError
        Where its study file cannot be read, or is not that of the folder's name.
    """
    study, saved, message = None, SavedStudy(folder.name), ""
    if (text := _content(folder / _STUDY)) is not None:
        where = f"The saved study {folder.name}"
        try:
            study = parse_saved(text.decode(), where, lambda name: folder / name)
        except UnicodeDecodeError:
            raise StudyError(f"{where} is damaged: its {_STUDY} is no text.") from None
        if study_folder(study.name) != folder:
            raise StudyError(f"{where} holds a study of another name, {study.name!r}: remove its folder, or delete it.")
        saved = SavedStudy(study.name, study)
    try:
        if (content := _content(folder / _ADDED)) is not None:
            added = from_json(content, f"What was added to {saved.name}", lambda name: folder / name)
            saved = replace(added, name=study.name if study else added.name, study=study)
    except StudyError as error:
        message = f"{error} Its views, baselines and runs left out are set aside."
    return saved, message


def _content(file: Path) -> bytes | None:
    """The content of a file; None where there is none."""
    try:
        return read_file(file, MAX_STUDY)
    except FileNotFoundError:
        return None
    except (OSError, InputError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StudyError(f"The {file.name} of the saved study {file.parent.name} cannot be read ({reason}).") from None


@contextmanager
def _writing() -> Iterator[None]:
    """Be the only one who changes saved studies; StoreError where they cannot be written."""
    with store_errors(_root()):
        _root().mkdir(parents=True, exist_ok=True)
        with FileLock(_root() / ".lock"):
            remove_leftovers(_root().glob(".*"))
            yield


def change_saved(name: str, change: Callable[[SavedStudy], SavedStudy], files: Sequence[Path] = ()) -> None:
    """Change the study saved under a name, or save it, with more files that it needs beside it.

    Whoever else changes it waits: `change` gets what is saved then.

    Raises
    ------
    StudyError
        Where what is saved under the name cannot be read, or nothing is: another page renamed or deleted the study.
    StoreError
        Where it cannot be written.
    """
    folder = study_folder(name)
    with _writing():
        before, message = read_saved(folder)
        after = change(replace(before, name=name))
        if after.study is None and name not in shipped_studies():
            raise StudyError(f"There is no saved study named {name!r}: it was renamed or deleted.")
        if message:
            (folder / _ADDED).replace(folder / f"{_ADDED}.damaged")
        _write(folder, after, files)


def _write(folder: Path, saved: SavedStudy, files: Sequence[Path]) -> None:
    for file in files:
        if not (folder / file.name).exists():
            stage(folder / file.name, lambda temporary, file=file: shutil.copyfile(file, temporary)).settle()  # type: ignore[misc]
    put(folder / _ADDED, to_json(saved, with_text=False))
    if saved.study is not None:
        put(folder / _STUDY, study_text(saved.study).encode())


def rename_saved(name: str, new: str) -> None:
    """Give a saved study another name, which is its title too; all that belongs to it stays.

    Raises
    ------
    StudyError
        Where it cannot be read, or there is one of the new name.
    StoreError
        Where it cannot be written.
    """
    old, folder = folder_of(name), study_folder(new)
    with _writing():
        if folder.exists():
            raise StudyError(f"There is a study named {new!r}: choose another name.")
        saved, _ = read_saved(old)
        if saved.study is None:
            raise StudyError(f"There is no saved study named {name!r}.")
        renamed = replace(saved, name=new, study=replace(saved.study, name=new, title=new))
        temporary = Path(tempfile.mkdtemp(dir=_root(), prefix=temporary_prefix()))
        _write(temporary, renamed, [file for file in old.iterdir() if file.name not in (_STUDY, _ADDED)])
        # Both are there for a moment: whatever ends this program, none is lost.
        temporary.replace(folder)
        _remove(old)


def delete_saved(name: str) -> None:
    """Delete a saved study with all that lies beside it; StoreError where it cannot be."""
    with _writing():
        _remove(folder_of(name))


def _remove(folder: Path) -> None:
    """Remove a folder at once, whoever is looking into it."""
    temporary = Path(tempfile.mkdtemp(dir=_root(), prefix=temporary_prefix()))
    folder.replace(temporary / folder.name)
    shutil.rmtree(temporary)
