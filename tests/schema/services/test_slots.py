"""How busy a workspace is, as its owner sees it (K6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import slots
from schema.services.slots import Report, look_within
from schema.tables import Call, Delivery, Dialer
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.queries import explained, statements
from tests.support.runtime import on_both


@on_both
async def test_slots_are_calls_under_way(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    """Not those that wait, nor those that are over and being processed."""
    await seeds.plan(runtime, viewer, Plan.STARTER)
    other = await seeds.workspace(runtime, name="Other")
    await seeds.answered(runtime, other, await seeds.call(runtime, other))
    await workers.tick()
    rows = [await seeds.call(runtime, viewer) for _ in range(4)]
    await workers.clock.advance(5)
    report = await slots.report(runtime.snapshot(viewer))
    assert report == Report(0, 2, calls_queued=4, calls_waiting=0, oldest_due_at=rows[0].due_at, next_look_at=None)

    dials = await workers.work()

    now = workers.clock.now()
    assert await slots.report(runtime.snapshot(viewer)) == Report(
        2, 2, calls_queued=0, calls_waiting=2, oldest_due_at=None, next_look_at=now + timedelta(seconds=60)
    )
    await workers.answered_and_over(dials[0])
    report = await slots.report(runtime.snapshot(viewer))
    assert (report.slots_used, report.calls_waiting, report.next_look_at) == (1, 2, now)


@on_both
async def test_a_campaigns_slots_are_counted_by_campaign(runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    first = await workers.new_campaign(5, max_concurrent_calls=3)
    second = await workers.new_campaign(5, max_concurrent_calls=2)
    await seeds.call(runtime, viewer)
    await workers.work()

    assert await slots.live_calls(runtime.snapshot(viewer)) == {first.id: 3, second.id: 2}


def test_a_dialer_looks_no_later_than_it_was_told() -> None:
    now = seeds.at("2025-01-15T14:00:00Z")

    asleep, soon, late = (Dialer(id="w", workspace_id="w", due_at=due) for due in (None, now, now + timedelta(hours=1)))
    for dialer in (asleep, soon, late):
        look_within(dialer, now, 60)

    minute = now + timedelta(seconds=60)
    assert (asleep.due_at, soon.due_at, late.due_at) == (minute, now, minute)


@pytest.mark.parametrize("table", [Call, Delivery])
async def test_the_oldest_due_work_is_looked_for_among_what_is_due(
    runtime: Runtime, viewer: Viewer, table: type[Call | Delivery]
) -> None:
    """SQLite, which has no figures to plan by, read all hundred thousand calls of a workspace: a tenth of a second."""
    async with runtime.transaction(viewer) as tx:
        with statements(runtime) as sent:
            await tx.execute(slots.oldest_due(runtime.snapshot(viewer), table))
        asked, values = sent[-1]

    plan = await explained(runtime, viewer, asked, values)

    assert f"ix_{table.__tablename__}_due" in plan, plan
