"""Phone numbers: list, get, create, update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from schema.errors import Invalid
from schema.rules import pace
from schema.rules.calls import CallPhase, WaitReason
from schema.rules.phone_numbers import PHONE_NUMBER, PHONE_NUMBER_CHANGES
from schema.runtime import Reads, Transaction
from schema.services.changes import apply
from schema.services.paging import Page, newest_first, page
from schema.tables import Call, PhoneNumber


async def list_page(tx: Reads, *, limit: int | None = None, offset: int | None = None) -> Page[PhoneNumber]:
    """The workspace's numbers, newest first."""
    return await page(tx, tx.select(PhoneNumber), order=newest_first(PhoneNumber), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> PhoneNumber:
    """One number. Raises NotFound."""
    return await tx.get(PhoneNumber, id)


async def create(tx: Transaction, given: Mapping[str, Any]) -> PhoneNumber:
    """A number that calls can be placed from. Raises Invalid, also when it is there already."""
    clean = PHONE_NUMBER.new(given)
    number = clean["phone_number"]
    if await tx.first(tx.select(PhoneNumber).where(col(PhoneNumber.phone_number) == number)):
        raise _taken(number)
    row = PhoneNumber(
        id=tx.new_id(),
        workspace_id=tx.workspace_id,
        created_at=tx.now,
        updated_at=tx.now,
        **{**clean, "carrier": clean["carrier"] or tx.settings.carrier},
    )
    try:
        async with tx.savepoint():
            return tx.add(row)
    except IntegrityError:  # another request was faster
        raise _taken(number) from None


async def update(tx: Transaction, id: str, given: Mapping[str, Any]) -> PhoneNumber:
    """Change the fields given; the next dial obeys. Raises NotFound, Invalid."""
    row = await tx.lock(PhoneNumber, id)
    old_pace = row.calls_per_second
    if apply(row, PHONE_NUMBER_CHANGES.changes(given), tx.now):
        tx.wake()
    if row.calls_per_second != old_pace:
        await line_up_again(tx, row)
    return row


async def line_up_again(tx: Transaction, row: PhoneNumber) -> None:
    """Calls that wait for their places in the number's pace get new ones, by the pace of now; the row is locked.

    For a pace that has changed, and for places that calls had which are over.
    Places that come so soon that they are waited for under a lease stay, and the new ones are after them. Calls that
    somebody has locked keep theirs: a call is locked before its number, so that waiting for it could be for ever.
    """
    if row.next_dial_at is not None and row.setbacks == 0:
        new = row.calls_per_second
        row.next_dial_at = None if new is None else min(row.next_dial_at, tx.now + pace.SOON + pace.apart(new))
    waiting = tx.select(Call).where(
        col(Call.ended_at).is_(None),
        col(Call.phase) == CallPhase.WAITING,
        col(Call.waiting_for) == WaitReason.PACE,
        col(Call.phone_number_id) == row.id,
        col(Call.dial_at) > tx.now + pace.SOON,
    )
    for call in await tx.all(waiting.order_by(col(Call.id)).with_for_update(skip_locked=True)):
        call.dial_at = None
        call.due_at = call.created_at  # now, and in the order in which they came
        call.version += 1


def _taken(number: str) -> Invalid:
    return Invalid(f"Phone number {number} is there already")


async def usable(tx: Transaction, id: str) -> PhoneNumber:
    """The number a call or campaign refers to. Raises NotFound, or Invalid when it is not active (E5)."""
    row = await tx.lock(PhoneNumber, id)
    if not row.is_active:
        raise Invalid(f"Phone number with id {id} is not active")
    return row
