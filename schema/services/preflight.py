"""Preflight: what the dial gate would say of a campaign's contacts, before any is called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, exists, func, literal, select
from sqlmodel import col

from schema.rules import gate as rule
from schema.rules import phone
from schema.rules.campaigns import CampaignContactStatus
from schema.rules.gate import CampaignFacts
from schema.rules.windows import is_open
from schema.runtime import Snapshot
from schema.services import gate
from schema.tables import Call, Campaign, CampaignContact, Contact, DoNotCall

_INVALID, _ON_LIST, _DUPLICATE, _CALLABLE, _OUTSIDE = "invalid", "on-list", "duplicate", "callable", "outside"


@dataclass(frozen=True, slots=True)
class Preflight:
    """Contacts that are not finished, each counted once, by what would become of them at that instant."""

    at: datetime
    callable: int
    on_do_not_call_list: int
    outside_hours: int
    invalid: int
    duplicate: int


async def of(tx: Snapshot, campaign: Campaign, at: datetime | None = None) -> Preflight:
    """Ask for every contact; `at` defaults to the campaign's start, or now once it has started.

    One statement sorts the contacts out; hours are asked once for each prefix of their numbers, so that a list of
    100,000 takes a second.
    """
    at = at or max(tx.now, campaign.scheduled_start)
    facts = gate.facts_of(campaign)
    is_open_then = is_open(facts.window, at)
    counts = dict.fromkeys((_INVALID, _ON_LIST, _DUPLICATE, _CALLABLE, _OUTSIDE), 0)
    for row in await tx.runtime.database.read(_sorted_out(campaign, by_zone=facts.contact_window is not None)):
        verdict = row.verdict
        if verdict == _CALLABLE and not (is_open_then and _is_their_hour(campaign, facts, row, at)):
            verdict = _OUTSIDE
        counts[verdict] += row.contacts
    return Preflight(at, counts[_CALLABLE], counts[_ON_LIST], counts[_OUTSIDE], counts[_INVALID], counts[_DUPLICATE])


def _is_their_hour(campaign: Campaign, facts: CampaignFacts, row: Any, at: datetime) -> bool:
    if facts.contact_window is None:
        return True
    contact = gate.contact_facts(
        row.prefix, deleted_at=None, timezone=row.timezone, is_duplicate=False, campaign_zone=campaign.timezone
    )
    return isinstance(rule.of_contact(facts, contact, is_on_list=False, now=at), rule.Go)


def _sorted_out(campaign: Campaign, *, by_zone: bool) -> Select[str, str, str | None, int]:
    """The contacts that are not finished, counted by the first thing that keeps them from being called.

    `by_zone` tells apart what their hours depend on: the beginning of the number, and the zone of the contact.
    """
    nobody = literal("")
    on_list = exists().where(
        col(DoNotCall.workspace_id) == campaign.workspace_id, col(DoNotCall.phone_number) == col(Contact.phone_number)
    )
    same_number = func.row_number().over(
        partition_by=(col(Contact.phone_number), col(Contact.deleted_at).is_not(None)),
        order_by=col(CampaignContact.position),
    )
    called_for_another = exists().where(
        col(Call.campaign_id) == campaign.id,
        col(Call.to_number) == col(Contact.phone_number),
        col(Call.contact_id) != col(Contact.id),
        col(Call.contact_attempt).is_not(None),
    )
    one_by_one = (
        select(
            case(
                (col(Contact.deleted_at).is_not(None), _INVALID),
                (on_list, _ON_LIST),
                (called_for_another, _DUPLICATE),
                (same_number > 1, _DUPLICATE),
                else_=_CALLABLE,
            ).label("verdict"),
            (func.substr(col(Contact.phone_number), 1, phone.ZONE_PREFIX) if by_zone else nobody).label("prefix"),
            (col(Contact.timezone) if by_zone else nobody).label("timezone"),
        )
        .select_from(CampaignContact)
        .join(Contact, col(Contact.id) == col(CampaignContact.contact_id))
        .where(
            col(CampaignContact.campaign_id) == campaign.id,
            col(CampaignContact.status) != CampaignContactStatus.FINISHED,
        )
        .subquery()
    )
    columns = one_by_one.c.verdict, one_by_one.c.prefix, one_by_one.c.timezone
    return select(*columns, func.count().label("contacts")).group_by(*columns)
