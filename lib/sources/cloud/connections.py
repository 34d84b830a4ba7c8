"""Connections to the IP addresses that a host was looked up to and checked: a public server leads to no private one."""

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from lib.sources.cloud.limits import RequestError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST, _6TO4 = ipaddress.ip_network("2000::/3"), ipaddress.ip_network("2002::/16")


class HostAddresses:
    """The IP addresses of the hosts that one server leads to. A host is looked up once: what is checked is what is asked."""

    def __init__(self, server: str) -> None:
        self._server_host = urlsplit(server).hostname or ""
        self._by_host: dict[str, tuple[str, ...]] = {}

    def of(self, host: str) -> tuple[str, ...]:
        """The addresses of a host.

        Raises
        ------
        RequestError
            Where one is on this machine or inside a private network, though the server is public.
        OSError
            Where it has none.
        """
        # A zone (fe80::1%eth0) is one of this machine's networks.
        if self._is_server_public and ("%" in host or not all(map(_is_public, self._look_up(host)))):
            raise RequestError("the server named an export inside a private network")
        return self._look_up(host)

    def check(self, host: str) -> None:
        """Raise `RequestError` as `of` does; a host without an address here may be one that a proxy finds."""
        with suppress(OSError):
            self.of(host)

    @cached_property
    def _is_server_public(self) -> bool:
        try:
            return any(map(_is_public, self._look_up(self._server_host)))
        except OSError:
            return True

    def _look_up(self, host: str) -> tuple[str, ...]:
        if host not in self._by_host:
            try:
                rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except ValueError:
                raise OSError("this is no name of a host") from None
            self._by_host.setdefault(host, tuple(dict.fromkeys(str(row[4][0]) for row in rows)))
        return self._by_host[host]


def _is_public(text: str) -> bool:
    """Whether an IP address is one of the internet; one that stands for another is judged by that."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.ipv4_mapped:
            address = address.ipv4_mapped
        elif address not in _UNICAST or address in _6TO4:
            return False
    return address.is_global and not address.is_multicast


class PinnedAdapter(HTTPAdapter):
    """Connects to the checked addresses of a host, whose name stays in the request and in TLS."""

    def __init__(self, addresses: HostAddresses, **options: Any) -> None:
        self._addresses = addresses
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of connections; those to a proxy, which looks hosts up itself, are others."""
        super().init_poolmanager(*args, **options)
        connection = {"addresses": self._addresses}
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("Pool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": type("Http", (_Http,), connection)}),
            "https": type(
                "Pool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": type("Https", (_Https,), connection)}
            ),
        }


class _Http(HTTPConnection):
    addresses: ClassVar[HostAddresses]

    def _new_conn(self) -> socket.socket:
        return _connected(self, self.addresses, super()._new_conn)


class _Https(HTTPSConnection):
    addresses: ClassVar[HostAddresses]

    def _new_conn(self) -> socket.socket:
        return _connected(self, self.addresses, super()._new_conn)


def _connected(
    connection: HTTPConnection, addresses: HostAddresses, connect: Callable[[], socket.socket]
) -> socket.socket:
    """A socket to the first address of the connection's host that answers."""
    host = connection._dns_host
    error: Exception = OSError("the host has no address")
    try:
        for address in addresses.of(host):
            connection._dns_host = address
            try:
                return connect()
            except (OSError, urllib3.exceptions.HTTPError) as failure:
                error = failure
    finally:
        connection._dns_host = host
    raise error
