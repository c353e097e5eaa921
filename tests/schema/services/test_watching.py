"""Watching a call: told by the bell, found by a look when the bell was not heard, silent about what nobody is shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schema import due
from schema.bell import LocalBell
from schema.errors import NotFound
from schema.rules.calls import CallPhase
from schema.runtime import Runtime, Viewer
from schema.services import calls, endings, watching
from schema.tables import Call
from tests.schema.conftest import Act
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock, settled


class Watcher:
    """Somebody who watches, and what they were told."""

    def __init__(self, runtime: Runtime, viewer: Viewer, id: str) -> None:
        self.told: list[CallPhase] = []
        self.task = asyncio.create_task(self._watch(watching.states(runtime, viewer, id)))

    async def _watch(self, states: Any) -> None:
        async for row in states:
            self.told.append(row.phase)

    async def until(self, number: int) -> list[CallPhase]:
        """What was told, once it is that much."""
        async with asyncio.timeout(10):
            while len(self.told) < number:  # noqa: ASYNC110 (states come from an iterator, which is asked elsewhere)
                await asyncio.sleep(0.001)
        await settled()
        return self.told

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


@on_both
async def test_from_the_queue_to_the_end(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)
    watcher = Watcher(runtime, viewer, row.id)
    await watcher.until(1)

    held = await seeds.over(runtime, viewer, row)
    await watcher.until(2)
    async with runtime.transaction(viewer) as tx:
        await endings.broken(tx, held)
    async with asyncio.timeout(10):
        await watcher.task

    assert watcher.told[0] is CallPhase.QUEUED
    assert watcher.told[-1] is CallPhase.DONE


async def test_a_call_that_is_over_is_told_once(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)
    await seeds.done(runtime, viewer, row)

    told = [state.phase async for state in watching.states(runtime, viewer, row.id)]

    assert told == [CallPhase.DONE]


async def test_a_call_that_is_not_there_or_another_s(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)
    other = await seeds.workspace(runtime, name="Other")

    with pytest.raises(NotFound, match=f"Call with id {row.id} not found"):
        await anext(watching.states(runtime, other, row.id))


@pytest.mark.parametrize("asked", ["queued", "live"])
async def test_hanging_up_is_news(runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, asked: str) -> None:
    row = await seeds.call(runtime, viewer)
    if asked == "live":
        await seeds.answered(runtime, viewer, row)
    watcher = Watcher(runtime, viewer, row.id)
    before = len(await watcher.until(1))
    await clock.advance(1)

    await act(calls.hang_up, row.id)

    assert len(await watcher.until(before + 1)) == before + 1
    await watcher.stop()


async def test_a_lease_that_is_renewed_is_no_news(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, rings: Rings
) -> None:
    row = await seeds.call(runtime, viewer)
    held = await seeds.answered(runtime, viewer, row)
    watcher = Watcher(runtime, viewer, row.id)
    await watcher.until(1)
    rings.changed.clear()

    await act(due.renew, Call, held, seconds=30)
    await clock.advance(watching.LOOK_EVERY_S)

    assert rings.changed == []
    assert await watcher.until(1) == [CallPhase.ANSWERED]
    await watcher.stop()


async def test_what_changes_while_somebody_is_slow_is_told_once(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)
    states = watching.states(runtime, viewer, row.id)
    first = await anext(states)

    await seeds.over(runtime, viewer, row)
    second = await anext(states)
    await states.aclose()

    assert (first.phase, second.phase) == (CallPhase.QUEUED, CallPhase.PROCESSING)


@on_both
async def test_without_a_ring_it_is_found_within_five_seconds(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await seeds.call(runtime, viewer)
    watcher = Watcher(runtime, viewer, row.id)
    await watcher.until(1)
    monkeypatch.setattr(runtime, "bell", LocalBell())  # nobody hears it

    await seeds.answered(runtime, viewer, row)
    await clock.advance(4)
    before = list(watcher.told)
    await clock.advance(1)

    assert before == [CallPhase.QUEUED]
    assert await watcher.until(2) == [CallPhase.QUEUED, CallPhase.ANSWERED]
    await watcher.stop()


async def test_all_that_are_watched_are_one_query(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [await seeds.call(runtime, viewer) for _ in range(3)]
    watchers = [Watcher(runtime, viewer, row.id) for row in rows * 2]
    for watcher in watchers:
        await watcher.until(1)
    asked = []
    read = runtime.database.read

    async def counting(*given: Any) -> Any:
        asked.append(given)
        return await read(*given)

    monkeypatch.setattr(runtime.database, "read", counting)

    await clock.advance(watching.LOOK_EVERY_S)

    assert len(asked) == 1
    for watcher in watchers:
        await watcher.stop()


async def test_nobody_looks_when_nobody_watches(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    row = await seeds.call(runtime, viewer)
    watcher = Watcher(runtime, viewer, row.id)
    await watcher.until(1)
    busy = clock.sleepers

    await watcher.stop()
    await settled()

    assert (busy, clock.sleepers) == (1, 0)


async def test_a_database_that_is_away_is_asked_again(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await seeds.call(runtime, viewer)
    watcher = Watcher(runtime, viewer, row.id)
    await watcher.until(1)
    monkeypatch.setattr(runtime, "bell", LocalBell())
    await seeds.answered(runtime, viewer, row)

    async def away(*_: Any) -> Any:
        raise OSError("connection refused")

    with monkeypatch.context() as broken:
        broken.setattr(runtime.database, "read", away)
        await clock.advance(watching.LOOK_EVERY_S)
    await clock.advance(watching.LOOK_EVERY_S)

    assert await watcher.until(2) == [CallPhase.QUEUED, CallPhase.ANSWERED]
    await watcher.stop()
