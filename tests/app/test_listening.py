"""The socket of a server."""

from __future__ import annotations

import errno
import socket

import pytest

from app.listening import CannotListen, _sentence, address_of, listen, port_of


def test_any_free_port() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert port_of(listener) > 0
        socket.create_connection(("127.0.0.1", port_of(listener)), timeout=5).close()


def test_a_port_in_use() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(CannotListen) as refused:
        listen("127.0.0.1", port_of(first))

    assert str(refused.value).startswith("Port ")
    assert str(refused.value).endswith(" is in use: stop what listens there, or choose another with --port")


def test_the_port_is_free_again_at_once() -> None:
    with listen("127.0.0.1", 0) as first:
        port = port_of(first)
        client = socket.create_connection(("127.0.0.1", port), timeout=5)
        connection, _ = first.accept()
        connection.close()  # the server's end closes first, and lingers
    client.close()

    listen("127.0.0.1", port).close()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(CannotListen, match=r"^192.0.2.1 is not an address of this machine$"):
        listen("192.0.2.1", 0)


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(CannotListen, match=r"^There is no host 'no such host' to listen on$"):
        listen("no such host", 0)


def test_a_port_that_needs_rights() -> None:
    refused = PermissionError(errno.EACCES, "Permission denied")

    assert _sentence(refused, "127.0.0.1", 80) == (
        "Port 80 needs more rights than this user has: choose one above 1023 with --port"
    )


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_how_it_is_reached_from_here(host: str, address: str) -> None:
    assert address_of(host, 8000) == address
