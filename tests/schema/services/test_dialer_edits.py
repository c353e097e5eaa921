"""Edits reach those who wait: a corrected number or zone, a contact made anew, another retry policy (P5, P6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schema.rules.calls import CallPhase, EndReason, WaitReason
from schema.rules.campaigns import CampaignContactStatus, CampaignStatus
from schema.runtime import Runtime, Viewer
from schema.services import contacts, do_not_call, preflight
from schema.tables import Campaign
from tests.schema.conftest import Act
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.runtime import on_both

_, CALLING, WAITING, FINISHED = CampaignContactStatus
NO_ANSWER, BUSY = EndReason.NO_ANSWER, EndReason.BUSY
MINUTE = timedelta(minutes=1)
WEEK = timedelta(weeks=1)
NINE_TO_FIVE = {"start": "09:00", "end": "17:00"}


def policy(attempts: int, *delays: int, on: tuple[str, ...] = ("busy", "no-answer")) -> dict[str, Any]:
    return {"max_attempts": attempts, "delay_minutes": list(delays), "on": list(on)}


async def paused(workers: Workers, *ids: str, **given: Any) -> Campaign:
    """A campaign that was paused when those contacts had their calls, which now wait."""
    campaign = await workers.new_campaign(list(ids), **given)
    await workers.tick()
    await workers.update(campaign, status="paused")
    await workers.work()
    return campaign


# --- the number ---


@on_both
async def test_a_call_that_was_held_back_goes_to_the_number_that_its_contact_has_now(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    person, right = await seeds.contact(runtime, viewer), seeds.number()
    campaign = await paused(workers, person.id)

    await act(contacts.update, person.id, {"phone_number": right})
    await workers.update(campaign, status="active")
    await workers.work()

    assert [to for _, to, _ in workers.dials] == [right]
    assert [call.to_number for call in await workers.calls(campaign)] == [right]


@on_both
async def test_the_do_not_call_list_is_asked_for_the_number_of_now(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    person, right = await seeds.contact(runtime, viewer), seeds.number()
    campaign = await paused(workers, person.id)

    await act(do_not_call.add, {"phone_number": right})
    await act(contacts.update, person.id, {"phone_number": right})
    await workers.update(campaign, status="active")
    await workers.work()

    assert workers.dials == []
    [call] = await workers.calls(campaign)
    assert (call.to_number, call.end_reason) == (right, EndReason.BLOCKED_DO_NOT_CALL)


@on_both
async def test_a_number_that_was_called_for_another_contact_is_not_called_again(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    other, person = await seeds.contact(runtime, viewer), await seeds.contact(runtime, viewer)
    campaign = await workers.new_campaign([other.id, person.id])
    await workers.work(lambda call: NO_ANSWER if call.contact_id == other.id else None)
    (_, _, dial) = workers.dials.pop()
    await workers.not_placed(dial)

    await act(contacts.delete, other.id)
    await act(contacts.update, person.id, {"phone_number": other.phone_number})
    await workers.on_to(workers.clock.now() + MINUTE)

    assert [to for _, to, _ in workers.dials] == [other.phone_number]
    _, call = await workers.calls(campaign)
    assert (call.to_number, call.end_reason) == (person.phone_number, EndReason.BLOCKED_DUPLICATE)


@on_both
async def test_a_number_is_corrected_to_where_it_is_another_hour(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    """At 14:00 UTC it is 09:00 in New York, and 06:00 in Los Angeles."""
    person = await seeds.contact(runtime, viewer, phone_number="+12125550123")
    campaign = await paused(workers, person.id, contact_window=NINE_TO_FIVE)

    await act(contacts.update, person.id, {"phone_number": "+12135550123"})
    await workers.update(campaign, status="active")

    assert await workers.work() == []
    [call] = await workers.calls(campaign)
    assert (call.waiting_for, call.due_at) == (WaitReason.CONTACT_WINDOW, workers.clock.now() + 180 * MINUTE)


async def test_a_call_of_no_campaign_goes_to_the_number_that_was_sent(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    person = await seeds.contact(runtime, viewer)
    call = await seeds.call(runtime, viewer, to=person.phone_number)
    assert call.contact_id == person.id

    await act(contacts.update, person.id, {"phone_number": seeds.number()})
    await workers.work()

    assert [to for _, to, _ in workers.dials] == [person.phone_number]


# --- a contact that is made anew ---


@on_both
async def test_a_contact_made_anew_is_called_if_nobody_was_under_its_number(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    person = await seeds.contact(runtime, viewer)
    campaign = await workers.new_campaign([person.id, (await seeds.contact(runtime, viewer)).id])
    await workers.tick()
    await act(contacts.delete, person.id)
    await workers.begin()
    anew = await seeds.contact(runtime, viewer, phone_number=person.phone_number)
    await seeds.enrolled(runtime, viewer, campaign, [anew.id])

    expected = await preflight.of(runtime.snapshot(viewer), campaign)
    await workers.work(lambda _: NO_ANSWER)

    assert (expected.callable, expected.duplicate) == (2, 0)
    assert sorted(call.contact_id for call in await workers.calls() if call.started_at) == sorted(
        entry.contact_id for entry in (await workers.contacts(campaign))[1:]
    )
    assert [(entry.end_reason, entry.attempts) for entry in await workers.contacts(campaign)] == [
        (EndReason.BLOCKED_CONTACT_DELETED, 0),
        (NO_ANSWER, 1),
        (NO_ANSWER, 1),
    ]


@on_both
async def test_a_contact_made_anew_is_not_called_while_the_first_one_may_be(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    person = await seeds.contact(runtime, viewer)
    campaign = await workers.new_campaign([person.id], max_concurrent_calls=2)
    await workers.work()
    await act(contacts.delete, person.id)
    anew = await seeds.contact(runtime, viewer, phone_number=person.phone_number)

    await seeds.enrolled(runtime, viewer, campaign, [anew.id])
    await workers.work()

    assert len(workers.dials) == 1
    _, entry = await workers.contacts(campaign)
    assert (entry.status, entry.end_reason) == (FINISHED, EndReason.BLOCKED_DUPLICATE)


# --- the retry policy ---


@on_both
@pytest.mark.parametrize(("minutes", "tried_at"), [(5, 60), (60, 60), (90, 90), (10_080, 10_080)])
async def test_another_delay_counts_from_the_end_of_the_last_call(
    workers: Workers, minutes: int, tried_at: int
) -> None:
    """The policy is changed an hour after the call: at once, if the new delay is over by then."""
    start = workers.clock.now()
    campaign = await workers.new_campaign(1, retry_policy=policy(2, 7_200))
    await workers.work(lambda _: NO_ANSWER)
    await workers.on_to(start + 60 * MINUTE)

    await workers.update(campaign, retry_policy=policy(2, minutes))

    (entry,) = await workers.contacts(campaign)
    assert (entry.status, entry.waiting_for) == (WAITING, WaitReason.RETRY)
    assert entry.next_attempt_at == start + minutes * MINUTE
    await workers.on_to(start + WEEK + MINUTE, lambda _: NO_ANSWER)
    assert [when - start for when, _, _ in workers.dials] == [0 * MINUTE, tried_at * MINUTE]


@on_both
@pytest.mark.parametrize("status", ["active", "paused"])
async def test_whoever_is_not_tried_any_more_is_finished_at_once(workers: Workers, status: str) -> None:
    campaign = await workers.new_campaign(2, retry_policy=policy(2, 10_080), max_concurrent_calls=2)
    await workers.work(lambda _: NO_ANSWER)
    await workers.update(campaign, status=status)

    await workers.update(campaign, retry_policy=policy(1))

    kept = await workers.campaign(campaign)
    assert (kept.status, kept.calls_completed) == (CampaignStatus.COMPLETED, 2)
    assert [(one.status, one.end_reason, one.finished_at) for one in await workers.contacts(campaign)] == [
        (FINISHED, NO_ANSWER, workers.clock.now())
    ] * 2


@on_both
async def test_only_those_whom_the_policy_of_now_leaves_out_are_finished(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """Nobody else is touched: not one who has not been tried, nor another campaign's."""
    asleep = await seeds.contact(runtime, viewer, timezone="Pacific/Auckland")
    awake = [await seeds.contact(runtime, viewer, timezone="UTC") for _ in range(3)]
    ids = [awake[0].id, awake[1].id, asleep.id]
    given = {"retry_policy": policy(3, 60), "contact_window": NINE_TO_FIVE, "max_concurrent_calls": 3}
    campaign = await workers.new_campaign(ids, **given)
    other = await workers.new_campaign([awake[2].id], **given)
    await workers.work(lambda call: BUSY if call.contact_id == ids[0] else NO_ANSWER)
    (before,) = await workers.contacts(other)

    await workers.update(campaign, retry_policy=policy(3, 30, on=("no-answer",)))

    found = [(one.status, one.waiting_for, one.end_reason) for one in await workers.contacts(campaign)]
    assert found == [
        (FINISHED, None, BUSY),
        (WAITING, WaitReason.RETRY, NO_ANSWER),
        (WAITING, WaitReason.CONTACT_WINDOW, None),
    ]
    assert (await workers.campaign(campaign)).status is CampaignStatus.ACTIVE
    (after,) = await workers.contacts(other)
    assert (after.status, after.next_attempt_at) == (WAITING, before.next_attempt_at)


