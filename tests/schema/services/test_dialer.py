"""The dialer gives free slots to those who wait for them: single calls first, then campaigns in turn (P1–P6, K6)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from schema import due
from schema.due import Fenced
from schema.rules.calls import CallPhase, CallStatus, EndReason, WaitReason
from schema.rules.campaigns import CampaignContactStatus, CampaignStatus
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import agents, calls, contacts, dialer, do_not_call, phone_numbers
from schema.tables import Call, Contact, Dialer
from tests.schema.conftest import Act, Unchanged
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.invariants import rows
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock


async def rows_of(runtime: Runtime, owner: Viewer) -> list[dict[str, Any]]:
    """Every row of a workspace."""
    return [
        row
        for table in (await rows(runtime)).values()
        for row in table
        if row.get("workspace_id") == owner.workspace_id
    ]


PENDING, CALLING, WAITING, FINISHED = CampaignContactStatus
NO_ANSWER = EndReason.NO_ANSWER


# --- contacts get their calls ---


@on_both
async def test_a_contact_gets_its_call(runtime: Runtime, viewer: Viewer, workers: Workers, rings: Rings) -> None:
    person = await seeds.contact(runtime, viewer, phone_number="+15551234567")
    campaign = await workers.new_campaign([person.id])
    rings.heard.clear()

    await workers.tick()

    (call,) = await workers.calls()
    assert (call.campaign_id, call.contact_id, call.contact_attempt) == (campaign.id, person.id, 1)
    assert (call.to_number, call.agent_id, call.phone_number_id) == (
        "+15551234567",
        campaign.agent_id,
        campaign.phone_number_id,
    )
    assert (call.from_number, call.phase, call.status) == (
        (await phone_numbers.get(runtime.snapshot(viewer), campaign.phone_number_id)).phone_number,
        CallPhase.QUEUED,
        CallStatus.QUEUED,
    )
    assert call.due_at == call.created_at == runtime.clock.now()
    (contact,) = await workers.contacts(campaign)
    assert (contact.status, contact.attempts, contact.next_attempt_at) == (CALLING, 1, None)
    assert (await workers.campaign(campaign)).cursor == 1
    assert rings.heard == ["calls"]


@on_both
async def test_contacts_are_called_in_the_order_of_enrolment_so_many_at_a_time(workers: Workers) -> None:
    """P4: `maxConcurrentCalls`."""
    campaign = await workers.new_campaign(5, max_concurrent_calls=2)
    people = [contact.contact_id for contact in await workers.contacts(campaign)]

    first = await workers.work()
    called = [call.contact_id for call in await workers.calls()]
    assert called == people[:2]
    assert (await workers.dialer()).due_at == workers.clock.now() + timedelta(seconds=60)

    await workers.over(first[0])
    await workers.work()

    assert [call.contact_id for call in await workers.calls()] == people[:3]
    assert await workers.under_way() == {campaign.id: 2}


@on_both
async def test_a_campaign_is_dialed_to_its_end_and_complete(workers: Workers, rings: Rings) -> None:
    """P3."""
    campaign = await workers.new_campaign(7, max_concurrent_calls=3)

    dials = await workers.work(lambda _: NO_ANSWER)

    kept = await workers.campaign(campaign)
    assert len({dial.to for dial in dials}) == len(dials) == 7
    assert (kept.status, kept.calls_total, kept.calls_completed) == (CampaignStatus.COMPLETED, 7, 7)
    assert await workers.statuses(campaign) == {FINISHED: 7}
    assert (await workers.dialer()).due_at is None


async def test_a_dialer_that_lost_its_lease_changes_nothing(
    runtime: Runtime, viewer: Viewer, workers: Workers, unchanged: Unchanged
) -> None:
    await workers.new_campaign(1)
    (held,) = await due.lease(runtime, Dialer, limit=1, seconds=10)
    await runtime.clock.advance(11)  # type: ignore[attr-defined]
    await due.lease(runtime, Dialer, limit=1, seconds=10)

    async with unchanged():
        with pytest.raises(Fenced):
            async with runtime.transaction(viewer) as tx:
                await dialer.tick(tx, held)


async def test_a_tick_lets_so_many_go_on_and_the_next_the_others(workers: Workers, rings: Rings) -> None:
    """A thousand free slots are not filled in one transaction."""
    await workers.new_campaign(250, max_concurrent_calls=1_000)

    await workers.tick()
    assert len(await workers.calls()) == dialer.MAX_ADMITTED
    assert (await workers.dialer()).due_at == workers.clock.now()
    await workers.tick()
    assert len(await workers.calls()) == 2 * dialer.MAX_ADMITTED
    await workers.tick()

    assert len(await workers.calls()) == 250
    assert (await workers.dialer()).due_at is None


# --- whom it skips ---


@on_both
async def test_who_must_not_be_called_is_skipped_with_the_reason(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    """L5, P3."""
    blocked = await seeds.contact(runtime, viewer)
    gone = await seeds.contact(runtime, viewer)
    fine = await seeds.contact(runtime, viewer)
    campaign = await workers.new_campaign([blocked.id, gone.id, fine.id])
    await act(do_not_call.add, {"phone_number": blocked.phone_number})
    await act(contacts.delete, gone.id)

    dials = await workers.work()

    assert [dial.to for dial in dials] == [fine.phone_number]
    found = [(one.status, one.end_reason, one.attempts, one.finished_at) for one in await workers.contacts(campaign)]
    now = workers.clock.now()
    assert found == [
        (FINISHED, EndReason.BLOCKED_DO_NOT_CALL, 0, now),
        (FINISHED, EndReason.BLOCKED_CONTACT_DELETED, 0, now),
        (CALLING, None, 1, None),
    ]
    assert (await workers.campaign(campaign)).calls_completed == 2


@on_both
async def test_a_number_is_called_for_one_contact_only(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    first = await seeds.contact(runtime, viewer, phone_number="+15551234567")
    campaign = await workers.new_campaign([first.id])
    dials = await workers.work()
    await act(contacts.delete, first.id)
    second = await seeds.contact(runtime, viewer, phone_number="+15551234567")
    await seeds.enrolled(runtime, viewer, campaign, [second.id])

    await workers.over(dials[0])
    assert await workers.work() == []

    reasons = [(one.status, one.end_reason) for one in await workers.contacts(campaign)]
    assert reasons == [(FINISHED, NO_ANSWER), (FINISHED, EndReason.BLOCKED_DUPLICATE)]
    assert (await workers.campaign(campaign)).status is CampaignStatus.COMPLETED


@on_both
async def test_a_deleted_contact_with_its_number_is_no_reason_to_stop_calling_somebody(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    """Both come up in one look: the one for the next try, the other deleted before its first."""
    kim = await seeds.contact(runtime, viewer, phone_number="+15551234567")
    lee = await seeds.contact(runtime, viewer, phone_number="+15551234568")
    policy = {"max_attempts": 2, "delay_minutes": [1], "on": ["no-answer"]}
    campaign = await workers.new_campaign([kim.id, lee.id], retry_policy=policy)
    await act(contacts.delete, lee.id)
    await act(contacts.update, kim.id, {"phone_number": "+15551234568"})
    (dial,) = await workers.work()
    await workers.update(campaign, status="paused")
    await workers.over(dial)
    await workers.clock.advance(60)
    await workers.update(campaign, status="active")

    (again,) = await workers.work(lambda _: NO_ANSWER)

    assert (dial.to, again.to) == ("+15551234568", "+15551234568")
    assert [(one.end_reason, one.attempts) for one in await workers.contacts(campaign)] == [
        (NO_ANSWER, 2),
        (EndReason.BLOCKED_CONTACT_DELETED, 0),
    ]


async def test_contacts_that_are_skipped_do_not_use_up_a_look(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """However many are skipped before somebody who may be called: the dialer looks again at once."""
    people = await seeds.contact_list(runtime, viewer, 2 * dialer.MAX_LOOKED_AT + 1)
    campaign = await workers.new_campaign(people)
    async with runtime.transaction(viewer) as tx:
        for id in people[:-1]:
            (await tx.lock(Contact, id)).deleted_at = tx.now

    await workers.tick()
    assert (await workers.campaign(campaign)).cursor == dialer.MAX_LOOKED_AT
    assert (await workers.dialer()).due_at == workers.clock.now()
    await workers.work()

    assert [call.contact_id for call in await workers.calls()] == people[-1:]


@on_both
async def test_contacts_that_are_skipped_do_not_use_up_a_look_beside_a_call_that_waits(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """A call that has its own instant to wait for is counted, and the rest of the contacts go on."""
    people = await seeds.contact_list(runtime, viewer, dialer.MAX_LOOKED_AT + 2)
    campaign = await workers.new_campaign(people, max_concurrent_calls=2)
    await workers.update(campaign, max_concurrent_calls=1)
    (dial,) = await workers.work()
    await workers.not_placed(dial, after_s=600)
    await workers.work()
    await workers.update(campaign, max_concurrent_calls=2)
    async with runtime.transaction(viewer) as tx:
        for id in people[1:-1]:
            (await tx.lock(Contact, id)).deleted_at = tx.now

    await workers.work()

    assert [call.contact_id for call in await workers.calls()] == [people[0], people[-1]]


# --- fairness ---


@on_both
async def test_a_large_campaign_and_a_small_one_share_evenly(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    """The size of a campaign gives it no more slots."""
    await seeds.plan(runtime, viewer, Plan.PROFESSIONAL)
    large = await workers.new_campaign(300, max_concurrent_calls=1_000)
    small = await workers.new_campaign(30, max_concurrent_calls=1_000)

    dials = await workers.work()
    assert await workers.under_way() == {large.id: 10, small.id: 10}
    for _ in range(15):  # as calls end, each campaign gets what came free
        await workers.over(dials.pop(0))
        dials += await workers.work()
        under_way = await workers.under_way()
        assert abs(under_way[large.id] - under_way[small.id]) <= 1
        assert sum(under_way.values()) == 20


@on_both
async def test_campaigns_that_have_as_few_calls_take_turns(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    """Three campaigns and two slots: none waits for another's last contact."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    rows = [await workers.new_campaign(20) for _ in range(3)]

    dials = await workers.work()
    for _ in range(16):
        await workers.clock.advance(1)
        await workers.over(dials.pop(0))
        dials += await workers.work()

    made = Counter(call.campaign_id for call in await workers.calls())
    assert [made[row.id] for row in rows] == [6, 6, 6]


