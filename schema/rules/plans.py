"""Plans and what each allows (`rest-api.md`, *Rate Limits*; decisions K5 and K6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from schema.errors import LimitReached


class Plan(StrEnum):
    """What a workspace pays for."""

    STARTER = "starter"
    PROFESSIONAL = "professional"
    BUSINESS = "business"
    ENTERPRISE = "enterprise"


class Counted(StrEnum):
    """What a plan counts rows of; the value is the word in the sentence to the caller."""

    AGENTS = "agents"
    CONTACTS = "contacts"
    WEBHOOK_ENDPOINTS = "webhook endpoints"


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """The numbers of one plan; None is unlimited.

    `requests_per_minute` is for each API key. Calls over `concurrent_calls` are not an error: they wait `queued`.
    """

    requests_per_minute: int | None
    agents: int | None
    concurrent_calls: int
    contacts: int | None
    webhook_endpoints: int | None

    def of(self, counted: Counted) -> int | None:
        """How many rows of that kind a workspace may have; None is unlimited."""
        match counted:
            case Counted.AGENTS:
                return self.agents
            case Counted.CONTACTS:
                return self.contacts
            case Counted.WEBHOOK_ENDPOINTS:
                return self.webhook_endpoints


PLANS: Mapping[Plan, PlanLimits] = MappingProxyType(
    {
        Plan.STARTER: PlanLimits(60, 3, 2, 1_000, 2),
        Plan.PROFESSIONAL: PlanLimits(300, 20, 20, 50_000, 10),
        Plan.BUSINESS: PlanLimits(600, 100, 100, 1_000_000, 50),
        Plan.ENTERPRISE: PlanLimits(None, None, 1_000, None, None),
    }
)


def ensure_room(plan: Plan, counted: Counted, have: int, adding: int = 1) -> None:
    """Raises `LimitReached` when `have` rows and `adding` more exceed the plan; nothing is added where nothing is new.

    Count and insert in one transaction that locks the workspace, or two requests at the limit both succeed (K6).
    """
    limit = PLANS[plan].of(counted)
    if limit is None or not adding or have + adding <= limit:
        return
    allows = f"The {plan.value.capitalize()} plan allows {limit:,} {counted.value}"
    raise LimitReached(allows if adding == 1 else f"{allows}: there are {have:,}, and {adding:,} would be added")
