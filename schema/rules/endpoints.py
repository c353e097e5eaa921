"""Webhook endpoints: fields and bounds (decision W6 checks the address)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from schema.errors import Invalid
from schema.rules.addresses import Network, check_url
from schema.rules.fields import Field, Shape, flag, integer, text
from schema.rules.webhooks import EventType, parse_events

MAX_OVERLAP_S = 86_400
DEFAULT_OVERLAP_S = 86_400  # decision W3
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
