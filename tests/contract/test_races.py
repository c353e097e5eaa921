"""Several at once: what a single request refuses with a sentence, parallel ones refuse too, and never with a crash."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable

import httpx

from tests.support import seeds
from tests.support.api import Api, error
from tests.support.runtime import on_both

pytestmark = on_both

A_NUMBER = "+15551234567"


async def together(*requests: Awaitable[httpx.Response]) -> Counter[int]:
    responses = await asyncio.gather(*requests)
    for response in responses:
        if response.status_code >= 400:
            error(response)
    return Counter(response.status_code for response in responses)


async def test_one_number_for_many_contacts(api: Api) -> None:
    await api.get("/contacts")

    statuses = await together(*(api.post("/contacts", {"phoneNumber": A_NUMBER}) for _ in range(8)))

    assert statuses == {201: 1, 400: 7}
    assert len((await api.get("/contacts")).json()) == 1


async def test_many_contacts_changed_to_one_number(api: Api) -> None:
    rows = [await seeds.contact(api.runtime, api.viewer) for _ in range(8)]
    await api.get("/contacts")

    statuses = await together(*(api.patch(f"/contacts/{row.id}", {"phoneNumber": A_NUMBER}) for row in rows))

    assert statuses == {200: 1, 400: 7}
    numbers = [contact["phoneNumber"] for contact in (await api.get("/contacts")).json()]
    assert numbers.count(A_NUMBER) == 1


async def test_one_number_blocked_many_times(api: Api) -> None:
    await api.get("/contacts")

    statuses = await together(*(api.post("/do-not-call", {"phoneNumber": A_NUMBER}) for _ in range(8)))

    assert statuses == {201: 8}
    assert len((await api.get("/do-not-call")).json()) == 1


async def test_the_same_people_enrolled_in_many_campaigns(api: Api) -> None:
    """In both orders, so that two of them would wait for each other if the order were theirs."""
    campaigns = [await seeds.campaign(api.runtime, api.viewer) for _ in range(6)]
    people = [{"phoneNumber": f"+1555200{index:04}"} for index in range(200)]
    await api.get("/contacts")

    statuses = await together(
        *(
            api.post(f"/campaigns/{row.id}/contacts", {"contacts": people if index % 2 else people[::-1]})
            for index, row in enumerate(campaigns)
        )
    )

    assert statuses == {200: 6}
    assert (await api.get("/contacts?limit=1")).headers["x-total-count"] == "200"
    assert {(await api.get(f"/campaigns/{row.id}")).json()["callsTotal"] for row in campaigns} == {200}


async def test_the_same_people_enrolled_many_times_in_one_campaign(api: Api) -> None:
    row = await seeds.campaign(api.runtime, api.viewer)
    ids = await seeds.contact_list(api.runtime, api.viewer, 50)
    await api.get("/contacts")

    responses = await asyncio.gather(
        *(api.post(f"/campaigns/{row.id}/contacts", {"contactIds": ids}) for _ in range(6))
    )

    assert sum(response.json()["enrolled"] for response in responses) == 50
    assert (await api.get(f"/campaigns/{row.id}")).json()["callsTotal"] == 50


async def test_a_campaign_paused_and_cancelled_at_once(api: Api) -> None:
    """P2: whoever is second finds what the first one left."""
    row = await seeds.campaign(api.runtime, api.viewer)
    await api.get("/contacts")

    statuses = await together(
        *(api.patch(f"/campaigns/{row.id}", {"status": status}) for status in ("cancelled", "completed") * 4)
    )

    final = (await api.get(f"/campaigns/{row.id}")).json()["status"]
    assert final in ("cancelled", "completed")
    assert statuses == {200: 4, 400: 4}
