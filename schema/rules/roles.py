"""Roles: what a person may do in a workspace, said as the scopes of a key are (decision 0011)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from schema.rules.scopes import Access, Resource, Scopes

USERS = "users"
"""What only an owner has, and no key can be given: the people of the workspace."""

OWNERS_ONLY = frozenset({Resource.API_KEYS.value, USERS})
"""Of these a member does not even read; the audit log goes with the keys."""


class UserRole(StrEnum):
    """What a person may do in a workspace."""

    OWNER = "owner"
    MEMBER = "member"


_EVERYTHING = {resource.value: Access.WRITE.value for resource in Resource} | {USERS: Access.WRITE.value}
_GRANTS: Mapping[UserRole, Scopes] = {
    UserRole.OWNER: _EVERYTHING,
    UserRole.MEMBER: {name: access for name, access in _EVERYTHING.items() if name not in OWNERS_ONLY},
}


def scopes_of(role: UserRole) -> Scopes:
    """What the role allows: an owner everything, a member everything but keys, people and the audit log."""
    return _GRANTS[role]


def manages_users(scopes: Scopes | None) -> bool:
    """Whether somebody with those scopes may see, make, change and remove people."""
    return scopes is not None and scopes.get(USERS) == Access.WRITE
