"""Deliveries on the stage: who delays whom, what is written together, and what a stop leaves behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from schema import due
from schema.clock import SystemClock
from schema.due import Lease
from schema.rules.webhooks import DeliveryState
from schema.runtime import Runtime, Viewer
from schema.services import sending, webhooks
from schema.settings import Settings
from schema.tables import Delivery
from tests.support import seeds
from tests.support.runtime import Rings
from tests.workers.receivers import LOOPBACK, OK, answering, read_request, receiver
from workers import outbound
from workers import webhooks as sender
from workers.outbound import Outbound
from workers.rooms import IN_FLIGHT_AN_ENDPOINT
from workers.stage import Stage
from workers.webhooks import QUEUE, Deliveries, broker

WORK = broker.queues[QUEUE]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that let deliveries reach the loopback."""
    return settings.model_copy(
        update={"webhook_allow_http": True, "webhook_allow_networks": LOOPBACK, "webhook_timeout": 5.0}
    )


@pytest.fixture
def clock() -> SystemClock:
    """Real time: real sockets do not wait for a virtual one."""
    return SystemClock()


@pytest.fixture
async def stage(settings: Settings, clock: SystemClock, rings: Rings) -> AsyncIterator[Stage]:
    """A stage for deliveries, fed by the test itself."""
    stage = Stage(settings, clock, rings, [Deliveries])
    await asyncio.to_thread(stage.start)
    yield stage
    await asyncio.to_thread(stage.stop, 0.0)


async def endpoint(runtime: Runtime, viewer: Viewer, port: int, pending: int, host: str = "127.0.0.1") -> str:
    """An endpoint on that port with deliveries that are due."""
    async with runtime.transaction(viewer) as tx:
        row = await webhooks.create(tx, {"url": f"http://{host}:{port}/"})
        await tx.flush()
        for _ in range(pending):
            await webhooks.test(tx, row.id)
    return row.id


async def feed(stage: Stage) -> list[Lease]:
    """What a consumer does: lease as much as there is room for, and hand it over."""
    places = stage.reserve(QUEUE, WORK.batch)
    leases = await asyncio.to_thread(stage.lease, WORK, places)
    stage.release(QUEUE, places - len(leases))
    stage.hand_over(QUEUE, leases)
    return leases


async def states(runtime: Runtime, viewer: Viewer, endpoint_id: str) -> list[DeliveryState]:
    tx = runtime.snapshot(viewer)
    rows = await tx.all(tx.select(Delivery).where(Delivery.endpoint_id == endpoint_id))  # type: ignore[arg-type]
    return [row.state for row in rows]


async def until(runtime: Runtime, viewer: Viewer, endpoint_id: str, state: DeliveryState, stage: Stage) -> None:
    deadline = time.monotonic() + 10
    while set(await states(runtime, viewer, endpoint_id)) != {state}:
        assert time.monotonic() < deadline, await states(runtime, viewer, endpoint_id)
        await feed(stage)
        await asyncio.sleep(0.01)


async def test_an_endpoint_that_hangs_delays_nobody_else(stage: Stage, runtime: Runtime) -> None:
    """Decision W8."""
    viewer = await seeds.workspace(runtime)
    hanging: list[bytes] = []

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        hanging.append((await read_request(reader))[1])
        await asyncio.Event().wait()

    async with receiver(hang) as silent, receiver(answering(OK)) as well:
        stuck = await endpoint(runtime, viewer, silent, pending=200)
        quick = await endpoint(runtime, viewer, well, pending=60)

        await until(runtime, viewer, quick, DeliveryState.DELIVERED, stage)

        assert len(hanging) <= IN_FLIGHT_AN_ENDPOINT
        assert set(await states(runtime, viewer, stuck)) == {DeliveryState.PENDING}
        await asyncio.to_thread(stage.stop, 0.0)


