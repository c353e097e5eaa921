"""Getting contacts into a campaign, ten or a hundred thousand at a time (decision P3)."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import orjson
from sqlalchemy import ColumnElement, Select, String, and_, cast, func, intersect, literal, select, true, tuple_, update
from sqlmodel import col

from schema.database import EnumText, Instant
from schema.errors import Invalid
from schema.rules.campaigns import MAX_ENROLLED_A_REQUEST, OPEN, CampaignContactStatus
from schema.rules.contacts import CONTACT
from schema.rules.ids import id_stem
from schema.rules.plans import Counted
from schema.runtime import Reads, Transaction, missing
from schema.services import contacts, limits, watching
from schema.services.bulk import Listed, Write, aside, insert_missing, note_growth
from schema.tables import Campaign, CampaignContact, Contact

Chosen: TypeAlias = Select[*tuple[Any, ...]]
"""Contacts, each once: `contact_id`, and `place`, by which they are in order."""

_CHECKED_AT_ONCE = 250
_ENROLLED_AT_ONCE = 20_000  # in one transaction: a fifth of a second, in which others wait where one writes at a time


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What enrolling did: rows added, and those that were there already or came twice."""

    campaign: Campaign
    enrolled: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class People:
    """Who is to be enrolled: ids of contacts, and new ones by number, checked and packed; or all that there are."""

    contact_ids: Sequence[str]
    new: Mapping[str, bytes]
    count: int
    """With those that came twice."""
    is_all: bool = False


async def checked(
    contact_ids: Sequence[str] = (), new_contacts: Sequence[Mapping[str, Any]] = (), *, is_all: bool = False
) -> People:
    """Check what can be checked before a transaction. Raises Invalid."""
    count = len(contact_ids) + len(new_contacts)
    if is_all and count:
        raise Invalid("all cannot be combined with contactIds or contacts")
    if not is_all and not count:
        raise Invalid("contactIds, contacts or all is required")
    check_count(count)
    new: dict[str, bytes] = {}
    for start in range(0, len(new_contacts), _CHECKED_AT_ONCE):
        await aside(_check, new_contacts[start : start + _CHECKED_AT_ONCE], start, new)
    return People(contact_ids, new, count, is_all)


def check_count(count: int) -> None:
    """Raises Invalid for too many in one request."""
    if count > MAX_ENROLLED_A_REQUEST:
        raise Invalid(f"At most {MAX_ENROLLED_A_REQUEST:,} contacts can be enrolled in one request")


def _check(given: Sequence[Mapping[str, Any]], start: int, new: dict[str, bytes]) -> None:
    for index, fields in enumerate(given, start):
        try:
            values = CONTACT.new(fields)
        except Invalid as error:
            raise Invalid(f"contacts[{index}]: {error.message}") from None
        new.setdefault(values["phone_number"], contacts.packed(values))


async def enrol(write: Write, id: str, people: People) -> Enrolment:
    """Add contacts to an open campaign. Raises NotFound, Invalid, LimitReached."""
    if people.is_all:
        return await add_all(write, id)
    async with write() as tx:
        return await add(tx, id, people)


async def add(tx: Transaction, id: str, people: People) -> Enrolment:
    """Add contacts, known or new, to an open campaign; all or, when it raises NotFound, Invalid, LimitReached, none."""
    row = await opened(tx, id)
    enrolled = await add_known(tx, row, people.contact_ids) if people.contact_ids else 0
    if people.new:
        await limits.take_room(tx, Counted.CONTACTS, len(people.new), partial(count_new, tx, people.new))
        rows = [people.new[number] for number in contacts.safe_order(tx, people.new)]
        await note_growth(tx, Contact, await contacts.add_missing(tx, rows))
        enrolled += await add_numbers(tx, row, people.new)
    await note_growth(tx, CampaignContact, enrolled)
    return Enrolment(row, enrolled, people.count - enrolled)


async def add_all(write: Write, id: str) -> Enrolment:
    """Add every contact that the workspace has now to an open campaign, oldest first. Raises NotFound, Invalid.

    In parts, each committed by itself, so that calls under way get their turns between them.
    """
    enrolled = seen = 0
    begin: tuple[datetime, str] | None = None
    until: datetime | None = None
    while True:
        async with write() as tx:
            row = await opened(tx, id)
            until = until or tx.now
            part = _part(tx, begin, until)
            end = (await tx.execute(part.offset(_ENROLLED_AT_ONCE - 1).limit(1))).first()
            if end is not None:
                part = part.where(_age(end.place, end.contact_id) >= _AGE)
            enrolled += await _add(tx, row, part)
            seen += await tx.count(part)
            if end is None:
                await note_growth(tx, CampaignContact, enrolled)
        if end is None:
            return Enrolment(row, enrolled, seen - enrolled)
        begin = end.place, end.contact_id


async def opened(tx: Transaction, id: str) -> Campaign:
    """The campaign, locked, if it takes contacts. Raises NotFound, Invalid."""
    return check_open(await tx.lock(Campaign, id))


def check_open(row: Campaign) -> Campaign:
    """The campaign, if it takes contacts. Raises Invalid."""
    if row.status not in OPEN:
        raise Invalid(f"A {row.status.value} campaign takes no contacts")
    return row


