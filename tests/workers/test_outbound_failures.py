"""How connections of deliveries fail, and which addresses they may reach (decisions W6, W7)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from schema.rules.webhooks import ErrorClass
from tests.workers.receivers import (
    BODY,
    LOOPBACK,
    OK,
    answering,
    failure,
    known,
    open_client,
    read_request,
    receiver,
    strict_client,
    then,
)
from workers import outbound
from workers.outbound import Outbound

CERTIFICATE = Path(__file__).parent / "receiver.pem"


# --- connections that fail


async def test_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async with open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.CONNECT, "connection refused")


async def test_a_reset_connection() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        made = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with receiver(handle) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.CONNECT, "connection reset by peer")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "the connection was closed before an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", "the connection was closed before the answer ended"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
            "the connection was closed before the answer ended",
        ),
        (b"220 mail.example.com ESMTP\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", "the answer is not HTTP"),
    ],
)
async def test_an_answer_that_is_cut_off_or_not_http(raw: bytes, text: str) -> None:
    async with receiver(then(raw)) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.CONNECT, text)


async def test_headers_without_end_are_given_up() -> None:
    endless = then(b"HTTP/1.1 200 OK\r\n", forever=b"A: " + b"x" * 1_000 + b"\r\n")

    async with receiver(endless) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.CONNECT, "the headers of the answer did not end within 64 KiB")


def _no_such_name(host: str, port: int) -> Sequence[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("lookup", [_no_such_name, known()])
async def test_a_name_that_does_not_resolve(lookup: Callable[[str, int], Sequence[str]]) -> None:
    async with strict_client(lookup=lookup) as client:
        answer = await client.post("https://hooks.example.com/", BODY, {})

    assert failure(answer) == (ErrorClass.DNS, "hooks.example.com could not be resolved")


async def test_the_system_resolves_names() -> None:
    async with receiver(answering(OK), host="localhost") as port, open_client() as client:
        answer = await client.post(f"http://localhost:{port}/", BODY, {})

    assert answer.status == 200


async def test_the_system_knows_no_invalid_names() -> None:
    async with open_client() as client:
        answer = await client.post("http://nobody.invalid/", BODY, {})

    assert failure(answer) == (ErrorClass.DNS, "nobody.invalid could not be resolved")


async def test_the_second_address_is_tried_when_the_first_refuses() -> None:
    async with receiver(answering(OK), host="127.0.0.2") as port:
        client = open_client(lookup=known("127.0.0.3", "127.0.0.2"))
        async with client:
            answer = await client.post(f"http://hooks.example.com:{port}/", BODY, {})

    assert answer.status == 200


async def test_a_closed_client_starts_anew() -> None:
    async with receiver(answering(OK)) as port:
        client = open_client()
        await client.post(f"http://127.0.0.1:{port}/", BODY, {})
        await client.close()
        answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})
        await client.close()

    assert answer.status == 200


# --- TLS


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE))


async def test_https_to_a_trusted_receiver() -> None:
    client = open_client(ssl_context=trusting(), lookup=known("127.0.0.1"))

    async with receiver(answering(OK), tls=server_tls()) as port, client:
        answer = await client.post(f"https://hooks.example.com:{port}/", BODY, {})

    assert (answer.status, answer.body_excerpt) == (200, b"ok")


async def test_a_self_signed_certificate_is_refused() -> None:
    requests: list[tuple[bytes, bytes]] = []

    async with receiver(answering(OK, requests), tls=server_tls()) as port, open_client() as client:
        answer = await client.post(f"https://localhost:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.TLS, "TLS failed: self-signed certificate")
    assert requests == []


async def test_a_certificate_of_another_name_is_refused() -> None:
    client = open_client(ssl_context=trusting(), lookup=known("127.0.0.1"))

    async with receiver(answering(OK), tls=server_tls()) as port, client:
        answer = await client.post(f"https://other.example.com:{port}/", BODY, {})

    assert failure(answer) == (
        ErrorClass.TLS,
        "TLS failed: Hostname mismatch, certificate is not valid for 'other.example.com'.",
    )


async def test_a_receiver_that_speaks_no_tls() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with receiver(handle) as port, open_client() as client:
        answer = await client.post(f"https://127.0.0.1:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.TLS, "TLS failed: wrong version number")


# --- addresses


@asynccontextmanager
async def canary() -> AsyncIterator[tuple[int, list[str]]]:
    """A listener on every address that should hear nothing, and what connected to it."""
    connections: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer.get_extra_info("sockname")[0])
        await answering(OK)(reader, writer)

    async with receiver(handle, host="0.0.0.0") as port:
        yield port, connections


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["::1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["0.0.0.0"], ["::"]],
)
async def test_a_name_of_closed_addresses_is_blocked_and_nothing_connects(addresses: list[str]) -> None:
    async with canary() as (port, connections), strict_client(lookup=known(*addresses)) as client:
        answer = await client.post(f"https://hooks.example.com:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.BLOCKED, "hooks.example.com has no address that deliveries may reach")
    assert connections == []


async def test_a_name_without_end_of_addresses_costs_nothing() -> None:
    many = [f"127.{high}.{low}.1" for high in range(20) for low in range(200)]

    async with strict_client(lookup=known(*many)) as client:
        answer = await client.post("https://hooks.example.com/", BODY, {})

    assert answer.error_class is ErrorClass.BLOCKED
    assert answer.duration_ms < 2_000


async def test_only_open_addresses_of_a_name_are_connected_to() -> None:
    client = Outbound(
        timeout_s=5,
        allow_http=True,
        allow_networks=[ip_network("127.0.0.2/32")],
        lookup=known(*(f"127.0.1.{last}" for last in range(20)), "127.0.0.2", "127.0.0.3"),
    )

    async with canary() as (port, connections), client:
        answer = await client.post(f"http://hooks.example.com:{port}/", BODY, {})

    assert answer.status == 200
    assert connections == ["127.0.0.2"]


async def test_a_name_that_changes_its_mind_is_checked_each_time() -> None:
    turns = iter([["127.0.0.2"], ["127.0.0.1"]])
    client = Outbound(
        timeout_s=5,
        allow_http=True,
        allow_networks=[ip_network("127.0.0.2/32")],
        lookup=lambda *_: next(turns),
    )

    async with canary() as (port, connections), client:
        first = await client.post(f"http://hooks.example.com:{port}/", BODY, {})
        await client.close()  # forgets the connection and the name
        second = await client.post(f"http://hooks.example.com:{port}/", BODY, {})

    assert first.status == 200
    assert failure(second) == (ErrorClass.BLOCKED, "hooks.example.com has no address that deliveries may reach")
    assert connections == ["127.0.0.2"]


async def test_the_socket_itself_refuses_a_closed_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "check_url", lambda url, **_: url)  # as if the check of the URL had missed it

    async with canary() as (port, connections), strict_client() as client:
        literal = await client.post(f"http://127.0.0.1:{port}/", BODY, {})
        name = await client.post(f"http://localhost:{port}/", BODY, {})
        number = await client.post(f"http://2130706433:{port}/", BODY, {})

    assert failure(literal) == (ErrorClass.BLOCKED, "127.0.0.1 has no address that deliveries may reach")
    assert failure(name) == (ErrorClass.BLOCKED, "localhost has no address that deliveries may reach")
    assert failure(number)[0] in (ErrorClass.CONNECT, ErrorClass.BLOCKED, ErrorClass.DNS)
    assert connections == []


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("127.0.0.1", "url must be reachable from the internet: 127.0.0.1 is not a public address"),
        ("[::1]", "url must be reachable from the internet: ::1 is not a public address"),
        ("localhost", "url must be reachable from the internet: localhost is this server itself"),
    ],
)
async def test_a_url_that_is_no_longer_allowed_is_blocked(host: str, text: str) -> None:
    async with canary() as (port, connections), strict_client() as client:
        answer = await client.post(f"https://{host}:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.BLOCKED, text)
    assert connections == []


async def test_plain_http_that_is_no_longer_allowed_is_blocked() -> None:
    async with canary() as (port, connections):
        client = Outbound(timeout_s=5, allow_networks=LOOPBACK)
        async with client:
            answer = await client.post(f"http://127.0.0.1:{port}/", BODY, {})

    assert failure(answer) == (ErrorClass.BLOCKED, "url must start with https://")
    assert connections == []


async def test_named_networks_are_open() -> None:
    client = open_client(lookup=known("127.0.0.1"))

    async with canary() as (port, connections), client:
        answer = await client.post(f"http://hooks.example.com:{port}/", BODY, {})

    assert answer.status == 200
    assert connections == ["127.0.0.1"]


async def test_no_error_text_holds_what_was_sent() -> None:
    secrets = {"X-VoxForge-Signature": "sha256=feedface", "webhook-signature": "v1,c2VjcmV0"}

    async with receiver(then(b"feedface HTTP\r\n\r\n")) as port, open_client() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/?token=feedface", b"feedface", secrets)

    assert failure(answer) == (ErrorClass.CONNECT, "the answer is not HTTP")
