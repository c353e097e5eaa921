"""Requests counted for all processes of a host in one file (decision K5), whatever happens to who counts."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.host_limit import FILE, HostRateLimiter
from app.rate_limit import RedisRateLimiter
from tests.support.servers import run_redis
from tests.support.time import VirtualClock

START = datetime(2025, 1, 15, 14, 0, 47, 250_000, tzinfo=UTC)
_spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
async def limiter(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[HostRateLimiter]:
    made = HostRateLimiter(tmp_path / FILE, clock)
    yield made
    await made.close()


@pytest.fixture
async def second(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[HostRateLimiter]:
    """As another process has it."""
    made = HostRateLimiter(tmp_path / FILE, clock)
    yield made
    await made.close()


async def spend(limiter: HostRateLimiter, key: str, limit: int, times: int) -> int:
    return sum([(await limiter.hit(key, limit)).allowed for _ in range(times)])


def count_in_a_process(path: Path) -> int:
    async def count() -> int:
        limiter = HostRateLimiter(path, VirtualClock(START))
        allowed = await spend(limiter, "shared", 3_000, 2_000)
        await limiter.close()
        return allowed

    return asyncio.run(count())


def test_four_processes_share_one_limit(tmp_path: Path) -> None:
    with _spawn.Pool(4) as pool:
        allowed = pool.map(count_in_a_process, [tmp_path / FILE] * 4, chunksize=1)

    assert sum(allowed) == 3_000


def hammer(path: Path, ready: Connection) -> None:
    async def count() -> None:
        limiter = HostRateLimiter(path, VirtualClock(START))
        await limiter.hit("other", 1_000_000_000)
        ready.send(None)
        while True:
            await limiter.hit("other", 1_000_000_000)

    asyncio.run(count())


def die_with_the_lock(path: Path) -> None:
    async def hold() -> None:
        limiter = HostRateLimiter(path, VirtualClock(START))
        assert await limiter._lock()
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(hold())


async def test_processes_that_are_killed_leave_the_lock_behind_for_nobody(
    tmp_path: Path, limiter: HostRateLimiter
) -> None:
    await limiter.hit("key", 5)
    dying = _spawn.Process(target=die_with_the_lock, args=(tmp_path / FILE,))
    dying.start()
    dying.join()
    heard, ready = _spawn.Pipe(duplex=False)
    hammering = [_spawn.Process(target=hammer, args=(tmp_path / FILE, ready)) for _ in range(2)]
    for process in hammering:
        process.start()
    for _ in hammering:
        assert heard.poll(60)
        heard.recv()
    for process in hammering:
        process.kill()
        process.join()

    with capture_logs() as logs:
        assert await spend(limiter, "key", 5, 6) == 4

    assert dying.exitcode == -signal.SIGKILL
    assert logs == []


async def test_whoever_stands_still_with_the_lock_holds_up_nobody_for_long(
    tmp_path: Path, limiter: HostRateLimiter, second: HostRateLimiter, clock: VirtualClock
) -> None:
    """Meanwhile each process counts on from what it knows, and says so once."""
    await limiter.hit("key", 5, cost=2)
    with (tmp_path / FILE).open() as file, capture_logs() as logs:
        fcntl.flock(file, fcntl.LOCK_EX)
        without = await spend(limiter, "key", 5, 4)
        await clock.advance(1.1)
        still = (await limiter.hit("key", 5)).allowed
        fcntl.flock(file, fcntl.LOCK_UN)
        await clock.advance(1.1)
        again = await limiter.hit("key", 6)
        others = await second.hit("key", 6)

    assert (without, still) == (3, False)
    assert (again.allowed, again.remaining) == (True, 0)  # what was counted meanwhile is not forgotten
    assert (others.allowed, others.remaining) == (False, 0)
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("warning", "the file of rate limits cannot be used: they count per process until it can"),
        ("info", "rate limits count for all processes of this host together again"),
    ]


@pytest.mark.parametrize("broken", ["no directory", "a directory", "a link"])
async def test_without_the_file_the_process_counts(tmp_path: Path, clock: VirtualClock, broken: str) -> None:
    path = tmp_path / "below" / FILE
    if broken != "no directory":
        path.parent.mkdir()
    if broken == "a directory":
        path.mkdir()
    if broken == "a link":
        (tmp_path / "elsewhere").write_text("untouched")
        path.symlink_to(tmp_path / "elsewhere")
    limiter = HostRateLimiter(path, clock)

    with capture_logs() as logs:
        assert await spend(limiter, "key", 3, 5) == 3

    assert [line["log_level"] for line in logs] == ["warning"]
    if broken == "a link":
        assert (tmp_path / "elsewhere").read_text() == "untouched"
    await limiter.close()


async def test_a_file_of_another_kind_is_made_anew(tmp_path: Path, limiter: HostRateLimiter) -> None:
    (tmp_path / FILE).write_text("something else")

    assert await spend(limiter, "key", 3, 5) == 3
    assert (tmp_path / FILE).stat().st_size == 1 << 20
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0o044  # it was somebody's: left as it is


@pytest.mark.parametrize("shortened_to", [0, 100, 5_000])
def test_a_file_that_is_shortened_while_it_is_used_kills_nobody(tmp_path: Path, shortened_to: int) -> None:
    """As `: > rate-limits` does, or a backup that is restored in place. Each knows what it has counted."""
    process = _spawn.Process(target=count_in_a_shortened_file, args=(tmp_path / FILE, shortened_to))
    process.start()
    process.join()

    assert process.exitcode == 0
    assert (tmp_path / FILE).stat().st_size == 1 << 20  # after a second, for a full disk to be noticed in time


def count_in_a_shortened_file(path: Path, length: int) -> None:
    async def count() -> None:
        clock = VirtualClock(START)
        limiter = HostRateLimiter(path, clock)
        before = await spend(limiter, "key", 5, 2)
        os.truncate(path, length)
        after = await spend(limiter, "key", 5, 5)
        assert (before, after) == (2, 3)
        await clock.advance(1)
        await limiter.hit("key", 5)
        await limiter.close()

    asyncio.run(count())


@pytest.mark.parametrize("gone", ["deleted", "replaced"])
async def test_processes_meet_in_the_file_that_has_the_name(
    tmp_path: Path, limiter: HostRateLimiter, second: HostRateLimiter, clock: VirtualClock, gone: str
) -> None:
    """A backup that is restored is another file of that name: who has the old one open leaves it."""
    await limiter.hit("before", 5)
    (tmp_path / FILE).unlink()
    if gone == "replaced":
        (tmp_path / FILE).write_bytes(bytes(100))
    await clock.advance(1)

    with capture_logs() as logs:
        allowed = [await spend(each, "key", 5, 3) for each in (second, limiter)]

    assert allowed == [3, 2]
    assert logs == []


async def test_a_table_of_another_length_is_left_to_those_who_use_it(tmp_path: Path, clock: VirtualClock) -> None:
    """As another version's, which may be running still."""
    longer, shorter = (HostRateLimiter(tmp_path / FILE, clock, slots=slots) for slots in (64, 16))
    await spend(longer, "key", 5, 4)

    allowed = await spend(shorter, "other", 5, 6)

    assert allowed == 5
    assert (tmp_path / FILE).stat().st_size == 64 * 32
    assert await spend(HostRateLimiter(tmp_path / FILE, clock, slots=64), "key", 5, 3) == 1
    await longer.close()
    await shorter.close()


