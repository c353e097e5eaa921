"""Preflight says what the dial gate would, and the first look of the dialer does it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.rules.calls import EndReason, WaitReason
from schema.rules.campaigns import CampaignContactStatus
from schema.rules.phone import normalise
from schema.runtime import Runtime, Viewer
from schema.services import contacts, do_not_call, preflight
from schema.services.preflight import Preflight
from tests.schema.conftest import Act, Unchanged
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.runtime import on_both
from tests.support.seeds import at

NINE_TO_FIVE = {"start": "09:00", "end": "17:00"}
NEW_YORK, LOS_ANGELES, TOKYO = "+12125550{:03}", "+12135550{:03}", "+81312340{:03}"
_, CALLING, WAITING, FINISHED = CampaignContactStatus
SKIPPED = {
    EndReason.BLOCKED_DO_NOT_CALL: "on_do_not_call_list",
    EndReason.BLOCKED_CONTACT_DELETED: "invalid",
    EndReason.BLOCKED_DUPLICATE: "duplicate",
    EndReason.BLOCKED_WINDOW: "outside_hours",
}


async def counted(workers: Workers, campaign: Any, when: Any = None) -> Preflight:
    return await preflight.of(workers.runtime.snapshot(workers.viewer), await workers.campaign(campaign), when)


@on_both
async def test_each_contact_is_counted_once(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers, unchanged: Unchanged
) -> None:
    """In the gate's order: deleted, on the list, called for another, outside its hours."""
    people = [await seeds.contact(runtime, viewer, phone_number=NEW_YORK.format(100 + n)) for n in range(6)]
    people += [await seeds.contact(runtime, viewer, phone_number=LOS_ANGELES.format(100 + n)) for n in range(3)]
    campaign = await workers.new_campaign([one.id for one in people], contact_window=NINE_TO_FIVE)
    for index in (0, 6):
        await act(do_not_call.add, {"phone_number": people[index].phone_number})
    for index in (0, 1, 7):
        await act(contacts.delete, people[index].id)

    async with unchanged():
        found = await counted(workers, campaign)

    now = runtime.clock.now()
    assert found == Preflight(now, callable=4, on_do_not_call_list=1, outside_hours=1, invalid=3, duplicate=0)
    later = await counted(workers, campaign, now + timedelta(hours=3))
    assert (later.callable, later.outside_hours) == (5, 0)
    night = await counted(workers, campaign, at("2025-01-15T08:00:00Z"))
    assert (night.callable, night.outside_hours) == (0, 5)


@on_both
async def test_it_is_asked_for_the_start_unless_told(workers: Workers) -> None:
    start = at("2025-01-20T09:30:00Z")
    campaign = await workers.new_campaign(3, scheduled_start=start, call_window=NINE_TO_FIVE)

    assert await counted(workers, campaign) == Preflight(start, 3, 0, 0, 0, 0)
    assert (await counted(workers, campaign, start - timedelta(hours=1))).outside_hours == 3


@on_both
async def test_who_is_finished_is_not_counted(workers: Workers) -> None:
    campaign = await workers.new_campaign(3)
    (dial,) = await workers.work()
    await workers.over(dial)

    assert (await counted(workers, campaign)).callable == 2


@on_both
async def test_another_contact_with_a_number_that_was_called_is_a_duplicate(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    first = await seeds.contact(runtime, viewer, phone_number="+15551234567")
    campaign = await workers.new_campaign([first.id])
    await workers.work()
    await act(contacts.delete, first.id)
    second = await seeds.contact(runtime, viewer, phone_number="+15551234567")
    await seeds.enrolled(runtime, viewer, campaign, [second.id])

    found = await counted(workers, campaign)

    assert (found.invalid, found.duplicate, found.callable) == (1, 1, 0)


PERSON = st.fixed_dictionaries(
    {
        "number": st.sampled_from([NEW_YORK, LOS_ANGELES, TOKYO, "+8001234{:04}", "+1800555{:04}"]),
        "timezone": st.sampled_from([None, None, "Europe/Berlin", "Asia/Tokyo"]),
        "fate": st.sampled_from(["", "", "", "listed", "deleted", "made again"]),
    }
)
WINDOW = st.sampled_from([None, NINE_TO_FIVE, {"start": "22:00", "end": "10:00"}, {"start": "06:00", "end": "08:59"}])


@pytest.mark.parametrize("database", ["sqlite"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=st.lists(PERSON, min_size=1, max_size=12),
    window=WINDOW,
    zone=st.sampled_from(["UTC", "America/Los_Angeles", "Asia/Tokyo"]),
)
async def test_the_first_look_does_what_was_said(
    runtime: Runtime, viewer: Viewer, people: list[dict[str, Any]], window: dict[str, str] | None, zone: str
) -> None:
    """Of any list: so many called, so many skipped for each reason, so many to wait."""
    owner = await seeds.workspace(runtime)
    workers = Workers(runtime, owner, runtime.clock)  # type: ignore[arg-type]
    ids, doomed = [], []
    for index, person in enumerate(people):
        number = normalise(person["number"].format(100 + index), "number")
        made = await seeds.contact(runtime, owner, phone_number=number, timezone=person["timezone"])
        ids.append(made.id)
        async with runtime.transaction(owner) as tx:
            if person["fate"] == "listed":
                await do_not_call.add(tx, {"phone_number": number})
            elif person["fate"]:
                doomed.append(made.id)
    campaign = await workers.new_campaign(ids, contact_window=window, timezone=zone, max_concurrent_calls=1_000)
    async with runtime.transaction(owner) as tx:
        for id in doomed:
            await contacts.delete(tx, id)
    again = [n for n, person in enumerate(people) if person["fate"] == "made again"]
    for index in again:
        number = normalise(people[index]["number"].format(100 + index), "number")
        made = await seeds.contact(runtime, owner, phone_number=number)
        await seeds.enrolled(runtime, owner, campaign, [made.id])

    said = await counted(workers, campaign)
    await workers.tick()

    done: Counter[str] = Counter()
    for contact in await workers.contacts(campaign):
        if contact.status is CALLING:
            done["callable"] += 1
        elif contact.status is WAITING:
            assert contact.waiting_for is WaitReason.CONTACT_WINDOW
            done["outside_hours"] += 1
        else:
            done[SKIPPED[contact.end_reason]] += 1
    assert done.total() == len(people) + len(again)
    numbers = "callable", "on_do_not_call_list", "outside_hours", "invalid", "duplicate"
    assert {name: getattr(said, name) for name in numbers} == {name: done[name] for name in numbers}
