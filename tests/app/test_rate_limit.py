"""Requests per key and minute, in one process and over many (decision K5)."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from app.host_limit import FILE, HostRateLimiter
from app.rate_limit import LocalRateLimiter, RateLimiter, RedisRateLimiter, Usage
from tests.support.servers import run_redis
from tests.support.time import VirtualClock

START = datetime(2025, 1, 15, 14, 0, 47, 250_000, tzinfo=UTC)
RESET = int(datetime(2025, 1, 15, 14, 1, tzinfo=UTC).timestamp())


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture(params=["local", "host", "redis"])
async def limiter(request: pytest.FixtureRequest, clock: VirtualClock, tmp_path: Path) -> AsyncIterator[RateLimiter]:
    if request.param == "local":
        made: RateLimiter = LocalRateLimiter(clock)
    elif request.param == "host":
        made = HostRateLimiter(tmp_path / FILE, clock)
    else:
        made = RedisRateLimiter(request.getfixturevalue("redis_url"), clock)
    yield made
    await made.close()


async def test_the_first_request_of_a_minute(limiter: RateLimiter) -> None:
    usage = await limiter.hit("key", 300)

    assert usage == Usage(limit=300, remaining=299, reset_epoch_s=RESET, allowed=True, retry_after_s=0)
    assert usage.headers() == {
        "X-RateLimit-Limit": "300",
        "X-RateLimit-Remaining": "299",
        "X-RateLimit-Reset": str(RESET),
    }


async def test_the_request_over_the_limit_is_refused_and_not_counted(limiter: RateLimiter) -> None:
    allowed = [await limiter.hit("key", 3) for _ in range(3)]
    refused = [await limiter.hit("key", 3) for _ in range(3)]
    raised = await limiter.hit("key", 4)

    assert [usage.remaining for usage in allowed] == [2, 1, 0]
    assert all(usage.allowed for usage in allowed)
    assert refused == [Usage(limit=3, remaining=0, reset_epoch_s=RESET, allowed=False, retry_after_s=13)] * 3
    assert refused[0].headers()["Retry-After"] == "13"
    assert (raised.allowed, raised.remaining) == (True, 0)  # a better plan: the refusals have cost nothing


async def test_a_request_at_reset_succeeds(limiter: RateLimiter, clock: VirtualClock) -> None:
    await limiter.hit("key", 1)
    before = await limiter.hit("key", 1)

    await clock.advance(12.749)
    just_before = await limiter.hit("key", 1)
    await clock.advance(0.001)
    at_reset = await limiter.hit("key", 1)

    assert (before.allowed, just_before.allowed) == (False, False)
    assert just_before.retry_after_s == 1
    assert clock.now().timestamp() == RESET
    assert at_reset == Usage(limit=1, remaining=0, reset_epoch_s=RESET + 60, allowed=True, retry_after_s=0)


async def test_a_request_after_retry_after_succeeds(limiter: RateLimiter, clock: VirtualClock) -> None:
    await limiter.hit("key", 1)
    refused = await limiter.hit("key", 1)

    await clock.advance(refused.retry_after_s)

    assert (await limiter.hit("key", 1)).allowed


async def test_keys_do_not_share(limiter: RateLimiter) -> None:
    await limiter.hit("one", 1)

    assert (await limiter.hit("two", 1)).allowed
    assert not (await limiter.hit("one", 1)).allowed


async def test_without_a_limit_nothing_is_said(limiter: RateLimiter) -> None:
    usages = [await limiter.hit("key", None) for _ in range(1000)]

    assert all(usage.allowed for usage in usages)
    assert usages[-1].headers() == {}


async def test_a_request_may_cost_more(limiter: RateLimiter) -> None:
    first = await limiter.hit("key", 10, cost=7)
    too_dear = await limiter.hit("key", 10, cost=4)
    cheap = await limiter.hit("key", 10, cost=3)

    assert (first.allowed, first.remaining) == (True, 3)
    assert (too_dear.allowed, too_dear.remaining) == (False, 3)
    assert (cheap.allowed, cheap.remaining) == (True, 0)


async def test_asking_costs_nothing(limiter: RateLimiter) -> None:
    asked = [await limiter.hit("key", 1, cost=0) for _ in range(3)]
    await limiter.hit("key", 1)
    full = await limiter.hit("key", 1, cost=0)

    assert [(usage.allowed, usage.remaining) for usage in asked] == [(True, 1)] * 3
    assert (full.allowed, full.remaining) == (False, 0)


async def test_parallel_requests_are_counted_exactly(limiter: RateLimiter) -> None:
    usages = await asyncio.gather(*(limiter.hit("key", 60) for _ in range(200)))

    assert sum(usage.allowed for usage in usages) == 60
    assert sorted(usage.remaining for usage in usages if usage.allowed) == list(range(60))


async def test_a_clock_that_goes_back_does_not_lift_the_limit(limiter: RateLimiter, clock: VirtualClock) -> None:
    await clock.advance(13)
    await limiter.hit("key", 1)

    clock._seconds = 0
    allowed = [(await limiter.hit("key", 1)).allowed for _ in range(2)]

    assert allowed == [True, False]


async def test_local_counts_are_bounded(clock: VirtualClock) -> None:
    limiter = LocalRateLimiter(clock, most_keys=3)

    await limiter.hit("busy", 2)
    for number in range(10):
        await limiter.hit(f"passing {number}", 2)
        await limiter.hit("busy", 2)

    assert len(limiter._used) == 3
    assert not (await limiter.hit("busy", 2)).allowed  # a key in use is not the one forgotten


async def test_an_old_window_is_dropped(clock: VirtualClock) -> None:
    limiter = LocalRateLimiter(clock)
    for number in range(100):
        await limiter.hit(f"key {number}", 5)

    await clock.advance(60)
    await limiter.hit("key", 5)

    assert limiter._used == {"key": 1}


def count_in_a_process(url: str) -> int:
    async def count() -> int:
        limiter = RedisRateLimiter(url, VirtualClock(START), timeout_s=5)  # a slow machine is not a Redis that is away
        usages = await asyncio.gather(*(limiter.hit("shared", 300) for _ in range(200)))
        await limiter.close()
        return sum(usage.allowed for usage in usages)

    return asyncio.run(count())


def test_processes_share_one_limit(redis_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        allowed = pool.map(count_in_a_process, [redis_url] * 4, chunksize=1)

    assert sum(allowed) == 300


async def test_any_number_of_hits_at_once_are_few_questions(redis_url: str, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(redis_url, clock)
    keys = [f"key {number % 7}" for number in range(1200)]

    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.config_resetstat()
        usages = await asyncio.gather(*(limiter.hit(key, 100, cost=number % 3) for number, key in enumerate(keys)))
        info = await client.info("commandstats")
        counted = {key: int(await client.get(f"voxforge:rate:{RESET // 60 - 1}:{key}")) for key in set(keys)}
    assert info["cmdstat_evalsha"]["calls"] <= 5
    for key in set(keys):
        spent = [number % 3 for number, usage in enumerate(usages) if keys[number] == key and usage.allowed]
        assert counted[key] == sum(spent)
        assert counted[key] in (99, 100)
    await limiter.close()


async def test_closing_leaves_nobody_waiting(gate: Gate, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(gate.url, clock, timeout_s=60)
    gate.freeze()
    hits = [asyncio.create_task(limiter.hit("key", 2)) for _ in range(3)]
    await asyncio.sleep(0.05)

    await limiter.close()

    async with asyncio.timeout(5):
        assert [(await hit).allowed for hit in hits] == [True, True, False]


async def test_redis_forgets_a_window(redis_url: str, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(redis_url, clock)

    await limiter.hit("key", 5)

    async with redis.asyncio.Redis.from_url(redis_url) as client:
        (name,) = await client.keys("*")
        assert name == f"voxforge:rate:{RESET // 60 - 1}:key".encode()
        assert 60 < await client.ttl(name) <= 180
    await limiter.close()


async def test_an_emptied_redis_does_not_grant_the_window_again(redis_url: str, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(redis_url, clock)
    await limiter.hit("key", 3, cost=2)

    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushall()
        await client.script_flush()
    usages = [await limiter.hit("key", 3) for _ in range(2)]

    assert [(usage.allowed, usage.remaining) for usage in usages] == [(True, 0), (False, 0)]
    await limiter.close()


class Gate:
    """A wire to Redis that can be cut, or stand still as when the server is stopped with SIGSTOP."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    async def open(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"

    async def cut(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._flowing.wait()
            sink.write(data)
        sink.close()


@pytest.fixture
async def gate(redis_url: str) -> AsyncIterator[Gate]:
    made = Gate(int(redis_url.rpartition(":")[2].partition("/")[0]))
    await made.open()
    yield made
    made.thaw()
    await made.cut()


async def test_without_redis_this_process_counts_on_and_says_so_once(gate: Gate, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(gate.url, clock)
    await limiter.hit("key", 10, cost=6)

    with capture_logs() as logs:
        await gate.cut()
        usages = []
        for _ in range(6):
            usages.append(await limiter.hit("key", 10))
            await clock.advance(1.1)  # past the cool-down: Redis is tried again, in vain
        await gate.open(gate.port)
        await clock.advance(1.1)
        back = await limiter.hit("key", 20)

    assert [usage.remaining for usage in usages] == [3, 2, 1, 0, 0, 0]
    assert [usage.allowed for usage in usages] == [True, True, True, True, False, False]
    assert (back.allowed, back.remaining) == (True, 9)  # what was counted meanwhile is not forgotten
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("warning", "Redis is away: rate limits count per host until it is back"),
        ("info", "Redis is back: rate limits count for all processes together"),
    ]
    await limiter.close()


async def test_during_the_cool_down_redis_is_left_alone(gate: Gate, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(gate.url, clock, cool_down_s=5)
    await gate.cut()
    await limiter.hit("key", 10)

    await gate.open(gate.port)
    await clock.advance(4.9)
    for _ in range(3):
        await limiter.hit("key", 10)
    early = gate.connections
    await clock.advance(0.1)
    usage = await limiter.hit("key", 10)

    assert (early, gate.connections) == (0, 1)
    assert usage.remaining == 5
    await limiter.close()


async def test_a_redis_that_stands_still_costs_one_request_a_quarter_second(gate: Gate, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(gate.url, clock)
    await limiter.hit("key", 100)
    gate.freeze()

    begun = time.monotonic()
    await limiter.hit("key", 100)
    first = time.monotonic() - begun
    await clock.advance(1.1)
    begun = time.monotonic()
    probe = asyncio.create_task(limiter.hit("key", 100))
    await asyncio.sleep(0)
    others = [await limiter.hit("key", 100) for _ in range(50)]
    waited = time.monotonic() - begun
    await probe

    assert 0.2 < first < 2
    assert waited < 0.2
    assert [usage.remaining for usage in others] == list(range(97, 47, -1))
    await limiter.close()


async def test_late_answers_reach_nobody_else(gate: Gate, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(gate.url, clock, cool_down_s=0)
    await limiter.hit("a", 1000, cost=500)
    gate.freeze()
    await asyncio.gather(*(limiter.hit("a", 1000) for _ in range(20)))

    gate.thaw()
    usages = [await limiter.hit(f"fresh {number}", 1000) for number in range(20)]

    assert [usage.remaining for usage in usages] == [999] * 20
    await limiter.close()


async def test_a_cancelled_request_does_not_spoil_the_connection(redis_url: str, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(redis_url, clock)
    await limiter.hit("a", 1000, cost=500)

    for _ in range(30):
        task = asyncio.create_task(limiter.hit("a", 1000))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    usages = [await limiter.hit(f"fresh {number}", 1000) for number in range(5)]

    assert [usage.remaining for usage in usages] == [999] * 5
    await limiter.close()


async def test_a_redis_that_is_killed_is_never_an_error(clock: VirtualClock) -> None:
    with run_redis() as url:
        limiter = RedisRateLimiter(url, clock)
        before = await limiter.hit("key", 3)

    after = [await limiter.hit("key", 3) for _ in range(3)]

    assert before.remaining == 2
    assert [usage.allowed for usage in after] == [True, True, False]
    await limiter.close()


async def test_a_redis_that_refuses_is_away_too(redis_url: str, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(redis_url.replace("redis://", "redis://:wrong@"), clock)

    usages = [await limiter.hit("key", 1) for _ in range(2)]

    assert [usage.allowed for usage in usages] == [True, False]
    await limiter.close()
