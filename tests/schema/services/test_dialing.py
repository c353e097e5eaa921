"""From the queue to the analysis: one fenced step a verb, and the events exactly once (decisions L1 to L5, W2)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.due import Fenced, Lease
from schema.rules.calls import (
    AnsweredBy,
    AttemptState,
    CallPhase,
    CallStatus,
    EndReason,
    Outcome,
    Sentiment,
    WaitReason,
)
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import agents, calls, dialing, do_not_call, endings, holding, steps
from schema.tables import Call, CallAttempt, Event, PhoneNumber
from tests.schema.conftest import Act, Unchanged
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock

LINES = [
    {"role": "agent", "text": "Hello!", "start": 0.4, "end": 1.2},
    {"role": "callee", "text": "Hi.", "start": 1.5, "end": 1.9},
]
ANALYSIS: dict[str, Any] = {
    "summary": "Wants a demo.",
    "sentiment": Sentiment.POSITIVE,
    "outcome": Outcome.INTERESTED,
    "action_items": ["Send an invitation"],
    "extracted": {"company": "Acme"},
}
CONGESTION, UNREACHABLE = EndReason.CARRIER_CONGESTION, EndReason.CARRIER_UNREACHABLE


async def kept(runtime: Runtime, row: Call) -> Any:
    return (await runtime.database.read(select(Call).where(col(Call.id) == row.id)))[0]


async def attempts(runtime: Runtime, row: Call) -> list[Any]:
    statement = select(CallAttempt).where(col(CallAttempt.call_id) == row.id).order_by(col(CallAttempt.number))
    return await runtime.database.read(statement)


async def told(runtime: Runtime, row: Call) -> list[dict[str, Any]]:
    """The bodies of the call's events, in order, without what they all say."""
    events = await runtime.database.read(select(Event).where(col(Event.call_id) == row.id).order_by(col(Event.id)))
    bodies = [json.loads(event.body) for event in events]
    assert all(event.type.value == body["event"] for event, body in zip(events, bodies, strict=True))
    same = {"callId": row.id, "to": row.to_number, "agentId": row.agent_id, "campaignId": row.campaign_id}
    for body in bodies:
        assert {name: body["data"].pop(name) for name in same} == same
    return [{"event": body["event"], **body["data"]} for body in bodies]


async def noted(act: Act, note: holding.Note) -> Lease:
    """The lease once the note has been written."""
    (kept,) = await act(holding.write, [note])
    assert kept is not None
    return kept.held


STARTED = {"event": "call.started", "status": "in-progress", "duration": 0}


def failed(reason: EndReason) -> dict[str, Any]:
    return {"event": "call.failed", "status": "failed", "duration": 0, "endReason": reason.value}


@pytest.fixture
async def row(runtime: Runtime, viewer: Viewer) -> Call:
    """A queued call, with an endpoint that hears of it."""
    await seeds.endpoint(runtime, viewer)
    return await seeds.call(runtime, viewer)


# --- the gate ---


@on_both
async def test_the_gate_opens_and_the_call_is_known_to_be_uncertain(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call
) -> None:
    """L4: phase `dialing`, committed before the carrier hears of it."""
    held = await seeds.taken(runtime, row)

    dial = await act(dialing.begin, held)

    now = runtime.clock.now()
    assert dial == dialing.Dial(
        Lease(row.id, 2, now + timedelta(seconds=steps.LEASE_S)),
        f"{row.id}.1",
        "sandbox",
        row.to_number,
        row.from_number,
        max_duration_s=600,
    )
    call = await kept(runtime, row)
    assert (call.phase, call.status, call.attempts_made, call.leg) == (CallPhase.DIALING, "queued", 1, None)
    (attempt,) = await attempts(runtime, row)
    assert (attempt.id, attempt.number, attempt.carrier) == (dial.attempt_id, 1, "sandbox")
    assert (attempt.state, attempt.started_at, attempt.ended_at) == (AttemptState.SUBMITTING, now, None)
    assert await told(runtime, row) == []


