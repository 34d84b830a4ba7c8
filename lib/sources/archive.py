"""A bundle's .zip: what it may hold, and where it is unpacked in the store."""

import hashlib
import json
import lzma
import shutil
import struct
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath

from lib.formatting import one_line, plural
from lib.runs import remove_old, store_errors, store_root, temporary_prefix
from lib.sources.request import SourceError
from lib.study import MAX_STUDY, InputError, check_file

MANIFEST, STUDY_FILE = "manifest.json", "study.toml"
#: The most bytes of a .zip and of what it unpacks to, and of a manifest; the most files.
MAX_BYTES, MAX_MANIFEST = 512 << 20, 16 << 20
MAX_FILES = 5_000
#: The most bytes of a .zip's own list of files, and where that list is told of: in the last bytes of the .zip.
_MAX_LIST, _END = 4 << 20, struct.Struct("<4s4H2LH")
#: What reading a .zip raises where it is damaged, encrypted or packed in a way this Python cannot undo.
_BAD_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    NotImplementedError,
)


def is_inside(name: str) -> bool:
    """Whether a name in a bundle stays within the bundle's folder."""
    path = PurePosixPath(name)
    is_plain = bool(name) and name.isprintable() and not path.is_absolute() and ".." not in path.parts
    return is_plain and "\\" not in name and ":" not in name


def unpacked(path: Path, anew: bool = False) -> Path:
    """The bundle's folder: itself, or where its .zip is unpacked in the store, by its content and so only once.

    Parameters
    ----------
    anew : whether to unpack a .zip again, because what was unpacked is no longer what it holds.

    Raises
    ------
    SourceError
        Where there is no bundle, or one that is damaged, unsafe or too large.
    """
    try:
        if path.is_dir():
            return path
        check_file(path, MAX_BYTES)
        with path.open("rb") as file:
            folder = _bundles() / hashlib.file_digest(file, "sha256").hexdigest()[:32]
            if anew:
                shutil.rmtree(folder, ignore_errors=True)
            _check_list(path)
            with zipfile.ZipFile(file) as archive:
                with store_errors(folder):
                    is_unpacked = _is_unpacked(archive, folder)
                if not is_unpacked:
                    shutil.rmtree(folder, ignore_errors=True)
                    _unpack(path.name, archive, folder)
    except FileNotFoundError:
        raise SourceError(f"There is no bundle at {one_line(str(path))}.") from None
    except OSError as error:
        raise SourceError(f"{one_line(str(path))} cannot be read ({error.strerror or error}).") from None
    except InputError as error:
        raise SourceError(str(error)) from None
    except _BAD_ZIP:
        raise SourceError(f"{path.name} is not a bundle: it is neither a folder nor a readable .zip.") from None
    with suppress(OSError):
        folder.touch()
    remove_old(_bundles(), [folder])
    return folder


def _bundles() -> Path:
    return store_root() / "bundles"


def _check_list(path: Path) -> None:
    """Refuse a .zip whose list of files is longer than that of any bundle, before it is read into memory."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END.size - 0xFFFF))
        tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or place + _END.size > len(tail):
        raise zipfile.BadZipFile
    _, _, _, _, count, size, _, _ = _END.unpack_from(tail, place)
    if count > MAX_FILES or size > _MAX_LIST:
        raise SourceError(f"{path.name} holds more than {MAX_FILES:,} files: too many for a bundle.")


def _is_unpacked(archive: zipfile.ZipFile, folder: Path) -> bool:
    """Whether a folder holds what the .zip does. The manifest has checksums of the runs' files: these are not read here."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix != ".parquet"}
    members = [member for member in archive.infolist() if member.filename in names and not member.is_dir()]
    return MANIFEST in names and all(zlib.crc32((folder / m.filename).read_bytes()) == m.CRC for m in members)


def _unpack(name: str, archive: zipfile.ZipFile, folder: Path) -> None:
    """Put what the manifest names into the folder: all of it, or nothing."""
    members = {m.filename: m for m in archive.infolist() if not m.is_dir()}
    _check_members(name, members)
    needed = [members[n] for n in (MANIFEST, STUDY_FILE, *_named(archive.read(members[MANIFEST]))) if n in members]
    with store_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=temporary_prefix()))
    try:
        for member in needed:
            target = temporary / member.filename
            with store_errors(folder):
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
        with suppress(OSError):  # another process may have unpacked the same bundle
            temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _named(manifest: bytes) -> list[str]:
    """The files that a manifest names."""
    try:
        return list(dict.fromkeys(json.loads(manifest)["sha256"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _check_members(name: str, members: dict[str, zipfile.ZipInfo]) -> None:
    if MANIFEST not in members:
        inner = any(n.endswith(f"/{MANIFEST}") for n in members)
        hint = " (zip what is in the bundle's folder, not the folder)" if inner else ""
        raise SourceError(f"{name} is not a bundle: it holds no {MANIFEST}{hint}.")
    outside = [n for n in members if not is_inside(n)]
    if outside:
        raise SourceError(f"{name} is not a safe bundle: it would write outside its folder ({_shown(outside[0])}).")
    for file, limit in ((MANIFEST, MAX_MANIFEST), (STUDY_FILE, MAX_STUDY)):
        if file in members and members[file].file_size > limit:
            raise SourceError(f"The {file} of {name} is larger than {limit >> 20} MB: too large.")
    size = sum(m.file_size for m in members.values())
    if size > MAX_BYTES or len(members) > MAX_FILES:
        raise SourceError(f"{name} would unpack to {size >> 20:,} MB in {plural(len(members), 'file')}: too large.")
