"""People: who may sign in to a workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Select, column, select, table, text

from schema.errors import DomainError, Forbidden, Invalid, NotFound, Unauthenticated
from schema.rules.audit import Action, Actor
from schema.rules.roles import UserRole
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import keys, passwords, sessions, users, webhooks
from schema.services.acting import ENDED, UNMANAGED
from schema.services.passwords import OneTimePassword
from schema.services.sessions import SignedIn
from schema.tables import AuditEntry, Session, User
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.api import UNKNOWN
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

ONCE = OneTimePassword("once", "$argon2id$once")


async def audited(runtime: Runtime, viewer: Viewer) -> list[tuple[object, ...]]:
    tx = runtime.snapshot(viewer)
    found = await tx.all(tx.select(AuditEntry).order_by(AuditEntry.id))
    return [(row.action, row.actor, row.subject_name, row.changes) for row in found]


@on_both
async def test_a_new_person_has_a_password_for_once(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    password = await passwords.new_one_time()
    row = await act(users.create, address=" Kim@Example.COM ", role="owner", password=password)

    (kept,) = await users.everybody(runtime.snapshot(viewer))
    assert (kept.id, kept.email, kept.role) == (row.id, "kim@example.com", UserRole.OWNER)
    assert kept.must_change_password is True
    assert len(password.text) >= 20
    assert password.text not in kept.password_hash
    assert password.text not in repr(password)
    assert kept.password_hash.startswith("$argon2id$")
    assert PasswordHasher().verify(kept.password_hash, password.text)
    assert await audited(runtime, viewer) == [
        (Action.USER_CREATED, Actor.SYSTEM, "kim@example.com", {"role": [None, "owner"]})
    ]


@pytest.mark.parametrize(
    ("address", "role", "message"),
    [
        ("KIM@example.com", "member", "There is already a user kim@example.com"),
        ("kim", "member", "email must be an e-mail address"),
        ("kim\0@example.com", "member", "email must be an e-mail address"),
        ("lee@example.com", "king", "role must be one of: owner, member"),
    ],
)
async def test_what_breaks_a_rule_is_refused(act: Act, refused: Refused, address: str, role: str, message: str) -> None:
    await act(users.create, address="kim@example.com", role="owner", password=ONCE)

    async with refused(Invalid, message):
        await act(users.create, address=address, role=role, password=ONCE)


async def test_an_address_belongs_to_one_person_everywhere(runtime: Runtime, act: Act, refused: Refused) -> None:
    await act(users.create, address="kim@example.com", role="owner", password=ONCE)
    other = await seeds.workspace(runtime, name="Other")

    async with refused(Invalid, "There is already a user kim@example.com"), runtime.transaction(other) as tx:
        await users.create(tx, address="kim@example.com", role="owner", password=ONCE)
    assert await users.everybody(runtime.snapshot(other)) == []


@on_both
async def test_of_two_at_once_one_gets_the_address(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    made = await asyncio.gather(
        *(act(users.create, address="kim@example.com", role="owner", password=ONCE) for _ in range(5)),
        return_exceptions=True,
    )

    assert [str(each) for each in made if isinstance(each, Exception)] == [
        "There is already a user kim@example.com"
    ] * 4
    assert len(await users.everybody(runtime.snapshot(viewer))) == 1


@on_both
async def test_another_role(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    await seeds.user(runtime, viewer, email="owner@example.com")
    kim = await seeds.user(runtime, viewer, email="kim@example.com", role="member")

    assert (await act(users.set_role, kim.id, "owner")).role is UserRole.OWNER
    await act(users.set_role, kim.id, "owner")  # which changes nothing, and is not noted
    assert (await act(users.set_role, kim.id, "member")).role is UserRole.MEMBER

    assert (await audited(runtime, viewer))[2:] == [
        (Action.USER_UPDATED, Actor.SYSTEM, "kim@example.com", {"role": ["member", "owner"]}),
        (Action.USER_UPDATED, Actor.SYSTEM, "kim@example.com", {"role": ["owner", "member"]}),
    ]


@on_both
async def test_whoever_is_removed_is_signed_out_everywhere(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    kim, token = await seeds.signed_in(runtime, viewer, role="member")
    _, kept = await seeds.signed_in(runtime, viewer)

    await act(users.remove, kim.user_id)

    with pytest.raises(DomainError):
        await sessions.authenticate(runtime, token)
    await sessions.authenticate(runtime, kept)
    tx = runtime.snapshot(viewer)
    assert await tx.count(tx.select(Session)) == await tx.count(tx.select(User)) == 1
    assert (await audited(runtime, viewer))[-1] == (
        Action.USER_REMOVED,
        Actor.SYSTEM,
        kim.email,
        {"role": ["member", None]},
    )


@on_both
async def test_a_reset_password_signs_out_everywhere(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    kim, token = await seeds.signed_in(runtime, viewer)
    password = await passwords.new_one_time()

    row = await act(users.reset_password, kim.user_id, password)

    assert row.must_change_password is True
    with pytest.raises(DomainError):
        await sessions.authenticate(runtime, token)
    with pytest.raises(DomainError):
        await sessions.sign_in(runtime, kim.email, seeds.PASSWORD)
    again, _ = await sessions.sign_in(runtime, kim.email, password.text)
    assert (again.user_id, again.must_change_password) == (kim.user_id, True)
    assert (await audited(runtime, viewer))[-2] == (Action.USER_PASSWORD_RESET, Actor.SYSTEM, kim.email, None)


@on_both
async def test_the_last_owner_stays(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    owner = await seeds.user(runtime, viewer)
    await seeds.user(runtime, viewer, role="member")
    await seeds.user(runtime, await seeds.workspace(runtime, name="Other"))

    async with refused(Invalid, users.LAST_OWNER):
        await act(users.remove, owner.id)
    async with refused(Invalid, users.LAST_OWNER):
        await act(users.set_role, owner.id, "member")


@on_both
@pytest.mark.parametrize("first", ["remove", "demote"])
@pytest.mark.parametrize("second", ["remove", "demote"])
async def test_of_two_requests_at_once_one_leaves_an_owner(
    runtime: Runtime, viewer: Viewer, act: Act, first: str, second: str
) -> None:
    owners = [await seeds.user(runtime, viewer) for _ in range(2)]

    async def go(owner: User, how: str) -> None:
        await (act(users.remove, owner.id) if how == "remove" else act(users.set_role, owner.id, "member"))

    ways = zip(owners, (first, second), strict=True)
    outcomes = await asyncio.gather(*(go(owner, how) for owner, how in ways), return_exceptions=True)

    assert sorted(str(each) for each in outcomes) == ["None", users.LAST_OWNER]
    roles = [user.role for user in await users.everybody(runtime.snapshot(viewer))]
    assert roles.count(UserRole.OWNER) == 1


async def test_ten_owners_who_all_leave_at_once(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    owners = [await seeds.user(runtime, viewer) for _ in range(10)]

    await asyncio.gather(*(act(users.remove, owner.id) for owner in owners), return_exceptions=True)

    assert len(await users.everybody(runtime.snapshot(viewer))) == 1


VERBS: dict[str, Callable[[Transaction, str], Awaitable[object]]] = {
    "create": lambda tx, _: users.create(tx, address="new@example.com", role="owner", password=ONCE),
    "set role": lambda tx, id: users.set_role(tx, id, "owner"),
    "remove": users.remove,
    "reset": lambda tx, id: users.reset_password(tx, id, ONCE),
    "end a session": sessions.end,
    "end sessions": lambda tx, _: sessions.end_others(tx),
    "create key": lambda tx, _: keys.create(tx, {"name": "New"}),
    "revoke key": keys.revoke,
    "create endpoint": lambda tx, _: webhooks.create(tx, {"url": seeds.URL}),
    "rotate secret": webhooks.rotate_secret,
}
MEMBERS = {"end a session", "end sessions", "create endpoint", "rotate secret"}


async def lose(runtime: Runtime, viewer: Viewer, clock: VirtualClock, who: SignedIn, how: str) -> None:
    if how == "signed out":
        async with runtime.transaction(who.viewer) as tx:
            await sessions.end(tx, who.session_id)
    elif how == "another password":
        await sessions.change_password(runtime, who, seeds.PASSWORD, "another sentence of mine")
    elif how == "expired":
        await clock.advance(7 * 86_400)
    else:
        async with runtime.transaction(viewer) as tx:
            await LOSSES[how](tx, who.user_id)


LOSSES: dict[str, Callable[[Transaction, str], Awaitable[object]]] = {
    "removed": users.remove,
    "reset": lambda tx, id: users.reset_password(tx, id, ONCE),
}


async def subject(runtime: Runtime, viewer: Viewer, verb: str, who: SignedIn) -> str:
    """The id of what the verb is to change."""
    if "session" in verb:
        return (await sessions.sign_in(runtime, who.email, seeds.PASSWORD))[0].session_id
    if "key" in verb:
        return (await seeds.key(runtime, viewer))[0].id
    if verb == "rotate secret":
        return (await seeds.endpoint(runtime, viewer)).id
    return (await seeds.user(runtime, viewer, role="member")).id


@on_both
@pytest.mark.parametrize("how", ["removed", "reset", "signed out", "another password", "expired"])
@pytest.mark.parametrize("verb", VERBS)
async def test_who_is_out_while_they_act_leaves_nothing_behind(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, refused: Refused, verb: str, how: str
) -> None:
    """Their request had been let in before."""
    await seeds.user(runtime, viewer)
    who, _ = await seeds.signed_in(runtime, viewer)
    id = await subject(runtime, viewer, verb, who)
    await lose(runtime, viewer, clock, who, how)

    async with refused(Unauthenticated, ENDED), runtime.transaction(who.viewer) as tx:
        await VERBS[verb](tx, id)


@on_both
@pytest.mark.parametrize("verb", sorted(VERBS.keys() - MEMBERS))
async def test_who_is_demoted_while_they_act_leaves_nothing_behind(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, verb: str
) -> None:
    await seeds.user(runtime, viewer)
    who, _ = await seeds.signed_in(runtime, viewer)
    id = await subject(runtime, viewer, verb, who)
    await act(users.set_role, who.user_id, "member")
    says = "Your role lacks permission to write api-keys" if "key" in verb else UNMANAGED

    async with refused(Forbidden, says), runtime.transaction(who.viewer) as tx:
        await VERBS[verb](tx, id)


@pytest.mark.parametrize("verb", sorted(MEMBERS))
async def test_a_member_may_go_on_with_what_members_may(runtime: Runtime, viewer: Viewer, verb: str) -> None:
    who, _ = await seeds.signed_in(runtime, viewer, role="member")
    id = await subject(runtime, viewer, verb, who)

    async with runtime.transaction(who.viewer) as tx:
        await VERBS[verb](tx, id)


async def until_somebody_waits(runtime: Runtime) -> None:
    """For a lock of PostgreSQL."""
    here = text("datname = current_database() AND wait_event_type = 'Lock'")
    waiting: Select[Any] = select(column("pid")).select_from(table("pg_stat_activity")).where(here)
    while not await runtime.database.read(waiting):  # noqa: ASYNC110 (the database tells nobody)
        await asyncio.sleep(0)


@on_both
@pytest.mark.parametrize("verb", ["create", "create key", "create endpoint"])
async def test_whoever_removes_them_waits_for_what_they_do(
    runtime: Runtime, viewer: Viewer, act: Act, verb: str
) -> None:
    """So that nothing is done by them after it has been said that they are gone."""
    await seeds.user(runtime, viewer)
    who, _ = await seeds.signed_in(runtime, viewer)
    done: list[str] = []

    async def remove() -> None:
        await act(users.remove, who.user_id)
        done.append("removed")

    async with runtime.transaction(who.viewer) as tx:
        await VERBS[verb](tx, "")
        removing = asyncio.create_task(remove())
        if runtime.database.is_sqlite:
            await asyncio.sleep(0)
        else:
            await until_somebody_waits(runtime)
        done.append("acted")
    await removing

    assert done == ["acted", "removed"]


@on_both
async def test_owners_who_change_each_other_do_not_wait_in_a_circle(runtime: Runtime, viewer: Viewer) -> None:
    people = [(await seeds.signed_in(runtime, viewer))[0] for _ in range(3)]
    member = await seeds.user(runtime, viewer, role="member")

    async def go(who: SignedIn, i: int) -> None:
        other = people[i % 3].user_id
        async with runtime.transaction(who.viewer) as tx:
            await users.set_role(tx, other, "owner")
        async with runtime.transaction(who.viewer) as tx:
            await users.reset_password(tx, member.id, ONCE)
        async with runtime.transaction(who.viewer) as tx:
            await users.set_role(tx, member.id, "member" if i % 2 else "owner")

    outcomes = await asyncio.gather(*(go(who, i) for i in range(6) for who in people), return_exceptions=True)

    assert outcomes == [None] * 18


@on_both
async def test_nobody_from_another_workspace_is_there(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    """R5."""
    theirs = await seeds.user(runtime, await seeds.workspace(runtime, name="Other"))
    await seeds.user(runtime, viewer)

    for id in (theirs.id, UNKNOWN):
        for verb in (
            lambda id: act(users.remove, id),
            lambda id: act(users.set_role, id, "member"),
            lambda id: act(users.reset_password, id, ONCE),
        ):
            async with refused(NotFound, f"User with id {id} not found"):
                await verb(id)
