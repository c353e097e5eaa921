"""Every root field asked with every scope: what its permission says, and not a row more (decision K2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)

from schema.graph.context import Context
from schema.graph.errors import present
from schema.graph.root import graphql_schema, schema
from schema.rules.scopes import Access, Resource, Scopes
from schema.runtime import Runtime, Viewer
from schema.tables import Appointment
from tests.schema.conftest import Unchanged
from tests.schema.graph.conftest import Ask
from tests.schema.graph.test_access import EXEMPT, ROOTS, fields, needed
from tests.support import seeds
from tests.support.api import UNKNOWN

# What a field answers to whom: nothing, read or write of one resource, or the default.
SCOPES: list[Scopes | None] = [
    {},
    None,
    *({resource.value: access.value} for resource in Resource for access in (Access.READ, Access.WRITE)),
]
NO_KEY = {
    "ManagesUsers": "An API key cannot see or manage users: sign in as an owner",
    "IsSignedIn": "An API key has no sessions: only somebody who is signed in has",
}


def roots(*types: str) -> list[tuple[str, str, GraphQLField]]:
    found = []
    for type in types:
        root = graphql_schema().type_map[type]
        assert isinstance(root, GraphQLObjectType)
        found += [(type, name, field) for name, field in root.fields.items()]
    return found


def sample(type: GraphQLInputType) -> Any:
    """A value that fits the type, with only what must be given; ids are nobody's."""
    if isinstance(type, GraphQLNonNull):
        return sample(type.of_type)
    if isinstance(type, GraphQLList):
        return [sample(type.of_type)]
    if isinstance(type, GraphQLEnumType):
        return next(iter(type.values))
    if isinstance(type, GraphQLInputObjectType):
        return {name: sample(field.type) for name, field in type.fields.items() if _must(field.type)}
    return {
        "ID": UNKNOWN,
        "Int": 1,
        "Boolean": True,
        "DateTime": "2025-02-01T09:00:00Z",
        "AgentTool": "end_call",
        "EventType": "call.ended",
        "JSONObject": {},
    }.get(get_named_type(type).name, "+15551234567")


def _must(type: GraphQLInputType) -> bool:
    return isinstance(type, GraphQLNonNull)


def document(kind: str, name: str, field: GraphQLField) -> tuple[str, dict[str, Any]]:
    """The field alone, its required arguments as variables, and of its answer one leaf."""
    asked = {argument: each.type for argument, each in field.args.items() if _must(each.type)}
    declared = ", ".join(f"${argument}: {type}" for argument, type in asked.items())
    given = ", ".join(f"{argument}: ${argument}" for argument in asked)
    text = f"{kind.lower()} {f'({declared})' if declared else ''} {{ {name}{f'({given})' if given else ''} "
    return f"{text} {leaf(field)} }}", {argument: sample(type) for argument, type in asked.items()}


def leaf(field: GraphQLField) -> str:
    """What to select so that something is: the first leaf, or what leads to one."""
    type = get_named_type(field.type)
    if is_leaf_type(type):
        return ""
    assert isinstance(type, GraphQLObjectType)
    for name, each in type.fields.items():
        if is_leaf_type(get_named_type(each.type)):
            return f"{{ {name} }}"
    return next(f"{{ {name} {leaf(each)} }}" for name, each in type.fields.items())


def lacks(type: str, name: str, field: GraphQLField) -> tuple[Resource | None, Access, str] | None:
    """The permission of the field, None for a resource that no key reaches, and the sentence for who has it not."""
    names = needed(type, name, get_named_type(field.type).name)
    if not names:
        return None
    access = ROOTS[type]
    if names[0] in NO_KEY:
        return None, access, NO_KEY[names[0]]
    (resource,) = (
        each for each in Resource if names == [f"{access.value.title()}{each.name.title().replace('_', '')}"]
    )
    return resource, access, f"This API key lacks permission to {access.value} {resource.value}"


def may(scopes: Scopes | None, resource: Resource | None, access: Access) -> bool:
    """K2, said once more."""
    if resource is None:
        return False
    if scopes is None:
        return resource is not Resource.API_KEYS
    return scopes.get(resource.value) in (["write"] if access is Access.WRITE else ["read", "write"])


ASKED = roots("Query", "Mutation")


def test_only_these_fields_are_for_every_key() -> None:
    assert {("Query", "workspace"), ("Query", "viewer")} == EXEMPT
    assert {(type, name) for type, name, field in roots(*ROOTS) if lacks(type, name, field) is None} == EXEMPT


