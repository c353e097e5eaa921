import asyncio
from datetime import UTC, datetime

import aiosqlite

from tests.support.time import VirtualClock, settled

START = datetime(2025, 1, 15, 14, 0, tzinfo=UTC)


async def test_time_moves_only_when_told_to():
    clock = VirtualClock(START)
    sleeper = asyncio.create_task(clock.sleep(10))

    await clock.advance(9.5)

    assert not sleeper.done()
    assert clock.now() == datetime(2025, 1, 15, 14, 0, 9, 500_000, tzinfo=UTC)

    await clock.advance(0.5)

    assert sleeper.done()
    assert clock.monotonic() == 10.0


async def test_advancing_wakes_everybody_at_their_own_instant():
    clock = VirtualClock(START)
    woken = []

    async def sleep(name, seconds):
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleep("b", 3)), asyncio.create_task(sleep("a", 2))]
    await clock.advance(5)

    assert woken == [("a", 2.0), ("b", 3.0), ("a", 4.0)]
    assert clock.monotonic() == 5.0
    for task in tasks:
        task.cancel()


async def test_automatic_time_jumps_when_every_task_waits():
    clock = VirtualClock(START, auto=True)
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def produce():
        await clock.sleep(3_600)
        await queue.put("an hour later")

    producer = asyncio.create_task(produce())

    assert await queue.get() == "an hour later"
    assert clock.monotonic() == 3_600.0
    await producer


async def test_automatic_time_waits_for_sqlite_and_for_threads(tmp_path):
    clock = VirtualClock(START, auto=True)
    other = asyncio.create_task(clock.sleep(1_000_000))

    async with aiosqlite.connect(tmp_path / "a.db") as connection:
        await connection.execute_fetchall(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n"
        )
        assert clock.monotonic() == 0.0
    await asyncio.to_thread(sum, range(1_000_000))

    assert clock.monotonic() == 0.0
    await other
    assert clock.monotonic() == 1_000_000.0


async def test_a_held_clock_does_not_jump():
    clock = VirtualClock(START, auto=True)
    with clock.held():
        sleeper = asyncio.create_task(clock.sleep(1))
        await asyncio.sleep(0.01)
        assert not sleeper.done()

    await sleeper
    assert clock.monotonic() == 1.0


async def test_a_cancelled_sleeper_is_forgotten():
    clock = VirtualClock(START)
    sleeper = asyncio.create_task(clock.sleep(1))
    await settled()
    assert clock.sleepers == 1

    sleeper.cancel()
    await settled()

    assert clock.sleepers == 0
