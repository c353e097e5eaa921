"""Hostile receivers, in a process of their own: prints a port for each by name, and serves until stdin ends."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\n"
NO = b"HTTP/1.1 500 No\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GIGABYTE = 1_000_000_000
_BLOCK = b"x" * 65_536

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _sends(*first: bytes, forever: bytes = b"", every_s: float = 0, reads: bool = True) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reads:
            await reader.readuntil(b"\r\n\r\n")
        for piece in first:
            writer.write(piece)
        await writer.drain()
        while forever:
            writer.write(forever)
            await writer.drain()
            await asyncio.sleep(every_s)

    return serve


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


async def _deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


def _bomb() -> bytes:
    """A gigabyte of nothing, packed."""
    return gzip.compress(b"\0" * 100_000_000, 9) * 10


_LENGTH = b"Content-Length: %d\r\n\r\n" % GIGABYTE
_PACKED = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
_REDIRECT = b"HTTP/1.1 302 Go\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"


def receivers() -> dict[str, Serve]:
    """Each by its name."""
    bomb = _bomb()
    return {
        "1 GB answer, 200": _sends(OK + _LENGTH, forever=_BLOCK),
        "1 GB answer, 500": _sends(NO + _LENGTH, forever=_BLOCK),
        "answer without length or end": _sends(OK + b"\r\n", forever=_BLOCK),
        "gzip bomb, 200": _sends(OK + _PACKED % len(bomb) + bomb),
        "gzip bomb, 500": _sends(NO + _PACKED % len(bomb) + bomb),
        "drips its headers, a byte a second": _sends(OK + b"A: ", forever=b"b", every_s=1),
        "drips header lines, one a second": _sends(OK, forever=b"A: b\r\n", every_s=1),
        "drips its body, a byte a second": _sends(OK + b"Content-Length: 1000\r\n\r\n", forever=b"x", every_s=1),
        "drips a failure, a byte a second": _sends(NO + b"Content-Length: 1000\r\n\r\n", forever=b"x", every_s=1),
        "headers without end": _sends(OK, forever=b"A: b\r\n" * 1_000),
        "long headers without end": _sends(OK, forever=b"A: " + b"x" * 8_000 + b"\r\n"),
        "a header line of 10 MB": _sends(OK + b"A: " + b"x" * 10_000_000 + b"\r\n\r\n"),
        "a status line without end": _sends(b"HTTP/1.1 200 ", forever=_BLOCK),
        "never answers": _silent,
        "accepts and never reads": _deaf,
        "chunks of a giant size": _sends(CHUNKED + b"FFFFFFFFFFFFFFF\r\n", forever=_BLOCK),
        "a chunk size without end": _sends(CHUNKED, forever=b"0" * 65_536),
        "chunks of one byte": _sends(CHUNKED, forever=b"1\r\nx\r\n" * 5_000),
        "a chunk extension without end": _sends(CHUNKED + b"1;", forever=_BLOCK),
        "trailers without end": _sends(CHUNKED + b"0\r\n", forever=b"A: b\r\n" * 1_000),
        "100 redirects": _sends(_REDIRECT * 100),
        "101 and bytes without end": _sends(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", forever=_BLOCK
        ),
        "HTTP/0.9": _sends(forever=b"<h1>hello</h1>\n" * 1_000, reads=False),
        "103 without end": _sends(forever=b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1_000),
        "100 Continue without end": _sends(forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
        "answers that nobody asked for": _sends(forever=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 1_000),
        "cookies": _sends(OK + b"Set-Cookie: a=" + b"x" * 8_000 + b"\r\nContent-Length: 2\r\n\r\nok"),
        "a TLS handshake, a byte a second": _sends(b"\x16\x03\x03\x3f\xff", forever=b"\0", every_s=1, reads=False),
        "a TLS record of garbage without end": _sends(b"\x16\x03\x03\x3f\xff", forever=b"\x16" * 65_536, reads=False),
    }


async def main() -> None:
    """Serve."""
    ports = {}
    for name, serve in receivers().items():

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, serve: Serve = serve) -> None:
            try:
                await serve(reader, writer)
                await reader.read()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client went away, as it may
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
