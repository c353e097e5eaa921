"""When a contact is tried again, and which policies, days and hours are taken (P4, P5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.rules.calls import WaitReason
from schema.rules.campaigns import (
    CampaignContactStatus,
    call_days,
    check_window,
    default_retry_policy,
    hours,
    next_attempt_at,
    retry_policy,
    shown,
)
from tests.support.seeds import at

NOW = at("2025-01-15T14:00:00Z")


@pytest.mark.parametrize(
    ("policy", "reason", "attempts", "minutes"),
    [
        ((1, []), "busy", 1, None),
        ((2, [5]), "busy", 1, 5),
        ((2, [5]), "busy", 2, None),
        ((2, [5]), "rejected", 1, None),
        ((5, [5, 60]), "no-answer", 1, 5),
        ((5, [5, 60]), "no-answer", 2, 60),
        ((5, [5, 60]), "voicemail", 3, 60),
        ((5, [5, 60]), "no-answer", 4, 60),
        ((5, [5, 60]), "no-answer", 5, None),
        ((5, [5, 60]), "no-answer", 6, None),
        ((3, [1, 2]), "", 1, None),
    ],
)
def test_the_next_try(policy: tuple[int, list[int]], reason: str, attempts: int, minutes: int | None) -> None:
    most, delays = policy
    given_policy = {"max_attempts": most, "delay_minutes": delays, "on": ["busy", "no-answer", "voicemail"]}

    found = next_attempt_at(given_policy, reason, attempts, NOW)

    assert found == (None if minutes is None else NOW + timedelta(minutes=minutes))


def test_a_reason_that_is_not_named_is_not_tried_again() -> None:
    assert next_attempt_at({"max_attempts": 3, "delay_minutes": [1], "on": ["busy"]}, "no-answer", 1, NOW) is None
    assert next_attempt_at(default_retry_policy(), "no-answer", 1, NOW) is None


@given(
    attempts=st.integers(1, 5),
    delays=st.lists(st.integers(1, 10_080), min_size=1, max_size=4),
    on=st.lists(st.sampled_from(["busy", "no-answer", "voicemail"]), max_size=3),
)
def test_every_policy_that_is_taken_can_be_followed_to_its_end(attempts: int, delays: list[int], on: list[str]) -> None:
    policy = retry_policy({"max_attempts": attempts, "delay_minutes": delays[: attempts - 1], "on": on}, "retryPolicy")

    tries = 1
    while next_attempt_at(policy, "busy", tries, NOW) is not None:
        tries += 1

    assert tries == (attempts if "busy" in on else 1)


@pytest.mark.parametrize(
    ("status", "attempts", "waiting_for", "expected"),
    [
        ("pending", 0, None, ("pending", 0)),
        ("calling", 1, None, ("calling", 1)),
        ("calling", 1, WaitReason.CAMPAIGN_PAUSED, ("waiting", 0)),
        ("calling", 3, WaitReason.CARRIER, ("waiting", 2)),
        ("waiting", 1, WaitReason.RETRY, ("waiting", 1)),
        ("finished", 2, None, ("finished", 2)),
    ],
)
def test_a_contact_whose_call_is_held_back_is_shown_to_wait(
    status: str, attempts: int, waiting_for: WaitReason | None, expected: tuple[str, int]
) -> None:
    assert shown(CampaignContactStatus(status), attempts, waiting_for) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["friday", "monday"], ["monday", "friday"]),
        (["sunday"], ["sunday"]),
    ],
)
def test_days_are_kept_in_the_order_of_the_week(days: list[str], expected: list[str]) -> None:
    assert call_days(days, "callDays") == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "callDays must be a list of at least one day"),
        ("monday", "callDays must be a list of at least one day"),
        (["monday", "monday"], "callDays must not contain a day twice"),
    ],
)
def test_bad_days(value: Any, message: str) -> None:
    with pytest.raises(Invalid) as refusal:
        call_days(value, "callDays")

    assert refusal.value.message == message


def test_a_window_is_hours_days_or_both() -> None:
    nine_to_five = hours({"start": "09:00", "end": "17:00"}, "callWindow")

    assert check_window(None, "UTC") is None
    whole = check_window(None, "UTC", ["monday"])
    both = check_window(nine_to_five, "Europe/Berlin", ["monday", "friday"])

    assert whole is not None
    assert both is not None
    assert (whole.days, both.days, both.zone.key) == ({0}, {0, 4}, "Europe/Berlin")
