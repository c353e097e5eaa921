"""People: who may sign in to a workspace."""

from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher

from schema.errors import DomainError, Invalid, NotFound
from schema.rules.audit import Action, Actor
from schema.rules.roles import UserRole
from schema.runtime import Runtime, Viewer
from schema.services import passwords, sessions, users
from schema.services.passwords import OneTimePassword
from schema.tables import AuditEntry, Session, User
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.api import UNKNOWN
from tests.support.runtime import on_both

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
