"""People, made on the command line."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from schema.errors import Invalid
from schema.runtime import Runtime, Viewer
from schema.services import users
from schema.tables import UserRole
from tests.schema.conftest import Act, Refused
from tests.support import seeds
from tests.support.runtime import on_both


@on_both
async def test_a_new_person_has_a_password_for_once(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row, password = await act(users.create, address=" Kim@Example.COM ", role="owner")

    (kept,) = await users.everybody(runtime.snapshot(viewer))
    assert (kept.id, kept.email, kept.role) == (row.id, "kim@example.com", UserRole.OWNER)
    assert kept.must_change_password is True
    assert len(password) >= 20
    assert password not in kept.password_hash
    assert kept.password_hash.startswith("$argon2id$")
    assert PasswordHasher().verify(kept.password_hash, password)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(kept.password_hash, password + "x")


@pytest.mark.parametrize(
    ("address", "role", "message"),
    [
        ("KIM@example.com", "member", "There is already a user kim@example.com"),
        ("kim", "member", "email must be an e-mail address"),
        ("lee@example.com", "king", "role must be one of: owner, member"),
    ],
)
async def test_what_breaks_a_rule_is_refused(act: Act, refused: Refused, address: str, role: str, message: str) -> None:
    await act(users.create, address="kim@example.com", role="owner")

    async with refused(Invalid, message):
        await act(users.create, address=address, role=role)


async def test_an_address_belongs_to_one_person_everywhere(runtime: Runtime, act: Act, refused: Refused) -> None:
    await act(users.create, address="kim@example.com", role="owner")
    other = await seeds.workspace(runtime, name="Other")

    async with refused(Invalid, "There is already a user kim@example.com"), runtime.transaction(other) as tx:
        await users.create(tx, address="kim@example.com", role="owner")
    assert await users.everybody(runtime.snapshot(other)) == []
