"""Scopes: what they say, how they are written, and that nobody grants what they do not have (decision K2)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from schema.errors import Invalid
from schema.rules.scopes import Access, Resource, allows, beyond, effective, parse_scope, scopes

EACH = "a resource and an access such as calls:write"
RESOURCES = "agents, campaigns, calls, appointments, contacts, phone-numbers, webhooks, api-keys"


def test_write_includes_read_and_what_is_left_out_is_none() -> None:
    for resource, granted, wanted in itertools.product(Resource, Access, Access):
        given = {} if granted is Access.NONE else {resource.value: granted.value}
        reach = [Access.NONE, Access.READ, Access.WRITE]

        assert allows(given, resource, wanted) is (reach.index(granted) >= reach.index(wanted))
        for other in set(Resource) - {resource}:
            assert not allows(given, other, Access.READ)


def test_the_default_writes_all_and_manages_no_keys() -> None:
    for resource in Resource:
        assert allows(None, resource, Access.WRITE) is allows(None, resource, Access.READ)
        assert allows(None, resource, Access.READ) is (resource is not Resource.API_KEYS)
    assert list(effective(None)) == [resource.value for resource in Resource if resource is not Resource.API_KEYS]


def test_they_are_stored_in_one_order_and_without_none() -> None:
    given = [("webhooks", "read"), (Resource.CALLS, Access.NONE), ("agents", "write")]

    assert list(scopes(given, "scopes").items()) == [("agents", "write"), ("webhooks", "read")]
    assert scopes([{"resource": Resource.CALLS, "access": Access.READ}], "scopes") == {"calls": "read"}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("calls:write", f"scopes must be a list, each of it {EACH}"),
        ({"calls": "write"}, f"scopes must be a list, each of it {EACH}"),
        (["calls:write"], f"scopes must be a list, each of it {EACH}"),
        ([("calls",)], f"scopes must be a list, each of it {EACH}"),
        ([("call", "write")], f"scopes must name a resource, one of: {RESOURCES}"),
        ([("users", "write")], f"scopes must name a resource, one of: {RESOURCES}"),
        ([(None, "write")], f"scopes must name a resource, one of: {RESOURCES}"),
        ([([], "write")], f"scopes must name a resource, one of: {RESOURCES}"),
        ([("calls", "admin")], "scopes must give none, read or write of calls"),
        ([("calls", None)], "scopes must give none, read or write of calls"),
        (
            [("calls", "read"), ("calls", "write")],
            "scopes must name each resource once, and calls is there twice",
        ),
        (
            [("calls", "none"), ("calls", "none")],
            "scopes must name each resource once, and calls is there twice",
        ),
        ([], "scopes must allow something: read or write of at least one resource"),
        ([("calls", "none")], "scopes must allow something: read or write of at least one resource"),
    ],
)
def test_what_is_no_list_of_scopes(value: Any, says: str) -> None:
    with pytest.raises(Invalid) as refusal:
        scopes(value, "scopes")

    assert refusal.value.message == says


def test_a_scope_as_it_is_typed() -> None:
    assert parse_scope("phone-numbers:read", "--scope") == (Resource.PHONE_NUMBERS, Access.READ)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("calls", f"--scope must be {EACH}"),
        ("", f"--scope must be {EACH}"),
        ("Calls:write", f"--scope must name a resource, one of: {RESOURCES}"),
        ("*:write", f"--scope must name a resource, one of: {RESOURCES}"),
        ("calls:write:read", "--scope must give none, read or write of calls"),
        ("calls:", "--scope must give none, read or write of calls"),
    ],
)
def test_a_scope_that_is_mistyped(text: str, says: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_scope(text, "--scope")

    assert refusal.value.message == says


def test_what_of_some_scopes_is_beyond_others() -> None:
    some = {"agents": "read", "calls": "write"}

    assert beyond(some, some) == []
    assert beyond({"agents": "write", "calls": "read", "contacts": "read"}, some) == ["agents:write", "contacts:read"]
    assert beyond({"api-keys": "read"}, None) == ["api-keys:read"]
    assert beyond(None, {**effective(None), "api-keys": "write"}) == []
    assert beyond(None, {"api-keys": "write"}) == [f"{name}:write" for name in effective(None)]