# --- single calls come first ---


@on_both
async def test_single_calls_over_the_limit_wait_and_are_served_as_they_came(
    runtime: Runtime, viewer: Viewer, act: Act, workers: Workers
) -> None:
    """K6: not an error; `queued`, and it says for what it waits."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    rows = [await seeds.call(runtime, viewer) for _ in range(5)]

    dials = await workers.work()

    assert [dial.held.id for dial in dials] == [rows[0].id, rows[1].id]
    for row in rows[2:]:
        call = await workers.call(row.id)
        assert (call.status, call.phase, call.waiting_for) == (
            CallStatus.QUEUED,
            CallPhase.WAITING,
            WaitReason.PLAN_LIMIT,
        )
        assert call.due_at is None
    served = [dial.held.id for dial in dials]
    while dials:
        await workers.over(dials.pop(0))
        came = await workers.work()
        served += [dial.held.id for dial in came]
        dials += came
        assert sum((await workers.under_way()).values()) <= 2
    assert served == [row.id for row in rows]


@on_both
async def test_a_campaign_does_not_keep_single_calls_waiting(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """What comes free goes to whoever waits for an answer, before a campaign goes on."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    await workers.new_campaign(10, max_concurrent_calls=10)
    dials = await workers.work()
    single = await seeds.call(runtime, viewer)
    assert await workers.work() == []

    await workers.over(dials[0])
    came = await workers.work()

    assert [dial.held.id for dial in came] == [single.id]


