"""The user's own W&B key, from the environment or their login, and the servers that it may be sent to."""

import os

from lib.sources.cloud.server_address import environment_server, is_private_line
from lib.sources.request import SourceError

_NO_KEY = (
    "There is no W&B key for {server}: set WANDB_API_KEY, run `wandb login`, or enter a key in the app "
    "(it is kept for the session only)."
)
_OTHER_SERVER = (
    "WANDB_API_KEY is not sent to {server}, which only the study names: if you trust that server, "
    "add --trust-server {server}, or enter a key for it in the app."
)
_PLAIN_HTTP = (
    "Your W&B key is not sent to {server} over plain http, where others can read it: use https, "
    "add --trust-server {server}, or enter a key for it in the app."
)
#: A host that no login is for: what W&B's client reads for it is the entry of netrc for any host.
_NOBODY = "https://nobody.invalid"


def resolve_key(server: str, trusted: str | None = None) -> str | None:
    """The user's own key for a server, None where there is none that may be sent there.

    WANDB_API_KEY belongs to the server of WANDB_BASE_URL, or to W&B's own where that is not set; a W&B login (netrc) to
    its host. A stranger's study file names any server, and could otherwise collect the key.

    Parameters
    ----------
    server : as `server_address` writes it.
    trusted : the server to which the user sends their key in any case, over plain http too.

    Raises
    ------
    SourceError
        Where the login is no key.
    """
    key = _key_of(server)
    if server == trusted:
        return key or _environment_key()
    return key if is_private_line(server) else None


def no_key_message(server: str) -> str:
    """Why there is no key for this server, and what to do."""
    if _key_of(server):
        return _PLAIN_HTTP.format(server=server)
    return (_OTHER_SERVER if _environment_key() else _NO_KEY).format(server=server)


def _environment_key() -> str | None:
    return os.environ.get("WANDB_API_KEY", "").strip() or None


def _key_of(server: str) -> str | None:
    """The key that belongs to the server."""
    is_own = server == environment_server()
    return (_environment_key() if is_own else None) or _login(server, is_own)


def _login(server: str, is_own: bool) -> str | None:
    """The user's W&B login for the server; netrc's entry for any host is for the user's own server alone."""
    from wandb.errors import AuthenticationError
    from wandb.sdk.lib.wbauth import read_netrc_auth

    try:
        key = read_netrc_auth(host=server)
        return key if is_own or key != read_netrc_auth(host=_NOBODY) else None
    except AuthenticationError:
        raise SourceError(f"The W&B login stored for {server} is not a key: run `wandb login` again.") from None
    except ValueError:
        return None  # An address that W&B's client takes no login for, such as http://api.wandb.ai.
