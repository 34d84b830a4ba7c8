"""The address of a W&B server: one text per server, however it is written."""

import ipaddress
import os
import re
from urllib.parse import urlsplit

from lib.sources.request import SourceError
from lib.study import Study

DEFAULT_SERVER = "https://api.wandb.ai"
_PORTS = {"http": 80, "https": 443}
_LONGEST, _LONGEST_QUOTE = 300, 60
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


def server_address(text: str, name: str) -> str:
    """The address without its default port, the slash at its end and capitals in its host.

    Parameters
    ----------
    text : the address of a server as somebody wrote it.
    name : where it is written, for the message.

    Raises
    ------
    SourceError
        Where that is no address of a server, or holds more than one: a password or a key must not be in it.
    """
    text = text.strip()
    if any(sign in text for sign in "@?#"):
        # What stands there may be a secret: it is not shown.
        raise SourceError(
            f"{name} must not hold a name, a password, a query or a fragment: write it like {DEFAULT_SERVER}."
        )
    address = _normalised(text) if len(text) <= _LONGEST and text.isprintable() else ""
    if not address:
        quoted = "".join(sign if sign.isprintable() else "?" for sign in text)
        quoted = f"{quoted[:_LONGEST_QUOTE]}…" if len(quoted) > _LONGEST_QUOTE else quoted
        raise SourceError(f"{name} '{quoted}' is not the address of a W&B server: write it like {DEFAULT_SERVER}.")
    return address


def _normalised(text: str) -> str:
    """The one spelling of an address, "" where it is none of a server."""
    try:
        parts = urlsplit(text)
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not host or port == 0 or not _PATH.fullmatch(parts.path):
        return ""
    ending = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{ending}{parts.path.rstrip('/')}"


def _host(text: str) -> str:
    """A host as it is compared; ValueError where that is none."""
    if ":" in text:
        return f"[{ipaddress.IPv6Address(text).compressed}]" if "%" not in text else ""
    ascii_text = text.encode("idna").decode().lower()
    return ascii_text if _HOST.fullmatch(ascii_text) else ""


def server_of(study: Study) -> str:
    """The server that the study's runs are on: WANDB_BASE_URL, else what the study names, else W&B's own.

    Raises
    ------
    SourceError
        Where that is no web address.
    """
    if os.environ.get("WANDB_BASE_URL"):
        return environment_server()
    return server_address(study.source.base_url or DEFAULT_SERVER, "base_url")


def environment_server() -> str:
    """The server of the environment: WANDB_BASE_URL, else W&B's own; SourceError where that is no web address."""
    return server_address(os.environ.get("WANDB_BASE_URL") or DEFAULT_SERVER, "WANDB_BASE_URL")


def is_private_line(server: str) -> bool:
    """Whether nobody else can read what is sent there: over TLS, or to this machine by its own address."""
    parts = urlsplit(server)
    try:
        is_here = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = parts.hostname == "localhost"
    return parts.scheme == "https" or is_here
