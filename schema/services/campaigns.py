"""Campaigns: list, get, create, update, and who is enrolled (decisions P1–P6). Dialing them is the dialer's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import col

from schema.errors import Invalid
from schema.rules import moves
from schema.rules.calls import EndReason
from schema.rules.campaigns import (
    CAMPAIGN,
    CAMPAIGN_CHANGES,
    MAX_ENROLLED_A_REQUEST,
    OPEN,
    CampaignContactStatus,
    CampaignStatus,
    check_window,
    next_dial_at,
)
from schema.rules.contacts import CONTACT
from schema.runtime import Reads, Transaction, missing
from schema.services import agents, calls, contacts, phone_numbers, progress
from schema.services.changes import apply
from schema.services.gate import call_window, contact_window
from schema.services.paging import Page, newest_first, page
from schema.tables import Campaign, CampaignContact, Contact

_DROPPED = {  # why the queued calls of a campaign that is over are not dialed
    CampaignStatus.CANCELLED: EndReason.CAMPAIGN_CANCELLED,
    CampaignStatus.COMPLETED: EndReason.CANCELLED,
}
_BATCH = 500  # values in one IN list


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What enrolling did: rows added, and those that were there already or came twice."""

    campaign: Campaign
    enrolled: int
    duplicates: int


async def list_page(
    tx: Reads, *, limit: int | None = None, offset: int | None = None, status: CampaignStatus | None = None
) -> Page[Campaign]:
    """The workspace's campaigns, newest first."""
    statement = tx.select(Campaign)
    if status is not None:
        statement = statement.where(col(Campaign.status) == status)
    return await page(tx, statement, order=newest_first(Campaign), limit=limit, offset=offset)


async def get(tx: Reads, id: str) -> Campaign:
    """One campaign. Raises NotFound."""
    return await tx.get(Campaign, id)


async def create(tx: Transaction, given: Mapping[str, Any]) -> Campaign:
    """A new campaign, active (P1), with the contacts given. Raises Invalid, NotFound."""
    given = dict(given)
    contact_ids = given.pop("contact_ids", None) or []
    clean = CAMPAIGN.new(given)
    _check_windows(clean)
    await agents.usable(tx, clean["agent_id"])
    await phone_numbers.usable(tx, clean["phone_number_id"])
    row = tx.add(
        Campaign(
            id=tx.new_id(),
            workspace_id=tx.workspace_id,
            created_at=tx.now,
            updated_at=tx.now,
            **_columns({**clean, "scheduled_start": clean["scheduled_start"] or tx.now.replace(microsecond=0)}),
        )
    )
    await tx.flush()
    tx.wake()
    if contact_ids:
        await _enrol(tx, row, await _known(tx, contact_ids))
    return row


async def update(tx: Transaction, id: str, given: Mapping[str, Any]) -> Campaign:
    """Change the fields given while the campaign is open (P2, P6). Raises NotFound, Invalid."""
    row = await tx.lock(Campaign, id)
    clean = CAMPAIGN_CHANGES.changes(given)
    status = clean.pop("status", row.status)
    if clean and row.status not in OPEN:
        raise Invalid(f"A {row.status.value} campaign cannot be changed")
    _check_windows({**_settings(row), **clean})
    moves.check(moves.CAMPAIGN, "Campaign", row.status, status)
    is_over_now = status not in OPEN and row.status is not status
    if "contact_window" in clean or "call_days" in clean:
        await calls.ask_again(tx, id)
        await progress.ask_again(tx, id)
    apply(row, _columns({**clean, "status": status}), tx.now)
    if is_over_now:
        await calls.cancel_queued(tx, id, _DROPPED[status])
    tx.wake()
    return row


def _settings(row: Campaign) -> dict[str, Any]:
    """What windows are made of."""
    return {
        "timezone": row.timezone,
        "call_days": row.call_days,
        "call_window": call_window(row),
        "contact_window": contact_window(row),
    }


def _check_windows(given: Mapping[str, Any]) -> None:
    """Raises Invalid when they cannot be read together."""
    check_window(given["call_window"], given["timezone"], given["call_days"])
    check_window(given["contact_window"], given["timezone"], given["call_days"], "contactWindow")


def next_dial(row: Campaign, now: datetime) -> datetime | None:
    """`nextDialAt`: when an active campaign's start or window next lets it dial, None if neither holds it back (P1)."""
    window = check_window(call_window(row), row.timezone, row.call_days)
    return next_dial_at(row.status, row.scheduled_start, window, now=now)


