"""The dial gate decides, and nothing else does (P1–P6, L5, K6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.rules.calls import EndReason, WaitReason
from schema.rules.campaigns import CampaignStatus
from schema.rules.gate import (
    GO,
    CampaignFacts,
    ContactFacts,
    Go,
    Hold,
    Parts,
    Refuse,
    Slots,
    Verdict,
    decide,
    share_out,
)
from schema.rules.windows import parse_window
from tests.support.seeds import at

NOW = at("2025-01-15T14:00:00Z")
NINE_TO_FIVE = parse_window("09:00", "17:00", "UTC")
NIGHT = parse_window("22:00", "23:00", "UTC")
CAMPAIGN = CampaignFacts(CampaignStatus.ACTIVE, NOW, None, None, 3)
CONTACT = ContactFacts(is_deleted=False, is_duplicate=False, zones=("UTC",))
FREE, USABLE = Slots(used=1, limit=2, used_by_campaign=1), Parts(agent_is_usable=True, number_is_usable=True)


def ask(**given: Any) -> Verdict:
    """A call that may be dialed, but for what is given."""
    facts: dict[str, Any] = {"is_cancelled": False, "is_on_list": False, "parts": USABLE, "slots": FREE, **given}
    return decide(NOW, **facts)


def of_campaign(campaign: dict[str, Any] | None = None, contact: dict[str, Any] | None = None, **given: Any) -> Verdict:
    return ask(campaign=replace(CAMPAIGN, **(campaign or {})), contact=replace(CONTACT, **(contact or {})), **given)


def test_what_nothing_speaks_against_may_be_dialed() -> None:
    assert (ask(), of_campaign()) == (GO, GO)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"is_cancelled": True}, Refuse(EndReason.CANCELLED)),
        ({"is_on_list": True}, Refuse(EndReason.BLOCKED_DO_NOT_CALL)),
        ({"parts": Parts(agent_is_usable=False, number_is_usable=True)}, Refuse(EndReason.CANCELLED)),
        ({"parts": Parts(agent_is_usable=True, number_is_usable=False)}, Refuse(EndReason.CANCELLED)),
        ({"slots": Slots(2, 2)}, Hold(WaitReason.PLAN_LIMIT)),
        ({"slots": Slots(3, 2)}, Hold(WaitReason.PLAN_LIMIT)),
        ({"slots": Slots(0, 0)}, Hold(WaitReason.PLAN_LIMIT)),
        ({"slots": Slots(2, 2), "is_on_list": True}, Refuse(EndReason.BLOCKED_DO_NOT_CALL)),
        ({"is_cancelled": True, "is_on_list": True}, Refuse(EndReason.CANCELLED)),
    ],
)
def test_a_single_call(given: dict[str, Any], expected: Verdict) -> None:
    assert ask(**given) == expected


@pytest.mark.parametrize(
    ("campaign", "contact", "given", "expected"),
    [
        ({"status": CampaignStatus.PAUSED}, {}, {}, Hold(WaitReason.CAMPAIGN_PAUSED)),
        ({"status": CampaignStatus.CANCELLED}, {}, {}, Refuse(EndReason.CAMPAIGN_CANCELLED)),
        ({"status": CampaignStatus.COMPLETED}, {}, {}, Refuse(EndReason.CANCELLED)),
        (
            {"scheduled_start": NOW + timedelta(seconds=1)},
            {},
            {},
            Hold(WaitReason.NOT_STARTED, NOW + timedelta(seconds=1)),
        ),
        ({"window": NINE_TO_FIVE}, {}, {}, GO),
        ({"window": NIGHT}, {}, {}, Hold(WaitReason.CALL_WINDOW, at("2025-01-15T22:00:00Z"))),
        ({}, {}, {"parts": Parts(agent_is_usable=False, number_is_usable=True)}, Hold(WaitReason.AGENT_INACTIVE)),
        ({}, {}, {"parts": Parts(agent_is_usable=True, number_is_usable=False)}, Hold(WaitReason.NUMBER_INACTIVE)),
        ({}, {"is_deleted": True}, {}, Refuse(EndReason.BLOCKED_CONTACT_DELETED)),
        ({}, {"is_duplicate": True}, {}, Refuse(EndReason.BLOCKED_DUPLICATE)),
        ({}, {}, {"is_on_list": True}, Refuse(EndReason.BLOCKED_DO_NOT_CALL)),
        ({"contact_window": NINE_TO_FIVE}, {"zones": ("UTC", "Europe/Berlin")}, {}, GO),
        (
            {"contact_window": parse_window("09:00", "17:01", "UTC")},
            {"zones": ("UTC", "America/Los_Angeles")},
            {},
            Hold(WaitReason.CONTACT_WINDOW, at("2025-01-15T17:00:00Z")),
        ),
        ({"contact_window": NIGHT}, {"zones": ("UTC", "Asia/Tokyo")}, {}, Refuse(EndReason.BLOCKED_WINDOW)),
        ({"max_concurrent_calls": 1}, {}, {}, Hold(WaitReason.CAMPAIGN_LIMIT)),
        ({}, {}, {"slots": replace(FREE, to_number=1)}, Hold(WaitReason.NUMBER_BUSY, NOW + timedelta(seconds=5))),
        ({}, {}, {"slots": Slots(2, 2, 1)}, Hold(WaitReason.PLAN_LIMIT)),
        # a refusal by anybody is final
        ({"status": CampaignStatus.PAUSED}, {}, {"is_on_list": True}, Refuse(EndReason.BLOCKED_DO_NOT_CALL)),
        ({"window": NIGHT}, {"is_deleted": True}, {}, Refuse(EndReason.BLOCKED_CONTACT_DELETED)),
        (
            {"status": CampaignStatus.CANCELLED},
            {"is_deleted": True},
            {"slots": Slots(2, 2)},
            Refuse(EndReason.CAMPAIGN_CANCELLED),
        ),
        ({}, {}, {"is_cancelled": True, "slots": Slots(2, 2)}, Refuse(EndReason.CANCELLED)),
    ],
)
def test_a_call_of_a_campaign(
    campaign: dict[str, Any], contact: dict[str, Any], given: dict[str, Any], expected: Verdict
) -> None:
    assert of_campaign(campaign, contact, **given) == expected


def test_a_contact_that_is_not_there_is_not_called() -> None:
    assert ask(campaign=CAMPAIGN, contact=None) == Refuse(EndReason.BLOCKED_CONTACT_DELETED)


@given(
    status=st.sampled_from(CampaignStatus),
    starts_s=st.sampled_from([-1, 0, 1]),
    window=st.sampled_from([None, NINE_TO_FIVE, NIGHT]),
    contact_window=st.sampled_from([None, NINE_TO_FIVE, NIGHT]),
    most=st.integers(1, 2),
    slots=st.builds(Slots, st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)),
    parts=st.builds(Parts, st.booleans(), st.booleans()),
    contact=st.builds(ContactFacts, st.booleans(), st.booleans(), st.sampled_from([("UTC",), ("Asia/Tokyo",)])),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_it_fails_closed(  # every condition by itself keeps a call from being dialed
    status: CampaignStatus,
    starts_s: int,
    window: Any,
    contact_window: Any,
    most: int,
    slots: Slots,
    parts: Parts,
    contact: ContactFacts,
    flags: tuple[bool, bool],
) -> None:
    start = NOW + timedelta(seconds=starts_s)
    campaign = CampaignFacts(status, start, window, contact_window, most)

    verdict = ask(
        campaign=campaign, contact=contact, parts=parts, slots=slots, is_cancelled=flags[0], is_on_list=flags[1]
    )

    may = (
        status is CampaignStatus.ACTIVE
        and starts_s <= 0
        and window is not NIGHT
        and (contact_window is None or (contact_window is NINE_TO_FIVE and contact.zones == ("UTC",)))
        and parts == USABLE
        and not (contact.is_deleted or contact.is_duplicate or any(flags))
        and slots.used < slots.limit
        and slots.used_by_campaign < most
    )
    assert isinstance(verdict, Go) is may
    if isinstance(verdict, Hold) and verdict.until is not None:
        assert verdict.until > NOW


# --- sharing ---


@pytest.mark.parametrize(
    ("room", "takers", "shares"),
    [
        (0, [(0, 5)], [0]),
        (4, [], []),
        (4, [(0, 5)], [4]),
        (9, [(0, 5)], [5]),
        (4, [(0, 9), (0, 9)], [2, 2]),
        (3, [(0, 9), (0, 9)], [2, 1]),
        (4, [(3, 9), (0, 9)], [1, 3]),
        (4, [(9, 9), (0, 2), (0, 9)], [0, 2, 2]),
        (1, [(1, 9), (1, 9), (0, 1)], [0, 0, 1]),
        (5, [(12, 3), (0, 9)], [0, 5]),
    ],
)
def test_slot_by_slot_to_whoever_has_the_fewest(room: int, takers: list[tuple[int, int]], shares: list[int]) -> None:
    assert share_out(room, takers) == shares


@given(room=st.integers(0, 60), takers=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8))
def test_what_is_shared_out_is_what_there_is_and_nobody_has_much_more(room: int, takers: list[tuple[int, int]]) -> None:
    shares = share_out(room, takers)

    wanted = sum(max(0, most - now) for now, most in takers)
    assert sum(shares) == min(room, wanted)
    after = [now + share for (now, _), share in zip(takers, shares, strict=True)]
    for (_, most), share, has in zip(takers, shares, after, strict=True):
        assert share == 0 or has <= most
        for (_, other_most), other_has in zip(takers, after, strict=True):
            assert share == 0 or other_has >= other_most or has <= other_has + 1
