"""How far a campaign is: what the end of a call means for its contact, and when the campaign is complete (P3, P5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, bindparam, func, select, update
from sqlmodel import col

from schema.rules.calls import CallStatus, EndReason, WaitReason
from schema.rules.campaigns import OPEN, CampaignContactStatus, CampaignStatus, next_attempt_at
from schema.runtime import Transaction
from schema.services import watching
from schema.tables import Call, Campaign, CampaignContact


async def calls_over(tx: Transaction, calls: Sequence[Call]) -> None:
    """Calls have ended: their slots are free, each contact is finished or waits for its next try (P5).

    A call that no carrier was told of was no try: it gives its own back, and its place in the index of tries.
    They are all of one campaign, or of none. Call it in the transaction that ends them, when their rows say how.
    """
    tx.free_slot()
    of_contacts = {call.contact_id: call for call in calls if call.contact_id is not None}
    if not of_contacts or calls[0].campaign_id is None:
        return
    for call in calls:
        if call.started_at is None:
            call.contact_attempt = None
    campaign = await tx.lock(Campaign, calls[0].campaign_id)
    watching.campaign_changed(tx, campaign.id)
    calling = tx.select(CampaignContact).where(
        col(CampaignContact.campaign_id) == campaign.id,
        col(CampaignContact.contact_id).in_(of_contacts),
        col(CampaignContact.status) == CampaignContactStatus.CALLING,
    )
    for contact in await tx.all(calling):
        _call_over(tx, campaign, contact, of_contacts[contact.contact_id])


def _call_over(tx: Transaction, campaign: Campaign, contact: CampaignContact, call: Call) -> None:
    reason = call.end_reason or EndReason.INTERNAL_ERROR
    again = None
    if call.started_at is None:
        contact.attempts -= 1
    if campaign.status in OPEN and call.status is not CallStatus.COMPLETED:
        again = next_attempt_at(campaign.retry_policy, reason, contact.attempts, tx.now)
    contact.end_reason = reason
    if again is None:
        finish(tx, campaign, contact, reason)
    else:
        wait(contact, again, WaitReason.RETRY)
        tx.wake()


def begin(contact: CampaignContact) -> None:
    """The contact gets a call, its next try."""
    contact.status = CampaignContactStatus.CALLING
    contact.attempts += 1
    contact.next_attempt_at = contact.waiting_for = None


def wait(contact: CampaignContact, until: datetime, reason: WaitReason) -> None:
    """The contact is called from `until` on, not before."""
    contact.status = CampaignContactStatus.WAITING
    contact.next_attempt_at = until
    contact.waiting_for = reason


async def reckon_again(tx: Transaction, campaign: Campaign) -> None:
    """Those who were called and wait go by the retry policy of now, from the end of their last call on (P6).

    Whoever is not tried any more is finished. The campaign is locked, and open.
    """
    later: list[dict[str, Any]] = []
    never: list[dict[str, Any]] = []
    for row in (await tx.execute(_TRIED, {"workspace": tx.workspace_id, "campaign": campaign.id})).all():
        again = next_attempt_at(campaign.retry_policy, row.end_reason, row.attempts, row.ended_at)
        if again is None:
            never.append({"entry": row.id, "now": tx.now})
        elif again > tx.now or row.waiting_for is WaitReason.RETRY:  # else its hours are what it waits for
            later.append({"entry": row.id, "again": again})
    if later:
        await tx.execute(_WAIT, later)
    if never:
        await tx.execute(_FINISH, never)
        _count(tx, campaign, len(never))


_ENTRIES: Table = CampaignContact.__table__  # type: ignore[attr-defined]  # plain: the session's own update takes longer
_ENTRY = update(_ENTRIES).where(_ENTRIES.c.id == bindparam("entry"))
_WAIT = _ENTRY.values(next_attempt_at=bindparam("again"), waiting_for=WaitReason.RETRY)
_FINISH = _ENTRY.values(
    status=CampaignContactStatus.FINISHED, next_attempt_at=None, waiting_for=None, finished_at=bindparam("now")
)
_LAST_CALL = (  # one each: found by its contact, because SQLite might read all of the campaign's calls for each
    select(func.max(col(Call.ended_at)))
    .where(
        col(Call.workspace_id) == bindparam("workspace"),
        col(Call.contact_id) == col(CampaignContact.contact_id),
        col(Call.campaign_id).concat("") == bindparam("campaign"),
        col(Call.contact_attempt) == col(CampaignContact.attempts),
    )
    .scalar_subquery()
)
_TRIED = select(
    col(CampaignContact.id),
    col(CampaignContact.attempts),
    col(CampaignContact.end_reason),
    col(CampaignContact.waiting_for),
    _LAST_CALL.label("ended_at"),
).where(
    col(CampaignContact.campaign_id) == bindparam("campaign"),
    col(CampaignContact.next_attempt_at).is_not(None),
    col(CampaignContact.end_reason).is_not(None),
)


def finish(tx: Transaction, campaign: Campaign, contact: CampaignContact, reason: EndReason) -> None:
    """Nobody calls the contact any more in this campaign, which is complete when that was the last one (P3)."""
    contact.status = CampaignContactStatus.FINISHED
    contact.next_attempt_at = contact.waiting_for = None
    contact.end_reason = reason
    contact.finished_at = tx.now
    _count(tx, campaign, 1)


def _count(tx: Transaction, campaign: Campaign, finished: int) -> None:
    campaign.calls_completed += finished
    watching.campaign_changed(tx, campaign.id)
    if campaign.status in OPEN and campaign.calls_completed >= campaign.calls_total:
        campaign.status = CampaignStatus.COMPLETED
        campaign.updated_at = tx.now
