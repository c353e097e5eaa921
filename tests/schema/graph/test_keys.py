"""API keys and the audit log over GraphQL (decisions K1–K4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schema.rules.keys import is_well_formed
from schema.rules.scopes import Resource
from schema.runtime import Runtime, Viewer
from schema.services import keys
from tests.schema.conftest import Unchanged
from tests.schema.graph.conftest import Ask
from tests.support import seeds
from tests.support.time import VirtualClock

CREATE = """mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
    key apiKey { id name prefix lastFour scopes { resource access } allowedIps expiresAt revokedAt lastUsedAt }
} }"""
UPDATE = """mutation ($id: ID!, $input: UpdateApiKeyInput!) { updateApiKey(id: $id, input: $input) {
    name scopes { resource access } allowedIps expiresAt
} }"""
ROTATE = """mutation ($id: ID!, $overlap: Int) { rotateApiKey(id: $id, overlapSeconds: $overlap) {
    key previousKeyExpiresAt apiKey { id name prefix }
} }"""
LOG = """{ auditLog { total nodes {
    action actor actorId actorName address subjectId subjectName changes createdAt
} } }"""


@pytest.fixture
async def manager(runtime: Runtime, viewer: Viewer) -> Viewer:
    """A key that may do everything, used from an address."""
    row, _ = await seeds.key(runtime, viewer, name="Manager", scopes=[(each, "write") for each in Resource])
    return replace(viewer, key_id=row.id, scopes=row.scopes, name=row.name, address="203.0.113.7", digest=row.digest)


def refusal(answer: dict[str, Any]) -> tuple[str, str]:
    (error,) = answer["errors"]
    return error["extensions"]["code"], error["message"]


async def test_a_key_with_limits(ask: Ask, manager: Viewer, runtime: Runtime) -> None:
    scopes = [{"resource": "PHONE_NUMBERS", "access": "READ"}, {"resource": "CALLS", "access": "WRITE"}]
    given = {
        "name": "CRM",
        "scopes": [*scopes, {"resource": "AGENTS", "access": "NONE"}],
        "allowedIps": ["10.0.0.0/8", "::ffff:192.0.2.1"],
        "expiresAt": "2026-01-01T00:00:00Z",
    }

    answer = await ask(CREATE, as_=manager, input=given)

    made = answer["data"]["createApiKey"]
    assert is_well_formed(made["key"])
    assert made["apiKey"] == {
        "id": made["apiKey"]["id"],
        "name": "CRM",
        "prefix": made["key"][:12],
        "lastFour": made["key"][-4:],
        "scopes": scopes[::-1],
        "allowedIps": ["10.0.0.0/8", "192.0.2.1"],
        "expiresAt": "2026-01-01T00:00:00Z",
        "revokedAt": None,
        "lastUsedAt": None,
    }


async def test_a_key_without_limits_says_what_it_may_do(ask: Ask, manager: Viewer) -> None:
    answer = await ask(CREATE, as_=manager, input={"name": "CRM"})

    key = answer["data"]["createApiKey"]["apiKey"]
    writes = [{"resource": each.name, "access": "WRITE"} for each in Resource if each is not Resource.API_KEYS]
    assert (key["scopes"], key["allowedIps"], key["expiresAt"]) == (writes, None, None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"scopes": [{"resource": "CALLS", "access": "READ"}, {"resource": "CALLS", "access": "WRITE"}]},
            "scopes must name each resource once, and calls is there twice",
        ),
        ({"scopes": []}, "scopes must allow something: read or write of at least one resource"),
        (
            {"allowedIps": ["10.0.0.1/8"]},
            "allowedIps must be an IP address or a CIDR range such as 10.0.0.0/8, without host bits",
        ),
        ({"expiresAt": "2025-01-15T14:00:00Z"}, "expiresAt must be in the future"),
        ({"name": ""}, "name must not be empty"),
    ],
)
async def test_a_bad_limit(ask: Ask, manager: Viewer, unchanged: Unchanged, given: Any, says: str) -> None:
    async with unchanged():
        made = await ask(CREATE, as_=manager, input={"name": "CRM", **given})
        changed = await ask(UPDATE, as_=manager, id=manager.key_id, input=given)

    assert refusal(made) == ("BAD_REQUEST", says)
    assert refusal(changed)[0] == "BAD_REQUEST"


async def test_a_resource_that_there_is_not(ask: Ask, manager: Viewer, unchanged: Unchanged) -> None:
    async with unchanged():
        answer = await ask(
            CREATE, as_=manager, input={"name": "CRM", "scopes": [{"resource": "USERS", "access": "READ"}]}
        )

    code, message = refusal(answer)
    assert code == "BAD_REQUEST"
    assert message.endswith("Value 'USERS' does not exist in 'Resource' enum.")


async def test_a_key_gives_no_more_than_it_has(
    ask: Ask, viewer: Viewer, manager: Viewer, runtime: Runtime, unchanged: Unchanged
) -> None:
    """The whole way: a key of two scopes makes none of three, itself neither, and takes over no other."""
    row, text = await seeds.key(runtime, viewer, scopes=[("api-keys", "write"), ("calls", "read")])
    weak = await keys.authenticate(runtime, text)
    more = {"scopes": [{"resource": "CALLS", "access": "WRITE"}]}
    says = "This API key cannot give a key more than it has itself: calls:write"

    async with unchanged():
        made = await ask(CREATE, as_=weak, input={"name": "CRM", **more})
        itself = await ask(UPDATE, as_=weak, id=row.id, input=more)
        default = await ask(UPDATE, as_=weak, id=row.id, input={"scopes": None})
        taken = await ask(ROTATE, as_=weak, id=manager.key_id)

    assert refusal(made) == refusal(itself) == ("FORBIDDEN", says)
    assert refusal(default)[0] == refusal(taken)[0] == "FORBIDDEN"


async def test_change_rotate_and_revoke(ask: Ask, manager: Viewer, runtime: Runtime, viewer: Viewer) -> None:
    row, _ = await seeds.key(runtime, viewer, allowed_ips=["10.0.0.1"])
    less = {"name": "Sync", "scopes": [{"resource": "CALLS", "access": "READ"}], "allowedIps": None}

    changed = await ask(UPDATE, as_=manager, id=row.id, input=less)
    rotated = (await ask(ROTATE, as_=manager, id=row.id))["data"]["rotateApiKey"]
    at_once = (await ask(ROTATE, as_=manager, id=row.id, overlap=0))["data"]["rotateApiKey"]
    revoked = await ask("mutation ($id: ID!) { revokeApiKey(id: $id) { revokedAt } }", as_=manager, id=row.id)

    assert changed["data"] == {"updateApiKey": {**less, "expiresAt": None}}
    assert rotated == {
        "key": rotated["key"],
        "previousKeyExpiresAt": "2025-01-16T14:00:00Z",
        "apiKey": {"id": row.id, "name": "Sync", "prefix": rotated["key"][:12]},
    }
    assert at_once["previousKeyExpiresAt"] is None
    assert len({rotated["key"], at_once["key"]}) == 2
    assert revoked["data"] == {"revokeApiKey": {"revokedAt": "2025-01-15T14:00:00Z"}}


async def test_the_audit_log(ask: Ask, manager: Viewer, clock: VirtualClock) -> None:
    await clock.advance(1)
    made = (await ask(CREATE, as_=manager, input={"name": "CRM", "allowedIps": ["10.0.0.1"]}))["data"]["createApiKey"]

    answer = await ask(LOG, as_=replace(manager, scopes={"api-keys": "read"}))

    by_manager, by_system = answer["data"]["auditLog"]["nodes"]
    assert answer["data"]["auditLog"]["total"] == 2
    assert by_manager == {
        "action": "API_KEY_CREATED",
        "actor": "API_KEY",
        "actorId": manager.key_id,
        "actorName": "Manager",
        "address": "203.0.113.7",
        "subjectId": made["apiKey"]["id"],
        "subjectName": "CRM",
        "changes": {"allowedIps": [None, ["10.0.0.1"]]},
        "createdAt": "2025-01-15T14:00:01Z",
    }
    assert (by_system["action"], by_system["actor"], by_system["actorId"], by_system["address"]) == (
        "API_KEY_CREATED",
        "SYSTEM",
        None,
        None,
    )


async def test_the_audit_log_has_pages(ask: Ask, manager: Viewer) -> None:
    for name in ("A", "B", "C"):
        await ask(CREATE, as_=manager, input={"name": name})

    answer = await ask("{ auditLog(limit: 2, offset: 1) { total limit offset nodes { subjectName } } }", as_=manager)
    bad = await ask("{ auditLog(limit: 201) { total } }", as_=manager)

    page = {"total": 4, "limit": 2, "offset": 1, "nodes": [{"subjectName": "B"}, {"subjectName": "A"}]}
    assert answer == {"data": {"auditLog": page}}
    assert refusal(bad) == ("BAD_REQUEST", "limit must be between 1 and 200")
