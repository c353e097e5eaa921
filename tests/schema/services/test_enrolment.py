"""Getting contacts into a campaign (decision P3): by id, by number, and all that there are."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from schema.errors import Invalid, NotFound
from schema.rules.campaigns import CampaignContactStatus
from schema.rules.ids import is_id
from schema.runtime import DIALERS, Runtime, Viewer
from schema.services import campaigns, contacts, enrolment
from schema.services.enrolment import checked
from schema.tables import CampaignContact, Contact, Dialer
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock

UNKNOWN = "c0000000000000000unknown0"
ODD = 'Zoë "Ñ" \\ 李 😀\n$[0]'


async def entries(runtime: Runtime, campaign_id: str) -> list[Any]:
    """Who is in the campaign, in order; the positions count from 1 without a gap, and so does `callsTotal`."""
    query = select(CampaignContact).where(CampaignContact.campaign_id == campaign_id)
    rows = await runtime.database.read(query.order_by(CampaignContact.position))
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert all(is_id(row.id) for row in rows)
    (campaign,) = await runtime.database.read(select(campaigns.Campaign).where(campaigns.Campaign.id == campaign_id))
    assert campaign.calls_total == len(rows)
    return rows


async def enrolled(runtime: Runtime, campaign_id: str) -> list[str]:
    return [row.contact_id for row in await entries(runtime, campaign_id)]


@on_both
async def test_contacts_get_in_on_create(runtime: Runtime, viewer: Viewer) -> None:
    people = await seeds.contact_list(runtime, viewer, 3)

    row = await seeds.campaign(runtime, viewer, contact_ids=[*people, people[0]])

    assert await enrolled(runtime, row.id) == people
    assert (await campaigns.get(runtime.snapshot(viewer), row.id)).calls_completed == 0


@on_both
async def test_an_entry_is_new(runtime: Runtime, viewer: Viewer) -> None:
    people = await seeds.contact_list(runtime, viewer, 1)

    row = await seeds.campaign(runtime, viewer, contact_ids=people)

    (entry,) = await entries(runtime, row.id)
    assert {name: getattr(entry, name) for name in CampaignContact.model_fields} == {
        "id": entry.id,
        "workspace_id": viewer.workspace_id,
        "campaign_id": row.id,
        "contact_id": people[0],
        "position": 1,
        "status": CampaignContactStatus.PENDING,
        "attempts": 0,
        "next_attempt_at": None,
        "waiting_for": None,
        "end_reason": None,
        "finished_at": None,
        "created_at": runtime.clock.now(),
    }


@on_both
async def test_duplicates_are_ignored_and_counted(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    people = await seeds.contact_list(runtime, viewer, 6)
    row = await seeds.campaign(runtime, viewer, contact_ids=[people[1], people[4]])

    result = await act(enrolment.add, row.id, await checked([*people, people[3], people[0]]))

    assert (result.enrolled, result.duplicates, result.campaign.calls_total) == (4, 4, 6)
    after = [people[1], people[4], people[0], people[2], people[3], people[5]]
    assert await enrolled(runtime, row.id) == after
    again = await act(enrolment.add, row.id, await checked(people))
    assert (again.enrolled, again.duplicates, again.campaign.calls_total) == (0, 6, 6)
    assert await enrolled(runtime, row.id) == after


@on_both
async def test_contacts_given_by_number_are_found_or_made(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    known = await seeds.contact(runtime, viewer, phone_number="+15551234567", name="Kim")
    row = await seeds.campaign(runtime, viewer)
    fields = {"seats": 2**63 - 1, "score": 1e300, "half": 0.5, "vip": True, "gone": None, ODD: ODD}
    given = [
        {"phone_number": "+15551234569"},
        {"phone_number": "+15551234567", "name": "Not Kim"},
        {"phone_number": "+15551234568", "name": ODD, "notes": f" {ODD}\n", "custom_fields": fields},
        {"phone_number": "+15551234568", "name": "Lee again"},
    ]

    result = await act(enrolment.add, row.id, await checked([known.id], given))

    assert (result.enrolled, result.duplicates) == (3, 2)
    tx = runtime.snapshot(viewer)
    people = {each.phone_number: each for each in (await contacts.list_page(tx)).nodes}
    assert {number: each.name for number, each in people.items()} == {
        "+15551234567": "Kim",
        "+15551234568": ODD,
        "+15551234569": None,
    }
    lee = people["+15551234568"]
    assert {name: getattr(lee, name) for name in Contact.model_fields} == {
        "id": lee.id,
        "workspace_id": viewer.workspace_id,
        "phone_number": "+15551234568",
        "name": ODD,
        "email": None,
        "timezone": None,
        "notes": f" {ODD}\n",
        "custom_fields": fields,
        "created_at": runtime.clock.now(),
        "updated_at": runtime.clock.now(),
        "deleted_at": None,
    }
    assert is_id(lee.id)
    assert await enrolled(runtime, row.id) == [known.id, people["+15551234569"].id, lee.id]


@on_both
async def test_the_number_of_a_deleted_contact_makes_a_new_one(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    gone = await seeds.contact(runtime, viewer, phone_number="+15551234567")
    await act(contacts.delete, gone.id)
    row = await seeds.campaign(runtime, viewer)

    await act(enrolment.add, row.id, await checked((), [{"phone_number": "+15551234567"}]))

    made = await contacts.by_number(runtime.snapshot(viewer), "+15551234567")
    assert made is not None
    assert await enrolled(runtime, row.id) == [made.id] != [gone.id]


@on_both
async def test_enrolment_is_all_or_nothing(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    people = await seeds.contact_list(runtime, viewer, 2)
    theirs = await seeds.contact(runtime, await seeds.workspace(runtime, name="Other"))
    gone = await seeds.contact(runtime, viewer)
    await act(contacts.delete, gone.id)
    row = await seeds.campaign(runtime, viewer)
    new = {"phone_number": "+15551234567"}

    for id in (UNKNOWN, theirs.id, gone.id):
        async with refused(NotFound, f"Contact with id {id} not found"):
            await act(enrolment.add, row.id, await checked([*people, id, "c-another"], [new]))
    async with refused(NotFound, f"Campaign with id {UNKNOWN} not found"):
        await act(enrolment.add, UNKNOWN, await checked(people))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"new_contacts": [{"phone_number": "+15551234567"}, {"name": "K"}]}, "contacts[1]: phoneNumber is required"),
        ({"new_contacts": [{"phone_number": "+15551234567", "mood": 1}]}, "contacts[0]: Unknown field 'mood'"),
        ({}, "contactIds, contacts or all is required"),
        ({"contact_ids": ["c1"], "is_all": True}, "all cannot be combined with contactIds or contacts"),
        ({"contact_ids": [UNKNOWN] * 10_001}, "At most 10,000 contacts can be enrolled in one request"),
        (
            {"contact_ids": [UNKNOWN] * 5_000, "new_contacts": [{}] * 5_001},
            "At most 10,000 contacts can be enrolled in one request",
        ),
    ],
)
async def test_what_can_be_refused_before_anything_is_asked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await checked(**given)

    assert refusal.value.message == message


async def test_ten_thousand_on_create_and_no_more(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row = await seeds.campaign(runtime, viewer)
    given = {"name": "Spring", "agent_id": row.agent_id, "phone_number_id": row.phone_number_id}

    async with refused(Invalid, "At most 10,000 contacts can be enrolled in one request"):
        await act(campaigns.create, {**given, "contact_ids": [UNKNOWN] * 10_001})


@on_both
async def test_ten_thousand_with_duplicates(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row = await seeds.campaign(runtime, viewer)
    numbers = [seeds.number() for _ in range(8_000)]
    given = [{"phone_number": number} for number in numbers + numbers[:2_000]]

    new = await act(enrolment.add, row.id, await checked((), given))
    ids = {each.phone_number: each.id for each in await runtime.database.read(select(Contact))}
    people = list(ids.values())
    known = await act(enrolment.add, row.id, await checked(people + people[:2_000]))

    assert (new.enrolled, new.duplicates) == (8_000, 2_000)
    assert (known.enrolled, known.duplicates) == (0, 10_000)
    assert await enrolled(runtime, row.id) == [ids[number] for number in numbers]


@on_both
async def test_those_who_enrol_at_once_count_right(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    people = await seeds.contact_list(runtime, viewer, 20)
    row = await seeds.campaign(runtime, viewer)

    results = await asyncio.gather(
        *[act(enrolment.add, row.id, await checked(people[first : first + 10])) for first in (0, 5, 10)]
    )

    assert sum(result.enrolled for result in results) == 20
    assert sum(result.duplicates for result in results) == 10
    assert sorted(await enrolled(runtime, row.id)) == sorted(people)


@on_both
async def test_those_who_enrol_the_same_new_people_in_many_campaigns(
    runtime: Runtime, viewer: Viewer, act: Act
) -> None:
    """In both orders, so that two would wait for each other if the order were theirs; and beside single contacts."""
    rows = [await seeds.campaign(runtime, viewer) for _ in range(4)]
    numbers = [seeds.number() for _ in range(300)]
    people = [{"phone_number": number} for number in numbers]
    orders = [await checked((), people if index % 2 else people[::-1]) for index in range(4)]

    async def single(number: str) -> int:
        try:
            await act(contacts.create, {"phone_number": number})
        except Invalid:
            return 0
        return 1

    await asyncio.gather(
        *(act(enrolment.add, row.id, order) for row, order in zip(rows, orders, strict=True)),
        *(single(number) for number in numbers[::30]),
    )

    assert len(await runtime.database.read(select(Contact))) == 300
    for row in rows:
        assert len(await enrolled(runtime, row.id)) == 300


# --- everybody ---


@on_both
async def test_everybody_gets_in_oldest_first(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts, whose ends lie among contacts of the same instant and between those of two."""
    monkeypatch.setattr(enrolment, "_ENROLLED_AT_ONCE", 3)
    early = await seeds.contact_list(runtime, viewer, 4)
    await clock.advance(60)
    late = await seeds.contact_list(runtime, viewer, 5)
    gone = await seeds.contact(runtime, viewer)
    await act(contacts.delete, gone.id)
    await seeds.contact(runtime, await seeds.workspace(runtime, name="Other"))
    row = await seeds.campaign(runtime, viewer, contact_ids=[late[1], early[2]])
    await clock.advance(60)

    result = await enrolment.enrol(partial(runtime.transaction, viewer), row.id, await checked(is_all=True))

    assert (result.enrolled, result.duplicates, result.campaign.calls_total) == (7, 2, 9)
    others = [id for id in early + late if id not in (late[1], early[2])]
    assert await enrolled(runtime, row.id) == [late[1], early[2], *others]