@pytest.mark.parametrize(("type", "name", "field"), ASKED, ids=[f"{type}.{name}" for type, name, _ in ASKED])
async def test_every_root_field_with_every_scope(
    ask: Ask, viewer: Viewer, runtime: Runtime, unchanged: Unchanged, type: str, name: str, field: GraphQLField
) -> None:
    row, _ = await seeds.key(runtime, viewer, scopes=[(each, "write") for each in Resource])
    text, variables = document("query" if type == "Query" else "mutation", name, field)
    permission = lacks(type, name, field)

    def as_(scopes: Scopes | None) -> Viewer:
        return replace(viewer, key_id=row.id, scopes=scopes, digest=row.digest)

    allowed = [scopes for scopes in SCOPES if permission is None or may(scopes, *permission[:2])]
    refused = [scopes for scopes in SCOPES if scopes not in allowed]
    async with unchanged():
        for scopes in refused:
            answer = await ask(text, as_=as_(scopes), **variables)
            assert permission is not None
            refusals = [(each["extensions"], each["message"], each["path"]) for each in answer["errors"]]
            assert refusals == [({"code": "FORBIDDEN"}, permission[2], [name])]
            assert answer["data"] in (None, {name: None})
    for scopes in allowed:
        answer = await ask(text, as_=as_(scopes), **variables)
        for error in answer.get("errors", ()):
            assert error["extensions"]["code"] in {"NOT_FOUND", "BAD_REQUEST"}, (scopes, error)

    assert len(refused) >= (len(SCOPES) - 3 if permission is not None else 0)


@pytest.mark.parametrize(("name", "field"), [each[1:] for each in roots("Subscription")])
async def test_every_subscription_with_every_scope(
    runtime: Runtime, viewer: Viewer, name: str, field: GraphQLField
) -> None:
    text, variables = document("subscription", name, field)
    permission = lacks("Subscription", name, field)
    assert permission is not None

    for scopes in SCOPES:
        context = Context(runtime, replace(viewer, key_id="c1", scopes=scopes), "req-1")
        stream: Any = await schema.subscribe(text, variable_values=variables, context_value=context)
        result = await anext(stream)
        errors = [present(error, "req-1") for error in result.errors or ()]
        if may(scopes, *permission[:2]):
            ids = [argument for argument, value in variables.items() if value == UNKNOWN]
            assert [(error.extensions or {})["code"] for error in errors] == ["NOT_FOUND"] * len(ids)
        else:
            assert [(error.extensions, error.message) for error in errors] == [({"code": "FORBIDDEN"}, permission[2])]


# From one resource to another: the scope of the first, how to get there, and what is lacking then.
RELATIONS = {
    "Call.agent": ("calls", "calls { nodes { id agent { name } } }", "agents"),
    "Call.phoneNumber": ("calls", "calls { nodes { id phoneNumber { name } } }", "phone-numbers"),
    "Call.campaign": ("calls", "calls { nodes { id campaign { name } } }", "campaigns"),
    "Call.contact": ("calls", "calls { nodes { id contact { name } } }", "contacts"),
    "Campaign.agent": ("campaigns", "campaigns { nodes { id agent { name } } }", "agents"),
    "Campaign.phoneNumber": ("campaigns", "campaigns { nodes { id phoneNumber { name } } }", "phone-numbers"),
    "CampaignContact.contact": (
        "campaigns",
        "campaignContacts(id: $campaign) { nodes { id contact { name } } }",
        "contacts",
    ),
    "Appointment.contact": ("appointments", "appointments { nodes { id contact { name } } }", "contacts"),
    "Appointment.call": ("appointments", "appointments { nodes { id call { to } } }", "calls"),
}


def test_these_are_all_ways_from_one_resource_to_another() -> None:
    there = {f"{type}.{name}" for type, name, target, _ in fields() if type not in ROOTS and needed(type, name, target)}

    assert there == RELATIONS.keys()


@pytest.mark.parametrize(("scope", "text", "other"), RELATIONS.values(), ids=RELATIONS)
async def test_a_nested_object_takes_its_own_scope_and_the_rest_is_answered(
    ask: Ask, viewer: Viewer, runtime: Runtime, scope: str, text: str, other: str
) -> None:
    """0010."""
    person = await seeds.contact(runtime, viewer)
    campaign = await seeds.campaign(runtime, viewer, contact_ids=[person.id])
    call = await seeds.call(runtime, viewer, campaign_id=campaign.id)
    meeting = await seeds.appointment(runtime, viewer, contact_id=person.id)
    async with runtime.transaction(viewer) as tx:
        (await tx.lock(Appointment, meeting.id)).call_id = call.id
    variables = {"campaign": campaign.id} if "$campaign" in text else {}
    asked = f"query {'($campaign: ID!)' if variables else ''} {{ {text} }}"

    alone = await ask(asked, as_=replace(viewer, key_id="c1", scopes={scope: "write"}), **variables)
    both = await ask(asked, as_=replace(viewer, key_id="c1", scopes={scope: "read", other: "read"}), **variables)

    (page,) = alone["data"].values()
    nested = {name: value for node in page["nodes"] for name, value in node.items() if name != "id"}
    assert page["nodes"]
    assert list(nested.values()) == [None]
    assert {(error["extensions"]["code"], error["message"]) for error in alone["errors"]} == {
        ("FORBIDDEN", f"This API key lacks permission to read {other}")
    }
    assert "errors" not in both
    (page,) = both["data"].values()
    assert any(value for node in page["nodes"] for name, value in node.items() if name != "id")
