"""The socket that a server listens on, taken before anything else is done, and the address it is reached at."""

from __future__ import annotations

import errno
import socket

from app.failure import Failure

_BACKLOG = 2048


class CannotListen(Failure):
    """Why the port cannot be listened on, in a sentence for the person who chose it."""


def listen(host: str, port: int) -> socket.socket:
    """Listen on the port, 0 for any free one. Raises CannotListen.

    It listens at once: of two servers that start together on one port, one learns it here, before it has done anything.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise CannotListen(f"There is no host {host!r} to listen on") from None
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(_sentence(error, host, port)) from None
    return listener


def port_of(listener: socket.socket) -> int:
    """The port it got."""
    return int(listener.getsockname()[1])


def address_of(host: str, port: int) -> str:
    """`http://host:port` as it is reached from this machine."""
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _sentence(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} is in use: stop what listens there, or choose another with --port"
        case errno.EACCES:
            return f"Port {port} needs more rights than this user has: choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine"
        case _:
            return f"Cannot listen on {host} port {port}: {error.strerror}"
