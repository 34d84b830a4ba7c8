"""The addresses in a pasted text: links, commands, output of the wandb client, and prose around them."""

import re
from collections.abc import Iterator
from dataclasses import replace

from lib.discover.address import FORMS, WandbAddress, parse_address
from lib.study import InputError

#: A link ends where white space, a quote, a table's bar or the next link begins.
_LINK = re.compile(r"https?://(?:(?!https?://)[^\s<>\"`|])+", re.IGNORECASE)
_AGENT = re.compile(r"\bwandb\s+agent\b(.*)", re.IGNORECASE)
#: What code that reads a sweep names: `api.sweep("entity/project/sweep")`.
_CALL = re.compile(r"\bapi(?:\(\))?\.(?:sweep|runs)\(\s*(?:path\s*=\s*)?[\"']([^\"']+)[\"']", re.IGNORECASE)
_LIST_MARK = re.compile(r"^(?:[-*•]|\d+[.)])\s+")
#: entity/project, or a sweep or run of it, on a line of its own: only the project's name may hold spaces.
_PLACE = re.compile(r"[^\s/]+/[^/]+(?:/(?:(?:sweeps|runs|groups)/)?[^\s/]+)?/?")
#: A path by how it begins: ~, /, ./, ../ or the letter of a drive; // begins an address.
_PATH = re.compile(r"~|/(?!/)|\.{1,2}[/\\]|[A-Za-z]:[\\/](?!/)")
_QUOTES = "<>\"'`“”‘’«»"
_PUNCTUATION = ".,;:!?*" + _QUOTES
_CLOSING = {")": "(", "]": "[", "}": "{"}


def folder_of(text: str) -> str:
    """The path of a folder where the pasted text is one, "" where it is none; an address is never a path."""
    path = text.strip().strip("\"'").strip()
    return path if _PATH.match(path) else ""


def parse_addresses(text: str) -> tuple[WandbAddress, ...]:
    """The places in one project that a pasted text names, each once.

    Links, `wandb agent entity/project/sweep`, calls of W&B's API, what the wandb client prints and the short forms are
    understood on any line, with prose around them. A project's page beside pages of its sweeps, runs or group adds
    nothing to them.

    Raises
    ------
    InputError
        One sentence: no address, one that cannot be read, places in different projects, or groups that one study cannot
        name.
    """
    text = "".join(char if char.isprintable() or char in "\n\r" else " " for char in text)
    lines = [line for line in map(_bare, text.splitlines()) if line]
    if not lines:
        return (parse_address(""),)
    addresses = tuple(dict.fromkeys(address for line in lines for address in _of_line(line, len(lines) == 1)))
    if not addresses:
        raise InputError(f"This text holds no address: paste one like {FORMS}.")
    return _of_one_project(addresses)


def _bare(line: str) -> str:
    """A line without the mark of a list and quotes around it."""
    return _LIST_MARK.sub("", line.strip()).strip(_QUOTES).strip()


def _of_line(line: str, is_only: bool) -> Iterator[WandbAddress]:
    """The addresses on one line; a line of prose or of the client's output may have none."""
    if links := _LINK.findall(line):
        yield from (parse_address(_link(link)) for link in links)
        return
    if agent := _AGENT.search(line):
        paths = [word for word in agent[1].split() if "/" in word]
        yield parse_address(_trimmed(paths[-1] if paths else agent[1].strip()))
        return
    if calls := _CALL.findall(line):
        yield from map(parse_address, calls)
        return
    if line.lower().startswith("wandb:"):
        return
    words = [word for word in map(_trimmed, re.split(r"[\s,;]+", line)) if word]
    if len(words) == 1 and (is_only or not line.endswith(":")):
        yield parse_address(words[0])
    elif _PLACE.fullmatch(line) and (is_only or line.count("/") > 1):
        yield parse_address(line)
    else:
        yield from (parse_address(word) for word in words if re.match(r"[^/.~][^/]*/[^/]+/[^/]", word))


def _link(link: str) -> str:
    """A link without what a sentence or Markdown puts after it."""
    return _trimmed(link.split("](")[0])


def _trimmed(text: str) -> str:
    """A text without the punctuation at its ends; a bracket that it opens stays."""
    text = text.lstrip(_QUOTES + "([{*")
    while text and (text[-1] in _PUNCTUATION or text.count(text[-1]) > text.count(_CLOSING.get(text[-1], text[-1]))):
        text = text[:-1]
    return text


def _of_one_project(addresses: tuple[WandbAddress, ...]) -> tuple[WandbAddress, ...]:
    """The addresses as places of one server's project; one without a server is on that of the others."""
    servers = {address.server for address in addresses if address.server}
    if len(servers) == 1:
        (server,) = servers
        addresses = tuple(dict.fromkeys(replace(address, server=server) for address in addresses))
    projects = sorted({WandbAddress(a.entity, a.project, server=a.server).address for a in addresses})
    if len(projects) > 1:
        raise InputError(
            f"A study reads one project of one server, and these are {len(projects)}: {', '.join(projects[:4])}. Paste "
            "the addresses of sweeps, runs or a group of one project."
        )
    narrow = tuple(address for address in addresses if address.sweep or address.run or address.group)
    if len(narrow) > 1 and any(address.group for address in narrow):
        raise InputError(
            "A study reads sweeps, or one group: paste the addresses of sweeps only, of one group, or of the project."
        )
    return narrow or addresses[:1]
