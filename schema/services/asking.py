"""Asking the gate again about those who wait for hours of contacts, when hours, a zone or a number has changed (P6)."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlmodel import col

from schema.rules.calls import CallPhase, WaitReason
from schema.rules.campaigns import OPEN
from schema.runtime import Transaction
from schema.tables import Call, Campaign, CampaignContact

CALLS = "calls"
"""The queue of calls."""


async def campaigns_of(tx: Transaction, contact_id: str) -> list[str]:
    """The open campaigns in which the contact waits for hours of its own, locked: before the contact is."""
    waits = (
        select(col(Campaign.id))
        .join(CampaignContact, col(CampaignContact.campaign_id) == col(Campaign.id))
        .where(
            col(Campaign.workspace_id) == tx.workspace_id,
            col(Campaign.status).in_(OPEN),
            col(CampaignContact.contact_id) == contact_id,
            col(CampaignContact.waiting_for) == WaitReason.CONTACT_WINDOW,
        )
    )
    ids = sorted((await tx.execute(waits)).scalars())
    for id in ids:
        await tx.lock(Campaign, id)
    return ids


async def again(tx: Transaction, campaign_id: str, contact_id: str | None = None) -> None:
    """Contacts of the campaign, which is locked, go by what holds now; only that contact, if one is given."""
    await _ask_calls(tx, campaign_id, contact_id)
    waiting = [
        col(CampaignContact.campaign_id) == campaign_id,
        col(CampaignContact.next_attempt_at).is_not(None),
        col(CampaignContact.waiting_for) == WaitReason.CONTACT_WINDOW,
    ]
    if contact_id is not None:
        waiting.append(col(CampaignContact.contact_id) == contact_id)
    await tx.execute(
        update(CampaignContact)
        .where(*waiting)
        .values(next_attempt_at=tx.now)
        .execution_options(synchronize_session=False)
    )
    tx.wake()


async def _ask_calls(tx: Transaction, campaign_id: str, contact_id: str | None) -> None:
    """One that somebody has locked is over, or about to ask the gate, which waits for this transaction."""
    waiting = select(col(Call.id)).where(
        col(Call.workspace_id) == tx.workspace_id,
        col(Call.ended_at).is_(None),
        col(Call.phase) == CallPhase.WAITING,
        col(Call.campaign_id) == campaign_id,
        col(Call.waiting_for) == WaitReason.CONTACT_WINDOW,
    )
    if contact_id is not None:
        waiting = waiting.where(col(Call.contact_id) == contact_id)
    ids = (await tx.execute(waiting.with_for_update(skip_locked=True))).scalars().all()
    if ids:
        await tx.execute(
            update(Call)
            .where(col(Call.id).in_(ids))
            .values(due_at=tx.now, version=Call.version + 1)
            .execution_options(synchronize_session=False)
        )
        tx.ring(CALLS)
