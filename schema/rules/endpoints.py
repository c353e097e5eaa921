"""Webhook endpoints: fields and bounds (decision W6 checks the address)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schema.errors import Invalid
from schema.rules.addresses import Network, check_url
from schema.rules.fields import Field, Shape, flag, integer, text
from schema.rules.webhooks import EventType, parse_events

MAX_OVERLAP_S = 86_400
DEFAULT_OVERLAP_S = 86_400  # decision W3
MAX_PREVIOUS = 10  # secrets that one request is signed with beside the newest
OVERLAP_S = integer(0, MAX_OVERLAP_S)


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
