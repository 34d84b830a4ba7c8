"""The address of one place on a W&B server."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from lib.study import InputError

WANDB_API, WANDB_APP = "https://api.wandb.ai", "https://wandb.ai"
_WANDB_HOSTS = {"wandb.ai", "www.wandb.ai", "app.wandb.ai", "api.wandb.ai"}
#: What follows entity/project in the address of a page that shows the whole project.
_PROJECT_PAGES = {"workspace", "table", "overview", "sweeps", "runs", "logs", "jobs"}
_OTHER_PAGES = {"artifacts", "groups", "registry", "models", "launch", "weave", "automations"}
_NAME = re.compile(r"[^/\\#?%:\s\x00-\x1f](?:[^/\\#?%:\x00-\x1f]{0,126}[^/\\#?%:\s\x00-\x1f])?")
_GROUP = re.compile(r"[^\x00-\x1f]{1,128}")
FORMS = "https://wandb.ai/entity/project/sweeps/id, entity/project/sweep or entity/project"
_REPORT = (
    f"A report names no runs: paste the addresses of the sweeps, the group or the project that it shows, like {FORMS}."
)


@dataclass(frozen=True)
class WandbAddress:
    """A project on a W&B server, or one sweep, run or group of it; no server: the deployment's, or W&B's own."""

    entity: str
    project: str
    sweep: str = ""
    run: str = ""
    server: str = ""
    group: str = ""

    @property
    def place(self) -> str:
        """What the address names in its project, in words."""
        names = {"sweep": self.sweep, "run": self.run, "group": self.group}
        return next((f"{what} {name}" for what, name in names.items() if name), "every run")

    @property
    def address(self) -> str:
        """The place as one can paste it: `parse_address` of it gives the place back."""
        parts = [self.entity, self.project]
        for page, name in (("sweeps", self.sweep), ("runs", self.run), ("groups", self.group)):
            parts += [page, name] if name else []
        path = "/".join(quote(part, safe="") for part in parts)
        server = WANDB_APP if self.server == WANDB_API else self.server
        return f"{server}/{path}" if server else path


def parse_address(text: str) -> WandbAddress:
    """The place that a pasted address, or entity/project/sweep, names.

    Raises
    ------
    InputError
        One sentence: what was expected.
    """
    text = text.strip().strip("<>\"'").strip()
    if not text:
        raise InputError(f"Paste the address of a sweep, a run or a project: {FORMS}.")
    first = text.split("/")[0]
    if "://" in text:
        address = text
    elif first == "localhost" or re.fullmatch(r"(localhost|[\w-]+(\.[\w-]+)+)(:\d+)?|localhost:\d+", first):
        local = first.split(":")[0] in {"localhost", "127.0.0.1"}
        address = f"{'http' if local else 'https'}://{text}"
    else:
        return _placed("", text.split("?")[0].split("#")[0])
    server, path = _server(address)
    return _placed(server, path)


def _server(address: str) -> tuple[str, str]:
    """The server that answers for an address, and the address's path."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise InputError(f"This is not a web address that starts with https:// (or http://): paste one like {FORMS}.")
    if parts.username or parts.password:
        raise InputError("An address must not hold a name or a password: paste it without them; the key goes below.")
    if host in _WANDB_HOSTS:
        return WANDB_API, parts.path
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port else ""), parts.path


def _placed(server: str, path: str) -> WandbAddress:
    parts = [unquote(part).strip() for part in path.split("/") if part.strip()]
    if "reports" in parts[1:3] or (server and parts[:1] == ["links"]):
        raise InputError(_REPORT)
    if len(parts) < 2 or (server and parts[1:] == ["projects"]):
        raise InputError(f"This names no project: paste an address like {FORMS}.")
    is_group = parts[2:3] == ["groups"] and len(parts) > 3 and _GROUP.fullmatch(parts[3])
    for part in parts[: 3 if is_group else 4]:
        if not _NAME.fullmatch(part) or part in {".", ".."}:
            raise InputError(
                f"'{_shown(part)}' is no name of an entity, project, sweep or run: paste one like {FORMS}."
            )
    entity, project, *rest = parts
    if not rest:
        return WandbAddress(entity, project, server=server)
    page, inner = rest[0], rest[1] if len(rest) > 1 else ""
    if page == "sweeps" and inner:
        return WandbAddress(entity, project, sweep=inner, server=server)
    if page == "runs" and inner:
        return WandbAddress(entity, project, run=inner, server=server)
    if is_group:
        return WandbAddress(entity, project, group=inner, server=server)
    if page in _PROJECT_PAGES:
        return WandbAddress(entity, project, server=server)
    if page in _OTHER_PAGES or server or inner:
        raise InputError(
            f"'{_shown(page)}' is no page of a sweep, a run, a group or a project: paste one like {FORMS}."
        )
    return WandbAddress(entity, project, sweep=page)


def _shown(part: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in part[:60])
