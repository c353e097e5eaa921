"""Room in the plan: taken before rows are inserted, by the plan that the workspace has now (decision K6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from schema.errors import LimitReached
from schema.rules.contact_import import ImportMode
from schema.rules.plans import Counted, Plan
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import agents, contacts, enrolment, limits, webhooks
from schema.services.contact_import import import_contacts
from schema.tables import Contact, Workspace
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.runtime import on_both

pytestmark = on_both

AGENT = {"name": "Sam", "system_prompt": "Be kind."}
AGENTS = "The Starter plan allows 3 agents"
CONTACTS = "The Starter plan allows 1,000 contacts"
ENDPOINTS = "The Starter plan allows 2 webhook endpoints"
Create = Callable[[Transaction, Any], Awaitable[Any]]


@pytest.fixture
async def viewer(runtime: Runtime) -> Viewer:
    """Somebody in a workspace on the Starter plan; their own idea of the plan is out of date."""
    made = await seeds.workspace(runtime, plan=Plan.STARTER)
    return Viewer(made.workspace_id, Plan.ENTERPRISE)


@pytest.fixture
async def stranger(runtime: Runtime) -> Viewer:
    """Somebody in another workspace, whose rows count for nobody else."""
    made = await seeds.workspace(runtime, plan=Plan.STARTER)
    await seeds.contact_list(runtime, made, 5)
    await seeds.agent(runtime, made)
    return made


async def at_most(runtime: Runtime, viewer: Viewer) -> int | None:
    rows = await runtime.database.read(select(Workspace))
    return next(row.contacts_at_most for row in rows if row.id == viewer.workspace_id)


def file(count: int) -> str:
    return "phoneNumber\n" + "".join(f"{seeds.number()}\n" for _ in range(count))


@pytest.mark.parametrize(
    ("create", "given", "room", "message"),
    [
        (agents.create, lambda: AGENT, 3, AGENTS),
        (webhooks.create, lambda: {"url": seeds.URL}, 2, ENDPOINTS),
    ],
)
async def test_the_row_after_the_last_is_refused(
    act: Act, refused: Refused, stranger: Viewer, create: Create, given: Callable[[], Any], room: int, message: str
) -> None:
    for _ in range(room):
        await act(create, given())

    async with refused(LimitReached, message):
        await act(create, given())


async def test_a_contact_too_many(act: Act, refused: Refused, runtime: Runtime, viewer: Viewer) -> None:
    await seeds.contact_list(runtime, viewer, 999)
    await act(contacts.create, {"phone_number": seeds.number()})

    async with refused(LimitReached, CONTACTS):
        await act(contacts.create, {"phone_number": seeds.number()})


async def test_a_deleted_row_makes_room(act: Act, refused: Refused, runtime: Runtime, viewer: Viewer) -> None:
    ids = await seeds.contact_list(runtime, viewer, 1_000)
    async with refused(LimitReached, CONTACTS):
        await act(contacts.create, {"phone_number": seeds.number()})

    await act(contacts.delete, ids[0])
    await act(contacts.create, {"phone_number": seeds.number()})

    async with refused(LimitReached, CONTACTS):
        await act(contacts.create, {"phone_number": seeds.number()})


async def test_a_change_of_plan_holds_at_once(act: Act, refused: Refused, runtime: Runtime, viewer: Viewer) -> None:
    """And what is there stays after a smaller plan, with nothing added."""
    for _ in range(3):
        await act(agents.create, AGENT)
    async with refused(LimitReached, AGENTS):
        await act(agents.create, AGENT)

    await seeds.plan(runtime, viewer, Plan.PROFESSIONAL)
    await act(agents.create, AGENT)
    await seeds.plan(runtime, viewer, Plan.STARTER)

    async with refused(LimitReached, AGENTS):
        await act(agents.create, AGENT)
    assert (await act(agents.list_page)).total == 4


async def test_what_an_unlimited_plan_let_in_is_counted_after_it(
    act: Act, refused: Refused, runtime: Runtime, viewer: Viewer
) -> None:
    await act(contacts.create, {"phone_number": seeds.number()})
    assert await at_most(runtime, viewer) == 1

    await seeds.plan(runtime, viewer, Plan.ENTERPRISE)
    await import_contacts(runtime.snapshot(viewer), lambda: runtime.transaction(viewer), file(1_000))
    assert await at_most(runtime, viewer) is None
    await seeds.plan(runtime, viewer, Plan.STARTER)

    async with refused(LimitReached, CONTACTS):
        await act(contacts.create, {"phone_number": seeds.number()})


async def test_contacts_are_counted_only_near_the_edge(act: Act, runtime: Runtime, viewer: Viewer) -> None:
    """What is known of them never is less than there are, and deletions are found when it matters."""
    ids = [(await act(contacts.create, {"phone_number": seeds.number()})).id for _ in range(3)]
    for id in ids:
        await act(contacts.delete, id)
    assert await at_most(runtime, viewer) == 3

    async with runtime.transaction(viewer) as tx:
        await limits.take_room(tx, Counted.CONTACTS, 998)

    assert await at_most(runtime, viewer) == 998


async def test_enrolling_new_people_takes_room(act: Act, refused: Refused, runtime: Runtime, viewer: Viewer) -> None:
    """All of them or none; those who are contacts already take none."""
    ids = await seeds.contact_list(runtime, viewer, 997)
    campaign = await seeds.campaign(runtime, viewer)
    known = [(await act(contacts.get, id)).phone_number for id in ids[:2]]
    four = [*known, *(seeds.number() for _ in range(4))]

    async with refused(LimitReached, f"{CONTACTS}: there are 997, and 4 would be added"):
        await act(enrolment.add, campaign.id, await enrolment.checked(ids[:5], [{"phone_number": to} for to in four]))
    done = await act(enrolment.add, campaign.id, await enrolment.checked([], [{"phone_number": to} for to in four[:5]]))

    assert (done.enrolled, done.duplicates) == (5, 0)
    assert (await act(contacts.list_page)).total == 1_000


@pytest.mark.parametrize("mode", ImportMode)
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("enrols", [False, True])
async def test_a_file_with_too_many_new_contacts_is_refused_as_a_whole(
    refused: Refused, runtime: Runtime, viewer: Viewer, mode: ImportMode, dry_run: bool, enrols: bool
) -> None:
    await seeds.contact_list(runtime, viewer, 990)
    campaign = await seeds.campaign(runtime, viewer)

    async with refused(LimitReached, f"{CONTACTS}: there are 990, and 11 would be added"):
        await import_contacts(
            runtime.snapshot(viewer),
            lambda: runtime.transaction(viewer),
            file(11),
            mode=mode,
            dry_run=dry_run,
            campaign_id=campaign.id if enrols else None,
        )


@pytest.mark.parametrize("mode", ImportMode)
async def test_a_file_that_fits(runtime: Runtime, viewer: Viewer, mode: ImportMode) -> None:
    """To the last contact, however often it is sent."""
    await seeds.contact_list(runtime, viewer, 990)
    text = file(10)

    done = [
        await import_contacts(
            runtime.snapshot(viewer), lambda: runtime.transaction(viewer), text, mode=mode, dry_run=dry_run
        )
        for dry_run in (True, False, True, False)
    ]

    assert [(each.imported, each.existing) for each in done] == [(10, 0), (10, 0), (0, 10), (0, 10)]


async def test_an_import_that_finds_the_room_taken_stops(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valid rows are committed in parts, and others may be faster; what is there never exceeds the plan."""
    await seeds.contact_list(runtime, viewer, 990)
    monkeypatch.setattr("schema.services.contact_import._WRITTEN_AT_ONCE", 4)
    faster = iter([0, 0, 5])

    @asynccontextmanager
    async def write() -> AsyncIterator[Transaction]:
        if many := next(faster, 0):
            await seeds.contact_list(runtime, viewer, many)
            await seeds.plan(runtime, viewer, Plan.STARTER)  # no verb made those, so let them be counted
        async with runtime.transaction(viewer) as tx:
            yield tx

    with pytest.raises(LimitReached) as refusal:
        await import_contacts(runtime.snapshot(viewer), write, file(10), mode=ImportMode.VALID_ROWS)

    assert refusal.value.message == f"{CONTACTS}: there are 999, and 4 would be added"
    assert len(await runtime.database.read(select(Contact.id))) == 999  # type: ignore[call-overload]


async def test_unlimited_is_not_locked_and_not_counted(act: Act, runtime: Runtime, viewer: Viewer) -> None:
    await seeds.plan(runtime, viewer, Plan.ENTERPRISE)

    await act(contacts.create, {"phone_number": seeds.number()})
    for _ in range(4):
        await act(agents.create, AGENT)

    assert await at_most(runtime, viewer) is None
