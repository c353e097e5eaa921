"""Dialing at most once for each attempt, whatever the carrier and the lease do (decision L4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from schema import due
from schema.due import Fenced, Lease
from schema.rules.calls import AttemptState, CallPhase, CallStatus, EndReason
from schema.rules.webhooks import EventType
from schema.runtime import Runtime, Viewer
from schema.services import (
    calls,
    steps,
)
from schema.services.dialing import Dial, Wait
from schema.tables import Call, CallAttempt, Event
from tests.support import seeds
from tests.support.invariants import broken_invariants
from tests.support.time import VirtualClock
from workers.carriers.base import (
    Capabilities,
    CarrierBusy,
    CarrierError,
    CarrierEvent,
    CarrierRejected,
    CarrierUnreachable,
    Leg,
    LegSession,
    LegState,
    Order,
    SubmissionUnknown,
)
from workers.dialing import ASK_FOR_S, Dialer
from workers.holding import Hold, Scribe


class Carrier:
    """Does as it is told, and remembers every order."""

    name = "sandbox"
    capabilities = Capabilities(
        calls_per_second=1,
        idempotent_place=True,
        find=True,
        resume=False,
        transfer=False,
        answering_machine_detection=False,
        recording=False,
    )

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.orders: list[Order] = []
        self.hung_up: list[str] = []
        self.refusal: CarrierError | None = None
        self.known: dict[str, str] = {}
        self.unanswered = 0  # times that it cannot be asked
        self.finds = 0
        self.meanwhile: Lease | None = None

    async def place(self, order: Order) -> str:
        self.orders.append(order)
        if self.meanwhile is not None:  # somebody takes the call over while the carrier thinks
            async with self.runtime.transaction(None) as tx:
                await due.settle(tx, Call, self.meanwhile, due_at=tx.now)
        if self.refusal is not None:
            raise self.refusal
        return f"leg of {order.attempt_id}"

    async def find(self, attempt_id: str) -> Leg | None:
        self.finds += 1
        if self.finds <= self.unanswered:
            raise CarrierError("out of reach")
        if attempt_id not in self.known:
            return None
        return Leg(self.known[attempt_id], attempt_id, LegState.SUBMITTED, self.runtime.clock.now())

    async def hang_up(self, reference: str) -> None:
        self.hung_up.append(reference)

    async def attach(self, reference: str) -> LegSession:
        raise NotImplementedError

    async def transfer(self, reference: str, to: str) -> None:
        raise NotImplementedError

    async def send_dtmf(self, reference: str, digits: str) -> None:
        raise NotImplementedError

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> list[CarrierEvent]:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


@pytest.fixture
def clock() -> VirtualClock:
    """Waits for nobody."""
    return VirtualClock(auto=True)


@pytest.fixture
async def call(runtime: Runtime, viewer: Viewer) -> AsyncIterator[Call]:
    """A queued call; whatever a test does to it, no row may break an invariant."""
    yield await seeds.call(runtime, viewer, to="+15551234567")
    assert await broken_invariants(runtime) == []


@pytest.fixture
def carrier(runtime: Runtime) -> Carrier:
    return Carrier(runtime)


def hold_of(runtime: Runtime, viewer: Viewer, held: Lease) -> Hold:
    hold = Hold(runtime, Scribe(runtime), held)
    hold.viewer = viewer
    return hold


async def dial(runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call) -> str | None:
    held = await seeds.taken(runtime, call)
    return await Dialer(runtime, hold_of(runtime, viewer, held), carrier).dial()


async def read(runtime: Runtime, viewer: Viewer, call: Call) -> Call:
    return await calls.get(runtime.snapshot(viewer), call.id)


async def attempts(runtime: Runtime, viewer: Viewer) -> list[tuple[str, AttemptState, EndReason | None]]:
    tx = runtime.snapshot(viewer)
    return [(row.id, row.state, row.end_reason) for row in await tx.all(tx.select(CallAttempt))]


async def events(runtime: Runtime, viewer: Viewer) -> list[EventType]:
    tx = runtime.snapshot(viewer)
    return [row.type for row in await tx.all(tx.select(Event).order_by(Event.id))]  # type: ignore[arg-type]


async def test_a_placed_call_is_in_progress_on_its_leg(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    reference = await dial(runtime, viewer, carrier, call)

    row = await read(runtime, viewer, call)
    assert reference == row.leg == f"leg of {call.id}.1"
    assert (row.status, row.phase, row.started_at) == (CallStatus.IN_PROGRESS, CallPhase.SUBMITTED, row.updated_at)
    [order] = carrier.orders
    assert (order.attempt_id, order.to, order.caller_id) == (f"{call.id}.1", "+15551234567", call.from_number)
    assert await events(runtime, viewer) == [EventType.CALL_STARTED]


async def test_a_submission_nobody_confirmed_is_looked_up_and_adopted(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    carrier.refusal = SubmissionUnknown()
    carrier.known = {f"{call.id}.1": "leg-7"}

    reference = await dial(runtime, viewer, carrier, call)

    row = await read(runtime, viewer, call)
    assert (reference, row.leg, row.status) == ("leg-7", "leg-7", CallStatus.IN_PROGRESS)
    assert len(carrier.orders) == 1


async def test_a_submission_the_carrier_does_not_know_of_ends_the_call_and_is_not_dialed_again(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    carrier.refusal = SubmissionUnknown()

    reference = await dial(runtime, viewer, carrier, call)

    row = await read(runtime, viewer, call)
    assert reference is None
    assert (row.status, row.end_reason, row.due_at) == (CallStatus.FAILED, EndReason.SUBMISSION_UNKNOWN, None)
    assert len(carrier.orders) == 1
    assert await events(runtime, viewer) == [EventType.CALL_STARTED, EventType.CALL_FAILED]


async def test_a_call_whose_worker_died_while_dialing_is_looked_up_not_dialed(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    await seeds.dialed(runtime, viewer, call)  # and the worker dies here
    await runtime.clock.sleep(steps.LEASE_S)
    carrier.known = {f"{call.id}.1": "leg-7"}

    hold = hold_of(runtime, viewer, await seeds.taken(runtime, call))
    reference = await Dialer(runtime, hold, carrier).settle_unknown(f"{call.id}.1")

    assert reference == "leg-7"
    assert carrier.orders == []


async def test_a_carrier_that_cannot_say_what_became_of_a_submission_is_asked_when_the_lease_ends(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    """It may well be dialing: that nobody could be asked settles nothing (L4)."""
    carrier.refusal, carrier.unanswered = SubmissionUnknown(), 3
    carrier.known = {f"{call.id}.1": "leg-7"}
    first = await dial(runtime, viewer, carrier, call)
    left, told = await read(runtime, viewer, call), await events(runtime, viewer)
    await runtime.clock.sleep(steps.LEASE_S)

    hold = hold_of(runtime, viewer, await seeds.taken(runtime, call))
    second = await Dialer(runtime, hold, carrier).settle_unknown(f"{call.id}.1")

    assert (first, second, carrier.finds) == (None, "leg-7", 4)
    assert (left.status, left.phase, left.end_reason, told) == (CallStatus.QUEUED, CallPhase.DIALING, None, [])
    assert (await read(runtime, viewer, call)).status is CallStatus.IN_PROGRESS
    assert len(carrier.orders) == 1


async def test_a_lease_is_renewed_while_a_carrier_thinks(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took the call over meanwhile would have its leg hung up, as one of nobody."""
    monkeypatch.setattr("workers.dialing.RENEW_EVERY_S", 0.001)
    dial = await seeds.dialed(runtime, viewer, call)
    hold, renewed = hold_of(runtime, viewer, dial.held), asyncio.Event()
    write = hold.write

    async def watched(*args: Any, **given: Any) -> None:
        await write(*args, **given)
        renewed.set()

    async def slow(attempt_id: str) -> Leg | None:
        await renewed.wait()
        return Leg("leg-7", attempt_id, LegState.SUBMITTED, runtime.clock.now())

    hold.write, carrier.find = watched, slow  # type: ignore[method-assign]

    reference = await Dialer(runtime, hold, carrier).settle_unknown(dial.attempt_id)

    row = await read(runtime, viewer, call)
    assert (reference, row.leg, row.version) == ("leg-7", "leg-7", hold.lease.version)
    assert carrier.hung_up == []


