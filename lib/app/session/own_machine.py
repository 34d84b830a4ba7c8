"""Whether the visitor sits at the machine that runs the app: whose W&B login is then their own."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import streamlit as st

_LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
#: What browsers send when they open a WebSocket, besides Sec-…, which no script can set.
_OF_BROWSERS = {
    "host",
    "origin",
    "connection",
    "upgrade",
    "user-agent",
    "cookie",
    "pragma",
    "cache-control",
    "accept",
    "accept-encoding",
    "accept-language",
    "dnt",
}


def is_at_own_machine() -> bool:
    """Whether the browser of this session runs on the machine of the app, reached by nothing in between."""
    headers = st.context.headers
    return is_local_browser({name: headers.get_all(name) for name in headers}, st.context.ip_address)


def is_local_browser(headers: Mapping[str, Sequence[str]], address: str | None) -> bool:
    """Whether a connection was opened by a browser on this machine itself; what is not certain is no.

    The connection comes from loopback, the browser was asked for this machine by name (another name that leads here is
    refused), the page that opened it is of the same host, and every header is one that browsers send: any other was
    added by a proxy, behind which anyone may be.

    Parameters
    ----------
    headers : every value that was sent, by name; empty where unknown.
    address : where the connection comes from; None for this machine, as Streamlit has it.
    """
    values = {name.lower(): texts for name, texts in headers.items()}
    if any(name not in _OF_BROWSERS and not name.startswith("sec-") for name in values):
        return False
    hosts, origins = values.get("host", ()), values.get("origin", ())
    if len(hosts) != 1 or len(origins) != 1 or not _LOCAL_HOST.fullmatch(hosts[0]):
        return False
    return origins[0] in {f"http://{hosts[0]}", f"https://{hosts[0]}"} and _is_loopback(address)


def _is_loopback(address: str | None) -> bool:
    if address is None:
        return True
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback
