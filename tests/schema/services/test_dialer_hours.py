"""When a campaign may dial: its start, its window, its days, and the hours of each contact (P1, P4, P6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schema.rules.calls import CallPhase, EndReason, WaitReason
from schema.rules.campaigns import CampaignContactStatus, CampaignStatus
from schema.runtime import Runtime, Viewer
from schema.services import contacts
from schema.tables import Campaign
from tests.schema.conftest import Act
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.runtime import on_both
from tests.support.seeds import at
from tests.support.time import VirtualClock

NINE_TO_FIVE = {"start": "09:00", "end": "17:00"}
NEW_YORK, LOS_ANGELES, TOLL_FREE = "+12125550123", "+12135550123", "+80012345678"
_, CALLING, WAITING, FINISHED = CampaignContactStatus


def ends(_: Any) -> EndReason:
    return EndReason.NO_ANSWER


# --- the campaign's hours ---


@on_both
@pytest.mark.parametrize(
    ("given", "now", "opens"),
    [
        ({"scheduled_start": at("2025-01-15T15:00:00Z")}, "2025-01-15T14:00:00Z", "2025-01-15T15:00:00Z"),
        ({"call_window": NINE_TO_FIVE}, "2025-01-15T17:00:00Z", "2025-01-16T09:00:00Z"),
        ({"call_window": NINE_TO_FIVE, "timezone": "Asia/Tokyo"}, "2025-01-15T14:00:00Z", "2025-01-16T00:00:00Z"),
        # across midnight
        ({"call_window": {"start": "22:00", "end": "02:00"}}, "2025-01-16T02:00:00Z", "2025-01-16T22:00:00Z"),
        # a Wednesday; across midnight, the day is that of the opening
        ({"call_days": ["friday"]}, "2025-01-15T14:00:00Z", "2025-01-17T00:00:00Z"),
        (
            {"call_days": ["tuesday"], "call_window": {"start": "22:00", "end": "02:00"}},
            "2025-01-15T02:00:00Z",
            "2025-01-21T22:00:00Z",
        ),
        # 02:30 does not exist in Berlin that day: the clock goes from 02:00 to 03:00, inside the window
        (
            {"call_window": {"start": "02:30", "end": "05:00"}, "timezone": "Europe/Berlin"},
            "2025-03-29T23:00:00Z",
            "2025-03-30T01:00:00Z",
        ),
        # 01:30 comes twice in New York that day
        (
            {"call_window": {"start": "01:30", "end": "01:45"}, "timezone": "America/New_York"},
            "2025-11-02T05:45:00Z",
            "2025-11-02T06:30:00Z",
        ),
        (
            {"scheduled_start": at("2025-01-18T18:00:00Z"), "call_window": NINE_TO_FIVE, "call_days": ["monday"]},
            "2025-01-15T14:00:00Z",
            "2025-01-20T09:00:00Z",
        ),
    ],
)
async def test_nobody_is_dialed_before_and_somebody_at_the_very_instant(
    workers: Workers, clock: VirtualClock, given: dict[str, Any], now: str, opens: str
) -> None:
    """P1, P4: it is active, and not dialing until then."""
    await clock.advance((at(now) - clock.now()).total_seconds())
    campaign = await workers.new_campaign(1, **given)

    assert await workers.on_to(at(opens) - timedelta(seconds=1)) == []
    assert (await workers.campaign(campaign)).status is CampaignStatus.ACTIVE
    dials = await workers.on_to(at(opens))

    assert [when for when, _, _ in workers.dials] == [at(opens)]
    assert len(dials) == 1


@on_both
async def test_a_window_that_closes_between_the_slot_and_the_dial_stops_the_dial(
    workers: Workers, clock: VirtualClock
) -> None:
    """P4: checked before each dial. The call waits, and is dialed at the next opening."""
    campaign = await workers.new_campaign(1, call_window={"start": "09:00", "end": "14:01"}, max_concurrent_calls=2)
    await clock.advance(59)
    await workers.tick()
    await clock.advance(1)

    assert await workers.work() == []
    (call,) = await workers.calls()
    assert (call.phase, call.waiting_for, call.due_at) == (CallPhase.WAITING, WaitReason.CALL_WINDOW, None)
    (dial,) = await workers.on_to(at("2025-01-16T09:00:00Z"))

    assert (workers.dials[0][0], dial.held.id) == (at("2025-01-16T09:00:00Z"), call.id)
    assert [contact.attempts for contact in await workers.contacts(campaign)] == [1]


@on_both
async def test_whole_weeks_are_dialed_inside_the_window_only(workers: Workers, clock: VirtualClock) -> None:
    """P4: with a clock change among them, in a window that crosses midnight."""
    await clock.advance((at("2025-10-20T00:00:00Z") - clock.now()).total_seconds())
    campaign = await workers.new_campaign(
        6,
        call_window={"start": "23:30", "end": "02:30"},
        call_days=["friday", "saturday"],
        timezone="Europe/Berlin",
        retry_policy={"max_attempts": 5, "delay_minutes": [45, 1_440, 3_000], "on": ["no-answer"]},
    )

    dials = await workers.on_to(at("2025-11-20T00:00:00Z"), ends)

    assert len(dials) == 30
    assert (await workers.campaign(campaign)).status is CampaignStatus.COMPLETED
    for when, _, _ in workers.dials:
        local = when.astimezone(ZoneInfo("Europe/Berlin"))
        day = (local - timedelta(hours=3)).strftime("%A")
        assert (local.hour, local.minute) >= (23, 30) or (local.hour, local.minute) < (2, 30), local
        assert day in {"Friday", "Saturday"}, local


@on_both
async def test_an_edited_window_counts_at_once(workers: Workers, clock: VirtualClock) -> None:
    """P6."""
    campaign = await workers.new_campaign(2, max_concurrent_calls=2, call_window={"start": "15:00", "end": "17:00"})
    assert await workers.work() == []

    await workers.update(campaign, call_window={"start": "14:00", "end": "17:00"})
    assert len(await workers.work()) == 2

    other = await workers.new_campaign(1, call_window=NINE_TO_FIVE)
    await workers.tick()
    await workers.update(other, timezone="America/Los_Angeles")
    assert await workers.work() == []
    await workers.update(other, call_days=["wednesday"], call_window=None)
    assert len(await workers.work()) == 1


# --- the contacts' hours ---


@on_both
async def test_each_contact_is_called_in_its_own_hours(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    """By the zone of its number, unless its own says otherwise; by the campaign's, where nothing is known."""
    people = [
        await seeds.contact(runtime, viewer, phone_number=NEW_YORK),
        await seeds.contact(runtime, viewer, phone_number=LOS_ANGELES),
        await seeds.contact(runtime, viewer, phone_number="+12125550124", timezone="Asia/Tokyo"),
        await seeds.contact(runtime, viewer, phone_number=TOLL_FREE),
    ]
    campaign = await workers.new_campaign(
        [person.id for person in people],
        max_concurrent_calls=4,
        contact_window=NINE_TO_FIVE,
        timezone="Europe/Berlin",
    )

    await workers.work()
    waiting = [(one.status, one.next_attempt_at, one.waiting_for) for one in await workers.contacts(campaign)]
    await workers.on_to(at("2025-01-17T00:00:00Z"), ends)

    assert waiting == [
        (CALLING, None, None),
        (WAITING, at("2025-01-15T17:00:00Z"), WaitReason.CONTACT_WINDOW),
        (WAITING, at("2025-01-16T00:00:00Z"), WaitReason.CONTACT_WINDOW),
        (CALLING, None, None),
    ]
    assert {to: when for when, to, _ in workers.dials} == {
        NEW_YORK: at("2025-01-15T14:00:00Z"),
        TOLL_FREE: at("2025-01-15T14:00:00Z"),
        LOS_ANGELES: at("2025-01-15T17:00:00Z"),
        "+12125550124": at("2025-01-16T00:00:00Z"),
    }


