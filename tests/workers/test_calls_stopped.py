"""A stop of the worker: every call is let go of, the next start takes it up, and none is lost or dialed twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from schema import due
from schema.due import Lease
from schema.rules.calls import AttemptState, CallPhase, CallStatus, EndReason
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import dialing
from schema.services.dialing import Dial, Wait
from schema.tables import Call, CallAttempt
from tests.support.dialers import Workers
from tests.support.runtime import on_both
from tests.support.time import VirtualClock
from tests.workers.carrying import EVENTS, Carrier, Work, queued, read, told
from workers.holding import IN_LINE


@pytest.fixture
def clock() -> VirtualClock:
    """Waits for nobody."""
    return VirtualClock(auto=True)


async def not_left_leased(runtime: Runtime, viewer: Viewer) -> list[str]:
    tx = runtime.snapshot(viewer)
    rows = await tx.all(tx.select(Call))
    return [f"{row.phase} until {row.due_at}" for row in rows if row.due_at and row.due_at > runtime.clock.now()]


async def test_a_stop_puts_back_calls_that_nobody_has_begun_with(runtime: Runtime, viewer: Viewer, work: Work) -> None:
    for _ in range(3):
        await queued(runtime, viewer)
    await work.take()  # the tasks are made, and have not run

    await work.performer.close(5)

    assert await not_left_leased(runtime, viewer) == []
    assert len(await due.lease(runtime, Call, limit=9, seconds=1)) == 3


@pytest.mark.parametrize("seconds", [0.5, 3.0, 12.0, 20.0])
async def test_a_stop_puts_back_calls_wherever_they_stand(
    runtime: Runtime, viewer: Viewer, work: Work, clock: VirtualClock, seconds: float
) -> None:
    for number in ("00", "04", "41"):
        await queued(runtime, viewer, number)
    await work.take()
    await clock.sleep(seconds)

    await work.performer.close(5)

    assert await not_left_leased(runtime, viewer) == []


async def test_a_stop_waits_for_the_carrier_to_say_what_became_of_what_it_was_just_told(
    runtime: Runtime, viewer: Viewer, work: Work
) -> None:
    """Cut short there, nobody would know whether it dials (L4)."""
    call = await queued(runtime, viewer)
    work.carrier.answers.clear()
    await work.take()
    await work.carrier.placing.wait()

    closing = asyncio.create_task(work.performer.close(5))
    await asyncio.sleep(0)
    work.carrier.answers.set()
    await closing

    row = await read(runtime, viewer, call)
    assert (row.phase, row.leg is not None) == (CallPhase.SUBMITTED, True)
    assert await not_left_leased(runtime, viewer) == []


async def test_a_stop_leaves_a_call_whose_carrier_says_nothing_to_be_looked_up(
    runtime: Runtime, viewer: Viewer, work: Work, tmp_path: Path, clock: VirtualClock
) -> None:
    call = await queued(runtime, viewer)
    work.carrier.answers.clear()
    await work.take()
    await work.carrier.placing.wait()
    await work.performer.close(0.0)
    left, leased = await read(runtime, viewer, call), await not_left_leased(runtime, viewer)

    again = Work(runtime, Carrier(tmp_path, clock))
    await again.carry()
    dials = await again.carrier.dials(f"{call.id}.1")
    await again.performer.close(5)

    assert (left.phase, leased) == (CallPhase.DIALING, [])
    row = await read(runtime, viewer, call)
    assert (row.status, dials) == (CallStatus.COMPLETED, 1)
    assert await told(runtime, call) == EVENTS


# --- between the gate and the carrier ---


class Gate:
    """Remembers which calls went through the gate, committed or not yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.begun: list[str] = []
        self.entered = asyncio.Event()
        self._loop = loop
        self._begin = dialing.begin

    async def begin(self, tx: Transaction, held: Lease) -> Dial | Wait | None:
        came = await self._begin(tx, held)
        self.begun.append(held.id)
        self._loop.call_soon_threadsafe(self.entered.set)  # SQLite's verbs run in the writer's thread
        return came


@pytest.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate(asyncio.get_running_loop())
    monkeypatch.setattr(dialing, "begin", gate.begin)
    return gate


async def stop_at_the_gate(work: Work, clock: VirtualClock, gate: Gate) -> None:
    """Take what is due, and stop while the first of it is in the gate."""
    with clock.held():
        while await work.take():
            pass
        await gate.entered.wait()
        await work.performer.close(5)


async def attempts(runtime: Runtime, viewer: Viewer) -> Counter[tuple[AttemptState, EndReason | None]]:
    tx = runtime.snapshot(viewer)
    return Counter((row.state, row.end_reason) for row in await tx.all(tx.select(CallAttempt)))


@on_both
async def test_a_stop_queues_a_call_again_that_was_begun_and_its_carrier_not_told_of(
    runtime: Runtime, viewer: Viewer, work: Work, clock: VirtualClock, gate: Gate
) -> None:
    call = await queued(runtime, viewer)

    await stop_at_the_gate(work, clock, gate)

    row = await read(runtime, viewer, call)
    assert (row.status, row.phase, row.due_at) == (CallStatus.QUEUED, CallPhase.QUEUED, clock.now())
    assert await attempts(runtime, viewer) == {(AttemptState.WITHDRAWN, EndReason.INTERRUPTED): 1}
    assert await told(runtime, call) == []
    assert await work.carrier.dials(f"{call.id}.1") == 0


async def test_a_call_that_a_stop_has_queued_again_is_dialed_by_the_next_start(
    runtime: Runtime, viewer: Viewer, work: Work, clock: VirtualClock, gate: Gate
) -> None:
    call = await queued(runtime, viewer)
    await stop_at_the_gate(work, clock, gate)

    again = Work(runtime, work.carrier)
    await again.carry()
    await again.performer.close(5)

    row = await read(runtime, viewer, call)
    assert (row.status, row.phase) == (CallStatus.COMPLETED, CallPhase.DONE)
    assert await told(runtime, call) == EVENTS
    assert [await work.carrier.dials(f"{call.id}.{attempt}") for attempt in (1, 2)] == [0, 1]


@on_both
async def test_a_stop_begins_no_further_call_of_those_that_stand_in_line(
    runtime: Runtime, viewer: Viewer, work: Work, clock: VirtualClock, gate: Gate
) -> None:
    workers = Workers(runtime, viewer, clock)
    await workers.new_campaign(60, max_concurrent_calls=60)
    await workers.tick()

    await stop_at_the_gate(work, clock, gate)

    rows = await workers.calls()
    assert Counter(row.phase for row in rows) == {CallPhase.QUEUED: 60}
    assert {row.due_at for row in rows} == {clock.now()}
    assert await attempts(runtime, viewer) == {(AttemptState.WITHDRAWN, EndReason.INTERRUPTED): len(gate.begun)}
    if not runtime.database.is_sqlite:  # whose writer may have had them all in hand
        assert len(gate.begun) <= IN_LINE


async def test_a_stop_whose_database_fails_leaves_a_begun_call_to_be_looked_up(
    runtime: Runtime,
    viewer: Viewer,
    work: Work,
    clock: VirtualClock,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(tx: Transaction, held: Lease, attempt_id: str) -> None:
        raise OperationalError("", {}, Exception("the connection was lost"))

    monkeypatch.setattr(dialing, "withdraw", away)
    call = await queued(runtime, viewer)

    await stop_at_the_gate(work, clock, gate)

    row = await read(runtime, viewer, call)
    assert (row.phase, row.due_at) == (CallPhase.DIALING, clock.now())
