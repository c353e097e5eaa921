"""What a hostile or a broken client costs is bounded (decisions E6, 0015)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.http_protocol import HttpProtocol
from app.websocket.server_protocol import OPTIONS
from tests.app.support import serving
from tests.app.websocket.support import Peer, listening, opened
from tests.app.websocket.test_handshake import handshake, written
from tests.support import seeds
from tests.support.api import Api

TEXT, CONT, PING, CLOSE = 1, 0, 9, 8


def frame(opcode: int, data: bytes, *, fin: bool = True, length: int | None = None) -> bytes:
    """A frame as clients send it, masked with zeros."""
    size = len(data) if length is None else length
    head = bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    return head + bytes(4) + data


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection after its handshake, byte by byte."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(written(handshake()))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            yield reader, writer
        finally:
            writer.transport.abort()


async def close_frame(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Code and reason of the frame that closes, and then the end."""
    head, size = await reader.readexactly(2)
    assert head == 0x80 | CLOSE
    data = await reader.readexactly(size)
    return struct.unpack("!H", data[:2])[0], data[2:].decode()


async def test_a_message_as_large_as_a_body_may_be(api: Api) -> None:
    """E6: 1 MiB is taken, as far as the transport goes: the document is too long for GraphQL."""
    async with listening(api.app) as port, opened(port, api.key) as peer:
        head, tail = '{"type":"subscribe","id":"a","payload":{"query":"', '"}}'
        await peer.socket.send(head + "#" * (1024 * 1024 - len(head) - len(tail)) + tail)
        fits = await peer.get()
        await peer.socket.send(head + "#" * (1024 * 1024 - len(head) - len(tail) + 1) + tail)

        assert fits["payload"][0]["message"] == "The query is longer than 20,000 characters"
        assert (await peer.closed())[0] == 1009


async def test_a_frame_that_is_too_long_is_refused_by_its_header(api: Api) -> None:
    """Nothing of its content has been sent yet."""
    async with listening(api.app) as port, raw(port) as (reader, writer):
        writer.write(frame(TEXT, b"", length=1024 * 1024 + 1))

        assert (await close_frame(reader))[0] == 1009


async def test_fragments_count_together(api: Api) -> None:
    async with listening(api.app) as port, raw(port) as (reader, writer):
        writer.write(frame(TEXT, b"x" * 1024 * 1024, fin=False) + frame(CONT, b"", fin=False, length=1))

        assert (await close_frame(reader))[0] == 1009


async def test_a_message_in_endless_small_pieces(api: Api) -> None:
    """Pieces of nothing never get too large."""
    async with listening(api.app) as port, raw(port) as (reader, writer):
        writer.write(frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 5_000)

        assert await close_frame(reader) == (1009, "The message has too many fragments")


async def test_no_message_unfolds(api: Api) -> None:
    """No extension is spoken, so a compressed frame is a broken one."""
    async with listening(api.app) as port, raw(port) as (reader, writer):
        writer.write(bytes([0x80 | 0x40 | TEXT]) + frame(TEXT, b"xx")[1:])

        assert (await close_frame(reader))[0] == 1002


async def test_pings_without_reading_the_pongs(api: Api) -> None:
    """The server does not keep them: it hangs up."""
    async with listening(api.app) as port, raw(port) as (reader, writer):
        pings = frame(PING, b"x" * 125) * 1_000
        reader._transport.pause_reading()  # type: ignore[attr-defined]

        async def ping() -> None:
            while True:
                writer.write(pings)
                await writer.drain()

        with pytest.raises(OSError, match=r"."):
            await ping()


async def test_whoever_does_not_answer_pings_is_gone(api: Api) -> None:
    async with listening(api.app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as port, raw(port) as (reader, _):
        head, size = await reader.readexactly(2)
        await reader.readexactly(size)

        assert head == 0x80 | PING
        assert await close_frame(reader) == (1011, "keepalive ping timeout")
        assert await reader.read() == b""


async def test_whoever_does_may_stay(api: Api) -> None:
    async with listening(api.app, ws_ping_interval=0.05, ws_ping_timeout=5.0) as port, opened(port, api.key) as peer:
        for _ in range(10):
            await asyncio.sleep(0.05)
            await peer.send("ping")
            await peer.get()


def test_how_often() -> None:
    assert (OPTIONS["ws_ping_interval"], OPTIONS["ws_ping_timeout"], OPTIONS["ws_max_size"]) == (20, 20, 1024 * 1024)


async def test_a_server_that_stops_says_so(api: Api) -> None:
    """Then clients connect again, elsewhere or later."""
    row = await seeds.call(api.runtime, api.viewer)
    async with serving(api.app, http=HttpProtocol, **OPTIONS) as port:
        opening = opened(port, api.key)
        peer: Peer = await opening.__aenter__()
        await peer.subscribe("a", "subscription($id: ID!) { callChanged(id: $id) { status } }", id=row.id)
        await peer.get()

    assert await peer.closed() == (1001, "The server is stopping")
    await opening.__aexit__(None, None, None)
