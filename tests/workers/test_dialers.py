"""Dialers on the stage: a look is a transaction, and what goes wrong in one is tried again when its lease runs out."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from schema import due
from schema.runtime import Runtime, Viewer
from schema.services import dialer
from schema.tables import Call, Dialer
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock
from workers.broker import broker
from workers.dialers import Dialers


async def look(runtime: Runtime, leases: list[due.Lease]) -> list[int]:
    """Let the performer look at those workspaces; returns what it gave back."""
    done: list[int] = []
    performer = Dialers(runtime, done.append)
    performer.take(leases)
    await performer.close(10)
    return done


async def leased(runtime: Runtime) -> list[due.Lease]:
    return await due.lease(runtime, Dialer, limit=10, seconds=dialer.LEASE_S)


async def calls(runtime: Runtime) -> list[Call]:
    return await runtime.database.read(select(Call))


def test_it_is_a_queue_of_the_broker() -> None:
    work = broker.queues[dialer.QUEUE]

    assert (work.name, work.table, work.actor) == ("dialers", Dialer, "dial")
    assert broker.get_actor("dial").queue_name == "dialers"


@on_both
async def test_every_workspace_that_is_due_is_looked_at(runtime: Runtime, viewer: Viewer, rings: Rings) -> None:
    other = await seeds.workspace(runtime, name="Other")
    for owner in (viewer, other):
        await seeds.campaign(runtime, owner, contact_ids=await seeds.contact_list(runtime, owner, 1))
    rings.heard.clear()

    done = await look(runtime, await leased(runtime))

    assert done == [1, 1]
    assert {call.workspace_id for call in await calls(runtime)} == {viewer.workspace_id, other.workspace_id}
    assert rings.heard == ["calls", "calls"]


async def test_a_lease_that_was_lost_gives_its_place_back(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    await seeds.campaign(runtime, viewer, contact_ids=await seeds.contact_list(runtime, viewer, 1))
    stale = await leased(runtime)
    await clock.advance(dialer.LEASE_S)
    fresh = await leased(runtime)

    assert await look(runtime, stale) == [1]
    assert await calls(runtime) == []
    assert await look(runtime, fresh) == [1]

    assert len(await calls(runtime)) == 1


@pytest.mark.parametrize("error", [OperationalError("SELECT 1", {}, Exception("away")), ValueError("a bug")])
async def test_a_look_that_failed_is_tried_again_when_its_lease_runs_out(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    await seeds.campaign(runtime, viewer, contact_ids=await seeds.contact_list(runtime, viewer, 1))

    async def fails(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(dialer, "tick", fails)
        assert await look(runtime, await leased(runtime)) == [1]
    assert await leased(runtime) == []
    await clock.advance(dialer.LEASE_S)

    assert await look(runtime, await leased(runtime)) == [1]
    assert len(await calls(runtime)) == 1


async def test_a_stop_lets_a_look_end(runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    await seeds.campaign(runtime, viewer, contact_ids=await seeds.contact_list(runtime, viewer, 1))
    tick, may_end = dialer.tick, asyncio.Event()

    async def slow(*given: object) -> None:
        await may_end.wait()
        await tick(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(dialer, "tick", slow)
    performer = Dialers(runtime, lambda _: None)
    performer.take(await leased(runtime))
    await asyncio.sleep(0)
    closing = asyncio.create_task(performer.close(10))
    await asyncio.sleep(0)

    may_end.set()
    await closing

    assert len(await calls(runtime)) == 1


async def test_a_stop_does_not_wait_for_ever(runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    await seeds.campaign(runtime, viewer)

    async def stuck(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(dialer, "tick", stuck)
    done: list[int] = []
    performer = Dialers(runtime, done.append)
    performer.take(await leased(runtime))
    await asyncio.sleep(0)

    await performer.close(0.01)

    assert done == [1]
