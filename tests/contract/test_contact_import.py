"""`POST /contacts/import` (decisions R9, E6, P3), and everybody enrolled at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from schema.rules.campaigns import CampaignStatus
from schema.tables import ApiKey, Campaign
from tests.support import seeds
from tests.support.api import UNKNOWN, Api, client, error
from tests.support.runtime import on_both

pytestmark = on_both

CSV = {"Content-Type": "text/csv"}
MIB = 1024 * 1024
GOOD = "phoneNumber,name,company\n+15551230001,Ann,Acme\n+15551230002,,\n"
WRONG = "phoneNumber,email\n+15551230001,\n12,\n+15551230002,ann\n"
NO_NUMBER = "The first row must name the columns, and one of them must be phoneNumber (or phone, mobile …)"
E164 = "phoneNumber 12 must begin with a plus sign and the country code, such as +15551234567"
EMAIL = "email must be an e-mail address"


async def send(api: Api, content: Any, query: str = "", headers: dict[str, str] | None = None) -> httpx.Response:
    return await api.http.post(f"/api/v1/contacts/import{query}", content=content, headers=headers or CSV)


async def names(api: Api) -> dict[str, str | None]:
    return {row["phoneNumber"]: row["name"] for row in (await api.get("/contacts")).json()}


async def test_a_file_becomes_contacts(api: Api) -> None:
    response = await send(api, GOOD)

    assert response.status_code == 200
    assert list(response.json().items()) == [
        ("rows", 2),
        ("imported", 2),
        ("duplicatesInFile", 0),
        ("existing", 0),
        ("invalid", 0),
        ("errorCount", 0),
        ("errors", []),
        ("enrolment", None),
    ]
    (ann,) = (await api.get("/contacts", params={"phoneNumber": "+15551230001"})).json()
    assert list(ann.items()) == [
        ("id", ann["id"]),
        ("phoneNumber", "+15551230001"),
        ("name", "Ann"),
        ("email", None),
        ("timezone", None),
        ("notes", None),
        ("customFields", {"company": "Acme"}),
        ("createdAt", "2025-01-15T14:00:00Z"),
        ("updatedAt", "2025-01-15T14:00:00Z"),
    ]


async def test_who_is_there_stays_and_is_counted(api: Api) -> None:
    await api.post("/contacts", {"phoneNumber": "+15551230001", "name": "Kim"})

    answer = (await send(api, GOOD + "+15551230002,Again,\n")).json()

    assert (answer["rows"], answer["imported"], answer["existing"], answer["duplicatesInFile"]) == (3, 1, 1, 1)
    assert await names(api) == {"+15551230001": "Kim", "+15551230002": None}


async def test_wrong_rows_and_nothing_is_imported(api: Api) -> None:
    """Bad input is 400 and changes nothing; what is wrong is told by the numbers of the rows."""
    async with api.unchanged():
        response = await send(api, WRONG)

    message = f"2 of 3 rows are wrong, so nothing was imported: row 3: {E164}; row 4: {EMAIL}"
    assert error(response) == (400, "BAD_REQUEST", message)


async def test_a_dry_run_tells_everything_and_changes_nothing(api: Api) -> None:
    async with api.unchanged():
        response = await send(api, WRONG, "?dryRun=true")

    assert response.status_code == 200
    answer = response.json()
    assert answer["errors"] == [
        {"row": 3, "field": "phoneNumber", "message": E164},
        {"row": 4, "field": "email", "message": EMAIL},
    ]
    assert (answer["rows"], answer["imported"], answer["invalid"], answer["errorCount"]) == (3, 0, 2, 2)


async def test_valid_rows_are_imported_when_they_are_asked_for(api: Api) -> None:
    answer = (await send(api, WRONG, "?mode=valid-rows")).json()

    assert (answer["imported"], answer["invalid"], [each["row"] for each in answer["errors"]]) == (1, 2, [3, 4])
    assert await names(api) == {"+15551230001": None}


async def test_into_a_campaign(api: Api) -> None:
    """P3."""
    known = await seeds.contact(api.runtime, api.viewer, phone_number="+15551230002")
    row = await seeds.campaign(api.runtime, api.viewer, contact_ids=[known.id])

    dry = (await send(api, GOOD, f"?campaignId={row.id}&dryRun=true")).json()
    answer = (await send(api, GOOD, f"?campaignId={row.id}&dryRun=false&mode=all-or-nothing")).json()

    assert answer["enrolment"] == {"enrolled": 1, "duplicates": 1}
    assert dry == answer
    assert (await api.get(f"/campaigns/{row.id}")).json()["callsTotal"] == 2


@pytest.mark.parametrize("status", [CampaignStatus.COMPLETED, CampaignStatus.CANCELLED])
async def test_into_a_campaign_that_is_over(api: Api, status: CampaignStatus) -> None:
    row = await seeds.campaign(api.runtime, api.viewer)
    await api.set(Campaign, row.id, status=status)

    async with api.unchanged():
        response = await send(api, GOOD, f"?campaignId={row.id}")

    assert error(response) == (400, "BAD_REQUEST", f"A {status.value} campaign takes no contacts")


async def test_into_a_campaign_that_is_not_there(api: Api, other: Api) -> None:
    """R5, E5."""
    theirs = await seeds.campaign(other.runtime, other.viewer)

    for id in (UNKNOWN, theirs.id):
        async with api.unchanged():
            response = await send(api, GOOD, f"?campaignId={id}")
        assert error(response) == (404, "NOT_FOUND", f"Campaign with id {id} not found")


async def test_what_the_key_must_allow(api: Api) -> None:
    """K2."""
    row = await seeds.campaign(api.runtime, api.viewer)
    await api.set(ApiKey, api.key_id, scopes={"contacts": "write", "campaigns": "read"})
    alone = await send(api, GOOD)
    async with api.unchanged():
        with_campaign = await send(api, GOOD, f"?campaignId={row.id}")
    await api.set(ApiKey, api.key_id, scopes={"contacts": "read", "campaigns": "write"})
    neither = await send(api, GOOD)

    assert alone.status_code == 200
    assert error(with_campaign) == (403, "FORBIDDEN", "This API key lacks permission to write campaigns")
    assert error(neither) == (403, "FORBIDDEN", "This API key lacks permission to write contacts")


# --- the request ---


@pytest.mark.parametrize(
    "declared",
    [
        "text/csv",
        "Text/CSV; charset=UTF-8; header=present",
        "application/csv",
        "application/vnd.ms-excel",
        'text/csv; charset="utf-16"',
    ],
)
async def test_what_csv_may_be_declared_as(api: Api, declared: str) -> None:
    content = GOOD.encode("utf-16" if "utf-16" in declared else "utf-8-sig")

    response = await send(api, content, headers={"Content-Type": declared})

    assert (response.status_code, response.json()["imported"]) == (200, 2)


@pytest.mark.parametrize(
    "declared", [None, "application/json", "text/plain", "multipart/form-data; boundary=x", "text/csv; charset=latin-1"]
)
async def test_what_is_not_declared_as_csv(api: Api, declared: str | None) -> None:
    async with api.unchanged():
        response = await send(api, GOOD, headers={"Content-Type": declared} if declared else {"X-Nothing": "x"})

    assert error(response) == (415, "BAD_REQUEST", "Content-Type must be text/csv, in UTF-8 or UTF-16")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"phone\n\xff", "The file is not UTF-8 text: save it as CSV UTF-8"),
        (b"phone\n\0", "The file is not text, it has NUL characters: save it as CSV UTF-8"),
        (b"PK\x03\x04", "The file is a workbook, not CSV: save it as CSV UTF-8"),
        (
            b"+15551230001,Ann\n",
            f"{NO_NUMBER}; it has: '+15551230001', 'Ann'",
        ),
        (b'phone,name\n+15551230001,"Ann\n', "Row 2: a quotation mark opens a cell that never ends"),
    ],
)
async def test_a_file_that_cannot_be_read(api: Api, content: bytes, message: str) -> None:
    for query in ("", "?mode=valid-rows", "?dryRun=true"):
        async with api.unchanged():
            response = await send(api, content, query)
        assert error(response) == (400, "BAD_REQUEST", message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("mode=VALID_ROWS", "mode must be one of: all-or-nothing, valid-rows"),
        ("dryRun=1", "dryRun must be true or false"),
        ("csv=x", "Unknown query parameter 'csv'"),
        ("input=x", "Unknown query parameter 'input'"),
    ],
)
async def test_parameters(api: Api, query: str, message: str) -> None:
    """R7, R8."""
    async with api.unchanged():
        response = await send(api, GOOD, f"?{query}")

    assert error(response) == (400, "BAD_REQUEST", message)


async def test_twenty_five_mib_are_read(api: Api) -> None:
    """E6: here, and nowhere else."""
    rows = "phone,notes\n" + f"+15551230001,{'x' * 5_000}\n" * 5_000
    content = rows.ljust(25 * MIB, "\n")

    response = await send(api, content)

    assert (response.status_code, response.json()["duplicatesInFile"]) == (200, 4_999)
    assert error(await api.http.post("/api/v1/contacts", content=content, headers=CSV))[0] == 413


@pytest.mark.parametrize("is_declared", [True, False])
async def test_more_is_refused_without_being_read_to_the_end(api: Api, is_declared: bool) -> None:
    """E6."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MIB:
            sent += MIB
            yield b"x" * MIB

    headers = {**CSV, "Content-Length": str(100 * MIB)} if is_declared else CSV
    async with api.unchanged():
        response = await send(api, endless(), headers=headers)

    assert error(response) == (413, "BAD_REQUEST", "The request body is larger than 25 MiB")
    assert sent < 50 * MIB


