"""Scopes: what a key may do with each resource (decision K2)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from schema.errors import Invalid


class Resource(StrEnum):
    """What scopes are about."""

    AGENTS = "agents"
    CAMPAIGNS = "campaigns"
    CALLS = "calls"
    APPOINTMENTS = "appointments"
    CONTACTS = "contacts"
    PHONE_NUMBERS = "phone-numbers"
    WEBHOOKS = "webhooks"
    API_KEYS = "api-keys"


class Access(StrEnum):
    """How far a scope reaches, the least first; write includes read."""

    NONE = "none"
    READ = "read"
    WRITE = "write"


Scopes = Mapping[str, str]
"""As stored: the access to each resource that is reached at all, in the order of `Resource`."""

_DEFAULT: Scopes = {resource.value: Access.WRITE.value for resource in Resource if resource is not Resource.API_KEYS}
_REACH = {access: reach for reach, access in enumerate(Access)}
_RESOURCES = ", ".join(resource.value for resource in Resource)
_EXAMPLE = "a resource and an access such as calls:write"


def effective(scopes: Scopes | None) -> Scopes:
    """What a key reaches; None is the default: write on all, but no managing of keys."""
    return _DEFAULT if scopes is None else scopes


def allows(scopes: Scopes | None, resource: Resource, access: Access) -> bool:
    """Whether a key with those scopes may."""
    return _REACH[_access(scopes, resource)] >= _REACH[access]


def lacking(resource: Resource, access: Access) -> str:
    """What is said of a key or a role that may not, after its name."""
    return f"lacks permission to {access.value} {resource.value}"


def beyond(scopes: Scopes | None, limit: Scopes | None) -> list[str]:
    """What of `scopes` reaches further than `limit` does, as `calls:write`: nobody grants what they do not have."""
    return [
        f"{resource.value}:{access.value}"
        for resource in Resource
        if not allows(limit, resource, access := _access(scopes, resource))
    ]


def parse_scope(text: str, name: str) -> tuple[Resource, Access]:
    """`calls:write`, as it is typed. Raises Invalid."""
    resource, colon, access = text.partition(":")
    if not colon:
        raise Invalid(f"{name} must be {_EXAMPLE}")
    return _pair(resource, access, name)


def scopes(value: Any, name: str) -> dict[str, str]:
    """The scopes as stored, of a list of pairs or of `{"resource", "access"}`. Raises Invalid.

    A resource that is not in the list is not reached; one that is there twice would have two answers.
    """
    if not isinstance(value, list | tuple):
        raise Invalid(f"{name} must be a list, each of it {_EXAMPLE}")
    given: dict[Resource, Access] = {}
    for item in value:
        resource, access = _pair(*_parts(item, name), name)
        if resource in given:
            raise Invalid(f"{name} must name each resource once, and {resource.value} is there twice")
        given[resource] = access
    stored = {
        resource.value: given[resource].value
        for resource in Resource
        if given.get(resource, Access.NONE) is not Access.NONE
    }
    if not stored:
        raise Invalid(f"{name} must allow something: read or write of at least one resource")
    return stored


def _access(scopes: Scopes | None, resource: Resource) -> Access:
    return Access(effective(scopes).get(resource.value, Access.NONE))


def _parts(item: Any, name: str) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        return item.get("resource"), item.get("access")
    if isinstance(item, tuple) and len(item) == 2:
        return item
    raise Invalid(f"{name} must be a list, each of it {_EXAMPLE}")


def _pair(resource: Any, access: Any, name: str) -> tuple[Resource, Access]:
    try:
        found = Resource(resource)
    except ValueError:
        raise Invalid(f"{name} must name a resource, one of: {_RESOURCES}") from None
    try:
        return found, Access(access)
    except ValueError:
        raise Invalid(f"{name} must give none, read or write of {found.value}") from None
