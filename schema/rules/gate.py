"""The dial gate: may this call be dialed now? Pure, fail-closed, and the only place that decides (P1–P6, L5, K6).

The dialer asks it before it gives a contact its call, `dialing.begin` asks it again in the transaction that claims the
attempt, and a campaign's preflight asks it before anything is dialed.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from schema.rules.calls import EndReason, WaitReason
from schema.rules.campaigns import CampaignStatus
from schema.rules.windows import CallWindow, is_open, next_open, next_open_in_all, open_in_all


@dataclass(frozen=True, slots=True)
class Go:
    """It may be dialed."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now. `until`: when to ask again; None: when whatever holds it back changes."""

    reason: WaitReason
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Never: the call is over, for that reason."""

    reason: EndReason


GO = Go()
ASK_AGAIN = timedelta(seconds=5)
"""After which it is asked again whether somebody is still on the phone with us, for another campaign say."""
Verdict: TypeAlias = Go | Hold | Refuse


@dataclass(frozen=True, slots=True)
class CampaignFacts:
    """What a campaign says about its calls. `scheduled_start` None: it has begun, whatever the clock says now."""

    status: CampaignStatus
    scheduled_start: datetime | None
    window: CallWindow | None
    contact_window: CallWindow | None
    max_concurrent_calls: int


@dataclass(frozen=True, slots=True)
class ContactFacts:
    """What is known of the contact. `zones`: where the number may be; not empty."""

    is_deleted: bool
    is_duplicate: bool  # the campaign has called this number for another contact
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a call is placed with."""

    agent_is_usable: bool
    number_is_usable: bool


@dataclass(frozen=True, slots=True)
class Slots:
    """Calls under way, and how many there may be. `to_number`: those to the number that is to be called."""

    used: int
    limit: int
    used_by_campaign: int = 0
    to_number: int = 0


def decide(
    now: datetime,
    *,
    is_cancelled: bool,
    is_on_list: bool,
    parts: Parts,
    slots: Slots,
    campaign: CampaignFacts | None = None,
    contact: ContactFacts | None = None,
) -> Verdict:
    """The whole gate, for a call that is about to be dialed; `campaign` and `contact` for a campaign's call.

    A refusal by anybody is final, whatever else only says to wait.
    """
    if is_cancelled:
        return Refuse(EndReason.CANCELLED)
    if campaign is None:
        verdicts = [_of_single(parts, is_on_list=is_on_list)]
    elif contact is None:
        verdicts = [of_campaign(campaign, parts, now), Refuse(EndReason.BLOCKED_CONTACT_DELETED)]
    else:
        verdicts = [
            of_campaign(campaign, parts, now),
            of_contact(campaign, contact, is_on_list=is_on_list, now=now),
            Hold(WaitReason.NUMBER_BUSY, now + ASK_AGAIN) if slots.to_number else GO,
            Hold(WaitReason.CAMPAIGN_LIMIT) if slots.used_by_campaign >= campaign.max_concurrent_calls else GO,
        ]
    verdicts.append(Hold(WaitReason.PLAN_LIMIT) if slots.used >= slots.limit else GO)
    return next((one for one in verdicts if isinstance(one, Refuse)), None) or next(
        (one for one in verdicts if isinstance(one, Hold)), GO
    )


def _of_single(parts: Parts, *, is_on_list: bool) -> Verdict:
    if is_on_list:
        return Refuse(EndReason.BLOCKED_DO_NOT_CALL)
    # Whoever runs the workspace took away what the call needs.
    return GO if parts.agent_is_usable and parts.number_is_usable else Refuse(EndReason.CANCELLED)


def of_campaign(campaign: CampaignFacts, parts: Parts, now: datetime) -> Verdict:
    """Whether the campaign may dial anybody now."""
    if campaign.status is CampaignStatus.CANCELLED:
        return Refuse(EndReason.CAMPAIGN_CANCELLED)
    if campaign.status is CampaignStatus.COMPLETED:
        return Refuse(EndReason.CANCELLED)
    if campaign.status is not CampaignStatus.ACTIVE:
        return Hold(WaitReason.CAMPAIGN_PAUSED)
    if campaign.scheduled_start is not None and campaign.scheduled_start > now:
        return Hold(WaitReason.NOT_STARTED, campaign.scheduled_start)
    if not is_open(campaign.window, now):
        return Hold(WaitReason.CALL_WINDOW, next_open(campaign.window, now))
    # A campaign waits for its agent and number to come back: its contacts are not spent on a mistake.
    if not parts.agent_is_usable:
        return Hold(WaitReason.AGENT_INACTIVE)
    if not parts.number_is_usable:
        return Hold(WaitReason.NUMBER_INACTIVE)
    return GO


def of_contact(campaign: CampaignFacts, contact: ContactFacts, *, is_on_list: bool, now: datetime) -> Verdict:
    """Whether the campaign may dial this contact now, if it may dial at all."""
    if contact.is_deleted:
        return Refuse(EndReason.BLOCKED_CONTACT_DELETED)
    if is_on_list:
        return Refuse(EndReason.BLOCKED_DO_NOT_CALL)
    if contact.is_duplicate:
        return Refuse(EndReason.BLOCKED_DUPLICATE)
    if campaign.contact_window is None or open_in_all(campaign.contact_window, contact.zones, now):
        return GO
    opens = next_open_in_all(campaign.contact_window, contact.zones, now)
    return Refuse(EndReason.BLOCKED_WINDOW) if opens is None else Hold(WaitReason.CONTACT_WINDOW, opens)


def share_out(room: int, takers: Sequence[tuple[int, int]]) -> list[int]:
    """How many of `room` free slots each gets: one at a time to whoever has the fewest calls.

    `takers`: (calls now, calls at most). A campaign of a million contacts gets no more than one of ten.
    """
    shares = [0] * len(takers)
    queue = [(now, index) for index, (now, most) in enumerate(takers) if now < most]
    heapq.heapify(queue)
    while room > 0 and queue:
        now, index = heapq.heappop(queue)
        shares[index] += 1
        room -= 1
        if now + 1 < takers[index][1]:
            heapq.heappush(queue, (now + 1, index))
    return shares
