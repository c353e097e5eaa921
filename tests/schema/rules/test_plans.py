"""Plans and what each allows (`rest-api.md`, *Rate Limits*; decisions K5, K6)."""

from __future__ import annotations

import pytest

from schema.errors import ErrorCode, LimitReached
from schema.rules.plans import PLANS, Counted, Plan, PlanLimits, ensure_room


def test_the_table_is_the_documents() -> None:
    assert {plan: PLANS[plan] for plan in Plan} == {
        Plan.STARTER: PlanLimits(
            requests_per_minute=60, agents=3, concurrent_calls=2, contacts=1_000, webhook_endpoints=2
        ),
        Plan.PROFESSIONAL: PlanLimits(
            requests_per_minute=300, agents=20, concurrent_calls=20, contacts=50_000, webhook_endpoints=10
        ),
        Plan.BUSINESS: PlanLimits(
            requests_per_minute=600, agents=100, concurrent_calls=100, contacts=1_000_000, webhook_endpoints=50
        ),
        Plan.ENTERPRISE: PlanLimits(
            requests_per_minute=None, agents=None, concurrent_calls=1_000, contacts=None, webhook_endpoints=None
        ),
    }


def test_the_last_row_that_fits_passes() -> None:
    ensure_room(Plan.STARTER, Counted.AGENTS, have=2)
    ensure_room(Plan.STARTER, Counted.CONTACTS, have=990, adding=10)
    ensure_room(Plan.ENTERPRISE, Counted.CONTACTS, have=10**9, adding=10**6)


def test_after_a_smaller_plan_what_is_there_stays() -> None:
    ensure_room(Plan.STARTER, Counted.CONTACTS, have=50_000, adding=0)


@pytest.mark.parametrize(
    ("plan", "counted", "have", "adding", "message"),
    [
        (Plan.STARTER, Counted.AGENTS, 3, 1, "The Starter plan allows 3 agents"),
        (
            Plan.PROFESSIONAL,
            Counted.CONTACTS,
            49_999,
            1_002,
            "The Professional plan allows 50,000 contacts: there are 49,999, and 1,002 would be added",
        ),
        (Plan.BUSINESS, Counted.WEBHOOK_ENDPOINTS, 50, 1, "The Business plan allows 50 webhook endpoints"),
    ],
)
def test_one_row_too_many_is_the_plans_limit(
    plan: Plan, counted: Counted, have: int, adding: int, message: str
) -> None:
    with pytest.raises(LimitReached) as refusal:
        ensure_room(plan, counted, have, adding)

    assert refusal.value.code is ErrorCode.LIMIT_REACHED
    assert refusal.value.message == message