async def block_number(tx: Transaction, row: Call) -> None:
    await do_not_call.add(tx, {"phone_number": row.to_number})


async def switch_agent_off(tx: Transaction, row: Call) -> None:
    await agents.update(tx, row.agent_id, {"is_active": False})


async def delete_agent(tx: Transaction, row: Call) -> None:
    await agents.delete(tx, row.agent_id)


async def switch_number_off(tx: Transaction, row: Call) -> None:
    (await tx.lock(PhoneNumber, row.phone_number_id)).is_active = False


async def ask_to_hang_up(tx: Transaction, row: Call) -> None:
    (await tx.lock(Call, row.id)).hangup_requested = True


REFUSALS = [
    (block_number, EndReason.BLOCKED_DO_NOT_CALL),
    (switch_agent_off, EndReason.CANCELLED),
    (delete_agent, EndReason.CANCELLED),
    (switch_number_off, EndReason.CANCELLED),
    (ask_to_hang_up, EndReason.CANCELLED),
]


@on_both
@pytest.mark.parametrize(("happens", "reason"), REFUSALS)
async def test_the_gate_refuses_and_the_call_is_over(
    runtime: Runtime,
    viewer: Viewer,
    act: Act,
    row: Call,
    happens: Callable[[Transaction, Call], Awaitable[None]],
    reason: EndReason,
) -> None:
    """L5, W2: evaluated when it is dialed, not when it was queued; `call.failed`, once, and no carrier was told."""
    held = await seeds.taken(runtime, row)
    await act(happens, row)

    assert await act(dialing.begin, held) is None

    call = await kept(runtime, row)
    assert (call.status, call.phase, call.end_reason) == (CallStatus.FAILED, CallPhase.DONE, reason)
    assert (call.due_at, call.duration, call.started_at) == (None, 0, None)
    assert await attempts(runtime, row) == []
    assert await told(runtime, row) == [failed(reason)]


async def test_a_call_refused_after_a_carrier_was_told_had_started(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, clock: VirtualClock
) -> None:
    """W2: one `call.started` for each call that a carrier was told of, then exactly one end."""
    dial = await seeds.dialed(runtime, viewer, row)
    await act(dialing.not_placed, dial.held, dial.attempt_id, CONGESTION, retry_after_s=5)
    await clock.advance(5)
    held = await seeds.taken(runtime, row)
    await act(block_number, row)

    assert await act(dialing.begin, held) is None

    assert await told(runtime, row) == [STARTED, failed(EndReason.BLOCKED_DO_NOT_CALL)]
    assert [attempt.state for attempt in await attempts(runtime, row)] == [AttemptState.REFUSED]


async def test_a_call_cancelled_after_a_carrier_was_told_had_started(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call
) -> None:
    """W2."""
    dial = await seeds.dialed(runtime, viewer, row)
    await act(dialing.not_placed, dial.held, dial.attempt_id, CONGESTION, retry_after_s=5)

    await act(calls.hang_up, row.id)

    assert await told(runtime, row) == [STARTED, failed(EndReason.CANCELLED)]


# --- what the carrier says of a submission ---


@on_both
async def test_a_submitted_call_is_in_progress_and_has_started(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call
) -> None:
    """L1, W2."""
    dial = await seeds.dialed(runtime, viewer, row)

    held = await act(dialing.submitted, dial.held, dial.attempt_id, "leg-1")

    now = runtime.clock.now()
    assert held == Lease(row.id, 3, now + timedelta(seconds=steps.LEASE_S))
    call = await kept(runtime, row)
    assert (call.status, call.phase) == (CallStatus.IN_PROGRESS, CallPhase.SUBMITTED)
    assert (call.leg, call.started_at, call.duration) == ("leg-1", now, 0)
    (attempt,) = await attempts(runtime, row)
    assert (attempt.state, attempt.leg) == (AttemptState.SUBMITTED, "leg-1")
    assert await told(runtime, row) == [STARTED]
    assert await dialing.owns_leg(runtime, row.id, "leg-1")
    assert not await dialing.owns_leg(runtime, row.id, "leg-2")


