"""A listener on every form of the loopback that counts who connects, and the attacker's name servers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_HOSTS = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))  # noqa: S104 (127.0.0.1, 127.0.0.2, ::1 and all others)


class Canary:
    """Counts connections to its port, and to `others` as far as they are free, until it is closed."""

    def __init__(self, others: Sequence[int] = ()) -> None:
        self.connections: list[str] = []
        self._listening: list[socket.socket] = []
        self.port = self._listen(0)
        self.others = [port for port in others if self._try(port)]

    def close(self) -> None:
        """Listen no more."""
        for each in self._listening:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _try(self, port: int) -> bool:
        try:
            self._listen(port)
        except OSError:
            return False
        return True

    def _listen(self, port: int) -> int:
        for family, host in _HOSTS:
            listening = socket.socket(family, socket.SOCK_STREAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind((host, port))
            listening.listen(100)
            port = listening.getsockname()[1]
            self._listening.append(listening)
            threading.Thread(target=self._count, args=(listening,), daemon=True).start()
        return port

    def _count(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                made, peer = listening.accept()
                self.connections.append(f"{made.getsockname()[:2]} from {peer[0]}")
                made.close()


def lookup(addresses: Mapping[str, Sequence[str]]) -> Any:
    """A resolver that knows these names, and numbers as the C library does; it asks nobody."""

    def look_up(host: str, _port: int) -> Sequence[str]:
        name = host.lower().rstrip(".")
        if name in addresses:
            return addresses[name]
        try:
            return [socket.inet_ntoa(socket.inet_aton(host))]
        except (OSError, UnicodeError):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None

    return look_up


@contextlib.contextmanager
def listening(others: Sequence[int] = ()) -> Iterator[Canary]:
    """A canary for the length of the block."""
    canary = Canary(others)
    try:
        yield canary
    finally:
        canary.close()
