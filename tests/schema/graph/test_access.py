"""What a key may reach is stated on every root field, and on every way from one resource to another (decision K2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type
from strawberry.types.field import StrawberryField

from schema.errors import Forbidden
from schema.graph.access import reads, require, writes
from schema.graph.root import graphql_schema
from schema.rules.scopes import Access, Resource
from schema.runtime import Runtime, Viewer
from tests.schema.conftest import Unchanged
from tests.schema.graph.conftest import Ask
from tests.support import seeds

ROOTS = {"Query": Access.READ, "Mutation": Access.WRITE, "Subscription": Access.READ}
EXEMPT = {("Query", "workspace"), ("Query", "viewer")}

# Which resource each type shows a row of; None: part of whatever holds it.
SHOWS: dict[str, Resource | None] = {
    "Agent": Resource.AGENTS,
    "ApiKey": Resource.API_KEYS,
    "ApiKeyScope": None,
    "AuditEntry": Resource.API_KEYS,
    "CreatedApiKey": Resource.API_KEYS,
    "RotatedApiKey": Resource.API_KEYS,
    "Appointment": Resource.APPOINTMENTS,
    "Call": Resource.CALLS,
    "CallAnalysis": None,
    "TranscriptLine": None,
    "TranscriptTurn": Resource.CALLS,
    "CallWindow": None,
    "Campaign": Resource.CAMPAIGNS,
    "CampaignContact": Resource.CAMPAIGNS,
    "Dialer": Resource.CALLS,
    "Enrolment": Resource.CAMPAIGNS,
    "CampaignOutcome": None,
    "Preflight": None,
    "RetryPolicy": None,
    "Contact": Resource.CONTACTS,
    "ContactImport": Resource.CONTACTS,
    "ContactImportEnrolment": None,
    "ContactImportError": None,
    "DoNotCallEntry": Resource.CONTACTS,
    "Delivery": Resource.WEBHOOKS,
    "DeliveryAttempt": None,
    "WebhookEndpoint": Resource.WEBHOOKS,
    "WebhookEndpointWithSecret": Resource.WEBHOOKS,
    "PhoneNumber": Resource.PHONE_NUMBERS,
    "Recovery": Resource.WEBHOOKS,
    "TriggeredEvent": Resource.WEBHOOKS,
    "Session": None,
    "User": None,
    "UserWithOneTimePassword": None,
    "Viewer": None,
    "ViewerKey": None,
    "Workspace": None,
}
# Root fields that answer with an id tell by their name.
BY_NAME = {
    "deleteAgent": Resource.AGENTS,
    "deleteContact": Resource.CONTACTS,
    "removeDoNotCall": Resource.CONTACTS,
    "deleteWebhookEndpoint": Resource.WEBHOOKS,
}

# Root fields that no key reaches: about people, and about the person who asks (decision 0011).
FOR_PEOPLE = {
    "users": "ManagesUsers",
    "createUser": "ManagesUsers",
    "updateUser": "ManagesUsers",
    "removeUser": "ManagesUsers",
    "resetUserPassword": "ManagesUsers",
    "sessions": "IsSignedIn",
    "endSession": "IsSignedIn",
    "endOtherSessions": "IsSignedIn",
}


def shown(name: str) -> Resource | None:
    return SHOWS[name.removesuffix("Page")]


def fields() -> Iterator[tuple[str, str, str, list[str]]]:
    """Type, field, the type it leads to, and the names of its permission classes."""
    for type in graphql_schema().type_map.values():
        if isinstance(type, GraphQLObjectType) and not type.name.startswith("__"):
            for name, field in type.fields.items():
                defined = field.extensions["strawberry-definition"]
                assert isinstance(defined, StrawberryField)
                permissions = [permission.__name__ for permission in defined.permission_classes]
                yield type.name, name, get_named_type(field.type).name, permissions


def test_every_type_says_which_resource_it_shows() -> None:
    names = {type for type, *_ in fields()} - ROOTS.keys()

    assert {name.removesuffix("Page") for name in names} == SHOWS.keys()


def needed(type: str, field: str, target: str) -> list[str]:
    """The names of the permission classes that a field must have."""
    if (type, field) in EXEMPT:
        return []
    if type in ROOTS and field in FOR_PEOPLE:
        return [FOR_PEOPLE[field]]
    if type in ROOTS:
        resource = BY_NAME[field] if target == "ID" else shown(target)
        assert resource is not None, f"{type}.{field} shows nothing known"
        return [each.__name__ for each in (reads if ROOTS[type] is Access.READ else writes)(resource)]
    resource = shown(target) if target.removesuffix("Page") in SHOWS else None
    return [each.__name__ for each in reads(resource)] if resource not in {None, shown(type)} else []


def test_every_field_is_behind_the_permission_it_needs() -> None:
    wrong = [
        f"{type}.{field}: {permissions}, not {needed(type, field, target)}"
        for type, field, target, permissions in fields()
        if permissions != needed(type, field, target)
    ]

    assert wrong == []


def test_a_relation_without_its_permission_would_be_noticed() -> None:
    assert needed("Query", "agents", "AgentPage") == ["ReadAgents"]
    assert needed("Mutation", "deleteAgent", "ID") == ["WriteAgents"]
    assert needed("Call", "agent", "Agent") == ["ReadAgents"]
    assert needed("Delivery", "endpoint", "WebhookEndpoint") == []
    assert needed("Call", "transcript", "TranscriptLine") == []
    assert needed("Agent", "name", "String") == []


def scoped(viewer: Viewer, **scopes: str) -> Viewer:
    return Viewer(viewer.workspace_id, viewer.plan, "c1", {name.replace("_", "-"): way for name, way in scopes.items()})


def codes(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error["extensions"]["code"], error["message"]) for error in answer.get("errors", ())]


CREATE = 'mutation { createAgent(input: {name: "Sam", systemPrompt: "Be kind."}) { name } }'
READ_CALLS = "This API key lacks permission to read calls"


async def test_a_scope_that_is_missing_is_forbidden(
    ask: Ask, viewer: Viewer, runtime: Runtime, unchanged: Unchanged
) -> None:
    """K2: none, read and write; write includes read."""
    lacks = ("FORBIDDEN", "This API key lacks permission to write agents")
    async with unchanged():
        for scopes in ({}, {"agents": "read"}, {"calls": "write"}):
            answer = await ask(CREATE, as_=scoped(viewer, **scopes))
            assert (answer["data"], codes(answer)) == (None, [lacks])

    assert await ask(CREATE, as_=scoped(viewer, agents="write")) == {"data": {"createAgent": {"name": "Sam"}}}
    for way in ("read", "write"):
        answer = await ask("{ agents { total } }", as_=scoped(viewer, agents=way))
        assert answer == {"data": {"agents": {"total": 1}}}


def test_a_permission_can_be_asked_for_without_running_the_field(viewer: Viewer) -> None:
    """R10: an answer that is kept is shown to those only who might have it made."""
    mutation = graphql_schema().mutation_type
    assert mutation is not None
    field = mutation.fields["createAgent"]

    require(field, viewer)
    require(field, scoped(viewer, agents="write"))
    with pytest.raises(Forbidden) as refusal:
        require(field, scoped(viewer, agents="read"))

    assert refusal.value.message == "This API key lacks permission to write agents"


async def test_a_key_without_scopes_may_write_all_but_keys(ask: Ask, viewer: Viewer) -> None:
    """K2: keys cannot manage keys unless given `api-keys`."""
    assert codes(await ask(CREATE)) == []
    assert codes(await ask("{ apiKeys { id } }")) == [("FORBIDDEN", "This API key lacks permission to read api-keys")]
    assert codes(await ask("{ apiKeys { id } }", as_=scoped(viewer, api_keys="read"))) == []


async def test_a_relation_is_behind_the_other_resource_s_scope(ask: Ask, viewer: Viewer, runtime: Runtime) -> None:
    call = await seeds.call(runtime, viewer)
    text = "query ($id: ID!) { call(id: $id) { id agent { name } } }"

    answer = await ask(text, id=call.id, as_=scoped(viewer, calls="read"))
    allowed = await ask(text, id=call.id, as_=scoped(viewer, calls="read", agents="read"))

    assert answer["data"] == {"call": {"id": call.id, "agent": None}}
    assert codes(answer) == [("FORBIDDEN", "This API key lacks permission to read agents")]
    assert allowed == {"data": {"call": {"id": call.id, "agent": {"name": "Sam"}}}}


async def test_an_import_into_a_campaign_writes_the_campaign_too(
    ask: Ask, viewer: Viewer, runtime: Runtime, unchanged: Unchanged
) -> None:
    campaign = await seeds.campaign(runtime, viewer)
    text = """mutation ($id: ID) {
        importContacts(csv: "phone\\n+15551234567", campaignId: $id) { imported enrolment { enrolled } }
    }"""

    async with unchanged():
        answer = await ask(text, id=campaign.id, as_=scoped(viewer, contacts="write", campaigns="read"))
    alone = await ask(text, id=None, as_=scoped(viewer, contacts="write"))
    both = await ask(text, id=campaign.id, as_=scoped(viewer, contacts="write", campaigns="write"))

    assert codes(answer) == [("FORBIDDEN", "This API key lacks permission to write campaigns")]
    assert alone == {"data": {"importContacts": {"imported": 1, "enrolment": None}}}
    assert both == {"data": {"importContacts": {"imported": 0, "enrolment": {"enrolled": 1}}}}


@pytest.mark.parametrize(
    ("fields", "other", "lacks"),
    [
        ('{contacts: [{phoneNumber: "+15551234567"}]}', "read", "write contacts"),
        ("{all: true}", "none", "read contacts"),
    ],
)
async def test_enrolling_more_than_known_ids_reaches_contacts(
    ask: Ask, viewer: Viewer, runtime: Runtime, unchanged: Unchanged, fields: str, other: str, lacks: str
) -> None:
    """0010: new contacts are written, all of them are read; ids are only ids."""
    campaign = await seeds.campaign(runtime, viewer)
    contact = await seeds.contact(runtime, viewer)
    text = f"mutation ($id: ID!) {{ enrolContacts(id: $id, input: {fields}) {{ duplicates }} }}"
    known = text.replace(fields, f'{{contactIds: ["{contact.id}"]}}')

    async with unchanged():
        answer = await ask(text, id=campaign.id, as_=scoped(viewer, campaigns="write", contacts=other))
    by_id = await ask(known, id=campaign.id, as_=scoped(viewer, campaigns="write"))
    both = await ask(text, id=campaign.id, as_=scoped(viewer, campaigns="write", contacts=lacks.split(maxsplit=1)[0]))

    assert codes(answer) == [("FORBIDDEN", f"This API key lacks permission to {lacks}")]
    assert (codes(by_id), codes(both)) == ([], [])


async def test_nobody_is_unauthorized_everywhere(ask: Ask, unchanged: Unchanged) -> None:
    async with unchanged():
        for text in (CREATE, "{ agents { total } }", "{ workspace { name } }"):
            answer = await ask(text, as_=None)
            assert codes(answer) == [("UNAUTHORIZED", "Missing or invalid API key")]


async def test_any_key_may_know_its_workspace(ask: Ask, viewer: Viewer) -> None:
    answer = await ask("{ workspace { id name plan } }", as_=scoped(viewer))

    assert answer == {"data": {"workspace": {"id": viewer.workspace_id, "name": "Acme", "plan": "ENTERPRISE"}}}
