"""How soon and how steadily webhooks arrive: `voxforge up` on SQLite, and `serve` and `work` on PostgreSQL and Redis.

Latency: test events at a steady rate, each timed to the first byte at the receiver: from its commit where this process
commits it (over PostgreSQL), from sending the request that makes it otherwise, which is longer. Sustained: calls to a
number that is not in service, each of them two events for 25 endpoints. Ladder: first attempts that failed, and their
second ones on the documented rung of 30 s, which comes while the sustained load is on.
"""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp
from goals import Figure, at_least, at_most, percentile, show, write
from installing import Installation, installed
from measuring import machine_load
from processes import Unwell

from schema.bell import open_bell
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import webhooks
from tests.support.servers import run_postgres, run_redis

DEVELOPMENT = {"VOXFORGE_WEBHOOK_ALLOW_HTTP": "true", "VOXFORGE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
ENDPOINTS = 25
FLAKY = 20
NOT_IN_SERVICE = "+12025550143"
RUNG_S = 30.0
MORE = 1.15  # offered than has to be sustained: the last one offered takes its time too
_PATIENCE_S = 30.0
_WARM_UP_S = 2.0  # connections, and what is compiled once
Make = Callable[[], Awaitable[tuple[str, float]]]
_HEAD = re.compile(rb"POST (\S+) .*?\r\nwebhook-id: *([^\r]+)\r\n(?:.*?\r\n)?\r\n", re.IGNORECASE | re.DOTALL)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(slots=True)
class Log:
    """What arrived: the first byte of each event at each path; of each flaky endpoint, (first byte, answer) each."""

    begun: dict[tuple[str, str], float] = field(default_factory=dict)
    flaky: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def rungs(self) -> list[float]:
        """Seconds from each flaky endpoint's first answer to the first byte of what came next; 0 if nothing did."""
        return [each[1][0] - each[0][1] if len(each) > 1 else 0.0 for each in self.flaky.values()]


class _Receiver(asyncio.Protocol):
    """One connection; each path under `/flaky` answers 500 to its first request."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._buffer = bytearray()
        self._first_byte = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._first_byte = time.monotonic()
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[: end + 4])
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            del self._buffer[:whole]
            self._answer(head)
            self._first_byte = time.monotonic()

    def _answer(self, head: bytes) -> None:
        found = _HEAD.match(head)
        if found is None:
            raise RuntimeError(f"not a delivery: {head!r}")
        path, status = found[1].decode(), b"200 OK"
        if path.startswith("/flaky"):
            seen = self._log.flaky.setdefault(path, [])
            status = status if seen else b"500 No"
            seen.append((self._first_byte, time.monotonic()))
        else:
            self._log.begun.setdefault((path, found[2].decode()), self._first_byte)
        self._transport.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)


@dataclass(slots=True)
class Bench:
    """An installation, a receiver, and somebody who talks to both."""

    running: Installation
    session: aiohttp.ClientSession
    log: Log
    receiver: str

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request of the API. Raises Unwell for a refusal."""
        headers = {"Authorization": f"Bearer {self.running.api_key}"}
        url = f"{self.running.url}/api/v1{path}"
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            said: dict[str, Any] = await answer.json()
            if answer.status >= 300:
                raise Unwell(f"{method} {path}: {answer.status} {said}")
            return said

    async def endpoint(self, path: str, *events: str) -> str:
        """The id of a new endpoint of the receiver."""
        given: dict[str, object] = {"url": f"{self.receiver}{path}"}
        return str((await self.ask("POST", "/webhooks", {**given, "events": list(events)} if events else given))["id"])

    def call(self) -> dict[str, str]:
        """A call that fails at once, which is two events."""
        return {
            "agentId": self.running.agent_id,
            "phoneNumberId": self.running.phone_number_id,
            "to": NOT_IN_SERVICE,
        }

    async def arrived(self, count: int) -> None:
        """Until so many deliveries have come, or nobody believes in it any more."""
        deadline = time.monotonic() + _PATIENCE_S
        while len(self.log.begun) < count and time.monotonic() < deadline:  # noqa: ASYNC110 (nobody says so)
            await asyncio.sleep(0.02)


async def _at_rate(rate: float, seconds: float, once: Callable[[], Awaitable[object]]) -> None:
    """Call `once` so often a second, whether or not those before have ended."""
    begun, tasks = time.monotonic(), set()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        tasks.add(asyncio.ensure_future(once()))
    await asyncio.gather(*tasks)


async def _latency(bench: Bench, rate: float, seconds: float, make: Make) -> list[float]:
    """Milliseconds from each event to its first byte; fewer than were sent when some never came."""
    since: dict[str, float] = {}
    bench.log.begun.clear()

    async def once() -> None:
        id, at = await make()
        since[id] = at

    await _at_rate(rate, seconds, once)
    await bench.arrived(len(since))
    begun = {id: at for (_, id), at in bench.log.begun.items()}
    return [(begun[id] - at) * 1000 for id, at in since.items() if id in begun]


@contextmanager
def _maker(bench: Bench, endpoint_ids: Sequence[str], *, scaled: bool) -> Iterator[Make]:
    """What makes one test event; returns its event and the instant from which it counts."""
    in_turn = cycle(endpoint_ids)

    async def by_request() -> tuple[str, float]:
        at = time.monotonic()
        return (await bench.ask("POST", f"/webhooks/{next(in_turn)}/test", {}))["eventId"], at

    if not scaled:
        yield by_request
        return
    redis_url = bench.running.environment["VOXFORGE_REDIS_URL"]
    runtime = Runtime.open(bench.running.settings, bell=open_bell(redis_url))
    viewer = Viewer(bench.running.workspace_id, Plan.ENTERPRISE)

    async def by_commit() -> tuple[str, float]:
        async with runtime.transaction(viewer) as tx:
            made = await webhooks.test(tx, next(in_turn))
        return made.event_id, time.monotonic()

    try:
        yield by_commit
    finally:
        runtime.bell.close()


async def _fail_once(bench: Bench) -> None:
    """An event whose first attempt fails at each of the flaky endpoints, which then want no more of them."""
    flaky = [await bench.endpoint(f"/flaky/{number}", "call.failed") for number in range(FLAKY)]
    await bench.ask("POST", "/calls", bench.call())
    while len(bench.log.flaky) < FLAKY:  # noqa: ASYNC110 (nobody says so)
        await asyncio.sleep(0.02)
    for id in flaky:
        await bench.ask("PATCH", f"/webhooks/{id}", {"events": ["transcript.ready"]})


async def _sustained(bench: Bench, rate: float, seconds: float) -> tuple[float, int, int]:
    """Deliveries a second, how many came and how many should have."""
    for number in range(ENDPOINTS):
        await bench.endpoint(f"/fan/{number}", "call.started", "call.failed")
    bench.log.begun.clear()
    await _at_rate(rate / 2 / ENDPOINTS, seconds, lambda: bench.ask("POST", "/calls", bench.call()))
    expected = int(rate / 2 / ENDPOINTS * seconds) * 2 * ENDPOINTS
    await bench.arrived(expected)
    instants = bench.log.begun.values()
    return len(instants) / (max(instants) - min(instants)), len(instants), expected


async def _measure(running: Installation, name: str, options: argparse.Namespace, *, scaled: bool) -> list[Figure]:
    log = Log()
    server = await asyncio.get_running_loop().create_server(lambda: _Receiver(log), "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    rate, goal_ms, steady = (200, 120, 400) if scaled else (50, 150, 250)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            bench = Bench(running, session, log, f"http://127.0.0.1:{port}")
            hooks = [await bench.endpoint(f"/hook/{number}", "analysis.complete") for number in range(ENDPOINTS)]
            with _maker(bench, hooks, scaled=scaled) as make:
                await _latency(bench, rate, _WARM_UP_S, make)
                failed_at = time.monotonic()
                await _fail_once(bench)
                took = await _latency(bench, rate, options.seconds, make)
            sent = int(rate * options.seconds)
            a_second, came, expected = await _sustained(bench, steady * MORE, options.seconds)
            while not all(log.rungs()) and time.monotonic() < failed_at + 2 * RUNG_S:  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.05)
    finally:
        server.close()
    return [
        Figure(f"{name}: first byte, p50, at {rate} events/s", f"{percentile(took, 0.5):.1f} ms"),
        at_most(f"{name}: first byte, p95", percentile(took, 0.95), goal_ms, "ms"),
        Figure(f"{name}: first byte, p99", f"{percentile(took, 0.99):.1f} ms"),
        at_most(f"{name}: events of {sent:,} that never came", sent - len(took), 0, ""),
        at_least(f"{name}: deliveries/s sustained, offered {steady * MORE:.0f}", a_second, steady),
        at_most(f"{name}: deliveries of {expected:,} that never came", expected - came, 0, ""),
        at_least(f"{name}: the rung of 30 s, earliest of {FLAKY}", min(log.rungs()), RUNG_S, "s"),
        at_most(f"{name}: the rung of 30 s, latest of {FLAKY}", max(log.rungs()), RUNG_S + 2, "s"),
    ]


def main() -> None:
    """Measure and report; a goal that is missed is an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("embedded", "scaled", "both"), default="both")
    parser.add_argument("--seconds", type=float, default=20, help="of each load (20)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: list[Figure] = []
    title = f"Webhooks, from the event to the receiver; {machine_load()}"
    try:
        if options.mode != "scaled":
            with installed(DEVELOPMENT) as running:
                figures += asyncio.run(_measure(running, "embedded", options, scaled=False))
        if options.mode != "embedded":
            with ExitStack() as stack:
                database = stack.enter_context(run_postgres()).create_database()
                backends = {"VOXFORGE_DATABASE_URL": database, "VOXFORGE_REDIS_URL": stack.enter_context(run_redis())}
                running = stack.enter_context(installed(DEVELOPMENT | backends, scaled=True))
                figures += asyncio.run(_measure(running, "scaled", options, scaled=True))
    except Unwell as failure:
        sys.exit(str(failure))
    write(options.json, title, figures)
    sys.exit(0 if show(title, figures) else 1)


if __name__ == "__main__":
    main()