@on_both
async def test_an_unknown_submission_waits_to_be_looked_up(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call
) -> None:
    """L4: the call stays in `dialing`, so nobody dials it again."""
    dial = await seeds.dialed(runtime, viewer, row)

    held = await act(dialing.unknown, dial.held, dial.attempt_id)

    call = await kept(runtime, row)
    assert (call.phase, call.status, call.version) == (CallPhase.DIALING, CallStatus.QUEUED, held.version)
    assert [attempt.state for attempt in await attempts(runtime, row)] == [AttemptState.SUBMISSION_UNKNOWN]
    await act(dialing.submitted, held, dial.attempt_id, "leg-1")  # the carrier knew of it
    assert [attempt.state for attempt in await attempts(runtime, row)] == [AttemptState.SUBMITTED]
    assert await told(runtime, row) == [STARTED]


@on_both
async def test_what_cannot_be_settled_ends_as_submission_unknown(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call
) -> None:
    """L4."""
    dial = await seeds.dialed(runtime, viewer, row)
    held = await act(dialing.unknown, dial.held, dial.attempt_id)

    over = await act(
        endings.ended, held, reason=EndReason.SUBMISSION_UNKNOWN, ended_at=runtime.clock.now(), duration_s=0
    )

    assert over is None
    call = await kept(runtime, row)
    assert (call.status, call.phase, call.due_at) == (CallStatus.FAILED, CallPhase.DONE, None)
    assert await told(runtime, row) == [STARTED, failed(EndReason.SUBMISSION_UNKNOWN)]


@on_both
@pytest.mark.parametrize(
    ("reason", "delays_s"), [(EndReason.CARRIER_CONGESTION, [7, 7, 10, 20, 40]), (EndReason.CARRIER_UNREACHABLE, [7])]
)
async def test_a_call_that_the_carrier_would_not_place_is_tried_so_often_and_no_more(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, clock: VirtualClock, reason: EndReason, delays_s: list[int]
) -> None:
    """The carrier's word on when to come again holds, until ours is longer."""
    most = len(delays_s) + 1

    for number in range(1, most + 1):
        dial = await seeds.dialed(runtime, viewer, row)
        assert dial.attempt_id == f"{row.id}.{number}"
        again = await act(dialing.not_placed, dial.held, dial.attempt_id, reason, retry_after_s=7)
        assert again is (number < most)
        if again:
            call = await kept(runtime, row)
            assert (call.phase, call.status) == (CallPhase.WAITING, CallStatus.QUEUED)
            assert call.waiting_for is WaitReason.CARRIER
            delay_s = delays_s[number - 1]
            assert call.due_at == clock.now() + timedelta(seconds=delay_s)
            await clock.advance(delay_s - 0.1)
            assert await due.lease(runtime, Call, limit=10, seconds=15) == []
            await clock.advance(0.1)

    call = await kept(runtime, row)
    assert (call.status, call.phase, call.end_reason) == (CallStatus.FAILED, CallPhase.DONE, reason)
    assert (call.due_at, call.attempts_made, call.outcome) == (None, most, Outcome.NOT_REACHED)
    tried = [(attempt.number, attempt.state, attempt.end_reason) for attempt in await attempts(runtime, row)]
    assert tried == [(number, AttemptState.REFUSED, reason) for number in range(1, most + 1)]
    assert await told(runtime, row) == [STARTED, failed(reason)]


async def test_an_attempt_that_the_carrier_never_heard_of_is_withdrawn(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, rings: Rings
) -> None:
    dial = await seeds.dialed(runtime, viewer, row)
    rings.heard.clear()

    await act(dialing.withdraw, dial.held, dial.attempt_id)

    call = await kept(runtime, row)
    assert (call.phase, call.status, call.due_at) == (CallPhase.QUEUED, CallStatus.QUEUED, runtime.clock.now())
    assert rings.heard == ["calls"]
    assert await told(runtime, row) == []
    again = await seeds.dialed(runtime, viewer, row)
    assert again.attempt_id == f"{row.id}.2"


