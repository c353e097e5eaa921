"""Scopes: what a key may do with each resource (decision K2)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


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
    """How far a scope reaches; write includes read."""

    READ = "read"
    WRITE = "write"


Scopes = Mapping[str, str]


def allows(scopes: Scopes | None, resource: Resource, access: Access) -> bool:
    """Whether a key with those scopes may; None is the default: write on all, but no managing of keys (K2)."""
    if scopes is None:
        return resource is not Resource.API_KEYS
    granted = scopes.get(resource.value)
    return granted in {Access.WRITE, access}
