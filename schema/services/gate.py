"""The dial gate's facts: what `schema.rules.gate` decides by, read in the transaction in which it decides."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlmodel import col

from schema.rules import gate, phone
from schema.rules.calls import LIVE, CallPhase, WaitReason
from schema.rules.campaigns import check_window
from schema.rules.gate import CampaignFacts, ContactFacts, Hold, Parts, Slots, Verdict
from schema.rules.plans import PLANS
from schema.runtime import Transaction
from schema.services import do_not_call
from schema.tables import Agent, Call, Campaign, Contact, PhoneNumber, Workspace


def call_window(row: Campaign) -> dict[str, str] | None:
    """The campaign's window as the API shows it, None for any hour."""
    return {"start": row.window_start, "end": row.window_end} if row.window_start and row.window_end else None


def contact_window(row: Campaign) -> dict[str, str] | None:
    """The hours in which contacts may be called by their own clocks, None for any."""
    if row.contact_window_start and row.contact_window_end:
        return {"start": row.contact_window_start, "end": row.contact_window_end}
    return None


def facts_of(row: Campaign) -> CampaignFacts:
    """What the gate must know of a campaign. Raises Invalid for a window that no longer can be read: fail closed."""
    hours = contact_window(row)
    return CampaignFacts(
        row.status,
        None if row.cursor else row.scheduled_start,
        check_window(call_window(row), row.timezone, row.call_days),
        check_window(hours, row.timezone, row.call_days, "contactWindow") if hours else None,
        row.max_concurrent_calls,
    )


def contact_facts(
    number: str, *, deleted_at: datetime | None, timezone: str | None, is_duplicate: bool, campaign_zone: str
) -> ContactFacts:
    """What the gate must know of a contact.

    Its zone is the contact's own, else those its number may be in; a number that says nothing is where the campaign is.
    """
    zones = (timezone,) if timezone else phone.zones(number)
    return ContactFacts(deleted_at is not None, is_duplicate, zones or (campaign_zone,))


def parts_of(agent: Agent | None, number: PhoneNumber | None) -> Parts:
    """Whether the agent and the number can be used."""
    usable_agent = agent is not None and agent.is_active and agent.deleted_at is None
    return Parts(usable_agent, number is not None and number.is_active)


async def called_for(tx: Transaction, campaign_id: str, numbers: Collection[str]) -> dict[str, set[str]]:
    """The contacts for whom the campaign has called each of the numbers."""
    statement = select(col(Call.to_number), col(Call.contact_id)).where(
        col(Call.campaign_id) == campaign_id, col(Call.to_number).in_(numbers)
    )
    called: dict[str, set[str]] = {}
    for number, id in (await tx.execute(statement)).all():
        called.setdefault(number, set()).add(id)
    return called


async def plan_limit(tx: Transaction) -> int:
    """How many calls at the same time the workspace's plan allows (K6), as it is now."""
    plan = await tx.execute(select(col(Workspace.plan)).where(col(Workspace.id) == tx.workspace_id))
    return PLANS[plan.scalar_one()].concurrent_calls


async def ask(
    tx: Transaction, call: Call, agent: Agent | None, number: PhoneNumber, campaign: Campaign | None
) -> Verdict:
    """The gate's word on a call that is about to be dialed.

    The caller holds the dialer's row, or two could pass where there is one slot.
    """
    parts = parts_of(agent, number)
    is_on_list = bool(await do_not_call.among(tx, [call.to_number]))
    slots = await _slots(tx, call)
    if call.campaign_id is None:
        verdict = gate.decide(
            tx.now, is_cancelled=call.hangup_requested, is_on_list=is_on_list, parts=parts, slots=slots
        )
    elif campaign is None:
        raise RuntimeError(f"the campaign of call {call.id} is not there")
    else:
        verdict = gate.decide(
            tx.now,
            is_cancelled=call.hangup_requested,
            is_on_list=is_on_list,
            parts=parts,
            slots=slots,
            campaign=facts_of(campaign),
            contact=await _contact(tx, call, campaign),
        )
    if isinstance(verdict, gate.Go) and await _others_wait(tx, call):
        return Hold(WaitReason.PLAN_LIMIT, tx.now)  # there is a slot, and it is theirs
    return verdict


async def _slots(tx: Transaction, call: Call) -> Slots:
    live = await tx.execute(_LIVE_CALLS, {"workspace": tx.workspace_id, "call": call.id})
    used: dict[str | None, int] = dict(live.all())
    return Slots(sum(used.values()), await plan_limit(tx), used.get(call.campaign_id, 0))


async def _others_wait(tx: Transaction, call: Call) -> bool:
    """Whether a single call waits for a slot, before a single call one that came earlier: first come, first served."""
    first = (await tx.execute(_FIRST_TO_WAIT, {"workspace": tx.workspace_id})).scalar_one_or_none()
    return first is not None and (call.campaign_id is not None or first < call.id)


# Asked at every dial, and made once, because making a statement takes as long as running it.
_OPEN_CALLS = (col(Call.workspace_id) == bindparam("workspace"), col(Call.ended_at).is_(None))
_LIVE_CALLS = (
    select(col(Call.campaign_id), func.count())
    .where(*_OPEN_CALLS, col(Call.phase).in_(LIVE), col(Call.id) != bindparam("call"))
    .group_by(col(Call.campaign_id))
)
_FIRST_TO_WAIT = (
    select(col(Call.id))
    .where(
        *_OPEN_CALLS,
        col(Call.phase) == CallPhase.WAITING,
        col(Call.campaign_id).is_(None),
        col(Call.due_at).is_(None),
    )
    .order_by(col(Call.id))
    .limit(1)
)


async def _contact(tx: Transaction, call: Call, campaign: Campaign) -> ContactFacts | None:
    contact = await tx.first(tx.select(Contact, deleted=True).where(col(Contact.id) == call.contact_id))
    if contact is None:
        return None
    return contact_facts(
        call.to_number,
        deleted_at=contact.deleted_at,
        timezone=contact.timezone,
        is_duplicate=False,  # asked when the call was made, and kept by a unique index since
        campaign_zone=campaign.timezone,
    )