@on_both
@pytest.mark.parametrize("refusals", [0, 1])
async def test_a_call_is_started_only_if_a_carrier_was_told_of_it(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, refusals: int
) -> None:
    """W2: a withdrawn attempt was told to nobody, one that the carrier refused was."""
    for _ in range(refusals):
        dial = await seeds.dialed(runtime, viewer, row)
        await act(dialing.not_placed, dial.held, dial.attempt_id, CONGESTION, retry_after_s=0)
    dial = await seeds.dialed(runtime, viewer, row)
    await act(dialing.withdraw, dial.held, dial.attempt_id)

    await act(calls.hang_up, row.id)

    assert await told(runtime, row) == [STARTED] * refusals + [failed(EndReason.CANCELLED)]
    assert ((await kept(runtime, row)).started_at is not None) == (refusals > 0)
    assert [attempt.state for attempt in await attempts(runtime, row)] == [
        *[AttemptState.REFUSED] * refusals,
        AttemptState.WITHDRAWN,
    ]


async def test_what_breaks_after_a_withdrawal_was_never_told(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call
) -> None:
    dial = await seeds.dialed(runtime, viewer, row)
    await act(dialing.withdraw, dial.held, dial.attempt_id)

    await act(endings.broken, await seeds.taken(runtime, row))

    assert await told(runtime, row) == [failed(EndReason.INTERNAL_ERROR)]
    assert [attempt.state for attempt in await attempts(runtime, row)] == [AttemptState.WITHDRAWN]


@pytest.mark.parametrize("reason", [EndReason.INVALID_NUMBER, EndReason.UNALLOCATED_NUMBER, EndReason.CARRIER_REJECTED])
async def test_a_refused_call_is_over_with_the_carrier_s_own_words(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, reason: EndReason
) -> None:
    dial = await seeds.dialed(runtime, viewer, row)

    await act(
        endings.ended,
        dial.held,
        reason=reason,
        ended_at=runtime.clock.now(),
        duration_s=0,
        sip_code=404,
        q850=1,
        carrier_code="unallocated",
    )

    call = await kept(runtime, row)
    assert (call.status, call.end_reason, call.outcome) == (CallStatus.FAILED, reason, Outcome.NOT_REACHED)
    assert (call.sip_code, call.q850, call.carrier_code) == (404, 1, "unallocated")
    (attempt,) = await attempts(runtime, row)
    assert (attempt.state, attempt.end_reason, attempt.ended_at) == (
        AttemptState.ENDED,
        reason,
        runtime.clock.now(),
    )
    assert await told(runtime, row) == [STARTED, failed(reason)]


# --- a call under way ---


