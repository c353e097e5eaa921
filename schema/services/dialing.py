"""Dialing: the verbs of those who take a call from its queue to a leg at a carrier (decisions L1, L4, L5, W2).

Every verb is one fenced step: it writes only while the caller's lease holds, and raises `due.Fenced` otherwise.
The order is `jobs.md`'s *Dial*: `begin` commits before the carrier hears of the call, so that a call found in phase
`dialing` is known to be uncertain and is looked up, never dialed again blindly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlmodel import col

from schema import due
from schema.rules import moves, pace
from schema.rules.calls import (
    AttemptState,
    CallPhase,
    CallStatus,
    EndReason,
    WaitReason,
)
from schema.rules.campaigns import OPEN
from schema.rules.gate import Hold, Refuse
from schema.runtime import Runtime, Transaction
from schema.services import calls, endings, gate, steps, watching, webhooks
from schema.services.slots import WATCH_S, look_within
from schema.tables import Agent, Call, CallAttempt, Campaign, Dialer, PhoneNumber


@dataclass(frozen=True, slots=True)
class Dial:
    """Leave to place one call: what the carrier is to be told, and the lease it is told under."""

    held: due.Lease
    attempt_id: str
    carrier: str
    to: str
    caller_id: str
    max_duration_s: int
    is_after_setbacks: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again `at` that instant, under this lease."""

    held: due.Lease
    at: datetime


# A campaign's hours may be edited at any time: its calls wait for the dialer's word, not for an instant.
_HELD_BY_DIALER = frozenset(WaitReason) - {
    WaitReason.CONTACT_WINDOW,
    WaitReason.NUMBER_BUSY,
    WaitReason.PACE,
    WaitReason.CARRIER,
}


async def carrier_of(runtime: Runtime, call: Call) -> str:
    """The name of the carrier that the call's number is reached through."""
    return str((await runtime.database.read(_CARRIER, {"number": call.phone_number_id}))[0].carrier)


# Read for every call, and made once, because making a statement takes as long as running it.
_CARRIER = select(col(PhoneNumber.carrier)).where(col(PhoneNumber.id) == bindparam("number"))


async def begin(tx: Transaction, held: due.Lease) -> Dial | Wait | None:
    """The gate, evaluated where the attempt is claimed: phase `dialing`, committed before the carrier hears of it.

    `Wait`: the call's place in its number's pace comes so soon that whoever holds the lease should wait for it and ask
    again. None: not dialed, and the row says why; it is over, or it is looked at again when that may change. Raises
    Fenced.
    """
    call = await steps.locked(tx, held)
    campaign = await tx.lock(Campaign, call.campaign_id) if call.campaign_id else None
    number = await tx.lock(PhoneNumber, call.phone_number_id)
    agent = await tx.first(tx.select(Agent, deleted=True).where(col(Agent.id) == call.agent_id))
    dialer = await tx.lock(Dialer, tx.workspace_id)  # last of all locks; slots are counted under it
    tx.read_clock()  # hours may have ended while others held the rows
    person = await gate.person(tx, call)
    match await gate.ask(tx, call, agent, number, campaign=campaign, person=person):
        case Refuse(reason):
            await calls.finish_undialed(tx, [call], reason)
            return None
        case Hold(reason, until):
            await _wait(tx, held, call, reason, until, person=person)
            if reason in {WaitReason.PLAN_LIMIT, WaitReason.CAMPAIGN_LIMIT}:
                look_within(dialer, tx.now, WATCH_S)  # whoever frees the slot wakes it
            elif until is None or reason in _HELD_BY_DIALER:
                tx.wake()
            if reason is not WaitReason.PLAN_LIMIT or until is not None:
                tx.free_slot()  # the one that this call was about to take
            return None
    place = pace.place(number.calls_per_second, number.next_dial_at, call.dial_at, tx.now)
    number.next_dial_at = place.next_free
    if place.at > tx.now:
        if place.at - tx.now > pace.SOON:
            # It comes back a little early: whoever then holds the lease is on time, and a queue that is looked at
            # once a second is not.
            await _wait(tx, held, call, WaitReason.PACE, place.at - pace.SOON, person=person, dial_at=place.at)
            tx.free_slot()
            return None
        due_at = place.at + timedelta(seconds=steps.LEASE_S)
        return Wait(await due.settle(tx, Call, held, due_at=due_at, dial_at=place.at), place.at)
    if agent is None:
        raise RuntimeError(f"the agent of call {call.id} is not there")
    attempt = CallAttempt(
        id=f"{call.id}.{call.attempts_made + 1}",
        workspace_id=tx.workspace_id,
        call_id=call.id,
        number=call.attempts_made + 1,
        carrier=number.carrier,
        state=AttemptState.SUBMITTING,
        started_at=tx.now,
    )
    tx.add(attempt)
    if person is not None:
        person.enrolled.waiting_for = None
    held = await steps.step(
        tx, held, call, CallPhase.DIALING, attempts_made=attempt.number, waiting_for=None, dial_at=None
    )
    return Dial(
        held,
        attempt.id,
        number.carrier,
        call.to_number,
        call.from_number,
        agent.max_call_duration,
        is_after_setbacks=number.setbacks > 0,
    )


