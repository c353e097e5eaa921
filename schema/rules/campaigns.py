"""Campaigns: statuses, fields, bounds, and when one may dial (decisions P1–P6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from schema.errors import Invalid
from schema.rules.calls import WaitReason
from schema.rules.contacts import zone_name
from schema.rules.fields import Field, Shape, choice, identifier, instant, integer, text
from schema.rules.windows import WEEKDAYS, CallWindow, next_open, parse_days, parse_window, whole_days

MAX_ENROLLED_A_REQUEST = 10_000
RETRIABLE = ("busy", "no-answer", "voicemail")
ATTEMPTS = integer(1, 5)  # decision P5
DELAY_MINUTES = integer(1, 10_080)


class CampaignStatus(StrEnum):
    """The document's four."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


OPEN = frozenset({CampaignStatus.ACTIVE, CampaignStatus.PAUSED})


class CampaignContactStatus(StrEnum):
    """How far a campaign has got with one contact."""

    PENDING = "pending"  # not called yet
    CALLING = "calling"  # a call is queued or under way
    WAITING = "waiting"  # for its next try, for hours in which it may be called, or with a call that is held back
    FINISHED = "finished"


def hours(value: Any, name: str) -> dict[str, str]:
    """`{"start": "HH:MM", "end": "HH:MM"}`; parsed with the zone by `check_window`."""
    if not isinstance(value, dict) or set(value) != {"start", "end"}:
        raise Invalid(f"{name} must have start and end")
    return {"start": str(value["start"]), "end": str(value["end"])}


def call_days(value: Any, name: str) -> list[str]:
    """Weekdays such as `["monday", "friday"]`, kept in the order of the week."""
    return [WEEKDAYS[day] for day in sorted(parse_days(value, name))]


def check_window(
    window: Mapping[str, str] | None, timezone: str, days: Sequence[str] | None = None, field: str = "callWindow"
) -> CallWindow | None:
    """The parsed window, None for any hour of any day.

    Raises Invalid for an unknown zone, bad times or equal ends (P4), bad days.
    """
    if window is not None:
        return parse_window(window["start"], window["end"], timezone, days, field)
    return None if days is None else whole_days(days, timezone)


def retry_policy(value: Any, name: str) -> dict[str, Any]:
    """`{"maxAttempts": 1–5, "delayMinutes": […], "on": […]}` (decision P5)."""
    if not isinstance(value, dict):
        raise Invalid(f"{name} must be an object")
    attempts = ATTEMPTS(value.get("max_attempts"), f"{name}.maxAttempts")
    delays = value.get("delay_minutes") or []
    if not isinstance(delays, list) or len(delays) > attempts - 1:
        raise Invalid(f"{name}.delayMinutes must have at most one delay for each retry")
    for delay in delays:
        DELAY_MINUTES(delay, f"{name}.delayMinutes")
    if attempts > 1 and not delays:
        raise Invalid(f"{name}.delayMinutes must have at least one delay")
    reasons = value.get("on")
    if reasons is None:
        reasons = list(RETRIABLE)
    if not isinstance(reasons, list) or any(reason not in RETRIABLE for reason in reasons):
        raise Invalid(f"{name}.on must contain only: {', '.join(RETRIABLE)}")
    return {"max_attempts": attempts, "delay_minutes": delays, "on": list(dict.fromkeys(reasons))}


def default_retry_policy() -> dict[str, Any]:
    """One attempt: the document promises no retries (decision P5)."""
    return {"max_attempts": 1, "delay_minutes": [], "on": list(RETRIABLE)}


_EDITABLE = {  # decision P6
    "name": Field(text(1, 200), required=True),
    "timezone": Field(zone_name, default="UTC"),
    "call_window": Field(hours, nullable=True),
    "call_days": Field(call_days, nullable=True),
    "contact_window": Field(hours, nullable=True),
    "max_concurrent_calls": Field(integer(1, 1_000), default=1),
    "retry_policy": Field(retry_policy, default=default_retry_policy),
}

CAMPAIGN = Shape(
    **_EDITABLE,
    agent_id=Field(identifier, required=True),
    phone_number_id=Field(identifier, required=True),
    scheduled_start=Field(instant),
)

CAMPAIGN_CHANGES = Shape(**_EDITABLE, status=Field(choice(CampaignStatus)))


def next_dial_at(
    status: CampaignStatus, scheduled_start: datetime, window: CallWindow | None, now: datetime
) -> datetime | None:
    """When dialing may begin, for a campaign that is active and waits for its start or its window (P1).

    None while nothing of that kind holds it back, and when it is not active.
    """
    if status is not CampaignStatus.ACTIVE:
        return None
    earliest = max(now, scheduled_start)
    opens = earliest if window is None else next_open(window, earliest)
    return None if opens <= now else opens


def shown(
    status: CampaignContactStatus, attempts: int, waiting_for: WaitReason | None
) -> tuple[CampaignContactStatus, int]:
    """The status and the attempts that are shown of a contact.

    One whose call is held back by the gate waits like others, and that call does not count before it is dialed.
    """
    if status is CampaignContactStatus.CALLING and waiting_for is not None:
        return CampaignContactStatus.WAITING, attempts - 1
    return status, attempts


def next_attempt_at(policy: Mapping[str, Any], reason: str, attempts: int, now: datetime) -> datetime | None:
    """When a contact that was tried `attempts` times, the last ending for `reason`, is tried again (decision P5).

    None: never. The last delay serves all further tries.
    """
    if reason not in policy["on"] or attempts >= policy["max_attempts"]:
        return None
    delays = policy["delay_minutes"]
    return now + timedelta(minutes=delays[min(attempts, len(delays)) - 1])
