"""Contacts: list, get, create, update, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from sqlalchemy import String, cast, func, literal
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from schema.database import Instant
from schema.errors import Invalid
from schema.rules import phone
from schema.rules.contacts import CONTACT
from schema.rules.ids import id_stem
from schema.rules.paging import CONTACTS_LIMIT
from schema.rules.plans import Counted
from schema.runtime import Reads, Transaction
from schema.services import asking, bulk, limits
from schema.services.changes import apply
from schema.services.paging import Page, newest_first, page
from schema.tables import Contact


async def list_page(
    tx: Reads, *, limit: int | None = None, offset: int | None = None, phone_number: str | None = None
) -> Page[Contact]:
    """The workspace's contacts, newest first, a hundred at a time unless told (R2)."""
    statement = tx.select(Contact)
    if phone_number is not None:
        number = phone.normalise(phone_number, "phoneNumber")
        statement = statement.where(col(Contact.phone_number) == number)
    limit = CONTACTS_LIMIT if limit is None else limit
    return await page(tx, statement, order=newest_first(Contact), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> Contact:
    """One contact. Raises NotFound."""
    return await tx.get(Contact, id)


async def create(tx: Transaction, given: Mapping[str, Any]) -> Contact:
    """A new contact. Raises LimitReached, and Invalid, also when the number is there already."""
    clean = CONTACT.new(given)
    await _check_free(tx, clean["phone_number"])
    await limits.take_room(tx, Counted.CONTACTS)
    async with _alone(tx, clean["phone_number"]):
        return tx.add(new(tx, clean))


def packed(clean: Mapping[str, Any]) -> bytes:
    """Checked values as a row for `add_missing`."""
    return orjson.dumps([clean.get(name) for name in CONTACT.fields])


async def add_missing(tx: Transaction, rows: Iterable[bytes]) -> int:
    """New contacts for those `packed` rows whose number nobody has, in one statement. Returns how many it added.

    Each number stands once. Rows come in `safe_order`, also those of several statements of a transaction.
    """
    listed = bulk.Listed(tx, b"[" + b",".join(rows) + b"]")
    fields = [listed.text(index) for index in range(len(CONTACT.fields))]
    values = {
        "id": literal(id_stem(tx.now), String) + func.substr(cast(listed.place + 100_000_000, String), 2),
        "workspace_id": literal(tx.workspace_id),
        **dict(zip(CONTACT.fields, fields, strict=True)),
        "custom_fields": listed.json(list(CONTACT.fields).index("custom_fields")),
        "created_at": literal(tx.now, Instant()),
        "updated_at": literal(tx.now, Instant()),
    }
    return await bulk.insert_missing(tx, Contact, values)


def safe_order(tx: Reads, phone_numbers: Iterable[str]) -> list[str]:
    """The order in which two that add many do not wait for each other.

    PostgreSQL locks number by number. SQLite has one writer, which is fastest in the order that was given.
    """
    return list(phone_numbers) if tx.runtime.database.is_sqlite else sorted(phone_numbers)


def new(tx: Transaction, clean: Mapping[str, Any]) -> Contact:
    """The row for checked values, not yet added."""
    return Contact(id=tx.new_id(), workspace_id=tx.workspace_id, created_at=tx.now, updated_at=tx.now, **clean)


async def update(tx: Transaction, id: str, given: Mapping[str, Any]) -> Contact:
    """Change the fields given; the next dial obeys. Raises NotFound, Invalid."""
    moves = "timezone" in given or "phone_number" in given
    waits_in = await asking.campaigns_of(tx, id) if moves else []
    row = await tx.lock(Contact, id)
    clean = CONTACT.changes(given)
    number = clean.get("phone_number", row.phone_number)
    if number != row.phone_number:
        await _check_free(tx, number)
    async with _alone(tx, number):
        apply(row, clean, tx.now)
    for campaign_id in waits_in:
        await asking.again(tx, campaign_id, id)
    return row


async def delete(tx: Transaction, id: str) -> str:
    """Delete a contact; its calls and appointments stay readable. Raises NotFound."""
    row = await tx.lock(Contact, id)
    row.deleted_at = tx.now
    return id


async def by_number(tx: Reads, phone_number: str) -> Contact | None:
    """The contact with that number, E.164."""
    return await tx.first(tx.select(Contact).where(col(Contact.phone_number) == phone_number))


async def _check_free(tx: Transaction, phone_number: str) -> None:
    other = await by_number(tx, phone_number)
    if other is not None:
        raise Invalid(f"A contact with phoneNumber {phone_number} is there already: {other.id}")


@asynccontextmanager
async def _alone(tx: Transaction, phone_number: str) -> AsyncIterator[None]:
    """Write a contact with that number. Raises Invalid when somebody else was faster."""
    try:
        async with tx.savepoint():
            yield
    except IntegrityError:
        raise Invalid(f"A contact with phoneNumber {phone_number} is there already") from None
