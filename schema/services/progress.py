"""How far a campaign is: what the end of a call means for its contact, and when the campaign is complete (P3, P5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import update
from sqlmodel import col

from schema.rules.calls import CallStatus, EndReason, WaitReason
from schema.rules.campaigns import OPEN, CampaignContactStatus, CampaignStatus, next_attempt_at
from schema.runtime import Transaction
from schema.tables import Call, Campaign, CampaignContact


async def calls_over(tx: Transaction, calls: Sequence[Call]) -> None:
    """Calls have ended: their slots are free, each contact is finished or waits for its next try (P5).

    They are all of one campaign, or of none. Call it in the transaction that ends them, when their rows say how.
    """
    tx.free_slot()
    of_contacts = {call.contact_id: call for call in calls if call.contact_id is not None}
    if not of_contacts or calls[0].campaign_id is None:
        return
    campaign = await tx.lock(Campaign, calls[0].campaign_id)
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


async def ask_again(tx: Transaction, campaign_id: str) -> None:
    """The contacts that wait for hours in which they may be called go by the hours of now (P6)."""
    await tx.execute(
        update(CampaignContact)
        .where(
            col(CampaignContact.campaign_id) == campaign_id,
            col(CampaignContact.next_attempt_at).is_not(None),
            col(CampaignContact.waiting_for) == WaitReason.CONTACT_WINDOW,
        )
        .values(next_attempt_at=tx.now)
        .execution_options(synchronize_session=False)
    )


def finish(tx: Transaction, campaign: Campaign, contact: CampaignContact, reason: EndReason) -> None:
    """Nobody calls the contact any more in this campaign, which is complete when that was the last one (P3)."""
    contact.status = CampaignContactStatus.FINISHED
    contact.next_attempt_at = contact.waiting_for = None
    contact.end_reason = reason
    contact.finished_at = tx.now
    campaign.calls_completed += 1
    if campaign.status in OPEN and campaign.calls_completed >= campaign.calls_total:
        campaign.status = CampaignStatus.COMPLETED
        campaign.updated_at = tx.now
