"""Rotating API keys: the new text, the old ones while they last, and everywhere at once (decision K4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from schema.errors import Invalid, Unauthenticated
from schema.rules.keys import digest, is_well_formed, new_key
from schema.runtime import Runtime, Viewer
from schema.services import keys
from schema.settings import Settings
from schema.tables import ApiKey, RetiredApiKey
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.seeds import at
from tests.support.time import VirtualClock

DAY = 86_400


async def good(runtime: Runtime, *texts: str) -> list[bool]:
    """Which of them open the key."""
    found = []
    for text in texts:
        try:
            await keys.authenticate(runtime, text)
        except Unauthenticated as refusal:
            assert refusal.message == keys.BAD_KEY  # noqa: PT017 (of some, not of all)
            found.append(False)
        else:
            found.append(True)
    return found


@on_both
async def test_all_but_the_text_stays(runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock) -> None:
    row, old = await seeds.key(
        runtime, viewer, scopes=[("calls", "read")], allowed_ips=None, expires_at=at("2026-01-01T00:00:00Z")
    )
    before = await keys.authenticate(runtime, old)
    used = clock.now()
    await clock.advance(1)

    rotated = await act(keys.rotate, row.id)

    assert is_well_formed(rotated.key)
    assert rotated.previous_key_expires_at == at("2025-01-16T14:00:01Z")
    (stored,) = await runtime.database.read(select(ApiKey))
    changed = {"digest": digest(rotated.key), "prefix": rotated.key[:12], "last_four": rotated.key[-4:]}
    for name in ApiKey.model_fields:
        expected = changed.get(name, used if name == "last_used_at" else getattr(row, name))
        assert getattr(stored, name) == expected, name
    assert await keys.authenticate(runtime, old) == before
    assert await keys.authenticate(runtime, rotated.key) == replace(before, digest=digest(rotated.key))


@on_both
async def test_the_old_text_goes_on_for_the_overlap_to_the_instant(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    row, old = await seeds.key(runtime, viewer)
    new = (await act(keys.rotate, row.id, overlap_seconds=60)).key

    await clock.advance(59.999)
    assert await good(runtime, old, new) == [True, True]
    await clock.advance(0.001)
    assert await good(runtime, old, new) == [False, True]


@on_both
async def test_rotated_twice_all_that_are_good_go_on(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    """An answer that was lost must not cut off who has the key that is deployed; a shorter overlap does not either."""
    row, deployed = await seeds.key(runtime, viewer)
    lost = (await act(keys.rotate, row.id, overlap_seconds=DAY)).key
    new = (await act(keys.rotate, row.id, overlap_seconds=60)).key

    assert await good(runtime, deployed, lost, new) == [True, True, True]
    await clock.advance(60)
    assert await good(runtime, deployed, lost, new) == [True, False, True]
    await clock.advance(DAY - 60)
    assert await good(runtime, deployed, lost, new) == [False, False, True]


@on_both
async def test_no_overlap_ends_them_all(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row, first = await seeds.key(runtime, viewer)
    other, others = await seeds.key(runtime, viewer)
    second = (await act(keys.rotate, row.id)).key
    newest_of_other = (await act(keys.rotate, other.id)).key

    rotated = await act(keys.rotate, row.id, overlap_seconds=0)

    assert rotated.previous_key_expires_at is None
    assert await good(runtime, first, second, rotated.key) == [False, False, True]
    assert await good(runtime, others, newest_of_other) == [True, True]
    assert [each.api_key_id for each in await runtime.database.read(select(RetiredApiKey))] == [other.id]


@on_both
async def test_ten_old_texts_at_most_and_none_that_is_over_are_kept(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    row, text = await seeds.key(runtime, viewer)
    texts = [text]
    for _ in range(12):
        await clock.advance(1)
        texts.append((await act(keys.rotate, row.id, overlap_seconds=DAY)).key)

    assert await good(runtime, *texts) == [False, False, *[True] * 11]
    assert len(await runtime.database.read(select(RetiredApiKey))) == 10

    await clock.advance(DAY)
    await act(keys.rotate, row.id)

    assert await good(runtime, *texts) == [*[False] * 12, True]
    assert len(await runtime.database.read(select(RetiredApiKey))) == 1


@on_both
async def test_revoking_ends_them_all(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row, old = await seeds.key(runtime, viewer)
    new = (await act(keys.rotate, row.id)).key

    await act(keys.revoke, row.id)

    assert await good(runtime, old, new) == [False, False]
    assert await runtime.database.read(select(RetiredApiKey)) == []


@on_both
async def test_an_expired_key_opens_with_no_text(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    row, old = await seeds.key(runtime, viewer, expires_at=at("2025-01-15T14:01:00Z"))
    new = (await act(keys.rotate, row.id)).key
    await clock.advance(60)

    assert await good(runtime, old, new) == [False, False]


async def test_a_key_that_is_over_cannot_be_rotated(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, refused: Refused
) -> None:
    revoked, _ = await seeds.key(runtime, viewer)
    expired, _ = await seeds.key(runtime, viewer, expires_at=at("2025-01-15T14:01:00Z"))
    await act(keys.revoke, revoked.id)
    await clock.advance(60)

    async with refused(Invalid, f"API key with id {revoked.id} is revoked and cannot be rotated"):
        await act(keys.rotate, revoked.id)
    async with refused(Invalid, f"API key with id {expired.id} is expired and cannot be rotated"):
        await act(keys.rotate, expired.id)


@pytest.mark.parametrize("seconds", [-1, 86_401])
async def test_an_overlap_out_of_bounds(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, seconds: int
) -> None:
    row, _ = await seeds.key(runtime, viewer)

    async with refused(Invalid, "overlapSeconds must be between 0 and 86400"):
        await act(keys.rotate, row.id, overlap_seconds=seconds)


@on_both
async def test_rotated_by_many_at_once_every_text_opens_it(runtime: Runtime, viewer: Viewer) -> None:
    row, old = await seeds.key(runtime, viewer)

    async def rotate() -> str:
        async with runtime.transaction(viewer) as tx:
            return (await keys.rotate(tx, row.id)).key

    texts = await asyncio.gather(*(rotate() for _ in range(8)))

    assert await good(runtime, old, *texts) == [True] * 9


@pytest.fixture
async def elsewhere(settings: Settings, runtime: Runtime, clock: VirtualClock) -> AsyncIterator[Runtime]:
    """Another process on the same database."""
    other = Runtime.open(settings, clock=clock, bell=Rings())
    yield other
    await other.close()


@on_both
async def test_what_is_changed_here_is_obeyed_there_at_the_next_request(
    runtime: Runtime, elsewhere: Runtime, viewer: Viewer, act: Act
) -> None:
    """K4: within a second on one node and five on many; here it is at once, since nobody remembers keys."""
    row, old = await seeds.key(runtime, viewer)
    assert await good(elsewhere, old) == [True]

    new = (await act(keys.rotate, row.id, overlap_seconds=0)).key
    assert await good(elsewhere, old, new) == [False, True]

    await act(keys.update, row.id, {"scopes": [("calls", "read")]})
    assert (await keys.authenticate(elsewhere, new)).scopes == {"calls": "read"}

    await act(keys.revoke, row.id)
    assert await good(elsewhere, old, new) == [False, False]


@on_both
async def test_whoever_it_is_it_is_one_query(
    runtime: Runtime, viewer: Viewer, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K1: current, replaced, unknown: the same work, so that time tells nothing either."""
    row, old = await seeds.key(runtime, viewer)
    new = (await act(keys.rotate, row.id)).key
    await good(runtime, old)  # `lastUsedAt` is written
    asked: list[Any] = []
    read = runtime.database.read

    async def counting(statement: Any, values: Any = None) -> Any:
        asked.append(statement)
        return await read(statement, values)

    def transaction(viewer: Viewer) -> None:
        raise AssertionError("a transaction")

    monkeypatch.setattr(runtime.database, "read", counting)
    monkeypatch.setattr(runtime, "transaction", transaction)
    for text in (new, old, new_key()):
        asked.clear()
        await good(runtime, text)
        assert len(asked) == 1