@on_both
@pytest.mark.parametrize(("minutes", "waits_for"), [(30, WaitReason.CONTACT_WINDOW), (4_320, WaitReason.RETRY)])
async def test_one_that_waits_for_hours_before_its_next_try_waits_for_the_later_of_both(
    runtime: Runtime, viewer: Viewer, workers: Workers, minutes: int, waits_for: WaitReason
) -> None:
    start = workers.clock.now()
    person = await seeds.contact(runtime, viewer, timezone="UTC")
    campaign = await workers.new_campaign([person.id], retry_policy=policy(2, 180), contact_window=NINE_TO_FIVE)
    await workers.work(lambda _: NO_ANSWER)
    await workers.on_to(start + 240 * MINUTE)
    (entry,) = await workers.contacts(campaign)
    assert entry.waiting_for is WaitReason.CONTACT_WINDOW

    await workers.update(campaign, retry_policy=policy(2, minutes))

    (now,) = await workers.contacts(campaign)
    expected = entry.next_attempt_at if waits_for is WaitReason.CONTACT_WINDOW else start + minutes * MINUTE
    assert (now.waiting_for, now.next_attempt_at) == (waits_for, expected)


# --- the zone ---


@on_both
@pytest.mark.parametrize("has_a_call", [False, True])
async def test_a_contact_whose_zone_is_corrected_is_asked_about_again(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers, has_a_call: bool
) -> None:
    """At 14:00 UTC it is 03:00 in Auckland; another who is asleep there stays so."""
    zone = "UTC" if has_a_call else "Pacific/Auckland"
    ids = [(await seeds.contact(runtime, viewer, timezone=zone)).id for _ in range(2)]
    campaign = await workers.new_campaign(ids, contact_window=NINE_TO_FIVE, max_concurrent_calls=2)
    await workers.tick()
    for id in ids:
        await act(contacts.update, id, {"timezone": "Pacific/Auckland"})
    assert await workers.work() == []
    waits = [entry.waiting_for for entry in await workers.contacts(campaign)]
    assert (waits, len(await workers.calls())) == ([WaitReason.CONTACT_WINDOW] * 2, 2 * has_a_call)

    await act(contacts.update, ids[0], {"timezone": "UTC"})

    assert [(await workers.call(dial.held.id)).contact_id for dial in await workers.work()] == [ids[0]]
    assert [entry.waiting_for for entry in await workers.contacts(campaign)] == [None, WaitReason.CONTACT_WINDOW]