async def test_on_a_full_disk_the_process_counts(
    limiter: HostRateLimiter, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    await limiter.hit("key", 5)
    with capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        without = await spend(limiter, "key", 5, 3)
        await clock.advance(1.1)
        without += await spend(limiter, "key", 5, 3)
    await clock.advance(1.1)

    assert without == 4
    assert [line["log_level"] for line in logs] == ["warning"]
    assert not (await limiter.hit("key", 5)).allowed


async def test_what_was_counted_outlives_who_counted(tmp_path: Path, limiter: HostRateLimiter) -> None:
    await limiter.hit("key", 5, cost=4)
    await limiter.close()

    assert await spend(limiter, "key", 5, 3) == 1
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_each_key_and_each_length_of_window_has_its_own_count(
    tmp_path: Path, limiter: HostRateLimiter, clock: VirtualClock
) -> None:
    quarters = HostRateLimiter(tmp_path / FILE, clock, window_s=900)

    for _ in range(2):
        assert [await spend(each, key, 2, 3) for each in (limiter, quarters) for key in ("a", "b")] == (
            [2, 2, 2, 2] if clock.now() == START else [2, 2, 0, 0]
        )
        await clock.advance(60)

    await quarters.close()


async def test_a_full_table_forgets_only_what_is_over(tmp_path: Path, clock: VirtualClock) -> None:
    """More keys than places in a minute: the others are counted too, each process for itself."""
    limiter = HostRateLimiter(tmp_path / FILE, clock, slots=16)
    second = HostRateLimiter(tmp_path / FILE, clock, slots=16)
    keys = [f"key {number}" for number in range(40)]

    first = {key: await spend(limiter, key, 2, 3) for key in keys}
    then = {key: await spend(second, key, 2, 3) for key in keys}
    await clock.advance(60)
    later = [await spend(limiter, key, 2, 3) for key in keys[::-1][:2]]
    shared = [await spend(second, key, 2, 3) for key in keys[::-1][:2]]

    assert set(first.values()) == {2}
    assert sorted(then.values()) == [0] * 16 + [2] * 24  # the table is full, to the last place
    assert (later, shared) == ([2, 2], [0, 0])
    await limiter.close()
    await second.close()


async def test_a_clock_that_was_years_ahead_does_not_keep_the_places(tmp_path: Path, clock: VirtualClock) -> None:
    ahead = VirtualClock(START.replace(year=2035))
    wrong, right = (HostRateLimiter(tmp_path / FILE, each, slots=8) for each in (ahead, clock))
    for number in range(8):
        await wrong.hit(f"key {number}", 1)

    allowed = [await spend(right, f"key {number}", 1, 2) for number in range(8)]

    assert allowed == [1] * 8
    assert await spend(HostRateLimiter(tmp_path / FILE, clock, slots=8), "key 0", 1, 2) == 0
    await wrong.close()
    await right.close()


async def test_without_redis_the_processes_of_a_host_still_count_together(
    limiter: HostRateLimiter, second: HostRateLimiter, clock: VirtualClock
) -> None:
    away = "redis://127.0.0.1:1/0"
    both = [RedisRateLimiter(away, clock, fallback=each) for each in (limiter, second)]

    with capture_logs() as logs:
        allowed = [(await both[n % 2].hit("key", 5)).allowed for n in range(8)]

    assert allowed == [True] * 5 + [False] * 3
    assert [line["event"] for line in logs] == ["Redis is away: rate limits count per host until it is back"] * 2
    for each in both:
        await each.close()


async def test_what_redis_has_counted_holds_when_it_goes(
    limiter: HostRateLimiter, second: HostRateLimiter, clock: VirtualClock
) -> None:
    """Also in a process that has not seen the key in this minute."""
    with run_redis() as url:
        seen, unseen = (RedisRateLimiter(url, clock, fallback=each) for each in (limiter, second))
        before = sum([(await seen.hit("key", 60)).allowed for _ in range(50)])
        await unseen.hit("other", 60)

    with capture_logs():
        after = [(await unseen.hit("key", 60)) for _ in range(11)]

    assert before + sum(usage.allowed for usage in after) == 60
    assert [usage.remaining for usage in after] == [*range(9, -1, -1), 0]
    for each in (seen, unseen):
        await each.close()


async def test_whoever_stands_still_with_the_lock_does_not_hold_up_redis(
    tmp_path: Path, limiter: HostRateLimiter, second: HostRateLimiter, redis_url: str, clock: VirtualClock
) -> None:
    through_redis = RedisRateLimiter(redis_url, clock, fallback=limiter)

    with (tmp_path / FILE).open("w") as file, capture_logs() as logs:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = [(await through_redis.hit("key", 5)).remaining for _ in range(2)]
        fcntl.flock(file, fcntl.LOCK_UN)
        then = (await through_redis.hit("key", 5)).remaining

    assert (before, then) == ([4, 3], 2)
    assert (await second.hit("key", 5, cost=0)).remaining == 2
    assert logs == []
    await through_redis.close()


async def test_without_the_file_redis_counts_alone(tmp_path: Path, redis_url: str, clock: VirtualClock) -> None:
    limiter = RedisRateLimiter(redis_url, clock, fallback=HostRateLimiter(tmp_path / "below" / FILE, clock))

    with capture_logs() as logs:
        allowed = [(await limiter.hit("key", 3)).allowed for _ in range(5)]

    assert allowed == [True] * 3 + [False] * 2
    assert [line["event"] for line in logs] == [
        "the file of rate limits cannot be used: they count per process until it can"
    ]
    await limiter.close()