@on_both
async def test_a_call_of_a_campaign_that_comes_back_by_itself_does_not_pass_by_a_single_call(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """A slot came free, and before the dialer has looked, a call comes due that its carrier could not take."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    campaign = await workers.new_campaign(1)
    (dial,) = await workers.work()
    await workers.not_placed(dial, after_s=5)
    others = [await seeds.call(runtime, viewer) for _ in range(2)]
    dials = await workers.work()
    single = await seeds.call(runtime, viewer)
    await workers.work()
    await workers.clock.advance(5)

    await workers.over(dials[0])
    assert await workers.begin() == []
    came = await workers.work()

    assert [each.held.id for each in dials] == [row.id for row in others]
    assert [each.held.id for each in came] == [single.id]
    (held_back,) = await workers.calls(campaign)
    assert (held_back.phase, held_back.waiting_for) == (CallPhase.WAITING, WaitReason.PLAN_LIMIT)


@on_both
async def test_another_plan_counts_at_once(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    """K6: more go on when it allows more; when it allows fewer, none until there are."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    for _ in range(6):
        await seeds.call(runtime, viewer)
    dials = await workers.work()

    await seeds.plan(runtime, viewer, Plan.PROFESSIONAL)
    dials += await workers.work()
    assert len(dials) == 6

    await seeds.plan(runtime, viewer, Plan.STARTER)
    last = await seeds.call(runtime, viewer)
    for _ in range(4):
        await workers.over(dials.pop())
        assert await workers.work() == []
    await workers.over(dials.pop())
    assert [dial.held.id for dial in await workers.work()] == [last.id]


@on_both
async def test_a_call_that_lets_an_earlier_one_pass_leaves_it_the_slot(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """The later one is queued, and so counted, when the dialer looks: then neither may wait for the other."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    for _ in range(2):
        await seeds.call(runtime, viewer)
    dials = await workers.work()
    earlier = await seeds.call(runtime, viewer)
    await workers.work()
    await workers.over(dials[0])
    later = await seeds.call(runtime, viewer)

    (dial,) = await workers.work()

    assert dial.held.id == earlier.id
    assert (await workers.call(later.id)).waiting_for is WaitReason.PLAN_LIMIT


# --- parts that cannot be used ---


@on_both
async def test_a_campaign_waits_for_its_agent_and_its_number(act: Act, workers: Workers) -> None:
    """Its contacts are not spent on a mistake."""
    campaign = await workers.new_campaign(2)
    (dial,) = await workers.work()
    await act(agents.update, campaign.agent_id, {"is_active": False})
    await workers.over(dial)

    assert await workers.work() == []
    await act(phone_numbers.update, campaign.phone_number_id, {"is_active": False})
    await act(agents.update, campaign.agent_id, {"is_active": True})
    assert await workers.work() == []
    await act(phone_numbers.update, campaign.phone_number_id, {"is_active": True})

    assert len(await workers.work()) == 1


@on_both
@pytest.mark.parametrize(
    ("part", "reason"), [("agent", WaitReason.AGENT_INACTIVE), ("number", WaitReason.NUMBER_INACTIVE)]
)
async def test_a_call_whose_part_is_switched_off_before_the_dial_waits_for_it(
    act: Act, workers: Workers, part: str, reason: WaitReason
) -> None:
    campaign = await workers.new_campaign(1)
    await workers.tick()

    async def switch(is_active: bool) -> None:
        if part == "agent":
            await act(agents.update, campaign.agent_id, {"is_active": is_active})
        else:
            await act(phone_numbers.update, campaign.phone_number_id, {"is_active": is_active})

    await switch(is_active=False)
    assert await workers.work() == []
    (call,) = await workers.calls()
    assert (call.phase, call.waiting_for, call.due_at) == (CallPhase.WAITING, reason, None)
    await switch(is_active=True)

    assert [dial.held.id for dial in await workers.work()] == [call.id]
    (contact,) = await workers.contacts(campaign)
    assert contact.attempts == 1


# --- tenancy ---


@on_both
async def test_a_tick_touches_no_other_workspace(
    runtime: Runtime, viewer: Viewer, workers: Workers, clock: VirtualClock
) -> None:
    other = await seeds.workspace(runtime, name="Other")
    theirs = Workers(runtime, other, clock)
    await theirs.new_campaign(3, max_concurrent_calls=3)
    await seeds.call(runtime, other, phase=CallPhase.WAITING, due_at=None, waiting_for=WaitReason.PLAN_LIMIT)
    await workers.new_campaign(2, max_concurrent_calls=2)
    leases = {lease.id: lease for lease in await due.lease(runtime, Dialer, limit=10, seconds=10)}
    before = await rows_of(runtime, other)

    async with runtime.transaction(viewer) as tx:
        await dialer.tick(tx, leases[viewer.workspace_id])

    assert len(await workers.calls()) == 2
    assert await rows_of(runtime, other) == before


@on_both
async def test_another_workspaces_calls_take_no_slots(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    await seeds.plan(runtime, viewer, Plan.STARTER)
    other = await seeds.workspace(runtime, name="Other")
    theirs = Workers(runtime, other, workers.clock)
    await theirs.new_campaign(5, max_concurrent_calls=5)
    await theirs.work()
    assert await theirs.under_way() == {(await theirs.calls())[0].campaign_id: 5}
    await workers.new_campaign(5, max_concurrent_calls=5)

    await workers.work()

    assert sum((await workers.under_way()).values()) == 2


async def test_a_call_that_was_asked_to_wait_is_dropped_when_its_campaign_is_over(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    """Even one that was locked by somebody who then changed nothing, when the campaign was cancelled."""
    campaign = await workers.new_campaign(1)
    await workers.tick()
    await workers.update(campaign, status="paused")
    await workers.begin()
    async with runtime.transaction(viewer) as tx:  # what `cancel_queued` leaves of a call that somebody has locked
        (await tx.lock(type(campaign), campaign.id)).status = CampaignStatus.CANCELLED
        tx.wake()

    await workers.work()

    (call,) = await workers.calls()
    assert (call.phase, call.end_reason) == (CallPhase.DONE, EndReason.CAMPAIGN_CANCELLED)
    assert await workers.statuses(campaign) == {FINISHED: 1}


async def test_a_call_hung_up_while_it_waits_is_over(
    act: Act, runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    await seeds.plan(runtime, viewer, Plan.STARTER)
    rows: list[Call] = [await seeds.call(runtime, viewer) for _ in range(4)]
    dials = await workers.work()

    await act(calls.hang_up, rows[2].id)
    await workers.over(dials[0])

    assert [dial.held.id for dial in await workers.work()] == [rows[3].id]
    assert (await workers.call(rows[2].id)).end_reason is EndReason.CANCELLED