@on_both
@pytest.mark.parametrize("size", [0, 1, 3, 6])
async def test_everybody_however_many_they_are(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(enrolment, "_ENROLLED_AT_ONCE", 3)
    people = await seeds.contact_list(runtime, viewer, size)
    row = await seeds.campaign(runtime, viewer)
    write = partial(runtime.transaction, viewer)

    first = await enrolment.add_all(write, row.id)
    again = await enrolment.add_all(write, row.id)

    assert (first.enrolled, first.duplicates) == (size, 0)
    assert (again.enrolled, again.duplicates, again.campaign.calls_total) == (0, size, size)
    assert await enrolled(runtime, row.id) == people


async def test_everybody_needs_an_open_campaign(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row = await seeds.campaign(runtime, viewer)
    await seeds.contact_list(runtime, viewer, 2)
    await act(campaigns.update, row.id, {"status": "cancelled"})
    write = partial(runtime.transaction, viewer)

    async with refused(Invalid, "A cancelled campaign takes no contacts"):
        await enrolment.add_all(write, row.id)
    async with refused(NotFound, f"Campaign with id {UNKNOWN} not found"):
        await enrolment.add_all(write, UNKNOWN)


# --- the dialer ---


@on_both
async def test_the_dialer_hears_of_new_people_and_of_nothing_else(
    runtime: Runtime, viewer: Viewer, act: Act, rings: Rings
) -> None:
    people = await seeds.contact_list(runtime, viewer, 2)
    row = await seeds.campaign(runtime, viewer)

    async def asleep() -> None:
        async with runtime.transaction(viewer) as tx:
            (await tx.lock(Dialer, viewer.workspace_id)).due_at = None
        rings.heard.clear()

    await asleep()
    await act(enrolment.add, row.id, await checked(people))
    (dialer,) = await runtime.database.read(select(Dialer).where(Dialer.id == viewer.workspace_id))
    assert (dialer.due_at, rings.heard) == (runtime.clock.now(), [DIALERS])

    await asleep()
    await act(enrolment.add, row.id, await checked(people))
    await enrolment.add_all(partial(runtime.transaction, viewer), row.id)
    (dialer,) = await runtime.database.read(select(Dialer).where(Dialer.id == viewer.workspace_id))
    assert (dialer.due_at, rings.heard) == (None, [])
