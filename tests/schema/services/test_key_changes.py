"""Changing API keys: what is changed, who may, and where a key may be used from (decisions K2–K4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema.errors import DomainError, Forbidden, Invalid, NotFound, Unauthenticated
from schema.rules.scopes import Resource
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import keys, webhooks
from schema.services.keys import WrongAddress
from schema.tables import ApiKey
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.seeds import at
from tests.support.time import VirtualClock

UNKNOWN = "c0000000000000000unknown0"
WRONG_ADDRESS = "This API key may not be used from this address"
MORE = "This API key cannot give a key more than it has itself:"
HERE, THERE = ip_address("203.0.113.7"), ip_address("198.51.100.9")
EVERYTHING = [(resource, "write") for resource in Resource]


async def kept(runtime: Runtime, row: ApiKey) -> Any:
    return (await runtime.database.read(select(ApiKey).where(col(ApiKey.id) == row.id)))[0]


@on_both
async def test_what_is_sent_is_changed_and_the_next_request_obeys(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row, text = await seeds.key(runtime, viewer, scopes=[("calls", "write")], allowed_ips=["10.0.0.0/8"])

    await act(keys.update, row.id, {"name": "CRM", "scopes": [("calls", "read")]})
    await act(keys.update, row.id, {"allowed_ips": ["203.0.113.7"], "expires_at": at("2026-01-01T00:00:00Z")})

    stored = await kept(runtime, row)
    assert (stored.name, stored.scopes, stored.allowed_ips, stored.expires_at) == (
        "CRM",
        {"calls": "read"},
        ["203.0.113.7"],
        at("2026-01-01T00:00:00Z"),
    )
    assert stored.digest == row.digest
    found = await keys.authenticate(runtime, text, HERE)
    assert (found.name, found.scopes) == ("CRM", {"calls": "read"})


async def test_null_takes_a_limit_away(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """R6."""
    row, text = await seeds.key(
        runtime,
        viewer,
        scopes=[("calls", "read")],
        allowed_ips=["10.0.0.1"],
        expires_at=at("2026-01-01T00:00:00Z"),
    )

    await act(keys.update, row.id, {"scopes": None, "allowed_ips": None, "expires_at": None})

    stored = await kept(runtime, row)
    assert (stored.scopes, stored.allowed_ips, stored.expires_at) == (None, None, None)
    assert (await keys.authenticate(runtime, text, None)).scopes is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": " "}, "name must not be empty"),
        ({"name": None}, "name cannot be null"),
        ({"expires_at": at("2025-01-15T14:00:00Z")}, "expiresAt must be in the future"),
        (
            {"allowed_ips": ["10.0.0.1/8"]},
            "allowedIps must be an IP address or a CIDR range such as 10.0.0.0/8, without host bits",
        ),
        (
            {"scopes": [("calls", "read"), ("calls", "read")]},
            "scopes must name each resource once, and calls is there twice",
        ),
        ({"revoked_at": None}, "Unknown field 'revokedAt'"),
    ],
)
async def test_a_bad_change_is_refused(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, given: dict[str, Any], says: str
) -> None:
    row, _ = await seeds.key(runtime, viewer)

    async with refused(Invalid, says):
        await act(keys.update, row.id, given)


async def test_an_empty_change_and_one_to_the_same_change_nothing(
    runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged
) -> None:
    """R6: the audit log does not grow either."""
    row, _ = await seeds.key(runtime, viewer, scopes=[("calls", "read")], allowed_ips=["10.0.0.1"])

    async with unchanged():
        await act(keys.update, row.id, {})
        same = {"name": row.name, "scopes": [("calls", "read"), ("agents", "none")], "allowed_ips": ["10.0.0.1/32"]}
        await act(keys.update, row.id, same)


async def test_a_revoked_key_stays_as_it_was(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row, _ = await seeds.key(runtime, viewer)
    await act(keys.revoke, row.id)

    async with refused(Invalid, f"API key with id {row.id} is revoked and cannot be changed"):
        await act(keys.update, row.id, {"name": "CRM"})


async def test_an_expired_key_may_be_given_more_time(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    row, text = await seeds.key(runtime, viewer, expires_at=at("2025-01-15T14:01:00Z"))
    await clock.advance(60)

    await act(keys.update, row.id, {"expires_at": at("2025-01-15T14:02:00Z")})

    assert (await keys.authenticate(runtime, text)).key_id == row.id


@on_both
async def test_the_key_of_another_workspace_is_not_there(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    """R5."""
    theirs, _ = await seeds.key(runtime, await seeds.workspace(runtime, name="Other"))

    for id in (theirs.id, UNKNOWN):
        for verb in (
            lambda id: act(keys.update, id, {"name": "Ours"}),
            lambda id: act(keys.rotate, id),
            lambda id: act(keys.revoke, id),
        ):
            async with refused(NotFound, f"API key with id {id} not found"):
                await verb(id)


@on_both
async def test_a_good_key_in_the_wrong_place_is_forbidden_and_not_used(
    runtime: Runtime, viewer: Viewer, refused: Refused
) -> None:
    """K3: what is unknown is refused; the sentence says nothing of the list; `lastUsedAt` stays."""
    row, text = await seeds.key(runtime, viewer, allowed_ips=["203.0.113.7", "2001:db8::/32"])

    for address in (THERE, None, ip_address("2001:db9::1")):
        async with refused(WrongAddress, WRONG_ADDRESS):
            await keys.authenticate(runtime, text, address)

    assert (await keys.authenticate(runtime, text, HERE)).key_id == row.id
    assert (await keys.authenticate(runtime, text, ip_address("2001:db8::9"))).address == "2001:db8::9"


async def test_a_key_that_is_not_good_says_nothing_of_addresses(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    row, text = await seeds.key(runtime, viewer, allowed_ips=["203.0.113.7"])
    await act(keys.revoke, row.id)

    for address in (HERE, THERE, None):
        async with refused(Unauthenticated, keys.BAD_KEY):
            await keys.authenticate(runtime, text, address)


Verb = Any


async def holder(runtime: Runtime, viewer: Viewer, **given: Any) -> Viewer:
    """Somebody with a key of those limits, which may manage keys."""
    given.setdefault("scopes", EVERYTHING)
    _, text = await seeds.key(runtime, viewer, name="Manager", **given)
    return await keys.authenticate(runtime, text, HERE)


LIMITED: Mapping[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    # What the acting key has, what it would give, and what of that is too much.
    "default scopes": (
        {"scopes": [("api-keys", "write"), ("calls", "write")]},
        {"scopes": None},
        "agents:write, campaigns:write, appointments:write, contacts:write, phone-numbers:write, webhooks:write",
    ),
    "write for read": (
        {"scopes": [("api-keys", "write"), ("calls", "read")]},
        {"scopes": [("calls", "write")]},
        "calls:write",
    ),
    "another resource": (
        {"scopes": [("api-keys", "write"), ("calls", "write")]},
        {"scopes": [("agents", "read")]},
        "agents:read",
    ),
    "everywhere": ({"allowed_ips": ["203.0.113.0/24"]}, {}, "addresses outside its own allowedIps"),
    "elsewhere": (
        {"allowed_ips": ["203.0.113.0/24"]},
        {"allowed_ips": ["203.0.113.9", "198.51.100.1"]},
        "addresses outside its own allowedIps",
    ),
    "for ever": ({"expires_at": at("2025-02-01T00:00:00Z")}, {}, "time beyond its own expiresAt"),
    "longer": (
        {"expires_at": at("2025-02-01T00:00:00Z")},
        {"expires_at": at("2025-02-01T00:00:01Z")},
        "time beyond its own expiresAt",
    ),
}


@pytest.mark.parametrize(("has", "gives", "says"), LIMITED.values(), ids=LIMITED)
async def test_a_key_gives_no_more_than_it_has(
    runtime: Runtime, viewer: Viewer, refused: Refused, has: dict[str, Any], gives: dict[str, Any], says: str
) -> None:
    """Not to a new key, not to one it changes (itself neither), and it gets no text of one that has more."""
    manager = await holder(runtime, viewer, **has)
    stronger, _ = await seeds.key(runtime, viewer, **gives)
    small = {"scopes": [("api-keys", "read")], "allowed_ips": ["203.0.113.7"], "expires_at": at("2025-01-20T00:00:00Z")}
    weaker, _ = await seeds.key(runtime, viewer, **small)
    fields = {"scopes": None, "allowed_ips": None, "expires_at": None, **gives}
    if "scopes" not in has:
        fields["scopes"] = [("calls", "read")]

    for verb, args in (
        (keys.create, ({"name": "New", **fields},)),
        (keys.update, (weaker.id, fields)),
        (keys.update, (manager.key_id, fields)),
        (keys.update, (stronger.id, {"name": "Mine"})),
        (keys.rotate, (stronger.id,)),
    ):
        async with refused(Forbidden, f"{MORE} {says}"), runtime.transaction(manager) as tx:
            await verb(tx, *args)


async def test_a_key_gives_what_it_has(runtime: Runtime, viewer: Viewer) -> None:
    manager = await holder(runtime, viewer, allowed_ips=["203.0.113.0/24"], expires_at=at("2025-02-01T00:00:00Z"))
    within = {
        "scopes": EVERYTHING,
        "allowed_ips": ["203.0.113.0/25", "203.0.113.200"],
        "expires_at": at("2025-02-01T00:00:00Z"),
    }

    async with runtime.transaction(manager) as tx:
        row, text = await keys.create(tx, {"name": "Deputy", **within})
    async with runtime.transaction(manager) as tx:
        await keys.update(tx, row.id, {"name": "Second"})
    async with runtime.transaction(manager) as tx:
        rotated = await keys.rotate(tx, row.id, overlap_seconds=0)

    assert text != rotated.key
    assert (await keys.authenticate(runtime, rotated.key, HERE)).name == "Second"


async def test_a_key_that_was_made_weaker_may_be_rotated(runtime: Runtime, viewer: Viewer) -> None:
    manager = await holder(runtime, viewer, scopes=[("api-keys", "write"), ("calls", "read")])
    stronger, _ = await seeds.key(runtime, viewer)

    async with runtime.transaction(manager) as tx:
        await keys.update(tx, stronger.id, {"scopes": [("calls", "read")]})
    async with runtime.transaction(manager) as tx:
        rotated = await keys.rotate(tx, stronger.id)

    assert (await keys.authenticate(runtime, rotated.key, HERE)).scopes == {"calls": "read"}


async def test_any_key_may_be_revoked_by_who_may_write_keys(runtime: Runtime, viewer: Viewer, refused: Refused) -> None:
    """Taking away is no escalation: what leaks must be stopped by whoever can."""
    manager = await holder(runtime, viewer, scopes=[("api-keys", "write")])
    stronger, text = await seeds.key(runtime, viewer)

    async with runtime.transaction(manager) as tx:
        await keys.revoke(tx, stronger.id)

    async with refused(Unauthenticated, keys.BAD_KEY):
        await keys.authenticate(runtime, text)


VERBS: Mapping[str, Callable[[Transaction, str], Awaitable[object]]] = {
    "create": lambda tx, _: keys.create(tx, {"name": "New", "scopes": [("calls", "read")]}),
    "update": lambda tx, id: keys.update(tx, id, {"name": "Mine"}),
    "rotate": keys.rotate,
    "revoke": keys.revoke,
    "create endpoint": lambda tx, _: webhooks.create(tx, {"url": seeds.URL}),
    "rotate secret": webhooks.rotate_secret,
}
LOSSES: Mapping[str, tuple[Callable[[Transaction, str], Awaitable[object]], type[DomainError], str]] = {
    "revoked": (keys.revoke, Unauthenticated, keys.BAD_KEY),
    "replaced": (lambda tx, id: keys.rotate(tx, id, overlap_seconds=0), Unauthenticated, keys.BAD_KEY),
    "replaced and its overlap over": (
        lambda tx, id: keys.rotate(tx, id, overlap_seconds=60),
        Unauthenticated,
        keys.BAD_KEY,
    ),
    "expired": (
        lambda tx, id: keys.update(tx, id, {"expires_at": tx.now + timedelta(seconds=60)}),
        Unauthenticated,
        keys.BAD_KEY,
    ),
    "shut out": (lambda tx, id: keys.update(tx, id, {"allowed_ips": [str(THERE)]}), WrongAddress, WRONG_ADDRESS),
    "narrowed": (
        lambda tx, id: keys.update(tx, id, {"scopes": [(each, "read") for each in Resource]}),
        Forbidden,
        "This API key lacks permission to write api-keys",
    ),
}


@on_both
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("verb", VERBS)
async def test_a_key_that_loses_its_rights_while_it_acts_leaves_nothing_behind(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, refused: Refused, loss: str, verb: str
) -> None:
    """Not even the newest text of itself, after a rotation that was to lock a thief out."""
    manager = await holder(runtime, viewer)
    assert manager.key_id is not None
    other, _ = await seeds.key(runtime, viewer)
    endpoint = await seeds.endpoint(runtime, viewer)
    id = {"rotate": manager.key_id, "rotate secret": endpoint.id}.get(verb, other.id)
    lose, kind, says = LOSSES[loss]
    await act(lose, manager.key_id)
    await clock.advance(60)
    if loss == "narrowed" and " " in verb:
        says = says.replace("api-keys", "webhooks")

    async with refused(kind, says), runtime.transaction(manager) as tx:
        await VERBS[verb](tx, id)


@on_both
async def test_a_replaced_text_acts_for_its_overlap(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    """K4."""
    manager = await holder(runtime, viewer)
    assert manager.key_id is not None
    await act(keys.rotate, manager.key_id, overlap_seconds=60)
    await clock.advance(59)

    async with runtime.transaction(manager) as tx:
        again = await keys.rotate(tx, manager.key_id)

    assert (await keys.authenticate(runtime, again.key, HERE)).key_id == manager.key_id


async def test_a_key_that_revokes_itself_is_not_asked_again_but_the_next_time(
    runtime: Runtime, viewer: Viewer, refused: Refused
) -> None:
    """Root fields of one document are transactions one after the other."""
    manager = await holder(runtime, viewer)
    assert manager.key_id is not None

    async with runtime.transaction(manager) as tx:
        await keys.revoke(tx, manager.key_id)

    async with refused(Unauthenticated, keys.BAD_KEY), runtime.transaction(manager) as tx:
        await keys.revoke(tx, manager.key_id)


async def test_the_key_of_another_workspace_does_not_act_here(
    runtime: Runtime, viewer: Viewer, refused: Refused
) -> None:
    manager = await holder(runtime, viewer)
    other = await seeds.workspace(runtime, name="Other")

    async with (
        refused(Unauthenticated, keys.BAD_KEY),
        runtime.transaction(replace(manager, workspace_id=other.workspace_id)) as tx,
    ):
        await keys.create(tx, {"name": "New"})


@on_both
async def test_keys_that_change_each_other_do_not_wait_in_a_circle(runtime: Runtime, viewer: Viewer) -> None:
    one, two = [await holder(runtime, viewer) for _ in range(2)]

    async def rename(actor: Viewer, id: str | None, name: str) -> None:
        assert id is not None
        async with runtime.transaction(actor) as tx:
            await keys.update(tx, id, {"name": name})

    each_other = [(one, two.key_id), (two, one.key_id)]
    await asyncio.gather(*(rename(actor, id, f"Name {i}") for i in range(8) for actor, id in each_other))

    found = await keys.everything(runtime.snapshot(viewer))
    assert all(row.name.startswith("Name ") for row in found)
