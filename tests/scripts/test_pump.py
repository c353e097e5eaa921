"""The pump: due rows to performers, on one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import insert

from schema import due
from schema.due import Lease
from schema.runtime import Runtime, Viewer
from schema.services import dialer
from schema.services.calls import HANGUPS
from schema.tables import Dialer, Workspace
from scripts.replay import virtual_time
from scripts.replay.pump import Pump, Spinning
from tests.support.runtime import settings_for

START = datetime(2025, 3, 7, 16, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
Work = Callable[[Runtime, Lease], Coroutine[Any, Any, None]]


class Looks:
    """A performer that notes when it was given which row, and then does as it was told."""

    def __init__(self, work: Work, places: int = 10) -> None:
        self.queue = dialer.QUEUE
        self.places = places
        self.lease_s = 10.0
        self.looks: list[tuple[str, timedelta]] = []
        self.topics: list[str] = []
        self._work = work

    def __call__(self, runtime: Runtime, done: Callable[[int], None]) -> Looks:
        self._runtime, self._done = runtime, done
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    def take(self, leases: Sequence[Lease]) -> None:
        for held in leases:
            self.looks.append((held.id, self._runtime.clock.now() - START))
            task = asyncio.create_task(self._look(held))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look(self, held: Lease) -> None:
        await self._work(self._runtime, held)
        self._done(1)

    def busy(self) -> Sequence[Any]:
        return []

    def hear(self, topic: str) -> None:
        self.topics.append(topic)

    async def close(self, timeout_s: float) -> None:
        await asyncio.gather(*self._tasks)


async def settle(runtime: Runtime, held: Lease, due_at: datetime | None = None) -> None:
    async with runtime.transaction(None) as tx:
        await due.settle(tx, Dialer, held, due_at=due_at)


@pytest.fixture
def pumped(migrated_file: Path, tmp_path: Path) -> Callable[..., timedelta]:
    """Runs a performer on dialers that are due so long after the start; returns when nothing was left."""

    def pumped(looks: Looks, due_at: dict[str, timedelta], until: timedelta = 100 * HOUR) -> timedelta:
        async def main() -> timedelta:
            runtime = Runtime.open(settings, clock=virtual_time.LoopClock(START))
            try:
                async with runtime.transaction(None) as tx:
                    for id, after in due_at.items():
                        await tx.execute(insert(Workspace).values(id=id, name=id, plan="starter", created_at=START))
                        await tx.execute(insert(Dialer).values(id=id, workspace_id=id, due_at=START + after, version=0))
                pump = Pump(runtime, [looks], spins=20)
                try:
                    await pump.run(START + until)
                finally:
                    await pump.close()
                return runtime.clock.now() - START
            finally:
                await runtime.close()

        settings = settings_for(tmp_path)
        copyfile(migrated_file, settings.sqlite_path)
        return virtual_time.run(main())

    return pumped


def test_rows_are_handed_over_when_they_are_due(pumped: Callable[..., timedelta]) -> None:
    looks = Looks(settle)

    over = pumped(looks, {"b": 60 * HOUR, "a": HOUR, "c": timedelta()})

    assert looks.looks == [("c", timedelta()), ("a", HOUR), ("b", 60 * HOUR)]
    assert over == 60 * HOUR


def test_a_row_that_is_not_settled_comes_back_when_its_lease_is_over(pumped: Callable[..., timedelta]) -> None:
    async def forgets_once(runtime: Runtime, held: Lease) -> None:
        if held.version > 1:
            await settle(runtime, held)

    looks = Looks(forgets_once)

    pumped(looks, {"a": HOUR})

    assert looks.looks == [("a", HOUR), ("a", HOUR + timedelta(seconds=10))]


def test_no_more_rows_are_taken_than_there_are_places(pumped: Callable[..., timedelta]) -> None:
    async def takes_its_time(runtime: Runtime, held: Lease) -> None:
        await runtime.clock.sleep(5)
        await settle(runtime, held)

    looks = Looks(takes_its_time, places=2)

    pumped(looks, {"a": timedelta(), "b": timedelta(), "c": timedelta()})

    assert looks.looks == [("a", timedelta()), ("b", timedelta()), ("c", timedelta(seconds=5))]


def test_a_ring_makes_it_look(pumped: Callable[..., timedelta]) -> None:
    async def wakes_another(runtime: Runtime, held: Lease) -> None:
        if held.id == "a":
            await runtime.clock.sleep(5)
            async with runtime.transaction(Viewer("b")) as tx:
                tx.wake()
        await settle(runtime, held)

    looks = Looks(wakes_another)

    pumped(looks, {"a": timedelta(), "b": 60 * HOUR})

    assert looks.looks == [("a", timedelta()), ("b", timedelta(seconds=5))]


def test_other_topics_are_told_to_those_who_listen(pumped: Callable[..., timedelta]) -> None:
    async def rings(runtime: Runtime, held: Lease) -> None:
        runtime.bell.ring(HANGUPS)
        runtime.bell.ring(dialer.QUEUE)
        await settle(runtime, held)

    looks = Looks(rings)

    pumped(looks, {"a": HOUR})

    assert looks.topics == [HANGUPS]


def test_it_ends_when_it_is_told_to(pumped: Callable[..., timedelta]) -> None:
    async def asks_again(runtime: Runtime, held: Lease) -> None:
        await settle(runtime, held, runtime.clock.now() + 2 * HOUR)

    looks = Looks(asks_again)

    over = pumped(looks, {"a": timedelta()}, until=5 * HOUR)

    assert looks.looks == [("a", timedelta()), ("a", 2 * HOUR), ("a", 4 * HOUR)]
    assert over == 5 * HOUR


def test_a_row_that_is_always_due_again_is_a_fault(pumped: Callable[..., timedelta]) -> None:
    async def spins(runtime: Runtime, held: Lease) -> None:
        await settle(runtime, held, runtime.clock.now())

    with pytest.raises(Spinning):
        pumped(Looks(spins), {"a": HOUR})
