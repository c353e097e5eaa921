"""The load: keep-alive connections to the loopback that ask again as soon as they are answered.

A process of its own: a job comes on stdin and its outcome goes to stdout, both as JSON. Time and number of requests are
bounded.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass
from itertools import count
from typing import Any

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_PATIENCE_S = 30  # for answers under way when the time is over


@dataclass(slots=True)
class Job:
    """What to ask: whole HTTP requests, taken in turn by `clients` connections, for `seconds` or `most` requests."""

    port: int
    requests: list[str]
    clients: int
    seconds: float
    most: int
    status: int = 200


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._received = bytearray()
        self._wanted = 0  # bytes of the answer that is coming, once its head is there
        self._asked = 0.0
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask for the first time."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Collect an answer, and ask again when it is whole."""
        self._received += data
        if not self._wanted:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._received, 0, end + 2)
            if length is None:
                self._give_up("an answer without Content-Length")
                return
            self._wanted = end + 4 + int(length[1])
        if len(self._received) >= self._wanted:
            self._run.note(int(self._received[9:12]), time.perf_counter() - self._asked)
            del self._received[: self._wanted]
            self._wanted = 0
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """Only we may close."""
        if not self.finished.done():
            self._give_up(f"the server closed the connection: {error}")

    def _ask(self) -> None:
        request = self._run.next_request()
        if request is None:
            self.finished.set_result(None)
            self._transport.close()
            return
        self._asked = time.perf_counter()
        self._transport.write(request)

    def _give_up(self, why: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(ConnectionError(why))
        self._transport.abort()


class Run:
    """One job under way."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._requests = [request.encode("latin-1") for request in job.requests]
        self._numbers = count()
        self._deadline = time.monotonic() + job.seconds
        self.latencies: list[float] = []
        self.unexpected: dict[int, int] = {}

    def next_request(self) -> bytes | None:
        """What to send next, None when it is over."""
        number = next(self._numbers)
        if number >= self._job.most or time.monotonic() >= self._deadline:
            return None
        return self._requests[number % len(self._requests)]

    def note(self, status: int, seconds: float) -> None:
        """An answer came."""
        self.latencies.append(seconds)
        if status != self._job.status:
            self.unexpected[status] = self.unexpected.get(status, 0) + 1

    async def go(self) -> dict[str, Any]:
        """Do the job."""
        loop = asyncio.get_running_loop()
        begun = time.perf_counter()
        clients = [
            (await loop.create_connection(lambda: Client(self), "127.0.0.1", self._job.port))[1]
            for _ in range(self._job.clients)
        ]
        async with asyncio.timeout(self._job.seconds + _PATIENCE_S):
            await asyncio.gather(*(client.finished for client in clients))
        seconds = time.perf_counter() - begun
        ordered = sorted(self.latencies)
        return {
            "requests": len(ordered),
            "seconds": seconds,
            "p50_ms": ordered[len(ordered) // 2] * 1000,
            "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
            "unexpected": self.unexpected,
        }


def main() -> None:
    """Read a job, do it, say what came of it."""
    job = Job(**json.load(sys.stdin))

    async def go() -> dict[str, Any]:
        return await Run(job).go()

    json.dump(asyncio.run(go()), sys.stdout)


if __name__ == "__main__":
    main()
