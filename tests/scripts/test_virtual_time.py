"""The event loop whose time jumps."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiosqlite
import pytest

from scripts.replay.virtual_time import LoopClock, Stuck, run

START = datetime(2025, 3, 7, 16, 30, tzinfo=UTC)


def test_three_days_pass_while_everything_waits_for_them() -> None:
    async def main() -> datetime:
        clock = LoopClock(START)
        await clock.sleep(3 * 86_400)
        return clock.now()

    assert run(main()) == START + timedelta(days=3)


def test_each_wakes_at_its_own_instant() -> None:
    woken = []

    async def sleeper(clock: LoopClock, name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now() - START))

    async def main() -> None:
        clock = LoopClock(START)
        await asyncio.gather(sleeper(clock, "last", 7_200.5), sleeper(clock, "first", 0.25), sleeper(clock, "next", 90))

    run(main())

    assert woken == [
        ("first", timedelta(seconds=0.25)),
        ("next", timedelta(seconds=90)),
        ("last", timedelta(seconds=7_200.5)),
    ]


def test_what_is_ready_runs_before_time_moves() -> None:
    async def busy(clock: LoopClock) -> datetime:
        for _ in range(1_000):
            await asyncio.sleep(0)
        return clock.now()

    async def main() -> datetime:
        clock = LoopClock(START)
        worker = asyncio.create_task(busy(clock))
        await clock.sleep(0.001)
        return await worker

    assert run(main()) == START


def test_the_loops_own_timeouts_are_virtual_too() -> None:
    async def main() -> list[float]:
        loop, never, ends = asyncio.get_running_loop(), asyncio.Event(), []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await never.wait()
        ends.append(loop.time())
        waiting = asyncio.create_task(never.wait())
        await asyncio.wait({waiting}, timeout=3_600)
        ends.append(loop.time())
        waiting.cancel()
        return ends

    assert run(main()) == [5, 3_605]


def test_waiting_for_what_nobody_will_do_is_said() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        run(main())


def test_work_for_an_executor_is_done_on_the_spot() -> None:
    async def main() -> tuple[threading.Thread, float]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            thread = await loop.run_in_executor(pool, threading.current_thread)
            with pytest.raises(ZeroDivisionError):
                await loop.run_in_executor(pool, lambda: 1 / 0)
        return thread, loop.time()

    assert run(main()) == (threading.current_thread(), 0)


def test_sqlite_has_no_threads_and_keeps_its_errors(tmp_path: Path) -> None:
    threads = set(threading.enumerate())

    async def main() -> list[tuple[int]]:
        async with aiosqlite.connect(tmp_path / "test.db") as connection:
            await connection.execute("CREATE TABLE numbers (number INTEGER UNIQUE)")
            await connection.execute("INSERT INTO numbers VALUES (7)")
            await connection.commit()
            with pytest.raises(sqlite3.IntegrityError):
                await connection.execute("INSERT INTO numbers VALUES (7)")
            assert set(threading.enumerate()) == threads
            return list(await connection.execute_fetchall("SELECT number FROM numbers"))

    assert run(main()) == [(7,)]


async def test_afterwards_sqlite_has_its_threads_again(tmp_path: Path) -> None:
    async def nothing() -> None:
        pass

    await asyncio.to_thread(run, nothing())

    async with aiosqlite.connect(tmp_path / "test.db") as connection:
        assert isinstance(connection._thread, threading.Thread)
