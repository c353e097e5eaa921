"""The receiver of the fault suite, in a process of its own: keeps a log of what it saw, and answers as told.

`receiver.py LOG SEED` prints its port. The log is appended to, a line an event, flushed at once:
`r number connection at path webhook-id event call body-crc` a request, at its first byte; `a number at status` its
answer; `c connection at` a connection that is closed. Instants are of the monotonic clock. On stdin it is told
`delay FROM TO` (seconds an answer takes), `fail SHARE` (answered 500 the first time) and `hang N` (the paths
`/hooks/0` to `/hooks/N-1` are not answered, nor those that came while it was so); it ends when stdin does.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
import zlib
from itertools import count
from pathlib import Path
from typing import Any, TextIO

_HEAD = re.compile(rb"POST (\S+) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_ID = re.compile(rb"(?i)\r\nwebhook-id: *(\S+)\r\n")
_NUMBER = re.compile(r"/hooks/(\d+)")
NEVER = 599
"""Stands in the log for a request that gets no answer."""
_REASONS = {200: "OK", 500: "Internal Server Error"}


class Manner:
    """How requests are answered just now, and the log."""

    def __init__(self, log: TextIO, seed: str) -> None:
        self.delay = (0.0, 0.0)
        self.fail = 0.0
        self.hang = 0
        self.requests = count(1)
        self.connections = count(1)
        self._log = log
        self._chance = random.Random(f"{seed}:receiver")
        self._seen: set[tuple[str, str]] = set()

    def write(self, *words: object) -> None:
        """A line of the log."""
        self._log.write(" ".join(map(str, words)) + "\n")
        self._log.flush()

    def answer(self, path: str, id: str) -> tuple[float, int]:
        """After how many seconds, and with what status."""
        number = _NUMBER.fullmatch(path)
        if number is not None and int(number[1]) < self.hang:
            return 0.0, NEVER
        first = (path, id) not in self._seen
        self._seen.add((path, id))
        delay_s = self._chance.uniform(*self.delay)
        return delay_s, 500 if self._chance.random() < self.fail and first else 200

    def obey(self, line: str) -> None:
        """One line of stdin."""
        match line.split():
            case ["delay", least, most]:
                self.delay = (float(least), float(most))
            case ["fail", share]:
                self.fail = float(share)
            case ["hang", number]:
                self.hang = int(number)


class Connection(asyncio.Protocol):
    """One connection; its requests come one after the other."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._number = next(manner.connections)
        self._buffer = bytearray()
        self._begun = 0.0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Keep what to answer on."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request that is whole."""
        if not self._buffer:
            self._begun = time.monotonic()
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end + 2)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < whole:
            return
        head, body = bytes(self._buffer[: end + 2]), bytes(self._buffer[end + 4 : whole])
        del self._buffer[:whole]
        self._received(head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep when."""
        self._manner.write("c", self._number, time.monotonic())

    def _received(self, head: bytes, body: bytes) -> None:
        path, id = (found[1].decode() if (found := each.search(head)) else "?" for each in (_HEAD, _ID))
        told = json.loads(body)
        number = next(self._manner.requests)
        call = told["data"]["callId"]
        seen = (number, self._number, self._begun, path, id, told["event"], call, zlib.crc32(body))
        self._manner.write("r", *seen)
        delay_s, status = self._manner.answer(path, id)
        if status == NEVER:
            self._manner.write("a", number, time.monotonic(), NEVER)
        else:
            asyncio.get_running_loop().call_later(delay_s, self._answer, number, status)

    def _answer(self, number: int, status: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Length: 2\r\n\r\nok".encode())
        self._manner.write("a", number, time.monotonic(), status)


async def receive(log: TextIO, seed: str) -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    manner = Manner(log, seed)
    server = await loop.create_server(lambda: Connection(manner), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        manner.obey(line)
    server.close()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("a") as file:
        asyncio.run(receive(file, sys.argv[2]))
