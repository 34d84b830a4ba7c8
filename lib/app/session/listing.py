"""The runs at a place that a visitor brings: listed in the background, to propose a study from."""

from collections.abc import Callable
from pathlib import Path

from lib.app.session import access, uploads
from lib.app.session.job import Job, Listing
from lib.app.session.state import session_state
from lib.discover import (
    Inspection,
    WandbAddress,
    folder_of,
    inspect_bundle,
    inspect_folder,
    inspect_server,
    parse_addresses,
    server_at,
    study_at,
)
from lib.sources import KeyRefused, SourceError
from lib.study import InputError, Source, StudyError, written_path

#: Seconds that a page waits for a listing before it shows its progress.
_SHORT = 0.4


def server_in(text: str) -> str:
    """The server that the typed addresses are on, W&B's own (or WANDB_BASE_URL) for none, "" for a folder.

    Raises
    ------
    InputError
        Where there is no address, or this deployment does not read its server.
    """
    if folder_of(text):
        return ""
    server = server_at(parse_addresses(text)[0] if text.strip() else WandbAddress("", ""))
    access.check_server(server)
    return server


def has_folders() -> bool:
    """Whether a visitor may name a folder of the machine."""
    return access.may_name_paths(study_at(Source(kind="offline", path="/")))


def find(text: str) -> None:
    """List the runs at the typed addresses or in the typed folder; what is wrong is the listing's error."""
    job = _new(text)
    try:
        if folder := folder_of(text):
            _find_in_folder(written_path(folder), job)
        else:
            _find_on_server(parse_addresses(text), job)
    except InputError as error:
        job.error = str(error)


def _find_in_folder(path: Path, job: Job[Inspection]) -> None:
    if not access.may_name_paths(study_at(Source(kind="offline", path=str(path)))):
        raise StudyError(access.NO_PATHS)
    _start(job, lambda: inspect_folder(path, progress=job.report, cancelled=job.is_stopped))


def _find_on_server(addresses: tuple[WandbAddress, ...], job: Job[Inspection]) -> None:
    server = server_at(addresses[0])
    access.check_server(server)
    key, own_keys = access.key_at(server), session_state().api_keys
    if key is None:
        project = f"{addresses[0].entity}/{addresses[0].project}"
        raise SourceError(f"Enter a key for {server.removeprefix('https://')} to see {project}.")

    def inspect() -> Inspection:
        try:
            return inspect_server(addresses, key, progress=job.report, cancelled=job.is_stopped)
        except KeyRefused:
            if own_keys.get(server) == key:
                del own_keys[server]
            raise

    _start(job, inspect)


def find_in_bundle(content: bytes) -> None:
    """List the runs of an uploaded bundle."""
    job = _new("")
    try:
        path = uploads.keep_upload(content)
    except InputError as error:
        job.error = str(error)
        return
    _start(job, lambda: inspect_bundle(path))


def _new(text: str) -> Job[Inspection]:
    state = session_state()
    if state.listing is not None:
        state.listing.job.stop()
    state.listing, state.listings = Listing(text, Job("The listing")), state.listings + 1
    return state.listing.job


def _start(job: Job[Inspection], inspect: Callable[[], Inspection]) -> None:
    job.start(inspect)
    job.wait(_SHORT)


def forget() -> None:
    """Stop the listing and forget what it found."""
    state = session_state()
    if state.listing is not None:
        state.listing.job.stop()
    state.listing = None
