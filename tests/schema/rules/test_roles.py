"""What an owner and a member may do."""

from __future__ import annotations

import pytest

from schema.errors import Invalid
from schema.rules import scopes
from schema.rules.roles import UserRole, manages_users, scopes_of
from schema.rules.scopes import Access, Resource, allows


def test_an_owner_may_do_everything() -> None:
    granted = scopes_of(UserRole.OWNER)

    assert all(allows(granted, resource, Access.WRITE) for resource in Resource)
    assert manages_users(granted)


def test_a_member_may_do_everything_but_keys_and_people() -> None:
    granted = scopes_of(UserRole.MEMBER)

    assert {resource for resource in Resource if allows(granted, resource, Access.WRITE)} == (
        set(Resource) - {Resource.API_KEYS}
    )
    assert not allows(granted, Resource.API_KEYS, Access.READ)
    assert not manages_users(granted)


def test_no_key_manages_people() -> None:
    everything = {resource.value: "write" for resource in Resource}

    assert not manages_users(None)
    assert not manages_users(everything)
    with pytest.raises(Invalid):
        scopes.parse_scope("users:write", "--scope")
