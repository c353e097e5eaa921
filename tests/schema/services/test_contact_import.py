"""Importing contacts from CSV: all or nothing, or the valid rows; dry, or in earnest; into a campaign, or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from schema.errors import Invalid, NotFound
from schema.rules.contact_import import ImportMode, RowError
from schema.rules.ids import is_id
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import campaigns, contact_import, contacts
from schema.services.contact_import import ContactImport, Enrolled, Stage, WrongRows
from schema.tables import Campaign, CampaignContact, Contact
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

ALL, VALID = ImportMode
UNKNOWN = "c0000000000000000unknown0"
BAD = RowError(
    3, "phoneNumber", "phoneNumber 12 must begin with a plus sign and the country code, such as +15551234567"
)


def numbers(count: int) -> list[str]:
    return [seeds.number() for _ in range(count)]


def file(*cells: str) -> str:
    return "phone\n" + "".join(f"{cell}\n" for cell in cells)


async def run(runtime: Runtime, viewer: Viewer, text: str, **given: Any) -> ContactImport:
    write = partial(runtime.transaction, viewer)
    return await contact_import.import_contacts(runtime.snapshot(viewer), write, text, **given)


async def people(runtime: Runtime, viewer: Viewer) -> list[Any]:
    """The workspace's contacts."""
    return await runtime.database.read(select(Contact).where(Contact.workspace_id == viewer.workspace_id))


async def enrolled(runtime: Runtime, campaign_id: str) -> list[str]:
    """The numbers in the campaign, in order; the positions have no gap."""
    query = (
        select(CampaignContact.position, Contact.phone_number)
        .join(Contact, Contact.id == CampaignContact.contact_id)
        .where(CampaignContact.campaign_id == campaign_id)
        .order_by(CampaignContact.position)
    )
    rows = await runtime.database.read(query)
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    (campaign,) = await runtime.database.read(select(Campaign).where(Campaign.id == campaign_id))
    assert campaign.calls_total == len(rows)
    return [row.phone_number for row in rows]


@on_both
async def test_a_row_becomes_a_contact(runtime: Runtime, viewer: Viewer) -> None:
    text = (
        "Phone;First Name;Last Name;E-Mail;tz;Notes;Company;Seats\r\n"
        '+15551234567;Zoë;"O""Neil; Jr";zoe@example.com;Europe/Berlin;"likes\r\ntea";Acme;3\r\n'
        "+15551234568;;;;;;;\r\n"
    )

    result = await run(runtime, viewer, text)

    assert result == ContactImport(
        rows=2,
        imported=2,
        duplicates_in_file=0,
        existing=0,
        invalid=0,
        error_count=0,
        errors=[],
        enrolment=None,
    )
    first, second = sorted(await people(runtime, viewer), key=lambda row: row.phone_number)
    now = runtime.clock.now()
    assert {name: getattr(first, name) for name in Contact.model_fields} == {
        "id": first.id,
        "workspace_id": viewer.workspace_id,
        "phone_number": "+15551234567",
        "name": 'Zoë O"Neil; Jr',
        "email": "zoe@example.com",
        "timezone": "Europe/Berlin",
        "notes": "likes\r\ntea",
        "custom_fields": {"Company": "Acme", "Seats": "3"},
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
    }
    assert is_id(first.id)
    assert (second.name, second.email, second.timezone, second.notes, second.custom_fields) == (None, *[None] * 3, {})


@on_both
@pytest.mark.parametrize("mode", ImportMode)
async def test_duplicates_are_counted_and_who_is_there_stays(
    runtime: Runtime, viewer: Viewer, act: Act, mode: ImportMode
) -> None:
    """Also when somebody else has the number, or had it."""
    one, two, three, four = numbers(4)
    await seeds.contact(runtime, viewer, phone_number=one, name="Kim")
    gone = await seeds.contact(runtime, viewer, phone_number=two)
    await act(contacts.delete, gone.id)
    await seeds.contact(runtime, await seeds.workspace(runtime, name="Other"), phone_number=three)
    text = f"phone,name\n{one},Not Kim\n{two},B\n{three},C\n{four},D\n{four},E\n{one},Again\n"

    result = await run(runtime, viewer, text, mode=mode)

    assert (result.rows, result.imported, result.existing, result.duplicates_in_file, result.invalid) == (6, 3, 1, 2, 0)
    kept = {row.phone_number: row.name for row in await people(runtime, viewer) if row.deleted_at is None}
    assert kept == {one: "Kim", two: "B", three: "C", four: "D"}


