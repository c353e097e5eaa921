"""Receivers of deliveries for tests: real servers on the loopback that answer well, badly or not at all."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

from schema.rules.addresses import Network
from schema.rules.webhooks import ErrorClass
from workers.lookups import Lookup
from workers.outbound import Answer, Outbound

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
BODY = b'{"event":"call.ended"}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def open_client(timeout_s: float = 5.0, **settings: Any) -> Outbound:
    """A client that may reach the loopback in plain HTTP."""
    return Outbound(timeout_s=timeout_s, allow_http=True, allow_networks=LOOPBACK, **settings)


def strict_client(timeout_s: float = 5.0, **settings: Any) -> Outbound:
    """A client as it is in production."""
    return Outbound(timeout_s=timeout_s, **settings)


def known(*addresses: str) -> Lookup:
    """A resolver that gives every name these addresses."""
    return lambda *_: addresses


def failure(answer: Answer) -> tuple[ErrorClass | None, str | None]:
    """The class and the text of an attempt that got no status, and nothing but them."""
    assert answer.status is None
    assert not answer.is_success
    assert answer.body_excerpt == b""
    return answer.error_class, answer.error_text


@asynccontextmanager
async def receiver(
    handle: Handler, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server on a port whose connections `handle` serves; all of them are gone at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client went away, as it may
        finally:
            writer.transport.abort()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(start, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)
    assert length is not None
    return head, await reader.readexactly(int(length[1]))


def answering(raw: bytes, requests: list[tuple[bytes, bytes]] | None = None) -> Handler:
    """Answer each request of a connection with these bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            if requests is not None:
                requests.append(request)
            writer.write(raw)
            await writer.drain()

    return handle


def then(raw: bytes, *after: bytes, forever: bytes = b"", every_s: float = 0) -> Handler:
    """Read a request, write these bytes, go on for ever with `forever`, or close."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in (raw, *after):
            writer.write(piece)
        await writer.drain()
        while forever:
            writer.write(forever)
            await writer.drain()
            await asyncio.sleep(every_s)

    return handle