@on_both
async def test_the_whole_of_a_call(runtime: Runtime, viewer: Viewer, act: Act, row: Call, clock: VirtualClock) -> None:
    """L1, L2, W2: each event once, in order, each body as the rows then were."""
    held = await seeds.submitted(runtime, viewer, row)
    await clock.advance(1)
    held = await noted(act, holding.Rings(held))
    await clock.advance(4)
    answered_at = clock.now()
    held = await noted(act, holding.IsAnswered(held, answered_at, AnsweredBy.UNKNOWN))
    held = await noted(act, holding.Said(held, LINES))
    await clock.advance(180.9)
    ended_at = clock.now()
    held = await act(
        endings.ended,
        held,
        reason=EndReason.CALLEE_HANGUP,
        ended_at=ended_at,
        duration_s=183.9,
        answered_by=AnsweredBy.HUMAN,
        sip_code=200,
        q850=16,
    )
    call = await kept(runtime, row)
    assert (call.status, call.phase, call.duration) == (CallStatus.COMPLETED, CallPhase.PROCESSING, 183)
    held = await act(endings.recorded, held, recording=f"{row.id}.mp3", voice="tones")
    await clock.advance(2)
    await act(endings.analysed, held, **ANALYSIS)

    call = await kept(runtime, row)
    assert (call.phase, call.due_at, call.updated_at) == (CallPhase.DONE, None, clock.now())
    assert (call.answered_at, call.answered_by, call.ended_at) == (answered_at, AnsweredBy.HUMAN, ended_at)
    assert (call.recording, call.recording_voice) == (f"{row.id}.mp3", "tones")
    assert (call.summary, call.sentiment, call.outcome) == ("Wants a demo.", "positive", "interested")
    assert (call.end_reason, call.sip_code, call.q850) == (EndReason.CALLEE_HANGUP, 200, 16)
    assert call.transcript == LINES
    analysis = {
        "summary": "Wants a demo.",
        "sentiment": "positive",
        "outcome": "interested",
        "actionItems": ["Send an invitation"],
        "extracted": {"company": "Acme"},
    }
    assert call.analysis == analysis
    (attempt,) = await attempts(runtime, row)
    assert (attempt.state, attempt.end_reason, attempt.ended_at) == (
        AttemptState.ENDED,
        EndReason.CALLEE_HANGUP,
        ended_at,
    )
    over = {"status": "completed", "duration": 183}
    assert await told(runtime, row) == [
        STARTED,
        {"event": "call.ended", **over},
        {"event": "transcript.ready", **over, "transcript": LINES},
        {
            "event": "analysis.complete",
            **over,
            "summary": "Wants a demo.",
            "sentiment": "positive",
            "analysis": analysis,
        },
    ]


@on_both
async def test_an_end_that_is_said_again_changes_nothing(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, unchanged: Unchanged, clock: VirtualClock
) -> None:
    """L1: final is final."""
    held = await seeds.answered(runtime, viewer, row)
    end: dict[str, Any] = {"reason": EndReason.CALLEE_HANGUP, "ended_at": clock.now(), "duration_s": 1}
    held = await act(endings.ended, held, **end)
    await clock.advance(1)
    async with unchanged():
        assert await act(endings.ended, held, **end) == held
        again = {"reason": EndReason.MEDIA_FAILURE, "ended_at": clock.now(), "duration_s": 99}
        assert await act(endings.ended, held, **again) == held


@on_both
async def test_an_answer_whose_event_was_lost_is_known_from_the_end(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, clock: VirtualClock
) -> None:
    held = await seeds.submitted(runtime, viewer, row)
    answered_at = clock.now()
    await clock.advance(20)

    held = await act(
        endings.ended,
        held,
        reason=EndReason.AGENT_HANGUP,
        ended_at=clock.now(),
        duration_s=20.0,
        answered_by=AnsweredBy.HUMAN,
        answered_at=answered_at,
    )

    assert held is not None
    call = await kept(runtime, row)
    assert (call.status, call.answered_at, call.answered_by, call.duration) == (
        CallStatus.COMPLETED,
        answered_at,
        AnsweredBy.HUMAN,
        20,
    )