async def add_known(tx: Transaction, row: Campaign, ids: Sequence[str]) -> int:
    """Enrol contacts by id, each once. Raises NotFound naming the first that is none (E5)."""
    listed = Listed(tx, orjson.dumps([[id] for id in dict.fromkeys(ids)]))
    id = listed.text(0)
    ours = typing.cast("ColumnElement[bool]", tx.select(Contact).whereclause)
    is_ours = select(ours).where(col(Contact.id) == id).scalar_subquery()  # by the primary key: no index but that
    unknown = (await tx.execute(select(id).where(is_ours.is_not(true())).order_by(listed.place).limit(1))).scalar()
    if unknown is not None:
        raise missing(Contact, unknown)
    return await _add(tx, row, select(listed.place.label("place"), id.label("contact_id")))


async def add_numbers(tx: Transaction, row: Campaign, numbers: Iterable[str]) -> int:
    """Enrol the contacts that have the numbers, in that order, each once. Returns how many it added."""
    return await _add(tx, row, with_numbers(tx, numbers))


def with_numbers(tx: Reads, numbers: Iterable[str]) -> Chosen:
    """The contacts that have the numbers, in their order."""
    listed = Listed(tx, orjson.dumps([[number] for number in numbers]))
    place, has_number = listed.place.label("place"), col(Contact.phone_number) == listed.text(0)
    if tx.runtime.database.is_sqlite:
        both = tx.select(Contact).join(listed.table, has_number)
        return both.with_only_columns(place, col(Contact.id).label("contact_id"))
    # Not a join: PostgreSQL takes every list for a short one, and would read all contacts for each of its numbers.
    found = tx.select(Contact).where(has_number).with_only_columns(col(Contact.id)).scalar_subquery()
    looked_up = select(place, found.label("contact_id")).subquery()
    return select(looked_up).where(looked_up.c.contact_id.is_not(None))


async def count_new(tx: Reads, numbers: Collection[str]) -> int:
    """How many of the numbers no contact has."""
    return len(numbers) - await tx.count(await aside(with_numbers, tx, numbers))


async def count_enrolled(tx: Reads, row: Campaign, people: Chosen) -> int:
    """How many of them are in the campaign already."""
    entries = tx.select(CampaignContact).where(col(CampaignContact.campaign_id) == row.id)
    chosen = people.subquery()
    both = intersect(select(chosen.c.contact_id), entries.with_only_columns(col(CampaignContact.contact_id)))
    return await tx.count(select(both.subquery()))


async def _add(tx: Transaction, row: Campaign, people: Chosen) -> int:
    """Enrol those who are not yet, at the next positions; the campaign's row is locked."""
    chosen = people.subquery()
    number = func.row_number().over(order_by=(chosen.c.place, chosen.c.contact_id)).label("number")
    one = select(chosen.c.contact_id, number).subquery()
    values = {
        "id": literal(id_stem(tx.now), String) + func.substr(cast(one.c.number + 100_000_000, String), 2),
        "workspace_id": literal(tx.workspace_id),
        "campaign_id": literal(row.id),
        "contact_id": one.c.contact_id,
        "position": one.c.number + row.calls_total,
        "status": literal(CampaignContactStatus.PENDING, EnumText(CampaignContactStatus)),
        "attempts": literal(0),
        "created_at": literal(tx.now, Instant()),
    }
    added = await insert_missing(tx, CampaignContact, values)
    if added:
        await _close_gaps(tx, row, added)
        row.calls_total += added
        watching.campaign_changed(tx, row.id)
        tx.wake()
    return added


async def _close_gaps(tx: Transaction, row: Campaign, added: int) -> None:
    """Move the new entries up to where others were in the campaign already."""
    position = col(CampaignContact.position)
    new = tx.select(CampaignContact).where(col(CampaignContact.campaign_id) == row.id, position > row.calls_total)
    last = (await tx.execute(new.with_only_columns(func.max(position)))).scalar_one()
    if last == row.calls_total + added:
        return
    rank = func.row_number().over(order_by=position).label("rank")
    ranked = new.with_only_columns(col(CampaignContact.id), rank).subquery()
    # By way of negative ones: no two may have the same position, not even for a moment.
    for move, where in (
        (-(ranked.c.rank + row.calls_total), col(CampaignContact.id) == ranked.c.id),
        (-position, and_(col(CampaignContact.campaign_id) == row.id, position < 0)),
    ):
        moving = update(CampaignContact).where(where).values(position=move)
        await tx.execute(moving.execution_options(synchronize_session=False))


def _part(tx: Transaction, begin: tuple[datetime, str] | None, until: datetime) -> Chosen:
    """The workspace's contacts after `begin`, in the order of creation: `place` and `contact_id`."""
    part = tx.select(Contact).where(col(Contact.created_at) <= until)
    if begin is not None:
        part = part.where(_age(*begin) < _AGE)
    part = part.order_by(col(Contact.created_at), col(Contact.id))
    return part.with_only_columns(col(Contact.created_at).label("place"), col(Contact.id).label("contact_id"))


_AGE = tuple_(col(Contact.created_at), col(Contact.id))


def _age(created_at: datetime, id: str) -> Any:
    return tuple_(literal(created_at, Instant()), literal(id))