async def test_what_a_carrier_did_not_know_of_before_it_went_out_of_reach_is_not_settled(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    """It may list a new call only after a while."""
    find = carrier.find

    async def out_of_reach_later(attempt_id: str) -> Leg | None:
        carrier.unanswered = 0 if carrier.finds == 0 else 1_000
        return await find(attempt_id)

    carrier.refusal, carrier.find = SubmissionUnknown(), out_of_reach_later  # type: ignore[method-assign]

    await dial(runtime, viewer, carrier, call)

    row = await read(runtime, viewer, call)
    assert (row.phase, row.end_reason, carrier.finds) == (CallPhase.DIALING, None, 3)


@pytest.mark.parametrize(
    ("after_s", "status", "reason"),
    [
        (ASK_FOR_S - 10, CallStatus.QUEUED, None),
        (ASK_FOR_S, CallStatus.FAILED, EndReason.SUBMISSION_UNKNOWN),
    ],
)
async def test_a_carrier_that_stays_unable_to_say_is_not_asked_for_ever(
    runtime: Runtime,
    viewer: Viewer,
    carrier: Carrier,
    call: Call,
    after_s: float,
    status: CallStatus,
    reason: EndReason | None,
) -> None:
    carrier.unanswered = 1_000
    await seeds.dialed(runtime, viewer, call)  # and the worker dies here
    await runtime.clock.sleep(after_s)

    hold = hold_of(runtime, viewer, await seeds.taken(runtime, call))
    reference = await Dialer(runtime, hold, carrier).settle_unknown(f"{call.id}.1")

    row = await read(runtime, viewer, call)
    assert (reference, row.status, row.end_reason) == (None, status, reason)


async def test_congestion_goes_back_to_the_queue_and_is_tried_again_later(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    carrier.refusal = CarrierBusy(5.0)
    first = await dial(runtime, viewer, carrier, call)
    waiting = await read(runtime, viewer, call)
    too_early = await due.lease(runtime, Call, limit=1, seconds=1)
    carrier.refusal = None
    await runtime.clock.sleep(5)

    second = await dial(runtime, viewer, carrier, call)

    assert first is None
    assert (waiting.status, waiting.phase, waiting.started_at) == (CallStatus.QUEUED, CallPhase.WAITING, None)
    assert too_early == []
    assert second is not None
    assert await attempts(runtime, viewer) == [
        (f"{call.id}.1", AttemptState.REFUSED, EndReason.CARRIER_CONGESTION),
        (f"{call.id}.2", AttemptState.SUBMITTED, None),
    ]
    assert await events(runtime, viewer) == [EventType.CALL_STARTED]


async def test_a_carrier_that_stays_out_of_reach_fails_the_call_in_the_end(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    """Q.850 27: once more, then no more."""
    carrier.refusal = CarrierUnreachable()
    await dial(runtime, viewer, carrier, call)
    await runtime.clock.sleep(60)

    await dial(runtime, viewer, carrier, call)

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (CallStatus.FAILED, EndReason.CARRIER_UNREACHABLE)
    assert len(carrier.orders) == 2


async def test_a_rejection_is_final_with_the_carriers_own_codes(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    carrier.refusal = CarrierRejected(EndReason.INVALID_NUMBER, sip_code=484, q850=28)

    await dial(runtime, viewer, carrier, call)

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason, row.sip_code, row.q850) == (
        CallStatus.FAILED,
        EndReason.INVALID_NUMBER,
        484,
        28,
    )


async def test_a_leg_that_nobody_owns_is_hung_up(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    """Fenced off while the carrier dialed: the row is somebody else's, and does not know this leg."""
    held = await seeds.taken(runtime, call)
    carrier.meanwhile = Lease(held.id, held.version + 1, held.until)

    with pytest.raises(Fenced):
        await Dialer(runtime, hold_of(runtime, viewer, held), carrier).dial()

    assert carrier.hung_up == [f"leg of {call.id}.1"]
    row = await read(runtime, viewer, call)
    assert (row.phase, row.leg, await events(runtime, viewer)) == (CallPhase.DIALING, None, [])


async def test_a_worker_frozen_since_its_claim_does_not_tell_the_carrier(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    """`jobs.md`: at least a third of the lease must be left."""

    class Frozen(Hold):
        async def begin(self) -> Dial | Wait | None:
            came = await super().begin()
            await runtime.clock.sleep(steps.LEASE_S * 0.8)
            return came

    hold = Frozen(runtime, Scribe(runtime), await seeds.taken(runtime, call))
    hold.viewer = viewer

    reference = await Dialer(runtime, hold, carrier).dial()

    row = await read(runtime, viewer, call)
    assert (reference, carrier.orders) == (None, [])
    assert (row.status, row.phase) == (CallStatus.QUEUED, CallPhase.QUEUED)


async def test_a_call_hung_up_while_it_waited_is_never_dialed(
    runtime: Runtime, viewer: Viewer, carrier: Carrier, call: Call
) -> None:
    held = await seeds.taken(runtime, call)
    async with runtime.transaction(viewer) as tx:
        await calls.hang_up(tx, call.id)

    with pytest.raises(Fenced):
        await Dialer(runtime, hold_of(runtime, viewer, held), carrier).dial()

    assert carrier.orders == []
    assert (await read(runtime, viewer, call)).end_reason == EndReason.CANCELLED
