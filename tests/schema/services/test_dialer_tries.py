"""What the end of a call means for its contact: finished, or tried again by the campaign's policy (P3, P5, P6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schema.errors import Invalid
from schema.rules.calls import CallPhase, CallStatus, EndReason, WaitReason
from schema.rules.campaigns import CampaignContactStatus, CampaignStatus
from schema.runtime import Runtime, Viewer
from schema.services import calls, contacts, do_not_call, enrolment
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

PENDING, CALLING, WAITING, FINISHED = CampaignContactStatus
NO_ANSWER, BUSY = EndReason.NO_ANSWER, EndReason.BUSY
MINUTE = timedelta(minutes=1)


def policy(attempts: int, *delays: int, on: tuple[str, ...] = ("busy", "no-answer", "voicemail")) -> dict[str, Any]:
    return {"max_attempts": attempts, "delay_minutes": list(delays), "on": list(on)}


# --- tries (P5) ---


@on_both
async def test_an_unanswered_call_is_tried_again_after_each_delay_and_the_last_delay_repeats(workers: Workers) -> None:
    campaign = await workers.new_campaign(1, retry_policy=policy(4, 5, 60))
    start = workers.clock.now()

    (dial,) = await workers.work()
    await workers.over(dial)
    await workers.work()

    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.attempts, contact.end_reason) == (WAITING, 1, NO_ANSWER)
    assert (contact.next_attempt_at, contact.waiting_for) == (start + 5 * MINUTE, WaitReason.RETRY)
    assert (await workers.dialer()).due_at == start + 5 * MINUTE
    await workers.on_to(start + timedelta(days=1), lambda _: BUSY)

    assert [when - start for when, _, _ in workers.dials] == [0 * MINUTE, 5 * MINUTE, 65 * MINUTE, 125 * MINUTE]
    made = await workers.calls(campaign)
    assert [call.contact_attempt for call in made] == [1, 2, 3, 4]
    assert {call.contact_id for call in made} == {contact.contact_id}
    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.attempts, contact.end_reason) == (FINISHED, 4, BUSY)
    kept = await workers.campaign(campaign)
    assert (kept.status, kept.calls_total, kept.calls_completed) == (CampaignStatus.COMPLETED, 1, 1)


@on_both
@pytest.mark.parametrize(
    ("reason", "on", "again"),
    [
        (EndReason.BUSY, ("busy",), True),
        (EndReason.NO_ANSWER, ("busy",), False),
        (EndReason.NO_ANSWER, ("no-answer", "busy"), True),
        (EndReason.VOICEMAIL, ("voicemail",), True),
        (EndReason.VOICEMAIL, ("no-answer",), False),
        (EndReason.REJECTED, ("busy", "no-answer", "voicemail"), False),
        (EndReason.UNALLOCATED_NUMBER, ("busy", "no-answer", "voicemail"), False),
        (EndReason.SUBMISSION_UNKNOWN, ("busy", "no-answer", "voicemail"), False),
        (EndReason.CANCELLED, ("busy", "no-answer", "voicemail"), False),
    ],
)
async def test_only_for_the_reasons_that_the_policy_names(
    workers: Workers, reason: EndReason, on: tuple[str, ...], again: bool
) -> None:
    campaign = await workers.new_campaign(1, retry_policy=policy(2, 5, on=on))
    (dial,) = await workers.work()

    await workers.over(dial, reason)

    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.end_reason) == (WAITING if again else FINISHED, reason)
    assert ((await workers.campaign(campaign)).status is CampaignStatus.COMPLETED) is not again


@on_both
async def test_one_attempt_unless_told(workers: Workers) -> None:
    """P5: the document promises no retries."""
    campaign = await workers.new_campaign(1)

    await workers.on_to(workers.clock.now() + timedelta(days=2), lambda _: NO_ANSWER)

    assert len(workers.dials) == 1
    assert (await workers.campaign(campaign)).status is CampaignStatus.COMPLETED


@on_both
async def test_somebody_who_was_reached_is_not_called_again(workers: Workers) -> None:
    campaign = await workers.new_campaign(1, retry_policy=policy(5, 1))
    (dial,) = await workers.work()

    await workers.answered_and_over(dial)

    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.end_reason) == (FINISHED, EndReason.CALLEE_HANGUP)
    assert (await workers.campaign(campaign)).status is CampaignStatus.COMPLETED


@on_both
async def test_the_next_try_passes_the_gate_again(act: Act, workers: Workers) -> None:
    """L5: put on the list meanwhile."""
    campaign = await workers.new_campaign(1, retry_policy=policy(3, 5))
    (dial,) = await workers.work()
    await workers.over(dial)
    await act(do_not_call.add, {"phone_number": dial.to})

    assert await workers.on_to(workers.clock.now() + timedelta(hours=1)) == []

    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.attempts, contact.end_reason) == (FINISHED, 1, EndReason.BLOCKED_DO_NOT_CALL)
    assert (await workers.campaign(campaign)).status is CampaignStatus.COMPLETED


@on_both
async def test_a_retry_comes_before_those_who_have_not_been_called(workers: Workers, clock: VirtualClock) -> None:
    campaign = await workers.new_campaign(3, retry_policy=policy(2, 1))
    people = [one.contact_id for one in await workers.contacts(campaign)]
    (first,) = await workers.work()
    await workers.over(first)
    (second,) = await workers.work()
    await clock.advance(60)

    await workers.over(second)
    await workers.work()

    assert [call.contact_id for call in await workers.calls()] == [people[0], people[1], people[0]]


@on_both
@pytest.mark.parametrize("change", [policy(1), policy(3, 5, on=("busy",))])
async def test_a_policy_that_was_edited_meanwhile_is_obeyed_by_the_next_dial(
    workers: Workers, change: dict[str, Any]
) -> None:
    """P6: no more tries than it now allows, and for no other reason."""
    campaign = await workers.new_campaign(1, retry_policy=policy(3, 5))
    (dial,) = await workers.work()
    await workers.over(dial)

    await workers.update(campaign, retry_policy=change)

    assert await workers.on_to(workers.clock.now() + timedelta(hours=1)) == []
    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.attempts, contact.end_reason) == (FINISHED, 1, NO_ANSWER)
    assert (await workers.campaign(campaign)).status is CampaignStatus.COMPLETED


# --- a carrier that takes nothing ---


@on_both
async def test_congestion_uses_no_attempt_at_the_contact_and_backs_off(workers: Workers) -> None:
    """Q.850 34 (`telephony.md`)."""
    campaign = await workers.new_campaign(1, retry_policy=policy(2, 5))
    (dial,) = await workers.work()
    start = workers.clock.now()

    assert await workers.not_placed(dial, after_s=5)
    (call,) = await workers.calls()
    assert (call.phase, call.status, call.waiting_for) == (CallPhase.WAITING, CallStatus.QUEUED, WaitReason.CARRIER)
    (again,) = await workers.on_to(start + timedelta(seconds=5))
    assert (again.held.id, again.attempt_id) == (call.id, f"{call.id}.2")
    await workers.over(again)

    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.attempts) == (WAITING, 1)
    assert len(await workers.calls()) == 1


@on_both
async def test_nobody_waits_for_a_call_whose_end_was_asked_for_while_it_was_dialed(act: Act, workers: Workers) -> None:
    """P2: the carrier did not take it, and it is not kept for the next time."""
    await workers.new_campaign(1)
    (dial,) = await workers.work()
    await act(calls.hang_up, dial.held.id)

    await workers.not_placed(dial, after_s=300)
    await workers.work()

    call = await workers.call(dial.held.id)
    assert (call.phase, call.end_reason) == (CallPhase.DONE, EndReason.CANCELLED)


@on_both
async def test_a_campaign_cancelled_while_a_call_is_dialed_does_not_dial_it_again(workers: Workers) -> None:
    """P2: cancelling drops what is queued, and so what comes back to the queue."""
    campaign = await workers.new_campaign(1)
    (dial,) = await workers.work()
    await workers.update(campaign, status="cancelled")

    await workers.not_placed(dial, after_s=300)
    await workers.work()

    call = await workers.call(dial.held.id)
    assert (call.phase, call.end_reason) == (CallPhase.DONE, EndReason.CAMPAIGN_CANCELLED)
    assert await workers.statuses(campaign) == {FINISHED: 1}


# --- completion (P3) ---


@on_both
async def test_finished_skipped_and_retried_contacts_complete_a_campaign(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    people = [await seeds.contact(runtime, viewer) for _ in range(5)]
    campaign = await workers.new_campaign(
        [person.id for person in people], max_concurrent_calls=5, retry_policy=policy(2, 10)
    )
    await act(do_not_call.add, {"phone_number": people[0].phone_number})
    await act(contacts.delete, people[1].id)
    busy, reached, rejected = await workers.work()
    await workers.over(busy, BUSY)
    await workers.answered_and_over(reached)
    await workers.over(rejected, EndReason.REJECTED)
    assert (await workers.campaign(campaign)).calls_completed == 4

    await workers.on_to(workers.clock.now() + 10 * MINUTE, lambda _: BUSY)

    kept = await workers.campaign(campaign)
    assert (kept.status, kept.calls_completed, kept.updated_at) == (CampaignStatus.COMPLETED, 5, workers.clock.now())


@on_both
async def test_an_empty_campaign_is_not_complete(workers: Workers) -> None:
    campaign = await workers.new_campaign(0)

    assert await workers.work() == []

    assert (await workers.campaign(campaign)).status is CampaignStatus.ACTIVE
    assert (await workers.dialer()).due_at is None


@on_both
async def test_a_campaign_that_is_complete_takes_no_contacts(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers, refused: Refused
) -> None:
    campaign = await workers.new_campaign(1)
    await workers.work(lambda _: NO_ANSWER)
    person = await seeds.contact(runtime, viewer)

    async with refused(Invalid, "A completed campaign takes no contacts"):
        await act(enrolment.add, campaign.id, await enrolment.checked([person.id]))


@on_both
async def test_who_is_enrolled_before_the_last_one_ends_is_called(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    campaign = await workers.new_campaign(1)
    (dial,) = await workers.work()
    await seeds.enrolled(runtime, viewer, campaign, [(await seeds.contact(runtime, viewer)).id])
    await workers.over(dial)

    assert len(await workers.work()) == 1


# --- pause, resume, cancel, complete (P2) ---


@on_both
async def test_pausing_stops_what_is_queued_and_not_what_is_under_way(workers: Workers) -> None:
    campaign = await workers.new_campaign(4, max_concurrent_calls=2)
    under_way = await workers.work()
    await workers.over(under_way.pop(0))
    await workers.tick()

    await workers.update(campaign, status="paused")
    assert await workers.work() == []

    queued = (await workers.calls())[-1]
    assert (queued.phase, queued.waiting_for, queued.due_at) == (CallPhase.WAITING, WaitReason.CAMPAIGN_PAUSED, None)
    assert (await workers.call(under_way[0].held.id)).phase is CallPhase.DIALING
    await workers.over(under_way[0])
    assert await workers.work() == []
    await workers.update(campaign, status="active")

    dials = await workers.work()
    assert queued.id in {dial.held.id for dial in dials}
    assert len(dials) == 2


@on_both
async def test_a_paused_campaign_goes_on_counting_and_is_complete_with_its_last_call(workers: Workers) -> None:
    campaign = await workers.new_campaign(1)
    (dial,) = await workers.work()
    await workers.update(campaign, status="paused")

    await workers.over(dial)

    assert (await workers.campaign(campaign)).status is CampaignStatus.COMPLETED


@on_both
async def test_retries_that_came_due_in_a_pause_are_dialed_after_it(workers: Workers, clock: VirtualClock) -> None:
    campaign = await workers.new_campaign(1, retry_policy=policy(2, 5))
    (dial,) = await workers.work()
    await workers.over(dial)
    await workers.update(campaign, status="paused")
    assert await workers.on_to(clock.now() + timedelta(hours=1)) == []

    await workers.update(campaign, status="active")

    assert len(await workers.work()) == 1


@on_both
@pytest.mark.parametrize(
    ("status", "reason"), [("cancelled", EndReason.CAMPAIGN_CANCELLED), ("completed", EndReason.CANCELLED)]
)
async def test_ending_a_campaign_drops_what_is_queued_and_what_waits(
    workers: Workers, status: str, reason: EndReason
) -> None:
    """P2: calls under way go on, and still count."""
    campaign = await workers.new_campaign(4, max_concurrent_calls=3, retry_policy=policy(3, 5))
    first, second, third = await workers.work()
    await workers.not_placed(first, after_s=300)
    await workers.over(second)
    await workers.tick()

    await workers.update(campaign, status=status)

    by_id = {call.id: call for call in await workers.calls()}
    waited, queued = by_id[first.held.id], (await workers.calls())[-1]
    for call in (waited, queued):
        assert (call.phase, call.end_reason, call.due_at) == (CallPhase.DONE, reason, None)
    assert by_id[third.held.id].phase is CallPhase.DIALING
    assert await workers.statuses(campaign) == {FINISHED: 2, CALLING: 1, WAITING: 1}
    await workers.over(third)
    assert await workers.on_to(workers.clock.now() + timedelta(days=1)) == []
    assert await workers.statuses(campaign) == {FINISHED: 3, WAITING: 1}
    assert (await workers.campaign(campaign)).calls_completed == 3


@on_both
async def test_an_edit_counts_for_the_next_dial(workers: Workers) -> None:
    """P6: fewer at a time, then more."""
    campaign = await workers.new_campaign(10, max_concurrent_calls=4)
    dials = await workers.work()
    await workers.update(campaign, max_concurrent_calls=2)
    for _ in range(2):
        await workers.over(dials.pop(0))
        assert await workers.work() == []
    await workers.over(dials.pop(0))
    dials += await workers.work()
    assert len(dials) == 2

    await workers.update(campaign, max_concurrent_calls=5)

    assert len(await workers.work()) == 3