@pytest.mark.parametrize(
    ("reason", "answered", "message_left", "status"),
    [
        (EndReason.NO_ANSWER, False, False, CallStatus.FAILED),
        (EndReason.BUSY, False, False, CallStatus.FAILED),
        (EndReason.CANCELLED, False, False, CallStatus.FAILED),
        (EndReason.CANCELLED, True, False, CallStatus.COMPLETED),
        (EndReason.VOICEMAIL, True, True, CallStatus.COMPLETED),
        (EndReason.VOICEMAIL, True, False, CallStatus.FAILED),
        (EndReason.MAX_DURATION, True, False, CallStatus.COMPLETED),
        (EndReason.OPTED_OUT, True, False, CallStatus.COMPLETED),
        (EndReason.CALL_SCREENED, True, False, CallStatus.FAILED),
        (EndReason.MEDIA_FAILURE, True, False, CallStatus.FAILED),
        (EndReason.INTERRUPTED, True, False, CallStatus.FAILED),
    ],
)
async def test_how_it_ended_decides_between_completed_and_failed(
    runtime: Runtime,
    viewer: Viewer,
    act: Act,
    row: Call,
    reason: EndReason,
    answered: bool,
    message_left: bool,
    status: CallStatus,
) -> None:
    """L1, L2, W2."""
    held = await (seeds.answered if answered else seeds.submitted)(runtime, viewer, row)

    held = await act(
        endings.ended,
        held,
        reason=reason,
        ended_at=runtime.clock.now(),
        duration_s=12.3,
        message_left=message_left,
    )

    call = await kept(runtime, row)
    duration = 12 if answered else 0
    completed = status is CallStatus.COMPLETED
    assert (call.status, call.end_reason, call.duration) == (status, reason, duration)
    assert (held is not None) is completed is (call.due_at is not None)
    end = {"event": "call.ended" if completed else "call.failed", "status": status.value, "duration": duration}
    assert await told(runtime, row) == [STARTED, end if completed else {**end, "endReason": reason.value}]


async def test_a_call_that_is_over_is_not_wanted_over_any_more(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call
) -> None:
    held = await seeds.answered(runtime, viewer, row)
    await act(calls.hang_up, row.id)

    await act(endings.ended, held, reason=EndReason.CANCELLED, ended_at=runtime.clock.now(), duration_s=1)

    assert (await kept(runtime, row)).hangup_requested is False


@pytest.mark.parametrize("stage", [seeds.submitted, seeds.answered])
async def test_a_live_call_that_breaks_for_good_is_over(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, stage: Any
) -> None:
    held = await stage(runtime, viewer, row)

    await act(endings.broken, held)

    call = await kept(runtime, row)
    assert (call.status, call.phase, call.due_at) == (CallStatus.FAILED, CallPhase.DONE, None)
    assert [event["event"] for event in await told(runtime, row)] == ["call.started", "call.failed"]


@on_both
@pytest.mark.parametrize(("lines", "outcome"), [(LINES, Outcome.CONVERSATION), (LINES[:1], Outcome.NO_CONVERSATION)])
async def test_a_call_whose_processing_breaks_for_good_says_what_there_is(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call, lines: list[dict[str, Any]], outcome: Outcome
) -> None:
    """W2: a connected call has its transcript and its analysis announced, each once, whatever breaks (L1, L2)."""
    held = await seeds.answered(runtime, viewer, row)
    held = await noted(act, holding.Said(held, lines))
    end: dict[str, Any] = {"reason": EndReason.CALLEE_HANGUP, "ended_at": runtime.clock.now(), "duration_s": 3.2}
    held = await act(endings.ended, held, **end)

    await act(endings.broken, held)

    call = await kept(runtime, row)
    summary = "The call could not be analysed."
    analysis = {"summary": summary, "sentiment": "neutral", "outcome": outcome, "actionItems": [], "extracted": {}}
    assert (call.status, call.phase, call.due_at) == (CallStatus.COMPLETED, CallPhase.DONE, None)
    assert (call.summary, call.sentiment, call.outcome) == (summary, Sentiment.NEUTRAL, outcome)
    assert call.analysis == analysis
    over = {"status": "completed", "duration": 3}
    assert await told(runtime, row) == [
        STARTED,
        {"event": "call.ended", **over},
        {"event": "transcript.ready", **over, "transcript": lines},
        {"event": "analysis.complete", **over, "summary": summary, "sentiment": "neutral", "analysis": analysis},
    ]


async def test_a_call_whose_analysis_breaks_has_its_transcript_announced_once(
    runtime: Runtime, viewer: Viewer, act: Act, row: Call
) -> None:
    """W2."""
    held = await seeds.over(runtime, viewer, row)
    held = await act(endings.recorded, held, recording=f"{row.id}.mp3", voice="tones")

    await act(endings.broken, held)

    assert [event["event"] for event in await told(runtime, row)] == [
        "call.started",
        "call.ended",
        "transcript.ready",
        "analysis.complete",
    ]