async def test_a_stranger_is_not_listened_to(api: Api) -> None:
    async with client(api.app) as http:
        response = await http.post("/api/v1/contacts/import", content=b"x" * 26 * MIB, headers=CSV)

    assert error(response)[:2] == (401, "UNAUTHORIZED")


# --- GraphQL ---

IMPORT = """mutation ($csv: String!, $mode: ImportMode! = ALL_OR_NOTHING, $dryRun: Boolean! = false, $id: ID) {
    importContacts(csv: $csv, mode: $mode, dryRun: $dryRun, campaignId: $id) {
        rows imported invalid errors { row field } enrolment { enrolled duplicates }
    }
}"""


async def test_the_same_over_graphql(api: Api) -> None:
    row = await seeds.campaign(api.runtime, api.viewer)

    refused = await api.graphql(IMPORT, csv=WRONG)
    valid = await api.graphql(IMPORT, csv=WRONG, mode="VALID_ROWS", id=row.id)

    assert refused["errors"][0]["message"].startswith("2 of 3 rows are wrong, so nothing was imported: row 3: ")
    assert refused["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}
    assert valid["data"]["importContacts"] == {
        "rows": 3,
        "imported": 1,
        "invalid": 2,
        "errors": [{"row": 3, "field": "phoneNumber"}, {"row": 4, "field": "email"}],
        "enrolment": {"enrolled": 1, "duplicates": 0},
    }


# --- everybody (P3) ---


async def test_everybody_is_enrolled_with_one_request(api: Api) -> None:
    await seeds.contact(api.runtime, api.viewer)
    row = await seeds.campaign(api.runtime, api.viewer)
    await send(api, GOOD, f"?campaignId={row.id}")

    first = await api.post(f"/campaigns/{row.id}/contacts", {"all": True})
    again = await api.post(f"/campaigns/{row.id}/contacts", {"all": True, "contactIds": []})

    assert (first.status_code, first.json()) == (200, {"enrolled": 1, "duplicates": 2, "callsTotal": 3})
    assert (again.status_code, again.json()) == (200, {"enrolled": 0, "duplicates": 3, "callsTotal": 3})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"all": False}, (400, "BAD_REQUEST", "contactIds, contacts or all is required")),
        ({"all": "true"}, (400, "BAD_REQUEST", "all must be true or false")),
        ({"all": None}, (400, "BAD_REQUEST", "all cannot be null")),
        (
            {"all": True, "contactIds": [UNKNOWN]},
            (400, "BAD_REQUEST", "all cannot be combined with contactIds or contacts"),
        ),
    ],
)
async def test_everybody_or_somebody(api: Api, body: dict[str, Any], expected: tuple[int, str, str]) -> None:
    row = await seeds.campaign(api.runtime, api.viewer)

    async with api.unchanged():
        response = await api.post(f"/campaigns/{row.id}/contacts", body)

    assert error(response) == expected
