"""The feed of events: from now or from where somebody left off, told at once, and nothing is missed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import event as sqlalchemy_event

from schema.bell import LocalBell
from schema.rules.ids import first_id
from schema.rules.webhooks import EventType
from schema.runtime import Runtime, Viewer
from schema.services import events, webhooks
from schema.tables import Event
from tests.schema.conftest import Act
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock, settled


class Undone(Exception):
    """What a transaction ends with that is not to be committed."""


class Follower:
    """Somebody who follows the feed, and the ids of what they were told."""

    def __init__(self, runtime: Runtime, viewer: Viewer, **given: Any) -> None:
        self.told: list[str] = []
        self.bodies: list[bytes] = []
        self.follows = asyncio.Event()
        self.task = asyncio.create_task(self._follow(events.follow(runtime, viewer, **given)))

    async def _follow(self, feed: Any) -> None:
        async for happened in feed:
            self.follows.set()
            self.told += [one.id for one in happened]
            self.bodies += [one.body for one in happened]

    async def ready(self) -> Follower:
        async with asyncio.timeout(10):
            await self.follows.wait()
        return self

    async def until(self, number: int) -> list[str]:
        """What was told, once it is that much."""
        async with asyncio.timeout(10):
            while len(self.told) < number:  # noqa: ASYNC110 (it comes from an iterator, which is asked elsewhere)
                await asyncio.sleep(0.001)
        await settled()
        return self.told

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def happen(act: Act, event: str = "call.ended") -> str:
    return (await act(webhooks.trigger, event)).id


@on_both
async def test_what_happens_from_now_on_is_told_at_once(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    await happen(act)
    follower = await Follower(runtime, viewer).ready()

    first = await happen(act)

    assert await follower.until(1) == [first]
    assert orjson.loads(follower.bodies[0])["event"] == "call.ended"
    await follower.stop()


@on_both
async def test_a_call_is_told_with_the_bytes_that_its_deliveries_carry(runtime: Runtime, viewer: Viewer) -> None:
    """W1: rendered once."""
    await seeds.endpoint(runtime, viewer)
    row = await seeds.call(runtime, viewer)
    follower = await Follower(runtime, viewer).ready()

    await seeds.answered(runtime, viewer, row)

    await follower.until(1)
    reads = runtime.snapshot(viewer)
    (kept,) = await reads.all(reads.select(Event))
    assert (follower.told, follower.bodies) == ([kept.id], [bytes(kept.body)])
    await follower.stop()


@on_both
async def test_whoever_left_off_is_told_the_rest(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    await happen(act)
    await clock.advance(60)
    last = await happen(act)
    missed = []
    for _ in range(3):
        await clock.advance(60)
        missed.append(await happen(act))

    follower = await Follower(runtime, viewer, after=last).ready()

    assert await follower.until(3) == missed
    live = await happen(act)
    await clock.advance(events.GAP_S)
    assert await follower.until(4) == [*missed, live]
    await follower.stop()


async def test_what_came_just_before_is_told_again_for_some_of_it_may_be_new(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    await happen(act)
    await clock.advance(events.OVERLAP.total_seconds())
    before = await happen(act)
    await clock.advance(1)
    last = await happen(act)

    follower = await Follower(runtime, viewer, after=last).ready()

    assert await follower.until(1) == [before]
    await follower.stop()


@pytest.mark.parametrize("database", ["postgresql"])
@pytest.mark.parametrize("slept", [0, 20])
async def test_what_is_committed_after_a_later_one_is_told(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, slept: int
) -> None:
    """The order of ids is not that of commits."""
    follower = await Follower(runtime, viewer).ready()

    async with runtime.transaction(viewer) as tx:
        early = (await webhooks.trigger(tx, "call.ended")).id
        later = await happen(act)
        await follower.until(1)
        await clock.advance(slept)
    await clock.advance(events.LOOK_EVERY_S)

    assert early < later
    assert await follower.until(2) == [later, early]
    await follower.stop()


async def test_only_the_types_that_are_wanted(runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock) -> None:
    follower = await Follower(runtime, viewer, types=[EventType.CALL_FAILED, EventType.CALL_STARTED]).ready()

    wanted = [await happen(act, event) for event in ("call.started", "call.ended", "call.failed")]
    await clock.advance(events.LOOK_EVERY_S)

    assert await follower.until(2) == [wanted[0], wanted[2]]
    await follower.stop()


async def test_nobody_hears_of_another_workspace(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    other = await seeds.workspace(runtime, name="Other")
    start = first_id(clock.now() - timedelta(days=1))
    followers = [await Follower(runtime, other, after=after).ready() for after in (None, start)]

    await happen(act)
    await clock.advance(events.LOOK_EVERY_S)

    for follower in followers:
        assert follower.told == []
        await follower.stop()


@on_both
async def test_a_ring_that_was_lost_costs_five_seconds(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = await Follower(runtime, viewer).ready()
    monkeypatch.setattr(runtime, "bell", LocalBell())  # nobody hears it

    one = await happen(act)
    await clock.advance(events.LOOK_EVERY_S - 1)
    before = list(follower.told)
    await clock.advance(1)

    assert before == []
    assert await follower.until(1) == [one]
    await follower.stop()


async def test_a_backlog_is_read_in_parts(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_PAGE", 4)
    monkeypatch.setattr(events, "_BODIES", 3)
    start = first_id(clock.now() - timedelta(days=1))
    async with runtime.transaction(viewer) as tx:
        there = [(await webhooks.trigger(tx, "call.ended")).id for _ in range(8)]

    parts = []
    async for happened in events.follow(runtime, viewer, after=start):
        parts.append([one.id for one in happened])
        if len(parts) == 5:
            break

    assert parts == [[], there[:3], there[3:4], there[4:7], there[7:]]


async def test_what_was_told_is_remembered_only_for_as_long_as_it_is_looked_at(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds: list[Any] = []

    class Feed(events._Feed):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            feeds.append(self)

    monkeypatch.setattr(events, "_Feed", Feed)
    follower = await Follower(runtime, viewer).ready()
    for _ in range(20):
        await happen(act)
        await clock.advance(7)

    assert len(await follower.until(20)) == 20
    assert [len(feed.seen) for feed in feeds] == [4]
    await follower.stop()


async def test_a_database_that_is_away_is_asked_again(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = await Follower(runtime, viewer).ready()
    await clock.advance(events.GAP_S)

    async def away(*_: Any) -> Any:
        raise OSError("connection refused")

    with monkeypatch.context() as broken:
        broken.setattr(runtime.database, "read", away)
        one = await happen(act)
        await clock.advance(events.LOOK_EVERY_S)
        before = list(follower.told)
    await clock.advance(events.LOOK_EVERY_S)

    assert before == []
    assert await follower.until(1) == [one]
    await follower.stop()


async def test_an_event_that_nobody_follows_is_written_once(runtime: Runtime, viewer: Viewer, rings: Rings) -> None:
    """It costs a call no statement more than when there was no feed: the endpoints were asked for then, too."""
    row = await seeds.call(runtime, viewer)
    asked: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement.split(maxsplit=1)[0])

    engine = runtime.database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", count)
    with suppress(Undone):
        async with runtime.transaction(viewer) as tx:
            await webhooks.emit_started(tx, row)
            raise Undone
    sqlalchemy_event.remove(engine, "before_cursor_execute", count)

    assert asked == ["BEGIN", "INSERT", "SELECT"]
    assert rings.happened == []


async def test_what_is_rolled_back_rings_for_nobody_and_the_rest_once(
    runtime: Runtime, viewer: Viewer, rings: Rings
) -> None:
    row = await seeds.call(runtime, viewer)

    await seeds.answered(runtime, viewer, row)

    assert rings.happened == [viewer.workspace_id]
