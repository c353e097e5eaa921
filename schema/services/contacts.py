"""Contacts: list, get, create, update, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from schema.errors import Invalid
from schema.rules import phone
from schema.rules.contacts import CONTACT
from schema.rules.paging import CONTACTS_LIMIT
from schema.runtime import Reads, Transaction
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
    """A new contact. Raises Invalid, also when the number is there already."""
    clean = CONTACT.new(given)
    await _check_free(tx, clean["phone_number"])
    async with _alone(tx, clean["phone_number"]):
        return tx.add(new(tx, clean))


def new(tx: Transaction, clean: Mapping[str, Any]) -> Contact:
    """The row for checked values, not yet added."""
    return Contact(id=tx.new_id(), workspace_id=tx.workspace_id, created_at=tx.now, updated_at=tx.now, **clean)


async def update(tx: Transaction, id: str, given: Mapping[str, Any]) -> Contact:
    """Change the fields given. Raises NotFound, Invalid."""
    row = await tx.lock(Contact, id)
    clean = CONTACT.changes(given)
    number = clean.get("phone_number", row.phone_number)
    if number != row.phone_number:
        await _check_free(tx, number)
    async with _alone(tx, number):
        apply(row, clean, tx.now)
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
