"""What a campaign did, as facts without ids: each dial, what became of each contact, and a digest of it all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlmodel import col

from schema.rules import phone
from schema.rules.calls import AttemptState
from schema.rules.windows import CallWindow, is_open, next_open, open_in_all
from schema.runtime import Runtime, Viewer
from schema.services import campaigns, gate
from schema.tables import Call, CallAttempt, CampaignContact, Contact

QUIET = timedelta(minutes=5)
"""A pause that is worth a line."""
_MINUTE = timedelta(minutes=1)
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Dial:
    """One dial. `order`: a call that its carrier refused is dialed again within the same `attempt` of the contact."""

    at: datetime
    ended_at: datetime
    number: str
    attempt: int
    order: int
    is_refused: bool
    end_reason: str
    outcome: str
    duration_s: int


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a contact. `end_reason`: of its last call, or why it was not called."""

    number: str
    status: str
    attempts: int
    end_reason: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A campaign's history."""

    started_at: datetime
    ended_at: datetime
    status: str
    window: CallWindow
    contact_window: CallWindow | None
    dials: Sequence[Dial]
    contacts: Sequence[Ended]

    @property
    def digest(self) -> str:
        """The same for two runs in which the same happened at the same instants."""
        facts = [self.started_at, self.ended_at, self.status, *self.dials, *self.contacts]
        return hashlib.sha256("\n".join(map(repr, facts)).encode()).hexdigest()

    def lines(self) -> Iterator[str]:
        """For people: the dials by the clock of the campaign's zone, and why nothing was dialed in between."""
        day, quiet_since = None, self.started_at
        for dial in self.dials:
            if dial.at - quiet_since > QUIET:
                yield f"    {_span(dial.at - quiet_since)} without a call: {self._why_quiet(quiet_since, dial)}"
            local = dial.at.astimezone(self.window.zone)
            if local.date() != day:
                day = local.date()
                yield f"{local:%A} {local.day} {local:%B %Y}"
            yield f"  {local:%H:%M:%S} {local:%Z}  {dial.number}  try {dial.attempt}  {_how(dial)}"
            quiet_since = max(quiet_since, dial.ended_at)

    def _why_quiet(self, since: datetime, dial: Dial) -> str:
        reasons = []
        minutes = (since + _MINUTE * step for step in range((dial.at - since) // _MINUTE + 1))
        closed = [minute for minute in minutes if not is_open(self.window, minute)]
        if closed:
            opens = next_open(self.window, closed[-1])
            reasons.append(f"window closed until {opens.astimezone(self.window.zone):%A %H:%M %Z}")
            since = opens
        if dial.at > since and not open_in_all(self.contact_window, phone.zones(dial.number), dial.at - _MOMENT):
            reasons.append("too early where the contacts are")
        elif dial.at > since:
            reasons.append("the next try is not due yet" if dial.attempt > 1 else "nobody to call")
        return ", ".join(reasons)

    def summary(self) -> Iterator[str]:
        """The counts."""
        yield f"The campaign is {self.status}, {_span(self.ended_at - self.started_at)} after its start."
        refused = sum(dial.is_refused for dial in self.dials)
        yield f"{len(self.contacts)} contacts, {len(self.dials)} dials, {refused} of them refused by the carrier."
        for reason, count in sorted(Counter(contact.end_reason for contact in self.contacts).items()):
            tries = Counter(contact.attempts for contact in self.contacts if contact.end_reason == reason)
            told = ", ".join(f"{tries[each]} after {each}" for each in sorted(tries))
            yield f"  {count:4}  {reason:22}  tries: {told}"
        outcomes = Counter(dial.outcome for dial in self.dials if dial.outcome)
        yield "Outcomes of calls: " + ", ".join(f"{outcomes[each]} {each}" for each in sorted(outcomes))


async def read(runtime: Runtime, viewer: Viewer, campaign_id: str) -> Timeline:
    """The history of a campaign that is at rest, from its rows."""
    async with runtime.transaction(viewer) as tx:
        campaign = await campaigns.get(tx, campaign_id)
        facts = gate.facts_of(campaign)
        attempts = await tx.execute(
            select(CallAttempt, Call)
            .join(Call, col(Call.id) == col(CallAttempt.call_id))
            .where(col(Call.campaign_id) == campaign_id)
            .order_by(col(CallAttempt.started_at), col(Call.to_number))
        )
        enrolled = await tx.execute(
            select(CampaignContact, Contact)
            .join(Contact, col(Contact.id) == col(CampaignContact.contact_id))
            .where(col(CampaignContact.campaign_id) == campaign_id)
            .order_by(col(CampaignContact.position))
        )
        dials = [_dial(attempt, call) for attempt, call in attempts]
        contacts = [
            Ended(contact.phone_number, row.status.value, row.attempts, _value(row.end_reason))
            for row, contact in enrolled
        ]
    if facts.window is None:
        raise ValueError("a campaign without a window has no time line worth telling")
    return Timeline(
        started_at=campaign.scheduled_start,
        ended_at=max((dial.ended_at for dial in dials), default=campaign.scheduled_start),
        status=campaign.status.value,
        window=facts.window,
        contact_window=facts.contact_window,
        dials=dials,
        contacts=contacts,
    )


def _dial(attempt: CallAttempt, call: Call) -> Dial:
    is_refused = attempt.state in {AttemptState.REFUSED, AttemptState.WITHDRAWN}
    return Dial(
        at=attempt.started_at,
        ended_at=attempt.ended_at or call.ended_at or attempt.started_at,
        number=call.to_number,
        attempt=call.contact_attempt or 0,
        order=attempt.number,
        is_refused=is_refused,
        end_reason=_value(attempt.end_reason),
        outcome="" if is_refused else _value(call.outcome),
        duration_s=0 if is_refused else call.duration or 0,
    )


def _value(choice: object) -> str:
    return "" if choice is None else str(choice)


def _how(dial: Dial) -> str:
    if dial.is_refused:
        return f"{dial.end_reason}, dialed again later"
    talked = f", {dial.duration_s} s" if dial.duration_s else ""
    return f"{dial.end_reason}{talked}: {dial.outcome}"


def _span(span: timedelta) -> str:
    """`2 d 16 h 2 min`."""
    minutes = span // _MINUTE
    parts = ((minutes // 1_440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"
