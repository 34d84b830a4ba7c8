"""What a study is kept with, as one value, and its text: of a folder's files, or of a page's address."""

import base64
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from lib.runs.store_root import store_root
from lib.study import (
    MAX_STUDY,
    STRICT,
    Baseline,
    Study,
    StudyError,
    load_study,
    local_paths,
    parse_study,
    shipped_studies,
    to_toml,
    with_path,
    with_paths,
)

_Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
ViewSetting = bool | _Whole | Annotated[float, Field(allow_inf_nan=False)] | str | tuple[str, ...] | None
#: The settings of a view by the keys of their widgets.
ViewSettings = Mapping[str, ViewSetting]

#: Gives the path of an upload by its name.
UploadPath = Callable[[str], Path]

#: The name of an uploaded bundle or baseline: a part of its content's SHA-256.
UPLOAD_NAME = re.compile(r"[0-9a-f]{32}\.(zip|csv)")
#: The most signs of a study in an address: with the rest of it no more than 8 KB, which servers take.
MAX_ADDRESS = 7_600


@dataclass(frozen=True)
class SavedStudy:
    """A study with all that was added to it.

    `study` is None where only something was added to one of studies/; its paths are absolute. `baselines` were added on
    the Rewards page (with the ids of their tasks), `left_out` are the ids of the runs left out by hand, and `views` the
    settings of the views that have a name.
    """

    name: str
    study: Study | None = None
    baselines: tuple[tuple[str, Baseline], ...] = ()
    left_out: tuple[str, ...] = ()
    views: Mapping[str, ViewSettings] = field(default_factory=dict)


@validated(frozen=True, config=STRICT)
class _Document:
    """A saved study as it is written: with the text of its study file, "" where that lies beside it or there is none."""

    name: str
    text: str = ""
    baselines: tuple[tuple[str, Baseline], ...] = ()
    left_out: tuple[str, ...] = ()
    views: dict[str, dict[str, ViewSetting]] = field(default_factory=dict)


_DOCUMENT = TypeAdapter(_Document)


def study_text(study: Study) -> str:
    """The study as a text that names no folder of this program's: uploads by their names, shipped files as shipped."""
    return to_toml(with_paths(study, _portable_path))


def parse_saved(text: str, where: str, upload_path: UploadPath) -> Study:
    """The study of such a text, or of any other, with the files of this program where they lie.

    Parameters
    ----------
    where : what errors call the text.

    Raises
    ------
    StudyError
        Where it is not the text of a study file.
    """
    return with_paths(parse_study(text, where), lambda path: _local_path(path, upload_path))


def to_json(saved: SavedStudy, *, with_text: bool) -> bytes:
    """A saved study as JSON, with or without the text of its study file."""
    text = study_text(saved.study) if with_text and saved.study else ""
    baselines = tuple((task, with_path(baseline, _portable_path)) for task, baseline in saved.baselines)
    views = {name: dict(settings) for name, settings in saved.views.items()}
    return _DOCUMENT.dump_json(_Document(saved.name, text, baselines, saved.left_out, views), exclude_defaults=True)


def from_json(content: bytes, where: str, upload_path: UploadPath) -> SavedStudy:
    """Read what `to_json` wrote; the name is that of the study file, where there is one.

    Raises
    ------
    StudyError
        Where it is none, or its study file is not valid.
    """
    try:
        document = _DOCUMENT.validate_json(content)
    except ValidationError:
        raise StudyError(f"{where} cannot be read: it is not what this program wrote.") from None
    study = parse_saved(document.text, where, upload_path) if document.text else None
    baselines = tuple(
        (task, with_path(baseline, lambda path: _local_path(path, upload_path)))
        for task, baseline in document.baselines
    )
    return SavedStudy(study.name if study else document.name, study, baselines, document.left_out, document.views)


def to_address(saved: SavedStudy) -> str | None:
    """A saved study as a text for an address, without the runs left out, which the address names as its view's.

    None where it is too long for one, or names a file of this machine that nobody uploaded.
    """
    paths = [baseline.path for _, baseline in saved.baselines] + (local_paths(saved.study) if saved.study else [])
    if any(Path(_portable_path(path)).is_absolute() for path in paths):
        return None
    content = zlib.compress(to_json(replace(saved, left_out=()), with_text=True), 9)
    text = base64.urlsafe_b64encode(content).decode().rstrip("=")
    return text if len(text) <= MAX_ADDRESS else None


def from_address(text: str, upload_path: UploadPath) -> SavedStudy:
    """Read what `to_address` wrote, or anybody else; the errors of `from_json`."""
    where = "The study in this address"
    damage = StudyError(f"{where} cannot be read: a part of the address is missing or was changed.")
    if len(text) > MAX_ADDRESS:
        raise damage
    unpacking = zlib.decompressobj()
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        content = unpacking.decompress(packed, MAX_STUDY)
    except (ValueError, zlib.error):
        raise damage from None
    if not unpacking.eof or unpacking.unused_data:
        raise damage
    return from_json(content, where, upload_path)


def shipped_paths() -> dict[str, str]:
    """The paths that the shipped studies name, as written there, and where they lie."""
    paths = dict[str, str]()
    for name in shipped_studies():
        with suppress(StudyError):
            study = load_study(name)
            paths |= {path: str(study.at(path).resolve()) for path in local_paths(study)}
    return paths


def is_upload(path: str) -> bool:
    """Whether a path is that of an upload in the store."""
    return bool(UPLOAD_NAME.fullmatch(Path(path).name)) and Path(path).is_relative_to(store_root().resolve())


def _portable_path(path: str) -> str:
    if is_upload(path):
        return Path(path).name
    return next((shipped for shipped, local in shipped_paths().items() if local == path), path)


def _local_path(path: str, upload_path: UploadPath) -> str:
    return str(upload_path(path)) if UPLOAD_NAME.fullmatch(path) else shipped_paths().get(path, path)
