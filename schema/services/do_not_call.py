"""The do-not-call list of a workspace: numbers on it are never dialed (decision L5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlmodel import col

from schema.rules.contacts import DO_NOT_CALL, DoNotCallSource
from schema.runtime import Reads, Transaction
from schema.services.paging import Page, newest_first, page
from schema.tables import DoNotCall


async def list_page(tx: Reads, *, limit: int | None = None, offset: int | None = None) -> Page[DoNotCall]:
    """The list, newest first."""
    return await page(tx, tx.select(DoNotCall), order=newest_first(DoNotCall), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> DoNotCall:
    """One entry. Raises NotFound."""
    return await tx.get(DoNotCall, id)


async def add(tx: Transaction, given: Mapping[str, Any]) -> DoNotCall:
    """Put a number on the list; one that is there already stays as it is."""
    clean = DO_NOT_CALL.new(given)
    return await put(tx, clean["phone_number"], reason=clean["reason"], source=DoNotCallSource.API)


async def put(
    tx: Transaction, phone_number: str, *, reason: str | None, source: DoNotCallSource, call_id: str | None = None
) -> DoNotCall:
    """`add` for a number that is normalised already, saying where the request came from."""
    row = await entry(tx, phone_number)
    if row is not None:
        return row
    row = DoNotCall(
        id=tx.new_id(),
        workspace_id=tx.workspace_id,
        phone_number=phone_number,
        reason=reason,
        source=source,
        call_id=call_id,
        created_at=tx.now,
    )
    await tx.insert_new(DoNotCall, [row.model_dump()])
    return await entry(tx, phone_number) or row  # another request may have been faster


async def remove(tx: Transaction, id: str) -> str:
    """Take a number off the list. Raises NotFound."""
    row = await tx.lock(DoNotCall, id)
    await tx.session.delete(row)
    return id


async def entry(tx: Reads, phone_number: str) -> DoNotCall | None:
    """The entry of a number, None if it may be called."""
    return await tx.first(tx.select(DoNotCall).where(col(DoNotCall.phone_number) == phone_number))


async def among(tx: Reads, phone_numbers: Collection[str]) -> set[str]:
    """Those of a few hundred numbers that must not be called."""
    rows = await tx.all(tx.select(DoNotCall).where(col(DoNotCall.phone_number).in_(phone_numbers)))
    return {row.phone_number for row in rows}
