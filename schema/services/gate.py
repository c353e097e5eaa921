"""The dial gate's facts: what `schema.rules.gate` decides by, read in the transaction in which it decides."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, func, select
from sqlmodel import col

from schema.rules import gate, phone
from schema.rules.calls import LIVE, CallPhase, WaitReason
from schema.rules.campaigns import check_window
from schema.rules.gate import CampaignFacts, ContactFacts, Hold, Parts, Slots, Verdict
from schema.rules.plans import PLANS
from schema.runtime import Transaction
from schema.services import do_not_call
from schema.tables import Agent, Call, Campaign, CampaignContact, Contact, PhoneNumber, Workspace


class Person(NamedTuple):
    """Whom a campaign's call is for: the contact, and its place in the campaign."""

    contact: Contact
    enrolled: CampaignContact


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
    """The contacts for whom the campaign has called each of the numbers, or may yet.

    Not those whose call was over before any carrier was told of it: it is no try (`progress.calls_over`).
    """
    statement = select(col(Call.to_number), col(Call.contact_id)).where(
        col(Call.campaign_id) == campaign_id,
        col(Call.to_number).in_(numbers),
        col(Call.contact_attempt).is_not(None),
    )
    called: dict[str, set[str]] = {}
    for number, id in (await tx.execute(statement)).all():
        called.setdefault(number, set()).add(id)
    return called


async def plan_limit(tx: Transaction) -> int:
    """How many calls at the same time the workspace's plan allows (K6), as it is now."""
    plan = await tx.execute(select(col(Workspace.plan)).where(col(Workspace.id) == tx.workspace_id))
    return PLANS[plan.scalar_one()].concurrent_calls


async def person(tx: Transaction, call: Call) -> Person | None:
    """Whom a campaign's call is for, None for another's."""
    values = {"contact": call.contact_id, "campaign": call.campaign_id}
    row = (await tx.execute(_PERSON, values)).first() if call.campaign_id else None
    return Person(*row) if row else None


async def ask(
    tx: Transaction,
    call: Call,
    agent: Agent | None,
    number: PhoneNumber,
    *,
    campaign: Campaign | None,
    person: Person | None,
) -> Verdict:
    """The gate's word on a call that is about to be dialed, to the number that its contact has now.

    The caller holds the dialer's row, or two could pass where there is one slot; and the campaign's, if there is one.
    """
    parts = parts_of(agent, number)
    is_duplicate = person is not None and await _is_duplicate(tx, call, person.contact)
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
            contact=None
            if person is None
            else contact_facts(
                call.to_number,
                deleted_at=person.contact.deleted_at,
                timezone=person.contact.timezone,
                is_duplicate=is_duplicate,
                campaign_zone=campaign.timezone,
            ),
        )
    if isinstance(verdict, gate.Go) and await _others_wait(tx, call):
        return Hold(WaitReason.PLAN_LIMIT, tx.now)  # there is a slot, and it is theirs
    return verdict


async def _slots(tx: Transaction, call: Call) -> Slots:
    values = {"workspace": tx.workspace_id, "call": call.id}
    if call.campaign_id is None:
        used: dict[str | None, int] = dict((await tx.execute(_LIVE_CALLS, values)).all())
        return Slots(sum(used.values()), await plan_limit(tx))
    live = (await tx.execute(_LIVE_CALLS_TO, {**values, "to": call.to_number})).all()
    used = {campaign_id: count for campaign_id, count, _ in live}
    to_number = sum(count for *_, count in live)
    return Slots(sum(used.values()), await plan_limit(tx), used.get(call.campaign_id, 0), to_number)


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
_LIVE_CALLS_TO = _LIVE_CALLS.add_columns(func.sum(case((col(Call.to_number) == bindparam("to"), 1), else_=0)))
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


async def _is_duplicate(tx: Transaction, call: Call, contact: Contact) -> bool:
    """Have the call go to the contact's number of now, unless the campaign has called that for another contact.

    For the number that the call was made for this was asked then, and has been kept by a unique index since.
    """
    number = contact.phone_number
    if call.to_number == number or contact.deleted_at is not None:
        return False
    if (await called_for(tx, call.campaign_id or "", [number])).get(number, set()) - {contact.id}:
        return True
    call.to_number = number
    return False


_PERSON = (
    select(Contact, CampaignContact)
    .join(
        CampaignContact,
        and_(
            col(CampaignContact.contact_id) == col(Contact.id),
            col(CampaignContact.campaign_id) == bindparam("campaign"),
        ),
    )
    .where(col(Contact.id) == bindparam("contact"))
)
