"""Calls on the stage: from the queue to the analysis, whatever the carrier, the database and a stop do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import col

from schema import due
from schema.due import Lease
from schema.rules.calls import CallPhase, CallStatus, EndReason
from schema.runtime import Runtime, Viewer
from schema.services import calls, dialing
from schema.tables import Call, Event
from tests.support import seeds
from tests.support.invariants import broken_invariants
from tests.support.time import VirtualClock
from workers.calls import Calls
from workers.carriers.base import CarrierError, Leg, Order
from workers.carriers.sandbox import SandboxCarrier
from workers.carriers.sandbox_leg import SandboxLeg
from workers.recording import RecordingInfo, Studio

EVENTS = ["call.started", "call.ended", "transcript.ready", "analysis.complete"]


class Carrier(SandboxCarrier):
    """The sandbox, on a bad line: as often as `fails` says, by the name of what is asked, it cannot answer."""

    def __init__(self, directory: Path, clock: VirtualClock) -> None:
        super().__init__(directory, clock)
        self.fails: dict[str, int] = {}
        self.placing = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    def _try(self, what: str) -> None:
        if self.fails.get(what, 0) > 0:
            self.fails[what] -= 1
            raise CarrierError(f"cannot {what}")

    async def place(self, order: Order) -> str:
        reference = await super().place(order)
        self.placing.set()
        await self.answers.wait()
        return reference

    async def attach(self, reference: str) -> SandboxLeg:
        self._try("attach")
        return await super().attach(reference)

    async def find(self, attempt_id: str) -> Leg | None:
        self._try("find")
        return await super().find(attempt_id)

    async def hang_up(self, reference: str) -> None:
        self._try("hang up")
        await super().hang_up(reference)


class Work:
    """The performer, its carrier, and the places it has given back."""

    def __init__(self, runtime: Runtime, carrier: Carrier) -> None:
        self.runtime = runtime
        self.carrier = carrier
        self.given_back = 0
        self.performer = Calls(runtime, self._give_back, lambda *_: {"sandbox": carrier})

    def _give_back(self, places: int) -> None:
        self.given_back += places

    async def take(self) -> list[Lease]:
        """What a consumer does: lease what is due, and hand it over."""
        leases = await due.lease(self.runtime, Call, limit=50, seconds=dialing.LEASE_S)
        self.performer.take(leases)
        return leases

    async def carry(self) -> None:
        """Take what is due, and carry it to its end."""
        await self.take()
        await asyncio.gather(*self.performer._carried)


@pytest.fixture
def clock() -> VirtualClock:
    """Waits for nobody."""
    return VirtualClock(auto=True)


@pytest.fixture
async def viewer(runtime: Runtime) -> Viewer:
    return await seeds.workspace(runtime)


@pytest.fixture
async def work(runtime: Runtime, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Work]:
    """A worker; whatever a test does with it, no row may break an invariant."""
    working = Work(runtime, Carrier(tmp_path, clock))
    yield working
    await working.performer.close(5)
    assert await broken_invariants(runtime) == []


async def read(runtime: Runtime, viewer: Viewer, call: Call) -> Call:
    return await calls.get(runtime.snapshot(viewer), call.id)


async def told(runtime: Runtime, call: Call) -> list[str]:
    tx = runtime.snapshot(Viewer(call.workspace_id))
    rows = await tx.all(tx.select(Event).where(col(Event.call_id) == call.id).order_by(col(Event.id)))
    return [row.type.value for row in rows]


async def queued(runtime: Runtime, viewer: Viewer, number: str = "00") -> Call:
    return await seeds.call(runtime, viewer, to=f"+121255501{number}")


async def test_a_call_is_dialed_carried_and_processed(runtime: Runtime, viewer: Viewer, work: Work) -> None:
    call = await queued(runtime, viewer)

    await work.carry()

    row = await read(runtime, viewer, call)
    assert (row.status, row.phase, row.due_at) == (CallStatus.COMPLETED, CallPhase.DONE, None)
    assert (row.outcome, len(row.transcript), row.recording) == ("appointment-booked", 9, f"{call.id}.mp3")
    assert await told(runtime, call) == EVENTS
    assert work.given_back == 1


# --- a carrier that cannot answer at the moment ---


@pytest.mark.parametrize(
    ("what", "times"), [("attach", 1), ("attach", 4), ("find", 1), ("find", 3), ("hang up", 1), ("hang up", 2)]
)
async def test_a_carrier_that_cannot_answer_now_is_asked_again(
    runtime: Runtime, viewer: Viewer, work: Work, what: str, times: int
) -> None:
    call = await queued(runtime, viewer)
    work.carrier.fails = {what: times}

    await work.carry()

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (CallStatus.COMPLETED, EndReason.AGENT_HANGUP)
    assert await told(runtime, call) == EVENTS


async def test_a_leg_that_no_carrier_attaches_to_ends_the_call_for_a_fault_of_ours(
    runtime: Runtime, viewer: Viewer, work: Work
) -> None:
    call = await queued(runtime, viewer)
    work.carrier.fails = {"attach": 1_000}

    await work.carry()

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (CallStatus.FAILED, EndReason.INTERNAL_ERROR)
    leg = await work.carrier.find(f"{call.id}.1")
    assert leg is not None
    assert leg.ending is not None  # it was hung up


async def test_a_call_that_ends_before_the_carrier_can_attach_has_its_own_end(
    runtime: Runtime, viewer: Viewer, work: Work
) -> None:
    call = await queued(runtime, viewer, "40")
    work.carrier.fails = {"attach": 1_000}

    await work.carry()

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (CallStatus.FAILED, EndReason.BUSY)


async def test_a_call_that_was_to_be_ended_before_anybody_followed_it_is_ended(
    runtime: Runtime, viewer: Viewer, work: Work
) -> None:
    call = await queued(runtime, viewer)
    work.carrier.answers.clear()
    await work.take()
    await work.carrier.placing.wait()
    async with runtime.transaction(viewer) as tx:
        await calls.hang_up(tx, call.id)
    work.performer.hear("hangups")  # nobody is live
    work.carrier.answers.set()

    await asyncio.gather(*work.performer._carried)

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason, row.answered_at) == (CallStatus.FAILED, EndReason.CANCELLED, None)


# --- faults of ours, and a database that is away ---


def failing(monkeypatch: pytest.MonkeyPatch, verb: str, error: Exception) -> None:
    async def fail(*args: Any, **given: Any) -> None:
        raise error

    monkeypatch.setattr(dialing, verb, fail)


@pytest.mark.parametrize(
    ("verb", "status", "events"),
    [
        ("submitted", CallStatus.FAILED, ["call.started", "call.failed"]),
        ("ended", CallStatus.COMPLETED, EVENTS),
        ("recorded", CallStatus.COMPLETED, EVENTS),
        ("analysed", CallStatus.COMPLETED, EVENTS),
    ],
)
async def test_what_the_database_refuses_for_good_is_not_tried_for_ever(
    runtime: Runtime,
    viewer: Viewer,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    status: CallStatus,
    events: list[str],
) -> None:
    call = await queued(runtime, viewer)
    failing(monkeypatch, verb, IntegrityError("", {}, Exception("CHECK constraint failed")))

    await work.carry()

    row = await read(runtime, viewer, call)
    if verb == "ended":
        assert (row.status, row.end_reason) == (CallStatus.FAILED, EndReason.INTERNAL_ERROR)
        assert await told(runtime, call) == ["call.started", "call.failed"]
    else:
        assert row.status is status
        assert await told(runtime, call) == events
    assert (row.phase, row.due_at) == (CallPhase.DONE, None)
    assert work.given_back == 1


@pytest.mark.parametrize("verb", ["begin", "submitted", "ended", "recorded", "analysed"])
async def test_what_the_database_cannot_do_now_is_taken_up_again(
    runtime: Runtime, viewer: Viewer, work: Work, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    call = await queued(runtime, viewer)
    with monkeypatch.context() as patch:
        failing(patch, verb, OperationalError("", {}, Exception("database is locked")))
        await work.carry()
    left = await read(runtime, viewer, call)
    await runtime.clock.sleep(dialing.LEASE_S)

    await work.carry()

    assert left.due_at is not None
    row = await read(runtime, viewer, call)
    assert (row.status, row.phase) == (CallStatus.COMPLETED, CallPhase.DONE)
    assert await told(runtime, call) == EVENTS
    assert await work.carrier.dials(f"{call.id}.1") == 1
    assert work.given_back == 2


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        ("00", CallStatus.COMPLETED, EndReason.AGENT_HANGUP),
        ("02", CallStatus.COMPLETED, EndReason.OPTED_OUT),
        ("04", CallStatus.COMPLETED, EndReason.VOICEMAIL),
    ],
)
async def test_why_we_hung_up_is_known_to_whoever_takes_the_call_over_then(
    runtime: Runtime,
    viewer: Viewer,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    number: str,
    status: CallStatus,
    reason: EndReason,
) -> None:
    """The carrier knows only that we hung up, and whoever did is gone; the transcript tells why."""
    agent = await seeds.agent(runtime, viewer, voicemail_message="This is Sam. Please call us back. ")
    call = await seeds.call(runtime, viewer, to=f"+121255501{number}", agent_id=agent.id)
    with monkeypatch.context() as patch:
        failing(patch, "ended", OperationalError("", {}, Exception("disk I/O error")))
        await work.carry()
    await runtime.clock.sleep(dialing.LEASE_S)

    await work.carry()

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (status, reason)
    assert await told(runtime, call) == EVENTS


async def test_a_voicemail_that_took_only_half_of_the_message_has_not_been_left_one(
    runtime: Runtime, viewer: Viewer, work: Work, clock: VirtualClock
) -> None:
    agent = await seeds.agent(runtime, viewer, voicemail_message="This is Sam. " * 20)
    call = await seeds.call(runtime, viewer, to="+12125550104", agent_id=agent.id)
    await work.take()
    await clock.sleep(32)  # in the middle of it
    await work.performer.close(5)
    row = await read(runtime, viewer, call)
    await work.carrier.hang_up(row.leg or "")

    again = Work(runtime, work.carrier)
    await again.carry()
    await again.performer.close(5)

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (CallStatus.FAILED, EndReason.VOICEMAIL)


async def test_a_call_that_somebody_had_ended_was_cancelled_whoever_writes_it_down(
    runtime: Runtime, viewer: Viewer, work: Work, monkeypatch: pytest.MonkeyPatch, clock: VirtualClock
) -> None:
    call = await queued(runtime, viewer)
    with monkeypatch.context() as patch:
        failing(patch, "ended", OperationalError("", {}, Exception("disk I/O error")))
        await work.take()
        await clock.sleep(20)
        async with runtime.transaction(viewer) as tx:
            await calls.hang_up(tx, call.id)
        await asyncio.gather(*work.performer._carried)
    await clock.sleep(dialing.LEASE_S)

    await work.carry()

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (CallStatus.COMPLETED, EndReason.CANCELLED)


# --- places ---


async def test_a_call_that_is_processed_takes_no_place_of_one_that_could_be_dialed(
    runtime: Runtime, viewer: Viewer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: Studio, *args: Any, **given: Any) -> RecordingInfo:
        recording.set()
        await go_on.wait()
        return RecordingInfo(1.0, "wav", "tones")

    monkeypatch.setattr(Studio, "record", slow)
    await queued(runtime, viewer)
    await work.take()
    await recording.wait()
    given_back = work.given_back
    go_on.set()

    await asyncio.gather(*work.performer._carried)

    assert (given_back, work.given_back) == (1, 1)


async def test_when_very_many_are_processed_they_keep_their_places(
    runtime: Runtime, viewer: Viewer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: Studio, *args: Any, **given: Any) -> RecordingInfo:
        recording.set()
        await go_on.wait()
        return RecordingInfo(1.0, "wav", "tones")

    monkeypatch.setattr(Studio, "record", slow)
    monkeypatch.setattr("workers.calls.ASIDE", 0)
    await queued(runtime, viewer)
    await work.take()
    await recording.wait()
    given_back = work.given_back
    go_on.set()

    await asyncio.gather(*work.performer._carried)

    assert (given_back, work.given_back) == (0, 1)


# --- a stop ---


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