@on_both
async def test_one_wrong_row_and_nothing_is_imported(runtime: Runtime, viewer: Viewer, unchanged: Unchanged) -> None:
    one, two = numbers(2)

    async with unchanged():
        with pytest.raises(WrongRows) as refusal:
            await run(runtime, viewer, file(one, "12", two, one))

    assert refusal.value.message == f"1 of 4 rows is wrong, so nothing was imported: row 3: {BAD.message}"
    assert refusal.value.found == ContactImport(4, 0, 1, 0, 1, 1, [BAD], None)


async def test_the_refusal_tells_ten_errors(runtime: Runtime, viewer: Viewer) -> None:
    message = "phoneNumber 1 must begin with a plus sign and the country code, such as +15551234567"

    with pytest.raises(WrongRows) as refusal:
        await run(runtime, viewer, "phone,email\n" + "1,x\n" * 600)

    said = [f"row {row}: {each}" for row in range(2, 7) for each in (message, "email must be an e-mail address")]
    assert refusal.value.message == (
        f"600 of 600 rows are wrong, so nothing was imported: {'; '.join(said)}; and 1,190 more, which dryRun lists"
    )
    assert (refusal.value.found.error_count, len(refusal.value.found.errors)) == (1_200, 1_000)
    assert refusal.value.found.errors[-1] == RowError(501, "email", "email must be an e-mail address")


@on_both
async def test_valid_rows_are_imported_and_the_others_told(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_import, "_WRITTEN_AT_ONCE", 2)
    good = numbers(5)

    result = await run(runtime, viewer, file(good[0], "12", *good[1:], good[0]), mode=VALID)

    assert result == ContactImport(7, 5, 1, 0, 1, 1, [BAD], None)
    assert {row.phone_number for row in await people(runtime, viewer)} == set(good)


