"""Ending: what is written of a call that is over, from its end to its analysis (decisions L1, L2, W2).

As in `dialing`, every verb is one fenced step, and may be said again by whoever takes the call over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from schema import due
from schema.rules import moves
from schema.rules.calls import (
    UNDIALED,
    AnsweredBy,
    AttemptState,
    CallPhase,
    CallStatus,
    EndReason,
    Outcome,
    Sentiment,
    final_status,
    storable,
    unanalysed,
    unconnected_outcome,
)
from schema.runtime import Transaction
from schema.services import calls, progress, steps, webhooks
from schema.tables import Call


async def ended(
    tx: Transaction,
    held: due.Lease,
    *,
    reason: EndReason,
    ended_at: datetime,
    duration_s: float,
    answered_by: AnsweredBy | None = None,
    answered_at: datetime | None = None,
    message_left: bool = False,
    sip_code: int | None = None,
    q850: int | None = None,
    carrier_code: str | None = None,
) -> due.Lease | None:
    """The call is over: its final status, and `call.ended` or `call.failed`, exactly one (W2).

    Returns the lease to process a connected call under, None when nothing is left to do. Said again, nothing happens:
    final is final (L1). Raises Fenced.
    """
    call = await steps.locked(tx, held)
    if call.phase is CallPhase.PROCESSING:
        return held
    answered_at = call.answered_at or answered_at  # the answer's own event may have been lost or late
    return await finish(
        tx,
        held,
        call,
        reason=reason,
        answered=answered_at is not None,
        ended_at=ended_at,
        duration=int(duration_s) if answered_at is not None else 0,
        message_left=message_left,
        answered_at=answered_at,
        answered_by=answered_by or call.answered_by,  # what was said shows better than the carrier's guess
        sip_code=sip_code,
        q850=q850,
        carrier_code=carrier_code,
    )


async def recorded(tx: Transaction, held: due.Lease, *, recording: str | None, voice: str | None) -> due.Lease:
    """The recording, if there is one, and the transcript are ready: `transcript.ready` (W2). Raises Fenced."""
    call = await steps.locked(tx, held)
    due_at = tx.now + timedelta(seconds=steps.LEASE_S)
    held = await steps.settle(
        tx, held, call, due_at=due_at, recording=recording, recording_voice=voice, updated_at=tx.now
    )
    await webhooks.emit_transcript(tx, call)
    return held


async def analysed(
    tx: Transaction,
    held: due.Lease,
    *,
    summary: str,
    sentiment: Sentiment,
    outcome: Outcome,
    action_items: Sequence[str],
    extracted: Mapping[str, Any],
) -> None:
    """The analysis is ready, and with it the call is done: `analysis.complete` (L2, W2). Raises Fenced."""
    call = await steps.locked(tx, held)
    moves.check(moves.CALL, "Call", call.phase, CallPhase.DONE)
    summary = storable(summary)
    analysis = {
        "summary": summary,
        "sentiment": sentiment.value,
        "outcome": outcome.value,
        "actionItems": storable(action_items),
        "extracted": storable(extracted),
    }
    await steps.settle(
        tx,
        held,
        call,
        due_at=None,
        phase=CallPhase.DONE,
        summary=summary,
        sentiment=sentiment,
        outcome=outcome,
        analysis=analysis,
        updated_at=tx.now,
    )
    await webhooks.emit_analysis(tx, call)


async def broken(tx: Transaction, held: due.Lease) -> None:
    """Something of ours failed for good: a live call is over, another says what there is of it (W2). Raises Fenced."""
    call = await steps.locked(tx, held)
    if call.phase is CallPhase.PROCESSING:
        analysis = unanalysed(call.end_reason or EndReason.INTERNAL_ERROR, call.transcript or [])
        await steps.settle(
            tx,
            held,
            call,
            due_at=None,
            phase=CallPhase.DONE,
            summary=analysis["summary"],
            sentiment=Sentiment(analysis["sentiment"]),
            outcome=Outcome(analysis["outcome"]),
            analysis=analysis,
            updated_at=tx.now,
        )
        await webhooks.emit_transcript(tx, call)
        await webhooks.emit_analysis(tx, call)
        return
    answered = call.answered_at is not None
    await finish(
        tx, held, call, reason=EndReason.INTERNAL_ERROR, answered=answered, ended_at=tx.now, duration=call.duration or 0
    )


async def finish(
    tx: Transaction,
    held: due.Lease,
    call: Call,
    *,
    reason: EndReason,
    answered: bool,
    ended_at: datetime,
    duration: int,
    message_left: bool = False,
    **values: Any,
) -> due.Lease | None:
    status = final_status(answered=answered, reason=reason, message_left=message_left)
    connected = status is CallStatus.COMPLETED
    phase = CallPhase.PROCESSING if connected else CallPhase.DONE
    moves.check(moves.CALL, "Call", call.phase, phase)
    if not connected:
        values["outcome"] = unconnected_outcome(reason)
    is_carried = call.phase not in UNDIALED
    if call.started_at is None and (is_carried or await calls.told_of(tx, [call])):
        # Whatever the carrier then said, it was told of the call: one call.started for each dialed call (W2).
        await webhooks.emit_started(tx, call)
        values["started_at"] = tx.now
    held = await steps.settle(
        tx,
        held,
        call,
        due_at=tx.now + timedelta(seconds=steps.LEASE_S) if connected else None,
        phase=phase,
        status=status,
        end_reason=reason,
        ended_at=ended_at,
        duration=duration,
        hangup_requested=False,
        updated_at=tx.now,
        **values,
    )
    if is_carried:
        await steps.note_attempt(
            tx, f"{call.id}.{call.attempts_made}", state=AttemptState.ENDED, end_reason=reason, ended_at=ended_at
        )
    await progress.calls_over(tx, [call])
    if connected:
        await webhooks.emit_ended(tx, call)
    else:
        await webhooks.emit_failed(tx, [call])
    return held if connected else None
