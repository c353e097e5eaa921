"""API keys: who presents one (decisions K1, K4)."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema.errors import Invalid, NotFound, Unauthenticated
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import keys, workspaces
from schema.tables import ApiKey
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.seeds import at
from tests.support.time import VirtualClock

BAD_KEY = "Missing or invalid API key"


async def kept(runtime: Runtime, row: ApiKey) -> Any:
    return (await runtime.database.read(select(ApiKey).where(col(ApiKey.id) == row.id)))[0]


@on_both
async def test_only_a_digest_of_a_key_is_kept(runtime: Runtime, viewer: Viewer) -> None:
    """K1."""
    row, text = await seeds.key(runtime, viewer, name=" Zapier ")

    stored = await kept(runtime, row)

    assert {name: getattr(stored, name) for name in ApiKey.model_fields} == {
        "id": row.id,
        "workspace_id": viewer.workspace_id,
        "name": "Zapier",
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "prefix": text[:12],
        "last_four": text[-4:],
        "scopes": None,
        "allowed_ips": None,
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
        "created_at": runtime.clock.now(),
    }
    assert text.startswith("vf_live_")
    assert text not in str([getattr(stored, name) for name in ApiKey.model_fields])


@on_both
async def test_whoever_presents_a_key_is_its_workspace(runtime: Runtime, viewer: Viewer) -> None:
    row, text = await seeds.key(runtime, viewer)
    await seeds.key(runtime, await seeds.workspace(runtime, name="Other", plan=Plan.STARTER))

    found = await keys.authenticate(runtime, text, ip_address("203.0.113.7"))

    assert found == Viewer(
        viewer.workspace_id,
        Plan.ENTERPRISE,
        row.id,
        None,
        name="Zapier",
        address="203.0.113.7",
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )
    assert row.digest not in repr(found)


async def test_scopes_come_with_the_key(runtime: Runtime, viewer: Viewer) -> None:
    _, text = await seeds.key(runtime, viewer, scopes=[("calls", "read")])

    assert (await keys.authenticate(runtime, text)).scopes == {"calls": "read"}


async def test_the_next_request_has_the_new_plan(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    _, text = await seeds.key(runtime, viewer)
    await act(workspaces.set_plan, viewer.workspace_id, "starter")

    assert (await keys.authenticate(runtime, text)).plan is Plan.STARTER


def mistyped(text: str) -> list[str]:
    swapped = text[:-1] + ("0" if text[-1] != "0" else "1")
    return ["", "Bearer", text.lower(), text[:-1], text + "0", swapped, f" {text}", text + "\n", "vf_live_", "é" * 57]


async def test_a_mistyped_key_is_refused_without_a_query(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K1."""
    _, text = await seeds.key(runtime, viewer)

    async def read(*_: object) -> list[Any]:
        raise AssertionError("a query")

    with monkeypatch.context() as patch:
        patch.setattr(runtime.database, "read", read)
        for wrong in mistyped(text):
            with pytest.raises(Unauthenticated) as refused:
                await keys.authenticate(runtime, wrong)
            assert refused.value.message == BAD_KEY


@on_both
async def test_unknown_revoked_and_expired_read_the_same(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, refused: Refused
) -> None:
    """K4: from the instant on, not a moment later."""
    revoked, revoked_text = await seeds.key(runtime, viewer)
    _, expiring_text = await seeds.key(runtime, viewer, expires_at=at("2025-01-15T14:01:00Z"))
    await clock.advance(59.999)
    for text in (revoked_text, expiring_text):
        await keys.authenticate(runtime, text)

    await act(keys.revoke, revoked.id)
    await clock.advance(0.001)

    for text in (revoked_text, expiring_text, keys.rules.new_key()):
        async with refused(Unauthenticated, BAD_KEY):
            await keys.authenticate(runtime, text)


@on_both
async def test_when_a_key_was_last_used_is_written_at_most_once_a_minute(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    """K4."""
    row, text = await seeds.key(runtime, viewer)
    start = clock.now()
    seen = []

    for seconds in (0, 1, 58.999, 0.001, 30, 31):
        await clock.advance(seconds)
        await keys.authenticate(runtime, text)
        seen.append((await kept(runtime, row)).last_used_at)

    minute = timedelta(minutes=1)
    assert seen == [start, start, start, start + minute, start + minute, start + timedelta(seconds=121)]


async def test_a_key_used_within_the_minute_writes_nothing(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, unchanged: Unchanged, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = await seeds.key(runtime, viewer)
    await keys.authenticate(runtime, text)
    await clock.advance(59)

    def transaction(viewer: Viewer) -> None:
        raise AssertionError("a transaction")

    monkeypatch.setattr(runtime, "transaction", transaction)
    async with unchanged():
        await keys.authenticate(runtime, text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ""}, "name must not be empty"),
        ({"name": None}, "name cannot be null"),
        ({"name": "x" * 101}, "name must be between 1 and 100 characters"),
        ({"expires_at": at("2025-01-15T14:00:00Z")}, "expiresAt must be in the future"),
        ({"scopes": []}, "scopes must allow something: read or write of at least one resource"),
        ({"allowed_ips": []}, "allowedIps must not be empty: null allows every address"),
        ({"digest": "x"}, "Unknown field 'digest'"),
    ],
)
async def test_what_breaks_a_rule_is_refused(
    runtime: Runtime, viewer: Viewer, refused: Refused, given: dict[str, Any], message: str
) -> None:
    async with refused(Invalid, message):
        await seeds.key(runtime, viewer, **given)


async def test_keys_are_listed_revoked_ones_too_newest_first(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    rows = [(await seeds.key(runtime, viewer))[0] for _ in range(3)]
    await seeds.key(runtime, await seeds.workspace(runtime, name="Other"))
    await act(keys.revoke, rows[1].id)

    assert [row.id for row in await keys.everything(runtime.snapshot(viewer))] == [row.id for row in rows[::-1]]


async def test_revoking_twice_is_no_error_and_keeps_the_first_instant(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, refused: Refused
) -> None:
    row, _ = await seeds.key(runtime, viewer)
    first = (await act(keys.revoke, row.id)).revoked_at
    await clock.advance(5)

    assert (await act(keys.revoke, row.id)).revoked_at == first == clock.now() - timedelta(seconds=5)

    other = await seeds.workspace(runtime, name="Other")
    async with refused(NotFound, f"API key with id {row.id} not found"), runtime.transaction(other) as tx:
        await keys.revoke(tx, row.id)
