"""Webhook endpoints: fields and bounds (decision W6 checks the address)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schema.errors import Invalid
from schema.rules.addresses import Network, check_url
from schema.rules.fields import Field, Shape, flag, integer, text
from schema.rules.instants import format_instant
from schema.rules.webhooks import ErrorClass, EventType, parse_events

MAX_OVERLAP_S = 86_400
DEFAULT_OVERLAP_S = 86_400  # decision W3
MAX_PREVIOUS = 10  # secrets that one request is signed with beside the newest
OVERLAP_S = integer(0, MAX_OVERLAP_S)

GIVEN_UP_AFTER = timedelta(days=5)
"""For how long everything must have failed before an endpoint is disabled."""


@dataclass(frozen=True, slots=True)
class UrlCheck:
    """Where deliveries may go under the settings."""

    allow_http: bool
    allow_networks: Sequence[Network]

    def __call__(self, value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise Invalid(f"{name} must be a string")
        return check_url(value, allow_http=self.allow_http, allow_networks=self.allow_networks, field=name)


def events(value: Any, name: str) -> list[str]:
    """A list of event types, each once, in the document's order."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise Invalid(f"{name} must be a list of event types")
    return [event.value for event in parse_events(value, name)]


def endpoint(*, allow_http: bool, allow_networks: Sequence[Network]) -> Shape:
    """The shape of an endpoint under the addresses that the settings open."""
    return Shape(
        url=Field(UrlCheck(allow_http, allow_networks), required=True),
        description=Field(text(0, 500), nullable=True),
        events=Field(events, default=lambda: [event.value for event in EventType]),
        is_active=Field(flag, default=True),
    )


def overlap(seconds: int) -> timedelta:
    """How long an old secret stays good after a rotation: 0 to 24 hours. Raises Invalid."""
    return timedelta(seconds=OVERLAP_S(seconds, "overlapSeconds"))


def retire(secret: str, until: datetime, previous: Sequence[Mapping[str, str]], now: datetime) -> list[dict[str, str]]:
    """The secrets that stay good after a rotation, newest first: the one replaced, and those before it that still are.

    A rotation that was asked for twice, because its first answer was lost, must not cost the secret that receivers
    have. An overlap of nothing ends them all.
    """
    if until <= now:
        return []
    kept = [dict(one) for one in previous if datetime.fromisoformat(one["expiresAt"]) > now]
    return [{"secret": secret, "expiresAt": until.isoformat()}, *kept][:MAX_PREVIOUS]


def still_good(previous: Sequence[Mapping[str, str]], at: datetime) -> list[str]:
    """Those of the previous secrets that are good at that instant, newest first."""
    return [one["secret"] for one in previous if datetime.fromisoformat(one["expiresAt"]) > at]


def is_given_up(failing_since: datetime | None, at: datetime) -> bool:
    """Whether an endpoint that has failed since then, and fails again at that instant, is disabled."""
    return failing_since is not None and at - failing_since >= GIVEN_UP_AFTER


def disabled_reason(failing_since: datetime, status: int | None, error_class: ErrorClass | None) -> str:
    """Why it was, for its owner: since when nothing has arrived, and how the last request ended."""
    last = f"error {error_class.value}" if error_class is not None else f"answer {status}"
    return (
        f"No delivery has succeeded since {format_instant(failing_since)} ({GIVEN_UP_AFTER.days} days): the last {last}"
    )


def recovery_span(
    since: datetime, until: datetime | None, *, now: datetime, log_days: int
) -> tuple[datetime, datetime]:
    """The first and the last instant of what is recovered, both inclusive. Raises Invalid.

    An `until` in whole seconds includes that whole second, as rows are shown so.
    """
    if since > now:
        raise Invalid("since must not be in the future")
    if since < now - timedelta(days=log_days):
        raise Invalid(f"since must not be more than {log_days} days ago: events are kept no longer")
    last = now if until is None else until if until.microsecond else until.replace(microsecond=999_999)
    if last < since:
        raise Invalid("since must not be after until")
    return since, min(last, now)
