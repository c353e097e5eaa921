"""Calls on the stage: from the queue to the analysis, whatever the carrier and the database do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from schema.rules.calls import CallPhase, CallStatus, EndReason
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import calls, dialing, endings, holding, steps
from schema.services.holding import Kept, Note, Said
from tests.support import seeds
from tests.support.time import VirtualClock
from tests.workers.carrying import EVENTS, Work, queued, read, told
from workers.carriers.sandbox import SandboxCarrier
from workers.recording import RecordingInfo, Studio


@pytest.fixture
def clock() -> VirtualClock:
    """Waits for nobody."""
    return VirtualClock(auto=True)


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
    """A verb of a call that is carried, or of one that is over, fails with that error."""

    async def fail(*args: Any, **given: Any) -> None:
        raise error

    monkeypatch.setattr(dialing if hasattr(dialing, verb) else endings, verb, fail)


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
    await runtime.clock.sleep(steps.LEASE_S)

    await work.carry()

    assert left.due_at is not None
    row = await read(runtime, viewer, call)
    assert (row.status, row.phase) == (CallStatus.COMPLETED, CallPhase.DONE)
    assert await told(runtime, call) == EVENTS
    assert await work.carrier.dials(f"{call.id}.1") == 1
    assert work.given_back == 2


@pytest.mark.parametrize("resume", [True, False])
async def test_a_conversation_goes_on_when_the_database_could_not_take_what_was_said_at_once(
    runtime: Runtime, viewer: Viewer, work: Work, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    """Let go of, it would be silent until the lease ends; a carrier that cannot resume would have lost it."""
    monkeypatch.setattr(SandboxCarrier, "capabilities", replace(SandboxCarrier.capabilities, resume=resume))
    call = await queued(runtime, viewer)
    write, said = holding.write, 0

    async def failing_once(tx: Transaction, notes: Sequence[Note]) -> list[Kept | None]:
        nonlocal said
        said += any(isinstance(note, Said) for note in notes)
        if said == 2:
            said += 1
            raise OperationalError("", {}, Exception("the connection was lost"))
        return await write(tx, notes)

    monkeypatch.setattr(holding, "write", failing_once)

    await work.carry()

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (CallStatus.COMPLETED, EndReason.AGENT_HANGUP)
    assert (row.phase, len(row.transcript)) == (CallPhase.DONE, 9)
    assert await told(runtime, call) == EVENTS


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
    await runtime.clock.sleep(steps.LEASE_S)

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
    await clock.sleep(steps.LEASE_S)

    await work.carry()

    row = await read(runtime, viewer, call)
    assert (row.status, row.end_reason) == (CallStatus.COMPLETED, EndReason.CANCELLED)


# --- places ---


def slow_recording(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """A recording has begun; it may end."""
    recording, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: Studio, *args: Any, **given: Any) -> RecordingInfo:
        recording.set()
        await go_on.wait()
        return RecordingInfo(1.0, "wav", "tones")

    monkeypatch.setattr(Studio, "record", slow)
    return recording, go_on


async def test_a_call_that_is_processed_takes_no_place_of_one_that_could_be_dialed(
    runtime: Runtime, viewer: Viewer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, go_on = slow_recording(monkeypatch)
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
    recording, go_on = slow_recording(monkeypatch)
    monkeypatch.setattr("workers.calls.ASIDE", 0)
    await queued(runtime, viewer)
    await work.take()
    await recording.wait()
    given_back = work.given_back
    go_on.set()

    await asyncio.gather(*work.performer._carried)

    assert (given_back, work.given_back) == (0, 1)
