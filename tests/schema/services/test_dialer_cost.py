"""What a look costs: the same with ten thousand contacts as with a hundred, each query by its index (`jobs.md`)."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from schema.rules.calls import CallPhase, EndReason, WaitReason
from schema.rules.contacts import DoNotCallSource
from schema.rules.plans import Plan
from schema.rules.webhooks import EventType
from schema.runtime import Runtime, Viewer
from schema.services import calls, campaigns, contacts
from schema.tables import Call, Campaign, Contact, DoNotCall, Event
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.queries import Sent, explained, reads_whole, statements
from tests.support.runtime import on_both


async def many(runtime: Runtime, viewer: Viewer, size: int) -> list[str]:
    """The ids of that many contacts, made at once."""
    async with runtime.transaction(viewer) as tx:
        new = [contacts.new(tx, {"phone_number": seeds.number(), "custom_fields": {}}) for _ in range(size)]
        await tx.insert_new(Contact, [row.model_dump() for row in new])
    return [row.id for row in new]


async def over_long_ago(runtime: Runtime, viewer: Viewer, size: int) -> None:
    """That many calls that are over, each with its event: what a table of calls mostly holds."""
    row = await seeds.call(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        over = await calls.hang_up(tx, row.id)
    async with runtime.transaction(viewer) as tx:
        copies = [{**over.model_dump(), "id": tx.new_id()} for _ in range(size)]
        event = {
            "workspace_id": viewer.workspace_id,
            "type": EventType.CALL_FAILED,
            "body": b"{}",
            "created_at": tx.now,
        }
        await tx.insert_new(Call, copies)
        await tx.insert_new(Event, [{**event, "id": tx.new_id(), "call_id": call["id"]} for call in copies])


async def only(workers: Workers) -> Campaign:
    """The one campaign there is."""
    (row,) = (await campaigns.list_page(workers.runtime.snapshot(workers.viewer))).nodes
    return row


async def look_of(runtime: Runtime, viewer: Viewer, workers: Workers, people: int, slots: int) -> Sent:
    """One look at a campaign of so many contacts, half of whom have been called, with so many free slots."""
    campaign = await workers.new_campaign(await many(runtime, viewer, people), max_concurrent_calls=slots)
    async with runtime.transaction(viewer) as tx:
        row = await tx.lock(type(campaign), campaign.id)
        row.cursor = people // 2
    with statements(runtime) as sent:
        await workers.tick()
    assert len(await workers.calls(campaign)) == slots
    return sent


@on_both
@pytest.mark.parametrize("slots", [1, 20])
async def test_it_does_not_grow_with_the_campaign(
    runtime: Runtime, viewer: Viewer, workers: Workers, slots: int
) -> None:
    small = await look_of(runtime, viewer, workers, 100, slots)
    await workers.update(await only(workers), status="cancelled")
    large = await look_of(runtime, viewer, workers, 10_000, slots)

    assert [statement.split()[0] for statement, _ in large] == [statement.split()[0] for statement, _ in small]
    assert len(large) <= 22


@on_both
async def test_it_grows_with_the_campaigns_that_dial_and_no_faster(
    runtime: Runtime, viewer: Viewer, workers: Workers
) -> None:
    counts = []
    for more in (1, 4, 5):
        for _ in range(more):
            await workers.new_campaign(2)
        with statements(runtime) as sent:
            await workers.tick()
        counts.append(len(sent))
        await workers.work(lambda _: EndReason.NO_ANSWER)

    assert counts[2] - counts[1] <= 9


@on_both
async def test_each_query_of_a_look_goes_by_an_index(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    """With twenty thousand contacts, counted for PostgreSQL's planner: none reads a whole table that grows."""
    await seeds.plan(runtime, viewer, Plan.ENTERPRISE)
    people = [await many(runtime, viewer, 10_000) for _ in range(2)]
    policy = {"max_attempts": 2, "delay_minutes": [60], "on": ["no-answer"]}
    others = [await workers.new_campaign(ids, max_concurrent_calls=50, retry_policy=policy) for ids in people]
    for dial in (await workers.work())[:20]:
        await workers.over(dial)
    await workers.work()
    await over_long_ago(runtime, viewer, 3_000)
    async with runtime.transaction(viewer) as tx:
        listed = {"workspace_id": viewer.workspace_id, "source": DoNotCallSource.API, "created_at": tx.now}
        await tx.insert_new(
            DoNotCall, [{**listed, "id": tx.new_id(), "phone_number": seeds.number()} for _ in range(3_000)]
        )
        if not runtime.database.is_sqlite:
            for table in ("calls", "campaign_contacts", "contacts", "campaigns", "do_not_call"):
                await tx.execute(text(f"ANALYZE {table}"))
    await seeds.call(runtime, viewer, phase=CallPhase.WAITING, due_at=None, waiting_for=WaitReason.PLAN_LIMIT)
    await workers.update(others[0], max_concurrent_calls=60)

    with statements(runtime) as sent:
        await workers.tick()

    selects = [(statement, values) for statement, values in sent if statement.startswith("SELECT")]
    assert len(selects) >= 8
    for statement, values in selects:
        plan = await explained(runtime, viewer, statement, values)
        for table in ("calls", "campaign_contacts", "contacts", "do_not_call"):
            assert not reads_whole(plan, table), (statement, plan)
    used = "\n".join([await explained(runtime, viewer, statement, values) for statement, values in selects])
    for index in ("ix_calls_open", "uq_campaign_contacts_position", "ix_campaign_contacts_next_attempt"):
        assert index in used, used
