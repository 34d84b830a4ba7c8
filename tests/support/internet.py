"""Names of hosts and their addresses for tests: one address of the internet, which is this machine's."""

import socket

import pytest

PUBLIC = "93.184.216.34"


class Internet:
    """Names and what they are looked up to, each time the next of a list; the public address is this machine's.

    `asked` has every address that a connection was made to, and its port.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[str]] = {}
        self.asked: list[tuple[str, int]] = []
        look_up, connect = socket.getaddrinfo, socket.socket.connect

        def getaddrinfo(host, port, *args, **options):
            if host not in self.names:
                return look_up(host, port, *args, **options)
            left = self.names[host]
            addresses = left.pop(0) if len(left) > 1 else left[0]
            return [row for address in addresses.split() for row in look_up(address, port, *args, **options)]

        def connect_here(sock, address):
            self.asked.append(address[:2])
            connect(sock, ("127.0.0.1", address[1]) if address[0] == PUBLIC else address)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(socket.socket, "connect", connect_here)