@pytest.mark.parametrize("mode", ImportMode)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The file is empty"),
        ("phone\n\0", "The file is not text, it has NUL characters: save it as CSV UTF-8"),
        ('phone,name\n+15551234567,\n+15551234568,"', "Row 3: a quotation mark opens a cell that never ends"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_whole(
    runtime: Runtime, viewer: Viewer, refused: Refused, mode: ImportMode, text: str, message: str
) -> None:
    async with refused(Invalid, message):
        await run(runtime, viewer, text, mode=mode)


async def test_a_header_alone_imports_nobody(runtime: Runtime, viewer: Viewer, unchanged: Unchanged) -> None:
    async with unchanged():
        assert await run(runtime, viewer, "phone\n") == ContactImport(0, 0, 0, 0, 0, 0, [], None)


# --- dry runs ---


@on_both
@pytest.mark.parametrize("mode", ImportMode)
async def test_a_dry_run_says_what_would_be(
    runtime: Runtime, viewer: Viewer, unchanged: Unchanged, mode: ImportMode
) -> None:
    good = numbers(4)
    known = await seeds.contact(runtime, viewer, phone_number=good[0])
    also = await seeds.contact(runtime, viewer, phone_number=good[1])
    row = await seeds.campaign(runtime, viewer, contact_ids=[known.id])
    text = file(*good, good[3])

    async with unchanged():
        foreseen = await run(runtime, viewer, text, mode=mode, dry_run=True, campaign_id=row.id)

    assert foreseen == ContactImport(5, 2, 1, 2, 0, 0, [], Enrolled(3, 1))
    assert await run(runtime, viewer, text, mode=mode, campaign_id=row.id) == foreseen
    assert await enrolled(runtime, row.id) == [known.phone_number, also.phone_number, *good[2:]]


async def test_a_dry_run_tells_what_is_wrong(runtime: Runtime, viewer: Viewer, unchanged: Unchanged) -> None:
    one, two = numbers(2)
    row = await seeds.campaign(runtime, viewer)
    text = file(one, "12", two, two)

    async with unchanged():
        nothing = await run(runtime, viewer, text, dry_run=True, campaign_id=row.id)
        valid = await run(runtime, viewer, text, mode=VALID, dry_run=True)

    assert nothing == ContactImport(4, 0, 1, 0, 1, 1, [BAD], Enrolled(0, 0))
    assert valid == ContactImport(4, 2, 1, 0, 1, 1, [BAD], None)


# --- into a campaign ---


@on_both
@pytest.mark.parametrize("mode", ImportMode)
async def test_the_file_s_contacts_are_enrolled_in_its_order(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch, mode: ImportMode
) -> None:
    """New ones, and those that were there; whoever was enrolled keeps the place."""
    monkeypatch.setattr(contact_import, "_WRITTEN_AT_ONCE", 3)
    before, *good = sorted(numbers(9), reverse=True)
    ids = [(await seeds.contact(runtime, viewer, phone_number=number)).id for number in (before, good[2], good[5])]
    row = await seeds.campaign(runtime, viewer, contact_ids=[ids[0], ids[1]])

    result = await run(runtime, viewer, file(*good, good[0], before), mode=mode, campaign_id=row.id)

    assert (result.imported, result.existing, result.duplicates_in_file) == (6, 3, 1)
    assert result.enrolment == Enrolled(enrolled=7, duplicates=2)
    assert await enrolled(runtime, row.id) == [before, good[2], *good[:2], *good[3:]]


async def test_the_campaign_must_be_there_and_open(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    theirs = await seeds.campaign(runtime, await seeds.workspace(runtime, name="Other"))
    row = await seeds.campaign(runtime, viewer)
    await act(campaigns.update, row.id, {"status": "cancelled"})

    for dry_run in (False, True):
        for id in (UNKNOWN, theirs.id):
            async with refused(NotFound, f"Campaign with id {id} not found"):
                await run(runtime, viewer, file(*numbers(1)), campaign_id=id, dry_run=dry_run)
        async with refused(Invalid, "A cancelled campaign takes no contacts"):
            await run(runtime, viewer, file(*numbers(1)), campaign_id=row.id, dry_run=dry_run)


@pytest.mark.parametrize("mode", ImportMode)
async def test_a_campaign_that_is_cancelled_meanwhile(
    runtime: Runtime, viewer: Viewer, act: Act, monkeypatch: pytest.MonkeyPatch, mode: ImportMode
) -> None:
    """All or nothing is nothing; of valid rows, what has been committed stays."""
    monkeypatch.setattr(contact_import, "_WRITTEN_AT_ONCE", 2)
    row = await seeds.campaign(runtime, viewer)
    began = 0

    @asynccontextmanager
    async def write() -> AsyncIterator[Transaction]:
        nonlocal began
        began += 1
        if began == (1 if mode is ALL else 6):  # one that looks at the campaign, three of contacts, one of enrolment
            await act(campaigns.update, row.id, {"status": "cancelled"})
        async with runtime.transaction(viewer) as tx:
            yield tx

    with pytest.raises(Invalid, match="A cancelled campaign takes no contacts"):
        await contact_import.import_contacts(
            runtime.snapshot(viewer), write, file(*numbers(5)), mode=mode, campaign_id=row.id
        )

    assert len(await people(runtime, viewer)) == (0 if mode is ALL else 5)
    assert len(await enrolled(runtime, row.id)) == (0 if mode is ALL else 2)


# --- on the way ---


async def test_it_reports_how_far_it_is(runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_import, "_CHECKED_AT_ONCE", 2)
    monkeypatch.setattr(contact_import, "_WRITTEN_AT_ONCE", 3)
    reports: list[Any] = []

    await run(runtime, viewer, file(*numbers(4)), report=lambda *each: reports.append(each))

    checking, writing = Stage
    assert reports == [(checking, 2, 4), (checking, 4, 4), (writing, 3, 4), (writing, 4, 4)]


@on_both
async def test_it_is_checked_before_anybody_has_to_wait(runtime: Runtime, viewer: Viewer) -> None:
    """No transaction is open while rows are checked."""
    seen: list[tuple[Stage, bool]] = []
    is_open = False

    @asynccontextmanager
    async def write() -> AsyncIterator[Transaction]:
        nonlocal is_open
        async with runtime.transaction(viewer) as tx:
            is_open = True
            yield tx
        is_open = False

    await contact_import.import_contacts(
        runtime.snapshot(viewer), write, file(*numbers(3)), report=lambda stage, *_: seen.append((stage, is_open))
    )

    assert seen == [(Stage.CHECKING, False), (Stage.WRITING, True)]


# --- at the same time ---


@on_both
@pytest.mark.parametrize("mode", ImportMode)
async def test_imports_at_the_same_time_beside_single_contacts(
    runtime: Runtime, viewer: Viewer, act: Act, monkeypatch: pytest.MonkeyPatch, mode: ImportMode
) -> None:
    """In both orders, so that two would wait for each other if the order were theirs; each contact is counted once."""
    monkeypatch.setattr(contact_import, "_WRITTEN_AT_ONCE", 50)
    all_of_them = numbers(300)
    rows = [await seeds.campaign(runtime, viewer) for _ in range(2)]
    files = [file(*all_of_them), file(*all_of_them[::-1]), file(*all_of_them[100:]), file(*all_of_them[200::-1])]

    async def single(number: str) -> int:
        try:
            await act(contacts.create, {"phone_number": number})
        except Invalid:
            return 0
        return 1

    *results, singles = await asyncio.gather(
        *(run(runtime, viewer, text, mode=mode, campaign_id=rows[index % 2].id) for index, text in enumerate(files)),
        asyncio.gather(*(single(number) for number in all_of_them[::20])),
    )

    assert sum(result.imported for result in results) + sum(singles) == 300
    assert len(await people(runtime, viewer)) == 300
    for result in results:
        assert result.imported + result.existing == result.rows
    for row in rows:
        assert sorted(await enrolled(runtime, row.id)) == sorted(all_of_them)


# --- any file ---

_WRONG = {
    "scientific": ("1.5551E+10", "", ""),
    "no plus": ("15551234567", "", ""),
    "formatted": ("+1 555 123 4567", "", ""),
    "nobody": ("", "Ann", ""),
    "address": (None, "Ann", "ann"),
    "name": (None, "x" * 201, ""),
    "ragged": (None,),
    "too many": (None, "", "", ""),
}
_TEXT = st.text(st.characters(categories=["L", "N", "P", "Zs"], include_characters='\n,;"'), max_size=8)
_ROW = st.one_of(
    st.tuples(st.just("good"), _TEXT),
    st.tuples(st.just("blank"), st.sampled_from([(), ("", "", ""), (" ",)])),
    st.tuples(st.just("again"), st.integers(0, 100)),
    st.tuples(st.just("known"), _TEXT),
    st.tuples(st.just("wrong"), st.sampled_from(sorted(_WRONG))),
)


def _line(cells: Any, delimiter: str) -> str:
    return delimiter.join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in cells) + "\r\n"


@on_both
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(_ROW, max_size=25), delimiter=st.sampled_from(",;\t"), mode=st.sampled_from(ImportMode))
async def test_exactly_the_wrong_rows_are_told_and_exactly_the_good_ones_imported(
    runtime: Runtime, clock: VirtualClock, rows: list[Any], delimiter: str, mode: ImportMode
) -> None:
    viewer = await seeds.workspace(runtime)
    there = (await seeds.contact(runtime, viewer)).phone_number
    campaign = await seeds.campaign(runtime, viewer)
    text = _line(("phone", "name", "email"), delimiter)
    good: dict[str, str | None] = {}
    wrong, duplicates = [], 0
    for number, (kind, what) in enumerate(rows, 2):
        cells: Any = what
        if kind == "wrong":
            cells = [seeds.number() if cell is None else cell for cell in _WRONG[what]]
            wrong.append(number)
        elif kind != "blank":
            phone = there if kind == "known" else seeds.number()
            if kind == "again" and good:
                phone = list(good)[what % len(good)]
            cells = (phone, what if isinstance(what, str) else "", "")
            duplicates += phone in good
            good.setdefault(phone, cells[1].strip() or None)
        text += _line(cells, delimiter)

    is_nothing = bool(wrong) and mode is ALL
    try:
        result = await run(runtime, viewer, text, mode=mode, campaign_id=campaign.id)
    except WrongRows as refusal:
        result = refusal.found
        assert is_nothing

    assert [error.row for error in result.errors] == wrong
    assert (result.invalid, result.duplicates_in_file) == (len(wrong), duplicates)
    kept = {row.phone_number: row.name for row in await people(runtime, viewer)}
    assert kept == ({} if is_nothing else good) | {there: None}
    assert result.imported == len(kept) - 1
    assert await enrolled(runtime, campaign.id) == ([] if is_nothing else list(good))
