"""Idempotency keys: one of many has it, its answer is kept with its work, and who lost it cannot write (R10)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlmodel import col

from schema.errors import Invalid
from schema.rules.idempotency import fingerprint, reservation_id
from schema.runtime import Runtime, Viewer
from schema.services import contacts, idempotency, webhooks
from schema.services.idempotency import Answer, Reservation, StillRunning
from schema.tables import Contact, IdempotencyKey
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

pytestmark = on_both

ASKED, OTHER = fingerprint({"name": "Sam"}), fingerprint({"name": "Kim"})
ANSWER = Answer(201, "/api/v1/agents/c1", b'{"id": "c1",  "name":"\xc3\xa9"}')
USED = "This Idempotency-Key was used with another body: send a new key with a new request"
DAY = timedelta(hours=24).total_seconds()


@pytest.fixture
def id(viewer: Viewer) -> str:
    """What the key of most tests is known by."""
    return reservation_id(viewer.workspace_id, ["/agents"], "order-1")


async def taken(act: Act, id: str, asked: str = ASKED) -> Reservation:
    held = await act(idempotency.reserve, id, asked)
    assert isinstance(held, Reservation)
    return held


async def kept(runtime: Runtime) -> list[Any]:
    return await runtime.database.read(select(IdempotencyKey).order_by(col(IdempotencyKey.expires_at)))


# --- reserve ---


async def test_whoever_is_first_has_it(act: Act, id: str, runtime: Runtime, unchanged: Unchanged) -> None:
    held = await taken(act, id)

    (row,) = await kept(runtime)
    assert (row.id, row.token, row.fingerprint, row.status, row.body) == (held.id, held.token, ASKED, None, None)
    assert row.reserved_until == seeds.at("2025-01-15T14:00:10Z")
    assert row.expires_at == seeds.at("2025-01-16T14:00:00Z")
    async with unchanged():
        with pytest.raises(StillRunning):
            await act(idempotency.reserve, id, ASKED)


async def test_of_ten_at_once_one_has_it(act: Act, id: str, runtime: Runtime) -> None:
    got = await asyncio.gather(*(act(idempotency.reserve, id, ASKED) for _ in range(10)), return_exceptions=True)

    assert Counter(type(each) for each in got) == {Reservation: 1, StillRunning: 9}
    assert len(await kept(runtime)) == 1


async def test_its_answer_is_found_byte_for_byte(act: Act, id: str, unchanged: Unchanged) -> None:
    await act(idempotency.settle, await taken(act, id), ANSWER)

    async with unchanged():
        assert await act(idempotency.reserve, id, ASKED) == ANSWER


async def test_another_body_is_refused_whatever_became_of_the_first(
    act: Act, id: str, refused: Refused, clock: VirtualClock
) -> None:
    held = await taken(act, id)

    async with refused(Invalid, USED):
        await act(idempotency.reserve, id, OTHER)
    await clock.advance(11)
    async with refused(Invalid, USED):
        await act(idempotency.reserve, id, OTHER)
    await act(idempotency.settle, held, ANSWER)
    async with refused(Invalid, USED):
        await act(idempotency.reserve, id, OTHER)


async def test_a_key_that_was_let_go_of_is_free(act: Act, id: str) -> None:
    await act(idempotency.release, await taken(act, id))

    assert await taken(act, id, OTHER)


async def test_an_answer_cannot_be_let_go_of(act: Act, id: str, unchanged: Unchanged) -> None:
    held = await taken(act, id)
    await act(idempotency.settle, held, ANSWER)

    async with unchanged():
        await act(idempotency.release, held)


# --- leases ---


async def test_a_reservation_whose_holder_died_is_taken_after_its_lease(act: Act, id: str, clock: VirtualClock) -> None:
    held = await taken(act, id)
    await clock.advance(9.9)
    with pytest.raises(StillRunning):
        await act(idempotency.reserve, id, ASKED)

    await clock.advance(0.1)
    again = await taken(act, id)

    assert again.id == held.id
    assert again.token != held.token


async def test_of_ten_at_once_one_takes_over(act: Act, id: str, clock: VirtualClock) -> None:
    await taken(act, id)
    await clock.advance(10)

    got = await asyncio.gather(*(act(idempotency.reserve, id, ASKED) for _ in range(10)), return_exceptions=True)

    assert Counter(type(each) for each in got) == {Reservation: 1, StillRunning: 9}


async def test_a_renewed_reservation_stays(act: Act, id: str, clock: VirtualClock) -> None:
    held = await taken(act, id)
    await clock.advance(9)

    assert await act(idempotency.renew, held) is True

    await clock.advance(9)
    with pytest.raises(StillRunning):
        await act(idempotency.reserve, id, ASKED)


async def test_who_was_frozen_longer_than_the_lease_can_write_nothing(
    act: Act, id: str, runtime: Runtime, viewer: Viewer, clock: VirtualClock, unchanged: Unchanged
) -> None:
    frozen = await taken(act, id)
    await clock.advance(10)
    holder = await taken(act, id)

    async def wake_up() -> None:
        async with runtime.transaction(viewer) as tx:
            await contacts.create(tx, {"phone_number": "+15551234567"})
            await idempotency.settle(tx, frozen, ANSWER)

    async with unchanged():
        with pytest.raises(StillRunning):
            await wake_up()
        await act(idempotency.release, frozen)
        assert await act(idempotency.renew, frozen) is False
    assert await runtime.database.read(select(Contact)) == []
    await act(idempotency.settle, holder, ANSWER)


async def test_who_wakes_after_the_answer_cannot_replace_it(
    act: Act, id: str, clock: VirtualClock, unchanged: Unchanged
) -> None:
    frozen = await taken(act, id)
    await clock.advance(10)
    await act(idempotency.settle, await taken(act, id), ANSWER)

    async with unchanged():
        with pytest.raises(StillRunning):
            await act(idempotency.settle, frozen, Answer(201, None, b"{}"))


# --- 24 hours ---


async def test_an_answer_is_kept_for_24_hours_and_then_the_key_is_new(
    act: Act, id: str, clock: VirtualClock, runtime: Runtime
) -> None:
    held = await taken(act, id)
    await act(idempotency.settle, held, ANSWER)
    await clock.advance(DAY - 1)
    assert await act(idempotency.reserve, id, ASKED) == ANSWER

    await clock.advance(1)
    again = await taken(act, id, OTHER)

    (row,) = await kept(runtime)
    assert (row.token, row.fingerprint, row.status, row.location, row.body) == (again.token, OTHER, None, None, None)
    assert row.expires_at == seeds.at("2025-01-17T14:00:00Z")


async def test_what_is_over_is_swept_a_few_at_a_time(
    act: Act, runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    other = await seeds.workspace(runtime, name="Other")
    for number in range(15):
        async with runtime.transaction(other) as tx:
            await idempotency.reserve(tx, reservation_id(other.workspace_id, ["/calls"], str(number)), ASKED)
    await clock.advance(DAY - 1)
    young = [reservation_id(viewer.workspace_id, ["/calls"], str(number)) for number in range(3)]
    await taken(act, young[0])
    assert len(await kept(runtime)) == 16
    await clock.advance(1)

    left = []
    for id in young[1:]:
        await taken(act, id)
        left.append(len(await kept(runtime)))

    assert left == [7, 3]
    assert {row.id for row in await kept(runtime)} == set(young)


# --- signing secrets ---


@pytest.fixture
async def shown(runtime: Runtime, viewer: Viewer) -> dict[str, Any]:
    """What is answered to who makes an endpoint."""
    row = await seeds.endpoint(runtime, viewer)
    return {"id": row.id, "url": row.url, "secret": row.secret, "isActive": True}


async def test_a_signing_secret_is_in_the_answer_but_not_in_the_row(
    act: Act, id: str, runtime: Runtime, shown: dict[str, Any]
) -> None:
    answer = Answer(201, None, orjson.dumps(shown))
    await act(idempotency.settle, await taken(act, id), answer)

    (row,) = await kept(runtime)
    assert b"whsec_" not in row.body
    assert shown["secret"].encode() not in row.body
    assert await act(idempotency.reserve, id, ASKED) == answer


async def test_a_secret_that_was_replaced_but_is_still_good_is_shown(act: Act, id: str, shown: dict[str, Any]) -> None:
    answer = Answer(201, None, orjson.dumps(shown))
    await act(idempotency.settle, await taken(act, id), answer)
    await act(webhooks.rotate_secret, shown["id"])
    await act(webhooks.rotate_secret, shown["id"])

    assert await act(idempotency.reserve, id, ASKED) == answer


async def test_the_secret_of_a_deleted_endpoint_is_shown(act: Act, id: str, shown: dict[str, Any]) -> None:
    answer = Answer(201, None, orjson.dumps(shown))
    await act(idempotency.settle, await taken(act, id), answer)
    await act(webhooks.delete, shown["id"])

    assert await act(idempotency.reserve, id, ASKED) == answer


async def test_a_secret_that_was_ended_at_once_is_not_shown_again(
    act: Act, id: str, refused: Refused, shown: dict[str, Any]
) -> None:
    await act(idempotency.settle, await taken(act, id), Answer(201, None, orjson.dumps(shown)))
    await act(webhooks.rotate_secret, shown["id"], overlap_seconds=0)

    async with refused(
        Invalid, "This request was carried out, but the secret in its answer has been replaced since: rotate it"
    ):
        await act(idempotency.reserve, id, ASKED)


@pytest.mark.parametrize("body", [b'{"customFields":{"secret":"x"}}', b'["\\"secret\\":"]', b'{"error":{"secret":1}}'])
async def test_a_word_that_is_no_secret_of_ours_stays(act: Act, id: str, runtime: Runtime, body: bytes) -> None:
    answer = Answer(201, None, body)
    await act(idempotency.settle, await taken(act, id), answer)

    (row,) = await kept(runtime)
    assert row.body == body
    assert await act(idempotency.reserve, id, ASKED) == answer