# --- fences ---


async def begin(tx: Transaction, held: Lease, attempt: str) -> None:
    await dialing.begin(tx, held)


async def submitted(tx: Transaction, held: Lease, attempt: str) -> None:
    await dialing.submitted(tx, held, attempt, "leg-9")


async def not_placed(tx: Transaction, held: Lease, attempt: str) -> None:
    await dialing.not_placed(tx, held, attempt, CONGESTION, retry_after_s=1)


async def ended(tx: Transaction, held: Lease, attempt: str) -> None:
    await endings.ended(tx, held, reason=EndReason.BUSY, ended_at=tx.now, duration_s=0)


async def recorded(tx: Transaction, held: Lease, attempt: str) -> None:
    await endings.recorded(tx, held, recording="other.mp3", voice=None)


async def analysed(tx: Transaction, held: Lease, attempt: str) -> None:
    await endings.analysed(tx, held, **ANALYSIS)


async def broken(tx: Transaction, held: Lease, attempt: str) -> None:
    await endings.broken(tx, held)


VERBS = [
    (seeds.taken, begin),
    (seeds.dialed, submitted),
    (seeds.dialed, dialing.unknown),
    (seeds.dialed, not_placed),
    (seeds.dialed, dialing.withdraw),
    (seeds.dialed, ended),
    (seeds.submitted, ended),
    (seeds.answered, ended),
    (seeds.answered, broken),
    (seeds.over, ended),
    (seeds.over, recorded),
    (seeds.over, analysed),
    (seeds.over, broken),
]


@pytest.mark.parametrize(("stage", "verb"), VERBS, ids=lambda value: value.__name__)
async def test_a_lost_lease_writes_nothing(
    runtime: Runtime,
    viewer: Viewer,
    act: Act,
    row: Call,
    clock: VirtualClock,
    unchanged: Unchanged,
    rings: Rings,
    stage: Any,
    verb: Any,
) -> None:
    """`jobs.md`: somebody else holds the call now; what the first holder did is thrown away, events included."""
    reached = await (stage(runtime, row) if stage is seeds.taken else stage(runtime, viewer, row))
    held = reached.held if isinstance(reached, dialing.Dial) else reached
    await clock.advance(15)
    (other,) = await due.lease(runtime, Call, limit=1, seconds=15)
    assert (other.id, other.version) == (held.id, held.version + 1)
    rings.heard.clear()

    async with unchanged():
        with pytest.raises(Fenced, match=f"Call {row.id} is no longer held at version {held.version}"):
            await act(verb, held, f"{row.id}.1")

    assert rings.heard == []
    assert await steps.look(runtime, held) is None
    assert (await steps.look(runtime, other)).id == row.id


@pytest.mark.parametrize("database", ["postgresql"])
@pytest.mark.parametrize(("stage", "verb"), VERBS[1:14:4], ids=lambda value: value.__name__)
async def test_a_lost_lease_writes_nothing_on_postgresql_either(
    runtime: Runtime,
    viewer: Viewer,
    act: Act,
    row: Call,
    clock: VirtualClock,
    unchanged: Unchanged,
    rings: Rings,
    stage: Any,
    verb: Any,
) -> None:
    await test_a_lost_lease_writes_nothing(runtime, viewer, act, row, clock, unchanged, rings, stage, verb)


@on_both
async def test_what_a_call_needs_can_be_looked_up(runtime: Runtime, viewer: Viewer, act: Act, row: Call) -> None:
    held = await seeds.taken(runtime, row)

    call = await steps.look(runtime, held)

    assert call is not None
    assert await dialing.carrier_of(runtime, call) == "sandbox"
    assert (await steps.agent_of(runtime, call)).id == row.agent_id
