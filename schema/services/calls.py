"""Calls: list, get, place, hang up (decisions L1, L5). What happens between is in `dialing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from schema.errors import Invalid
from schema.rules.calls import PLACE, UNDIALED, AttemptState, CallPhase, CallStatus, EndReason, unconnected_outcome
from schema.rules.instants import check_range, parse_from, parse_to
from schema.rules.paging import CALLS_LIMIT
from schema.runtime import Reads, Transaction
from schema.services import agents, asking, contacts, do_not_call, phone_numbers, progress, watching, webhooks
from schema.services.paging import Page, newest_first, page
from schema.tables import Call, CallAttempt, PhoneNumber

QUEUE = asking.CALLS
HANGUPS = "hangups"


async def list_page(
    tx: Reads,
    *,
    limit: int | None = None,
    offset: int | None = None,
    status: CallStatus | None = None,
    agent_id: str | None = None,
    campaign_id: str | None = None,
    contact_id: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Page[Call]:
    """The workspace's calls, newest first, 50 at a time unless told; `start` and `end` bound `createdAt`, inclusive."""
    first = parse_from(start) if start is not None else None
    last = parse_to(end) if end is not None else None
    check_range(first, last)
    statement = tx.select(Call)
    if status is not None:
        statement = statement.where(col(Call.status) == status)
    if agent_id is not None:
        statement = statement.where(col(Call.agent_id) == agent_id)
    if campaign_id is not None:
        statement = statement.where(col(Call.campaign_id) == campaign_id)
    if contact_id is not None:
        statement = statement.where(col(Call.contact_id) == contact_id)
    if first is not None:
        statement = statement.where(col(Call.created_at) >= first)
    if last is not None:
        statement = statement.where(col(Call.created_at) <= last)
    limit = CALLS_LIMIT if limit is None else limit
    return await page(tx, statement, order=newest_first(Call), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> Call:
    """One call. Raises NotFound."""
    return await tx.get(Call, id)


async def place(tx: Transaction, given: Mapping[str, Any]) -> Call:
    """Queue one outbound call: the row is the job. Raises Invalid (also for a do-not-call number, L5), NotFound."""
    clean = PLACE.new(given)
    agent = await agents.usable(tx, clean["agent_id"])
    number = await phone_numbers.usable(tx, clean["phone_number_id"])
    if await do_not_call.entry(tx, clean["to"]):
        raise Invalid(f"{clean['to']} is on the do-not-call list")
    contact = await contacts.by_number(tx, clean["to"])
    row = Call(
        id=tx.new_id(),
        workspace_id=tx.workspace_id,
        to_number=clean["to"],
        from_number=number.phone_number,
        agent_id=agent.id,
        phone_number_id=number.id,
        contact_id=contact.id if contact else None,
        due_at=tx.now,
        created_at=tx.now,
        updated_at=tx.now,
    )
    tx.ring(QUEUE)
    watching.changed(tx, row.id)
    return tx.add(row)


async def hang_up(tx: Transaction, id: str) -> Call:
    """End a call: one that waits is cancelled now, one under way by whoever carries it. A call that is over stays."""
    row = await tx.lock(Call, id)
    if row.phase in UNDIALED:
        await finish_undialed(tx, [row], EndReason.CANCELLED)
    elif row.phase not in {CallPhase.PROCESSING, CallPhase.DONE} and not row.hangup_requested:
        row.hangup_requested = True
        row.updated_at = tx.now
        tx.ring(HANGUPS)
        watching.changed(tx, id)
    return row


async def cancel_queued(tx: Transaction, campaign_id: str, reason: EndReason) -> int:
    """Drop what a campaign that is over had queued (P2). Returns how many.

    A call that somebody has locked is about to be dialed: it waits for this transaction, and the gate then refuses it.
    """
    rows = await tx.all(
        tx.select(Call)
        .where(
            col(Call.ended_at).is_(None),
            col(Call.phase).in_(UNDIALED),
            col(Call.campaign_id) == campaign_id,
        )
        .with_for_update(skip_locked=True)
    )
    if rows:
        numbers = {row.phone_number_id for row in rows if row.dial_at is not None}
        await finish_undialed(tx, rows, reason)
        for id in sorted(numbers):  # others need not wait for the places of those
            await phone_numbers.line_up_again(tx, await tx.lock(PhoneNumber, id))
    return len(rows)


async def told_of(tx: Transaction, rows: Sequence[Call]) -> set[str]:
    """The ids of those calls that a carrier was told of: not those whose attempts were all withdrawn (W2)."""
    attempted = [row.id for row in rows if row.attempts_made]
    if not attempted:
        return set()
    told = select(col(CallAttempt.call_id)).where(
        col(CallAttempt.call_id).in_(attempted), col(CallAttempt.state) != AttemptState.WITHDRAWN
    )
    return set((await tx.execute(told)).scalars())


async def finish_undialed(tx: Transaction, rows: Sequence[Call], reason: EndReason) -> None:
    """Calls that no carrier carries, all of one campaign or of none, are over: failed, and the workspace is told.

    As many as a campaign may have queued: the number of statements does not grow with them.
    """
    told = await told_of(tx, rows)
    for row in rows:
        if row.id in told and row.started_at is None:  # and its carrier would not (W2)
            row.started_at = tx.now
            await webhooks.emit_started(tx, row)
        row.status = CallStatus.FAILED
        row.phase = CallPhase.DONE
        row.end_reason = reason
        row.outcome = unconnected_outcome(reason)
        row.duration = 0
        row.ended_at = row.updated_at = tx.now
        row.due_at = row.waiting_for = row.dial_at = None
        row.version += 1  # whoever was about to dial it is fenced off
    await tx.flush()
    watching.changed(tx, *(row.id for row in rows))
    await progress.calls_over(tx, rows)
    await webhooks.emit_failed(tx, rows)
