"""How far a campaign is: what the end of a call means for its contact, and when the campaign is complete (P3, P5)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update
from sqlmodel import col

from schema.rules.calls import CallStatus, EndReason, WaitReason
from schema.rules.campaigns import OPEN, CampaignContactStatus, CampaignStatus, next_attempt_at
from schema.runtime import Transaction
from schema.tables import Call, Campaign, CampaignContact


async def call_over(tx: Transaction, call: Call) -> None:
    """A call has ended: its slot is free, its contact is finished or waits for the next try (P5).

    Call it in the transaction that ends the call, when the row says how.
    """
    tx.free_slot()
    if call.campaign_id is None or call.contact_id is None:
        return
    campaign = await tx.lock(Campaign, call.campaign_id)
    contact = await tx.first(
        tx.select(CampaignContact).where(
            col(CampaignContact.campaign_id) == campaign.id, col(CampaignContact.contact_id) == call.contact_id
        )
    )
    if contact is None or contact.status is not CampaignContactStatus.CALLING:
        return
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