# --- a call that is held back ---


@on_both
async def test_a_contact_says_why_its_call_is_held_back_until_it_is_dialed(workers: Workers) -> None:
    campaign = await workers.new_campaign(1)
    await workers.tick()
    await workers.update(campaign, status="paused")
    await workers.work()
    (held,) = await workers.contacts(campaign)

    await workers.update(campaign, status="active")
    (dial,) = await workers.work()

    assert (held.status, held.waiting_for) == (CALLING, WaitReason.CAMPAIGN_PAUSED)
    (dialed,) = await workers.contacts(campaign)
    assert (dialed.status, dialed.waiting_for, dialed.attempts) == (CALLING, None, 1)
    await workers.not_placed(dial)
    (refused,) = await workers.contacts(campaign)
    assert (refused.status, refused.waiting_for) == (CALLING, WaitReason.CARRIER)


@on_both
async def test_a_call_that_ends_undialed_was_no_try(workers: Workers) -> None:
    campaign = await workers.new_campaign(2, retry_policy=policy(2, 5))
    await workers.work(lambda _: NO_ANSWER)
    await workers.on_to(workers.clock.now() + 4 * MINUTE)
    await workers.clock.advance(60)
    await workers.tick()
    await workers.update(campaign, status="paused")
    await workers.begin()

    await workers.update(campaign, status="cancelled")

    first, second = await workers.contacts(campaign)
    assert (first.status, first.attempts, first.waiting_for) == (FINISHED, 1, None)
    assert first.end_reason is EndReason.CAMPAIGN_CANCELLED
    assert (second.status, second.attempts) == (WAITING, 1)
    *_, call = await workers.calls(campaign)
    assert (call.phase, call.started_at, call.contact_attempt) == (CallPhase.DONE, None, None)