async def _wait(
    tx: Transaction,
    held: due.Lease,
    call: Call,
    reason: WaitReason,
    until: datetime | None,
    *,
    person: gate.Person | None,
    dial_at: datetime | None = None,
) -> None:
    """Not now: the row says why, and comes back by itself when it is known when, else by the dialer."""
    if reason in _HELD_BY_DIALER:
        until = None
    if person is not None:
        person.enrolled.waiting_for = reason
    moves.check(moves.CALL, "Call", call.phase, CallPhase.WAITING)
    await due.settle(
        tx,
        Call,
        held,
        due_at=until,
        phase=CallPhase.WAITING,
        waiting_for=reason,
        dial_at=dial_at,
        updated_at=tx.now,
    )
    watching.changed(tx, held.id)


async def submitted(
    tx: Transaction, held: due.Lease, attempt_id: str, reference: str, *, is_after_setbacks: bool = False
) -> due.Lease:
    """The carrier took it: `in-progress`, and `call.started` goes out (W2). Raises Fenced."""
    call = await steps.locked(tx, held)
    if is_after_setbacks:  # the carrier is back
        number = await tx.lock(PhoneNumber, call.phone_number_id)
        number.setbacks = 0
        if number.calls_per_second is None:
            number.next_dial_at = None  # those that had to come one by one need not any more
    held = await steps.step(
        tx,
        held,
        call,
        CallPhase.SUBMITTED,
        status=CallStatus.IN_PROGRESS,
        leg=reference,
        started_at=tx.now,
        duration=0,
    )
    await steps.note_attempt(tx, attempt_id, state=AttemptState.SUBMITTED, leg=reference)
    await webhooks.emit_started(tx, call)
    return held


async def unknown(tx: Transaction, held: due.Lease, attempt_id: str) -> due.Lease:
    """The carrier did not answer: it may be dialing. Raises Fenced."""
    held = await due.settle(tx, Call, held, due_at=tx.now + timedelta(seconds=steps.LEASE_S))
    await steps.note_attempt(tx, attempt_id, state=AttemptState.SUBMISSION_UNKNOWN)
    return held


async def not_placed(
    tx: Transaction, held: due.Lease, attempt_id: str, reason: EndReason, *, retry_after_s: float
) -> bool:
    """The carrier certainly did not dial: back to the queue, or over when that has happened too often.

    Returns whether it will be tried again. Congestion does not count as an attempt at the contact. Raises Fenced.
    """
    call = await steps.locked(tx, held)
    # In `begin`'s order, before the number.
    campaign = await tx.lock(Campaign, call.campaign_id) if call.campaign_id else None
    number = await tx.lock(PhoneNumber, call.phone_number_id)
    number.setbacks += 1
    if pause_s := pace.pause_s(number.setbacks):
        number.next_dial_at = max(number.next_dial_at or tx.now, tx.now + timedelta(seconds=pause_s))
    age = tx.now - call.created_at
    again = pace.may_try_again(reason, call.attempts_made, age, is_of_campaign=call.campaign_id is not None)
    if again:
        delay_s = max(retry_after_s, pace.backoff_s(call.attempts_made))
        if call.hangup_requested or (campaign is not None and campaign.status not in OPEN):
            delay_s = 0  # nobody wants it any more, which the gate says at once
        until = tx.now + timedelta(seconds=delay_s)
        await _wait(tx, held, call, WaitReason.CARRIER, until, person=await gate.person(tx, call))
        tx.free_slot()  # meanwhile
    else:
        await endings.finish(tx, held, call, reason=reason, answered=False, ended_at=tx.now, duration=0)
    await steps.note_attempt(tx, attempt_id, state=AttemptState.REFUSED, end_reason=reason, ended_at=tx.now)
    return again


async def withdraw(tx: Transaction, held: due.Lease, attempt_id: str) -> None:
    """The attempt was begun and never told to the carrier: back to the queue at once. Raises Fenced."""
    await steps.note_attempt(
        tx, attempt_id, state=AttemptState.WITHDRAWN, end_reason=EndReason.INTERRUPTED, ended_at=tx.now
    )
    await due.settle(tx, Call, held, due_at=tx.now, phase=CallPhase.QUEUED, updated_at=tx.now)
    tx.ring(calls.QUEUE)
    watching.changed(tx, held.id)


async def began(runtime: Runtime, attempt_id: str) -> datetime:
    """When that attempt was begun."""
    statement = select(col(CallAttempt.started_at)).where(col(CallAttempt.id) == attempt_id)
    instant: datetime = (await runtime.database.read(statement))[0].started_at
    return instant


async def owns_leg(runtime: Runtime, id: str, reference: str) -> bool:
    """Whether the call, whoever holds it, is carried on that leg."""
    statement = select(col(Call.id)).where(col(Call.id) == id, col(Call.leg) == reference)
    return bool(await runtime.database.read(statement))
