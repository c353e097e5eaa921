"""Sessions: what the rows are, and what happens when two things happen at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.sql import Executable

from schema.errors import NotFound, Unauthenticated
from schema.rules.audit import Action, Actor
from schema.rules.sessions import MOST
from schema.runtime import Runtime, Viewer
from schema.services import passwords, sessions, users
from schema.tables import AuditEntry, Session, User
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.api import UNKNOWN
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

NEW = "another sentence of mine"


async def count(runtime: Runtime) -> int:
    return len(await runtime.database.read(select(Session.id)))


@on_both
async def test_signing_in_is_noted(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    kim = await seeds.user(runtime, viewer, email="kim@example.com")
    await clock.advance(60)

    signed_in, token = await sessions.sign_in(runtime, "kim@example.com", seeds.PASSWORD, address="203.0.113.7")

    assert (await users.get(runtime.snapshot(viewer), kim.id)).last_signed_in_at == clock.now()
    entry = (await runtime.database.read(select(AuditEntry).order_by(AuditEntry.id)))[-1]
    assert (entry.action, entry.actor, entry.actor_id, entry.actor_name, entry.address, entry.subject_id) == (
        Action.USER_SIGNED_IN,
        Actor.USER,
        kim.id,
        "kim@example.com",
        "203.0.113.7",
        kim.id,
    )
    again = await sessions.authenticate(runtime, token, address="198.51.100.1")
    assert (again.session_id, again.viewer.address) == (signed_in.session_id, "198.51.100.1")
    assert again.viewer.workspace_id == viewer.workspace_id


async def test_a_hash_of_other_parameters_is_made_anew(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    kim = await seeds.user(runtime, viewer)
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(seeds.PASSWORD)

    async def keep(tx) -> None:
        (await tx.lock(User, kim.id)).password_hash = old

    await act(keep)
    await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)
    first = (await users.get(runtime.snapshot(viewer), kim.id)).password_hash
    await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)
    second = (await users.get(runtime.snapshot(viewer), kim.id)).password_hash

    assert first != old
    assert not passwords.is_outdated(first)
    assert second == first


async def test_a_token_that_cannot_be_one_is_refused_without_a_query(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(_: Executable) -> None:
        raise AssertionError("the database was asked")

    with monkeypatch.context() as patch:
        patch.setattr(runtime.database, "read", read)

        for token in ("", "x", "vf_session_é", "vf_live_" + "x" * 49):
            with pytest.raises(Unauthenticated):
                await sessions.authenticate(runtime, token)


Attempt = Callable[[Runtime, sessions.SignedIn], Awaitable[None]]


async def _sign_in(runtime: Runtime, kim: sessions.SignedIn) -> None:
    await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)


async def _change(runtime: Runtime, kim: sessions.SignedIn) -> None:
    await sessions.change_password(runtime, kim, seeds.PASSWORD, NEW)


@on_both
@pytest.mark.parametrize("attempt", [_sign_in, _change])
@pytest.mark.parametrize("change", ["reset", "removed", "changed"])
async def test_a_password_that_is_changed_while_it_is_verified(
    runtime: Runtime, viewer: Viewer, act: Act, monkeypatch: pytest.MonkeyPatch, change: str, attempt: Attempt
) -> None:
    """Whoever was verified with the old one is not let in."""
    await seeds.user(runtime, viewer)
    kim, token = await seeds.signed_in(runtime, viewer)
    other = await passwords.new_one_time()
    is_right = passwords.is_right

    async def meanwhile(kept: str | None, given: str) -> bool:
        monkeypatch.setattr(passwords, "is_right", is_right)
        found = await is_right(kept, given)
        if change == "reset":
            await act(users.reset_password, kim.user_id, other)
        elif change == "removed":
            await act(users.remove, kim.user_id)
        else:
            await sessions.change_password(
                runtime, await sessions.authenticate(runtime, token), seeds.PASSWORD, "a third sentence"
            )
        return found

    monkeypatch.setattr(passwords, "is_right", meanwhile)
    with pytest.raises(Unauthenticated):
        await attempt(runtime, kim)
    assert await count(runtime) == (1 if change == "changed" else 0)


@on_both
async def test_of_two_changes_at_once_one_counts(runtime: Runtime, viewer: Viewer) -> None:
    kim, _ = await seeds.signed_in(runtime, viewer)
    again, _ = await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)

    outcomes = await asyncio.gather(
        *(sessions.change_password(runtime, each, seeds.PASSWORD, f"{NEW} {i}") for i, each in enumerate((kim, again))),
        return_exceptions=True,
    )

    (lost,) = [each for each in outcomes if isinstance(each, Exception)]
    assert isinstance(lost, Unauthenticated | sessions.WrongPassword)  # as late as it came
    assert await count(runtime) == 1


@on_both
async def test_signing_in_forgets_what_is_over_and_the_longest_unused(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    kim, first = await seeds.signed_in(runtime, viewer)
    _, theirs = await seeds.signed_in(runtime, viewer)
    for _ in range(MOST):
        await clock.advance(1)
        _, last = await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)

    with pytest.raises(Unauthenticated):
        await sessions.authenticate(runtime, first)
    assert await count(runtime) == MOST + 1
    await sessions.authenticate(runtime, theirs)
    await sessions.authenticate(runtime, last)

    await clock.advance(8 * 86_400)
    await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)
    assert await count(runtime) == 2  # the new one, and somebody else's, which ended too


@on_both
async def test_one_s_own_sessions(runtime: Runtime, viewer: Viewer, refused: Refused, clock: VirtualClock) -> None:
    kim, _ = await seeds.signed_in(runtime, viewer)
    await clock.advance(1)
    phone, _ = await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)
    laptop, token = await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)
    lee, _ = await seeds.signed_in(runtime, viewer)

    mine = await sessions.mine(runtime.snapshot(kim.viewer))
    for id in (lee.session_id, UNKNOWN):
        async with refused(NotFound, f"Session with id {id} not found"), runtime.transaction(kim.viewer) as tx:
            await sessions.end(tx, id)
    async with runtime.transaction(kim.viewer) as tx:
        await sessions.end(tx, phone.session_id)
    async with runtime.transaction(kim.viewer) as tx:
        ended = await sessions.end_others(tx)

    assert {row.id for row in mine[:2]} == {phone.session_id, laptop.session_id}
    assert mine[2].id == kim.session_id
    assert ended == 1
    assert [row.id for row in await sessions.mine(runtime.snapshot(kim.viewer))] == [kim.session_id]
    with pytest.raises(Unauthenticated):
        await sessions.authenticate(runtime, token)
    assert len(await sessions.mine(runtime.snapshot(lee.viewer))) == 1


@on_both
async def test_a_new_role_is_seen_at_the_next_request(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    await seeds.user(runtime, viewer)
    kim, token = await seeds.signed_in(runtime, viewer)

    await act(users.set_role, kim.user_id, "member")

    assert "users" in (kim.viewer.scopes or {})
    assert "users" not in ((await sessions.authenticate(runtime, token)).viewer.scopes or {})