async def test_a_workspace_whose_endpoints_hang_delays_no_other(
    settings: Settings, clock: SystemClock, rings: Rings, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decision W8: more requests than there are places, none of which ends."""
    monkeypatch.setattr(sender, "PLACES", 50)
    one, another = await seeds.workspace(runtime), await seeds.workspace(runtime)
    hanging = 0

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal hanging
        await read_request(reader)
        hanging += 1
        await asyncio.Event().wait()

    stage = Stage(settings.model_copy(update={"webhook_timeout": 60.0}), clock, rings, [Deliveries])
    await asyncio.to_thread(stage.start)
    async with receiver(hang) as silent, receiver(answering(OK)) as well:
        stuck = [await endpoint(runtime, one, silent, pending=5) for _ in range(12)]
        deadline = time.monotonic() + 10
        while hanging < 34:  # two thirds
            assert time.monotonic() < deadline, hanging
            await feed(stage)
            await asyncio.sleep(0.01)

        quick = await endpoint(runtime, another, well, pending=20)
        await until(runtime, another, quick, DeliveryState.DELIVERED, stage)

        assert hanging == 34
        assert {state for id in stuck for state in await states(runtime, one, id)} == {DeliveryState.PENDING}
        await asyncio.to_thread(stage.stop, 0.0)


@pytest.mark.parametrize("change", ["delete", "switch off", "other url", "nothing"])
async def test_what_changes_while_a_name_is_looked_up_applies(
    settings: Settings,
    clock: SystemClock,
    rings: Rings,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    """Decision W8: after a delete is answered, nothing more is sent."""
    viewer = await seeds.workspace(runtime)
    looked, go = threading.Event(), threading.Event()

    def slow(host: str, port: int) -> list[str]:
        looked.set()
        go.wait(10)
        return ["127.0.0.1"]

    monkeypatch.setattr(outbound, "_MOMENT_S", 0.0)
    monkeypatch.setattr(sender, "Outbound", partial(Outbound, lookup=slow))
    requests: list[tuple[bytes, bytes]] = []
    stage = Stage(settings, clock, rings, [Deliveries])
    await asyncio.to_thread(stage.start)
    async with receiver(answering(OK, requests)) as port:
        row = await endpoint(runtime, viewer, port, pending=1, host="slow.example.com")
        await feed(stage)
        await asyncio.to_thread(looked.wait, 10)
        async with runtime.transaction(viewer) as tx:
            if change == "delete":
                await webhooks.delete(tx, row)
            elif change == "switch off":
                await webhooks.update(tx, row, {"is_active": False})
            elif change == "other url":
                await webhooks.update(tx, row, {"url": f"http://127.0.0.1:{port}/other"})

        go.set()

        is_sent = change in {"other url", "nothing"}
        state = DeliveryState.DELIVERED if is_sent else DeliveryState.CANCELLED
        await until(runtime, viewer, row, state, stage)
        await asyncio.to_thread(stage.stop, 5.0)

    targets = [head.split(b" ")[1] for head, _ in requests]
    assert targets == {"other url": [b"/other"], "nothing": [b"/"]}.get(change, [])


async def test_a_stop_leaves_no_row_leased(stage: Stage, runtime: Runtime) -> None:
    viewer = await seeds.workspace(runtime)
    arrived = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        arrived.set()
        await asyncio.Event().wait()

    async with receiver(hang) as silent:
        stuck = await endpoint(runtime, viewer, silent, pending=20)
        await feed(stage)
        await arrived.wait()

        await asyncio.to_thread(stage.stop, 0.0)

        tx = runtime.snapshot(viewer)
        rows = await tx.all(tx.select(Delivery).where(Delivery.endpoint_id == stuck))  # type: ignore[arg-type]
        now = runtime.clock.now() + timedelta(milliseconds=1)
        assert [row.id for row in rows if row.due_at is None or row.due_at > now] == []


async def test_deliveries_of_a_deleted_endpoint_are_dropped_and_their_places_given_back(
    stage: Stage, runtime: Runtime
) -> None:
    """Decision W8: leased before the delete, never sent after it."""
    viewer = await seeds.workspace(runtime)
    requests: list[tuple[bytes, bytes]] = []
    async with receiver(answering(OK, requests)) as port:
        gone = await endpoint(runtime, viewer, port, pending=3)
        free = stage.reserve(QUEUE, 10_000)
        stage.release(QUEUE, free)
        places = stage.reserve(QUEUE, 3)
        leases = await asyncio.to_thread(stage.lease, WORK, places)
        async with runtime.transaction(viewer) as tx:
            await webhooks.delete(tx, gone)

        stage.hand_over(QUEUE, leases)
        deadline = time.monotonic() + 5
        while (again := stage.reserve(QUEUE, 10_000)) < free and time.monotonic() < deadline:
            stage.release(QUEUE, again)
            await asyncio.sleep(0.01)

        assert again == free
        assert requests == []
        assert set(await states(runtime, viewer, gone)) == {DeliveryState.CANCELLED}


async def test_a_backlog_to_one_endpoint_does_not_wait_for_the_next_poll(stage: Stage, runtime: Runtime) -> None:
    """Rows that were left in the table for want of room are looked for when there is room again."""
    viewer = await seeds.workspace(runtime)

    async def consume() -> None:
        while True:
            while await feed(stage):
                pass
            await asyncio.to_thread(stage.wait, QUEUE, 60.0)  # the next poll

    async with receiver(answering(OK)) as port:
        busy = await endpoint(runtime, viewer, port, pending=200)
        consuming = asyncio.create_task(consume())
        deadline = time.monotonic() + 20
        while set(left := await states(runtime, viewer, busy)) != {DeliveryState.DELIVERED}:
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.01)
        consuming.cancel()
        stage._places[QUEUE].attention.set()


async def test_a_stop_puts_back_what_has_just_been_handed_over(stage: Stage, runtime: Runtime) -> None:
    viewer = await seeds.workspace(runtime)
    async with receiver(answering(OK)) as port:
        late = await endpoint(runtime, viewer, port, pending=20)
        await feed(stage)

        await asyncio.to_thread(stage.stop, 0.0)

        tx = runtime.snapshot(viewer)
        rows = await tx.all(tx.select(Delivery).where(Delivery.endpoint_id == late))  # type: ignore[arg-type]
        now = runtime.clock.now() + timedelta(milliseconds=1)
        pending = [row for row in rows if row.state is DeliveryState.PENDING]
        assert [row.id for row in pending if row.due_at is None or row.due_at > now] == []


async def test_a_stop_writes_what_came_of_requests_that_were_answered(
    settings: Settings, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or they would be sent again."""
    viewer = await seeds.workspace(runtime)
    performer = Deliveries(runtime, lambda _: None)
    asked, go_on = asyncio.Event(), asyncio.Event()
    perform = runtime.perform

    async def slow(viewer: Any, verb: Any, *args: Any, **given: Any) -> Any:
        if verb is sending.settle:
            asked.set()
            await go_on.wait()
        return await perform(viewer, verb, *args, **given)

    monkeypatch.setattr(runtime, "perform", slow)
    async with receiver(answering(OK)) as port:
        answered = await endpoint(runtime, viewer, port, pending=3)
        performer.take(await due.lease(runtime, Delivery, limit=9, seconds=performer.lease_s))
        await asked.wait()

        closing = asyncio.create_task(performer.close(0.0))
        await asyncio.sleep(0.05)
        go_on.set()
        await closing

    assert set(await states(runtime, viewer, answered)) == {DeliveryState.DELIVERED}