@on_both
async def test_both_windows_must_be_open(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    person = await seeds.contact(runtime, viewer, phone_number=LOS_ANGELES)
    await workers.new_campaign(
        [person.id],
        call_window={"start": "08:00", "end": "16:00"},
        contact_window=NINE_TO_FIVE,
        call_days=["wednesday", "friday"],
    )

    await workers.on_to(at("2025-02-01T00:00:00Z"), ends)

    # 9 in Los Angeles is 17:00 UTC, when the campaign's own window is closed: it is never open in both
    assert workers.dials == []


@on_both
async def test_a_contact_whose_hours_never_come_is_finished_with_the_reason(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """Somewhere among the zones of a toll-free number it is always night."""
    person = await seeds.contact(runtime, viewer, phone_number="+18005550123")
    campaign = await workers.new_campaign([person.id], contact_window={"start": "09:00", "end": "12:00"})

    assert await workers.work() == []

    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.end_reason, contact.attempts) == (FINISHED, EndReason.BLOCKED_WINDOW, 0)
    assert (await workers.campaign(campaign)).status is CampaignStatus.COMPLETED


@on_both
async def test_a_call_whose_contacts_hours_end_before_the_dial_waits_for_the_next(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    person = await seeds.contact(runtime, viewer, phone_number=NEW_YORK)
    await workers.new_campaign([person.id], contact_window={"start": "09:00", "end": "09:01"})
    await clock.advance(59)
    await workers.tick()
    await clock.advance(1)

    assert await workers.work() == []
    (call,) = await workers.calls()
    assert (call.phase, call.waiting_for) == (CallPhase.WAITING, WaitReason.CONTACT_WINDOW)
    assert call.due_at == at("2025-01-16T14:00:00Z")
    await workers.on_to(at("2025-01-16T14:00:00Z"))

    assert [when for when, _, _ in workers.dials] == [at("2025-01-16T14:00:00Z")]


@on_both
async def test_a_call_that_waits_for_its_contacts_morning_keeps_nobody_else_waiting(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    """One call at a time, and the one that has begun may not be dialed until tomorrow: the others go on."""
    east = await seeds.contact(runtime, viewer, phone_number=NEW_YORK)
    west = [await seeds.contact(runtime, viewer, phone_number=f"+1213555012{digit}") for digit in range(3)]
    campaign = await workers.new_campaign(
        [east.id, *(person.id for person in west)], contact_window={"start": "06:00", "end": "09:01"}
    )
    await clock.advance(59)
    await workers.tick()
    await clock.advance(1)

    await workers.on_to(at("2025-01-15T16:00:00Z"), ends)

    assert [to for _, to, _ in workers.dials] == [person.phone_number for person in west]
    assert (await workers.campaign(campaign)).calls_completed == 3


@on_both
@pytest.mark.parametrize(
    "change",
    [
        {"contact_window": {"start": "06:00", "end": "17:00"}},
        {"contact_window": None},
        {"call_days": ["wednesday"], "contact_window": {"start": "05:00", "end": "08:00"}},
    ],
)
async def test_edited_hours_count_for_those_who_wait(
    runtime: Runtime, viewer: Viewer, workers: Workers, change: dict[str, Any]
) -> None:
    """P6: contacts that wait, and a call that waits."""
    people = [await seeds.contact(runtime, viewer, phone_number=f"+1213555012{digit}") for digit in range(2)]
    campaign = await workers.new_campaign(
        [people[0].id], contact_window={"start": "05:00", "end": "17:00"}, max_concurrent_calls=2
    )
    await workers.tick()
    await seeds.enrolled(runtime, viewer, campaign, [people[1].id])
    await workers.update(campaign, contact_window=NINE_TO_FIVE)
    assert await workers.work() == []
    assert [one.status for one in await workers.contacts(campaign)] == [CALLING, WAITING]

    await workers.update(campaign, **change)

    assert {dial.to for dial in await workers.work()} == {person.phone_number for person in people}


@on_both
async def test_a_new_zone_counts_for_those_whose_own_is_not_known(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """P6."""
    person = await seeds.contact(runtime, viewer, phone_number=TOLL_FREE)
    campaign = await workers.new_campaign([person.id], contact_window=NINE_TO_FIVE, timezone="Asia/Tokyo")
    assert await workers.work() == []

    await workers.update(campaign, timezone="Europe/Berlin")

    assert len(await workers.work()) == 1


@on_both
async def test_a_contact_that_says_where_it_is_is_asked_by_that_from_then_on(
    runtime: Runtime, viewer: Viewer, workers: Workers, act: Act
) -> None:
    """Between the slot and the dial, too."""
    person = await seeds.contact(runtime, viewer, phone_number=NEW_YORK)
    await workers.new_campaign([person.id], contact_window=NINE_TO_FIVE)
    await workers.tick()
    await act(contacts.update, person.id, {"timezone": "Asia/Tokyo"})

    await workers.on_to(at("2025-01-16T00:00:00Z"))

    assert [when for when, _, _ in workers.dials] == [at("2025-01-16T00:00:00Z")]


def test_the_clock_of_these_tests_stands_on_a_wednesday() -> None:
    now: datetime = VirtualClock().now()

    assert (now.isoformat(), now.strftime("%A")) == ("2025-01-15T14:00:00+00:00", "Wednesday")


async def test_a_campaign_that_has_begun_goes_on_when_the_clock_goes_back(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """Its start lies ahead again then, which is no reason to stop."""
    campaign = await workers.new_campaign(2)
    first = await workers.work()
    async with runtime.transaction(viewer) as tx:
        (await tx.lock(Campaign, campaign.id)).scheduled_start = tx.now + timedelta(hours=1)

    await workers.answered_and_over(first[0])
    second = await workers.work()

    assert (len(first), len(second)) == (1, 1)
