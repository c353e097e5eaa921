"""Campaigns: list, get, create, update, and who is in them (decisions P1–P6). Dialing them is the dialer's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, select
from sqlmodel import col

from schema.errors import Invalid
from schema.rules import moves
from schema.rules.calls import EndReason
from schema.rules.campaigns import (
    CAMPAIGN,
    CAMPAIGN_CHANGES,
    OPEN,
    CampaignContactStatus,
    CampaignStatus,
    check_window,
    next_dial_at,
)
from schema.runtime import Reads, Snapshot, Transaction
from schema.services import agents, asking, calls, enrolment, phone_numbers, progress, watching
from schema.services.changes import apply
from schema.services.gate import call_window, contact_window
from schema.services.paging import Page, newest_first, page
from schema.tables import Campaign, CampaignContact

_DROPPED = {  # why the queued calls of a campaign that is over are not dialed
    CampaignStatus.CANCELLED: EndReason.CAMPAIGN_CANCELLED,
    CampaignStatus.COMPLETED: EndReason.CANCELLED,
}


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
    enrolment.check_count(len(contact_ids))
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
        await enrolment.add_known(tx, row, contact_ids)
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
    if {"contact_window", "call_days", "timezone"} & clean.keys():
        await asking.again(tx, id)
    is_other_policy = clean.get("retry_policy", row.retry_policy) != row.retry_policy
    if apply(row, _columns({**clean, "status": status}), tx.now):
        watching.campaign_changed(tx, id)
    if is_over_now:
        await calls.cancel_queued(tx, id, _DROPPED[status])
    elif is_other_policy:
        await progress.reckon_again(tx, row)
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
    return next_dial_at(row.status, now if row.cursor else row.scheduled_start, window, now=now)


async def enrolled_page(
    tx: Reads,
    id: str,
    *,
    status: CampaignContactStatus | None = None,
    end_reason: EndReason | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> Page[CampaignContact]:
    """Who is enrolled, in the order of enrolment, a hundred at a time unless told. Raises NotFound.

    `status` is the one that is shown, `end_reason` how the last call ended.
    """
    await tx.get(Campaign, id)
    statement = tx.select(CampaignContact).where(col(CampaignContact.campaign_id) == id)
    if status is not None:
        statement = statement.where(_SHOWN.in_([status]))
    if end_reason is not None:
        statement = statement.where(col(CampaignContact.end_reason) == end_reason)
    order = (CampaignContact.position,)
    return await page(tx, statement, order=order, limit=100 if limit is None else limit, offset=offset)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many contacts of a campaign have got so far, and how their last call ended; None: they had none."""

    status: CampaignContactStatus
    end_reason: EndReason | None
    contacts: int


async def outcomes(tx: Snapshot, campaign: Campaign) -> list[Outcome]:
    """Every contact of the campaign counted once, by what is shown of it; the most first."""
    rows = await tx.runtime.database.read(_OUTCOMES, {"campaign": campaign.id})
    found = [
        Outcome(CampaignContactStatus(row.shown), row.end_reason and EndReason(row.end_reason), row.contacts)
        for row in rows
    ]
    return sorted(found, key=lambda one: (-one.contacts, one.status, one.end_reason or ""))


# As `schema.rules.campaigns.shown` has it.
_SHOWN: ColumnElement[str] = case(
    (
        and_(
            col(CampaignContact.status) == CampaignContactStatus.CALLING,
            col(CampaignContact.waiting_for).is_not(None),
        ),
        CampaignContactStatus.WAITING,
    ),
    else_=col(CampaignContact.status),
)
_OUTCOMES = (
    select(_SHOWN.label("shown"), col(CampaignContact.end_reason), func.count().label("contacts"))
    .where(col(CampaignContact.campaign_id) == bindparam("campaign"))
    .group_by(_SHOWN, col(CampaignContact.end_reason))
)


def _columns(clean: dict[str, Any]) -> dict[str, Any]:
    """Each window as its two columns."""
    for name, columns in (("call_window", "window"), ("contact_window", "contact_window")):
        if name in clean:
            window = clean.pop(name) or {"start": None, "end": None}
            clean |= {f"{columns}_start": window["start"], f"{columns}_end": window["end"]}
    return clean
