"""Phone numbers: list, get, add."""

from __future__ import annotations

from sqlmodel import col

from schema.errors import Invalid
from schema.rules import phone
from schema.rules.fields import text
from schema.runtime import Reads, Transaction
from schema.services.paging import Page, newest_first, page
from schema.tables import PhoneNumber


async def list_page(tx: Reads, *, limit: int | None = None, offset: int | None = None) -> Page[PhoneNumber]:
    """The workspace's numbers, newest first."""
    return await page(tx, tx.select(PhoneNumber), order=newest_first(PhoneNumber), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> PhoneNumber:
    """One number. Raises NotFound."""
    return await tx.get(PhoneNumber, id)


async def add(tx: Transaction, *, phone_number: str, name: str, carrier: str) -> PhoneNumber:
    """A number that calls can be placed from. Raises Invalid when it is there already."""
    number = phone.normalise(phone_number, "phoneNumber")
    if await tx.first(tx.select(PhoneNumber).where(col(PhoneNumber.phone_number) == number)):
        raise Invalid(f"Phone number {number} is there already")
    row = PhoneNumber(
        id=tx.new_id(),
        workspace_id=tx.workspace_id,
        phone_number=number,
        name=text(1, 200)(name, "name"),
        carrier=carrier,
        created_at=tx.now,
        updated_at=tx.now,
    )
    return tx.add(row)


async def usable(tx: Transaction, id: str) -> PhoneNumber:
    """The number a call or campaign refers to. Raises NotFound, or Invalid when it is not active (E5)."""
    row = await tx.lock(PhoneNumber, id)
    if not row.is_active:
        raise Invalid(f"Phone number with id {id} is not active")
    return row