async def enrol(
    tx: Transaction, id: str, *, contact_ids: Sequence[str] = (), new_contacts: Sequence[Mapping[str, Any]] = ()
) -> Enrolment:
    """Add contacts, known or new, to an open campaign (P3). Raises NotFound, Invalid; then nothing has changed."""
    row = await tx.lock(Campaign, id)
    if row.status not in OPEN:
        raise Invalid(f"A {row.status.value} campaign takes no contacts")
    if not contact_ids and not new_contacts:
        raise Invalid("contactIds or contacts is required")
    if len(contact_ids) + len(new_contacts) > MAX_ENROLLED_A_REQUEST:
        raise Invalid(f"At most {MAX_ENROLLED_A_REQUEST:,} contacts can be enrolled in one request")
    ids = await _known(tx, contact_ids) + await _found_or_made(tx, new_contacts)
    enrolled = await _enrol(tx, row, ids)
    return Enrolment(row, enrolled, len(ids) - enrolled)


async def enrolled_page(
    tx: Reads, id: str, *, limit: int | None = None, offset: int | None = None
) -> Page[CampaignContact]:
    """Who is enrolled, in the order of enrolment, a hundred at a time unless told. Raises NotFound."""
    await tx.get(Campaign, id)
    statement = tx.select(CampaignContact).where(col(CampaignContact.campaign_id) == id)
    order = (CampaignContact.position,)
    return await page(tx, statement, order=order, limit=100 if limit is None else limit, offset=offset)


def _columns(clean: dict[str, Any]) -> dict[str, Any]:
    """Each window as its two columns."""
    for name, columns in (("call_window", "window"), ("contact_window", "contact_window")):
        if name in clean:
            window = clean.pop(name) or {"start": None, "end": None}
            clean |= {f"{columns}_start": window["start"], f"{columns}_end": window["end"]}
    return clean


async def _known(tx: Transaction, ids: Sequence[str]) -> list[str]:
    """The ids, each of which is a contact. Raises NotFound naming the first that is not (E5), Invalid for too many."""
    if len(ids) > MAX_ENROLLED_A_REQUEST:
        raise Invalid(f"At most {MAX_ENROLLED_A_REQUEST:,} contacts can be enrolled in one request")
    found: set[str] = set()
    for batch in _batches(list(dict.fromkeys(ids))):
        statement = tx.select(Contact).where(col(Contact.id).in_(batch)).with_only_columns(col(Contact.id))
        found.update((await tx.execute(statement)).scalars())
    for id in ids:
        if id not in found:
            raise missing(Contact, id)
    return list(ids)


async def _found_or_made(tx: Transaction, given: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ids for contacts given by number: those there already, and new rows for the rest."""
    clean = []
    for index, fields in enumerate(given):
        try:
            clean.append(CONTACT.new(fields))
        except Invalid as error:
            raise Invalid(f"contacts[{index}]: {error.message}") from None
    numbers = await _by_number(tx, [values["phone_number"] for values in clean])
    made: dict[str, Contact] = {}
    for values in clean:
        if values["phone_number"] not in numbers:
            made.setdefault(values["phone_number"], contacts.new(tx, values))
    if made:
        await tx.insert_new(Contact, [made[number].model_dump() for number in sorted(made)])
        numbers |= await _by_number(tx, list(made))  # another request may have been faster with some of them
    return [numbers[values["phone_number"]] for values in clean]


async def _by_number(tx: Transaction, phone_numbers: Sequence[str]) -> dict[str, str]:
    """The ids of the contacts that have one of the numbers, by number."""
    found: dict[str, str] = {}
    for batch in _batches(list(dict.fromkeys(phone_numbers))):
        statement = (
            tx.select(Contact)
            .where(col(Contact.phone_number).in_(batch))
            .with_only_columns(col(Contact.phone_number), col(Contact.id))
        )
        found.update((number, id) for number, id in (await tx.execute(statement)).all())
    return found


async def _enrol(tx: Transaction, row: Campaign, ids: Sequence[str]) -> int:
    unique = list(dict.fromkeys(ids))
    already: set[str] = set()
    for batch in _batches(unique):
        statement = (
            tx.select(CampaignContact)
            .where(col(CampaignContact.campaign_id) == row.id, col(CampaignContact.contact_id).in_(batch))
            .with_only_columns(col(CampaignContact.contact_id))
        )
        already.update((await tx.execute(statement)).scalars())
    fresh = [
        {
            "id": tx.new_id(),
            "workspace_id": tx.workspace_id,
            "campaign_id": row.id,
            "contact_id": id,
            "position": position,
            "status": CampaignContactStatus.PENDING,
            "attempts": 0,
            "created_at": tx.now,
        }
        for position, id in enumerate((id for id in unique if id not in already), row.calls_total + 1)
    ]
    if fresh:
        await tx.execute(insert(CampaignContact), fresh)
        row.calls_total += len(fresh)
        tx.wake()
    return len(fresh)


def _batches(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
