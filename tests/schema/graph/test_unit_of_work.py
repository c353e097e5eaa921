"""A whole operation as one transaction: committed at its end, undone if it fails, seen by its own reads."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from schema.graph.context import Context
from schema.runtime import Runtime, Viewer
from schema.services import contacts, webhooks
from schema.tables import Contact
from tests.schema.conftest import Unchanged
from tests.support import seeds
from tests.support.runtime import Rings, on_both

pytestmark = on_both


@pytest.fixture
def context(runtime: Runtime, viewer: Viewer) -> Context:
    return Context(runtime, viewer)


async def numbers(runtime: Runtime) -> list[str]:
    return [row.phone_number for row in await runtime.database.read(select(Contact).order_by(col(Contact.id)))]


async def test_all_writes_are_committed_together(context: Context, runtime: Runtime, rings: Rings) -> None:
    async with context.unit_of_work():
        for number in ("+15551230001", "+15551230002"):
            async with context.write() as tx:
                await contacts.create(tx, {"phone_number": number})
                tx.ring("calls")
        inside = (await numbers(runtime), list(rings.heard))

    assert inside == ([], [])
    assert await numbers(runtime) == ["+15551230001", "+15551230002"]
    assert rings.heard == ["calls"]


async def test_all_of_it_is_undone_when_something_fails(context: Context, unchanged: Unchanged) -> None:
    async def write_and_fail() -> None:
        async with context.unit_of_work():
            async with context.write() as tx:
                await contacts.create(tx, {"phone_number": "+15551230001"})
            raise LookupError

    async with unchanged():
        with pytest.raises(LookupError):
            await write_and_fail()


async def test_what_the_commit_would_refuse_is_refused_where_it_was_written(
    context: Context, runtime: Runtime, viewer: Viewer, unchanged: Unchanged
) -> None:
    row = await seeds.contact(runtime, viewer)

    async def clash() -> None:
        async with context.unit_of_work():
            with pytest.raises(IntegrityError):
                async with context.write() as tx:
                    tx.add(Contact(**{**row.model_dump(), "id": tx.new_id()}))
            raise LookupError

    async with unchanged():
        with pytest.raises(LookupError):
            await clash()


async def test_its_reads_see_what_it_has_written_also_side_by_side(
    context: Context, runtime: Runtime, viewer: Viewer
) -> None:
    endpoint = await seeds.endpoint(runtime, viewer)

    async with context.unit_of_work():
        async with context.write() as tx:
            deliveries = [await webhooks.test(tx, endpoint.id) for _ in range(3)]
        events = await asyncio.gather(*(context.events.load(row.event_id) for row in deliveries))
        found, attempts, counted = await asyncio.gather(
            context.row(type(endpoint), endpoint.id),
            context.attempts.load(deliveries[0].id),
            context.read().count(context.read().select(type(deliveries[0]))),
        )

    assert [event.id for event in events] == [row.event_id for row in deliveries]
    assert found is not None
    assert (found.id, attempts, counted) == (endpoint.id, [], 3)


async def test_it_has_begun_once_the_database_was_asked(context: Context) -> None:
    async with context.unit_of_work() as unit:
        steps = [unit.has_begun]
        async with context.write() as tx:
            steps.append(unit.has_begun)
            await contacts.by_number(tx, "+15551230001")
            steps.append(unit.has_begun)

    assert steps == [False, False, True]


async def test_nothing_is_held_before_the_first_write(context: Context, runtime: Runtime, viewer: Viewer) -> None:
    async with context.unit_of_work():
        await seeds.contact(runtime, viewer)  # would wait for ever, had the writer's gate been taken

        assert await context.read().count(context.read().select(Contact)) == 1


async def test_afterwards_each_write_is_its_own_again(context: Context, runtime: Runtime) -> None:
    async with context.unit_of_work():
        pass

    async with context.write() as tx:
        await contacts.create(tx, {"phone_number": "+15551230001"})

    assert await numbers(runtime) == ["+15551230001"]
