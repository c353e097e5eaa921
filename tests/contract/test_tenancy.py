"""R5, E5 for every id that a caller can send, as the schema and the routes list them: a new one fails until it is here.

Another workspace's id is answered as one that nobody has, byte for byte, and changes nothing. (A link to a recording is
no id: it is signed, and plays for whoever has it, decision L3.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_leaf_type,
    is_object_type,
    is_required_argument,
)

from app.rest.adapter import Endpoint, compile_endpoints
from app.rest.routes import CSV
from schema.graph.context import Context
from schema.graph.errors import present
from schema.graph.root import graphql_schema, schema
from schema.rules.roles import UserRole, scopes_of
from schema.services import keys
from tests.support import seeds
from tests.support.api import UNKNOWN, Api
from tests.support.runtime import on_both

Path = tuple[str, ...]
Ids = Mapping[str, str]

# What an argument called `id` is of, by its field.
KINDS = {
    "agent": "agent updateAgent deleteAgent",
    "campaign": "campaign campaignContacts updateCampaign enrolContacts campaignChanged",
    "call": "call hangUpCall callChanged callTranscript",
    "appointment": "appointment updateAppointment",
    "contact": "contact updateContact deleteContact",
    "doNotCallEntry": "doNotCallEntry removeDoNotCall",
    "phoneNumber": "phoneNumber updatePhoneNumber",
    "webhookEndpoint": "webhookEndpoint updateWebhookEndpoint deleteWebhookEndpoint rotateWebhookSecret "
    "testWebhookEndpoint deliveries recoverDeliveries",
    "delivery": "delivery resendDelivery",
    "apiKey": "updateApiKey rotateApiKey revokeApiKey",
    "user": "updateUser removeUser resetUserPassword",
    "session": "endSession",
}
KIND_OF = {field: kind for kind, fields in KINDS.items() for field in fields.split()}
FILTERS = {"calls", "appointments"}  # they answer empty
STREAMED = {
    "callChanged",
    "callTranscript",
    "campaignChanged",
    "deliveryChanged",
}  # not answered over POST: tests of subscriptions have it

# The rest of what a field needs, in JSON; `$agent` is the id of a row of the caller's own.
HOUR = {"startTime": "2025-02-15T10:00:00Z", "endTime": "2025-02-15T11:00:00Z"}
NEEDS: Mapping[str, Any] = {
    "CreateCallInput": {"agentId": "$agent", "phoneNumberId": "$phoneNumber", "to": "+15551234567"},
    "CreateCampaignInput": {"agentId": "$agent", "phoneNumberId": "$phoneNumber", "name": "Spring"},
    "CreateAppointmentInput": {"contactId": "$contact", "title": "Demo", **HOUR},
    "RecoverDeliveriesInput": {"since": "2025-01-15T14:00:00Z"},
    "EnrolContactsInput": {"contactIds": ["$contact"]},
    "UserRole": "OWNER",
    "String": "phoneNumber\n+15551234567\n",
}


def id_paths(type: GraphQLInputType, path: Path) -> Iterator[Path]:
    """Where ids are in a value of that type."""
    named = get_named_type(type)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from id_paths(field.type, (*path, name))
    elif named.name == "ID":
        yield path


def fields_with_arguments() -> Iterator[tuple[str, str, GraphQLField]]:
    """Operation, name and field; of an object below the root, no operation fits."""
    built = graphql_schema()
    operations = {built.query_type: "query", built.mutation_type: "mutation", built.subscription_type: "subscription"}
    for type in built.type_map.values():
        if is_object_type(type) and not type.name.startswith("__"):
            for name, field in type.fields.items():
                if field.args:
                    yield operations.get(type, type.name), name, field


FIELDS = {name: (operation, field) for operation, name, field in fields_with_arguments()}
PLACES = [
    (name, path)
    for operation, name, field in fields_with_arguments()
    for argument, given in field.args.items()
    for path in id_paths(given.type, (argument,))
]
ENDPOINTS = compile_endpoints()
ROUTE_PLACES = [
    (endpoint, path)
    for endpoint in ENDPOINTS
    for name, variable in endpoint.operation.variables.items()
    for path in id_paths(variable.type, (name,))
]


def kind_of(field: str, path: Path) -> str:
    """What the id in that place is of. Raises KeyError for a place that has no case yet."""
    last = path[-1]
    if last == "endpointId":
        return "webhookEndpoint"
    return KIND_OF[field] if last == "id" else last.removesuffix("s").removesuffix("Id")


def filled(type: GraphQLInputType, mine: Ids, kind: str | None) -> Any:
    """A value that would do, but for the one that is under test."""
    if kind is not None and get_named_type(type).name == "ID":
        return mine[kind]
    needed = json.dumps(NEEDS.get(get_named_type(type).name, {}))
    for name, id in mine.items():
        needed = needed.replace(f'"${name}"', f'"{id}"')
    return json.loads(needed)


def put(variables: dict[str, Any], path: Path, id: str, type: GraphQLInputType) -> None:
    """The id, in its place."""
    *outer, last = path
    for name in outer:
        variables = variables.setdefault(name, {})
    named = type
    for name in path[1:]:
        inner: Any = get_named_type(named)
        named = inner.fields[name].type
    variables[last] = [id] if isinstance(_nullable(named), GraphQLList) else id


def _nullable(type: GraphQLInputType) -> GraphQLInputType:
    return type.of_type if isinstance(type, GraphQLNonNull) else type


async def rows_of(api: Api) -> dict[str, str]:
    """The id of one row of each kind."""
    await seeds.everything(api.runtime, api.viewer)
    ids = {"webhookEndpoint": (await api.get("/webhooks")).json()[0]["id"]}
    for kind, path in {
        "agent": "/agents",
        "campaign": "/campaigns",
        "appointment": "/appointments",
        "contact": "/contacts",
        "phoneNumber": "/phone-numbers",
        "doNotCallEntry": "/do-not-call",
        "delivery": f"/webhooks/{ids['webhookEndpoint']}/deliveries",
    }.items():
        ids[kind] = (await api.get(path)).json()[0]["id"]
    ids["call"] = (await api.get("/calls")).json()["calls"][0]["id"]
    ids["apiKey"] = api.key_id
    signed_in, _ = await seeds.signed_in(api.runtime, api.viewer)
    return {**ids, "user": signed_in.user_id, "session": signed_in.session_id, "token": signed_in.digest}


async def ask(api: Api, mine: Ids, query: str, variables: Mapping[str, Any]) -> str:
    """The answer that an owner gets, who may do everything."""
    everything = scopes_of(UserRole.OWNER)
    owner = replace(
        api.viewer, user_id=mine["user"], session_id=mine["session"], scopes=everything, digest=mine["token"]
    )
    result = await schema.execute(
        query, variable_values=dict(variables), context_value=Context(api.runtime, owner, "req-1")
    )
    return json.dumps([result.data, [present(each, "req-1").formatted for each in result.errors or []]])


@on_both
async def test_every_id_of_the_graph(api: Api, other: Api) -> None:
    mine, theirs = await rows_of(api), await rows_of(other)

    for name, path in PLACES:
        if name in STREAMED:
            continue
        operation, field = FIELDS[name]
        kind = kind_of(name, path)
        variables = {
            argument: filled(given.type, mine, KIND_OF.get(name))
            for argument, given in field.args.items()
            if is_required_argument(given) or argument == path[0]
        }
        declared = ", ".join(f"${argument}: {field.args[argument].type}" for argument in variables)
        passed = ", ".join(f"{argument}: ${argument}" for argument in variables)
        selected = (
            "" if is_leaf_type(get_named_type(field.type)) else " { total }" if name in FILTERS else " { __typename }"
        )
        query = f"{operation}({declared}) {{ {name}({passed}){selected} }}"

        answers = []
        async with api.unchanged():
            for id in (theirs[kind], UNKNOWN):
                put(variables, path, id, field.args[path[0]].type)
                answers.append((await ask(api, mine, query, variables)).replace(id, UNKNOWN))

        assert answers[0] == answers[1], query
        if name in FILTERS:
            assert json.loads(answers[0]) == [{name: {"total": 0}}, []]
        else:
            _, (error,) = json.loads(answers[0])
            assert error["extensions"] == {"code": "NOT_FOUND"}, (query, error)
            assert error["message"].endswith(f" with id {UNKNOWN} not found")


@on_both
async def test_every_id_of_a_route(api: Api, other: Api) -> None:
    mine, theirs = await rows_of(api), await rows_of(other)

    for endpoint, path in ROUTE_PLACES:
        kind = kind_of(endpoint.operation.root.key, path)
        async with api.unchanged():
            answers = [await send(api, endpoint, mine, path, id) for id in (theirs[kind], UNKNOWN)]

        status, headers, body = answers[0]
        assert answers[0] == answers[1], (endpoint.route, path)
        if endpoint.operation.root.key in FILTERS and endpoint.route.page:
            assert (status, body, headers["x-total-count"]) == (200, b"[]", "0")
        elif endpoint.operation.root.key in FILTERS:
            assert (status, json.loads(body)["total"]) == (200, 0)
        else:
            assert (status, json.loads(body)["error"]["code"]) == (404, "NOT_FOUND"), (endpoint.route, path, body)


async def send(api: Api, endpoint: Endpoint, mine: Ids, path: Path, id: str) -> tuple[int, Mapping[str, str], bytes]:
    """The request with the id in that place; status, headers but those of one request, and body but for the id."""
    root = endpoint.operation.root.key
    variables = {name: filled(each.type, mine, KIND_OF.get(root)) for name, each in endpoint.path.items()}
    if endpoint.body is not None:
        variables[endpoint.body.name] = filled(endpoint.body.type, mine, None)
    put(variables, path, id, endpoint.operation.variables[path[0]].type)
    url = endpoint.route.path.format(**{name: variables[name] for name in endpoint.path})
    given: dict[str, Any] = {"params": {name: value for name, value in variables.items() if name in endpoint.query}}
    if endpoint.route.body == CSV:
        given |= {"content": variables[CSV], "headers": {"Content-Type": "text/csv"}}
    elif endpoint.body is not None:
        given["json"] = variables[endpoint.body.name]
    answer = await api.http.request(endpoint.route.method, f"/api/v1{url}", **given)
    once = {"x-request-id", "x-ratelimit-remaining", "content-length"}
    headers = {name: value.replace(id, UNKNOWN) for name, value in answer.headers.items() if name not in once}
    return answer.status_code, headers, answer.content.replace(id.encode(), UNKNOWN.encode())


def test_every_place_has_a_case() -> None:
    """Named here once more, so that a new id that a caller can send is noticed."""
    for name, path in PLACES:
        assert kind_of(name, path) in KINDS, (name, path)
        assert FIELDS[name][0] in {"query", "mutation", "subscription"}, (name, path)
    assert {name for name, _ in PLACES if FIELDS[name][0] == "subscription"} == STREAMED
    assert {"calls", "importContacts", "enrolContacts", "recoverDeliveries"} <= {name for name, _ in PLACES}
    assert len(FIELDS) == len(list(fields_with_arguments()))  # no name stands twice
    assert {path[-1] for _, path in ROUTE_PLACES} >= {"id", "agentId", "contactIds", "campaignId"}


@on_both
async def test_the_same_idempotency_key_is_two_in_two_workspaces(api: Api, other: Api) -> None:
    body, once = {"name": "Sam", "systemPrompt": "Be kind."}, {"Idempotency-Key": "the-same"}

    ours = await api.post("/agents", body, headers=once)
    others = await other.post("/agents", {**body, "name": "Lee"}, headers=once)
    again = await api.post("/agents", body, headers=once)

    assert (ours.status_code, others.status_code) == (201, 201)
    assert (ours.json()["name"], others.json()["name"]) == ("Sam", "Lee")
    assert again.content == ours.content


@on_both
async def test_lists_of_routes_show_nothing_of_others(api: Api, other: Api) -> None:
    await rows_of(other)

    for endpoint in ENDPOINTS:
        if endpoint.route.page and not endpoint.path:
            assert (await api.get(endpoint.route.path)).text == "[]"
    assert (await api.get("/calls")).json()["total"] == 0


@on_both
async def test_lists_without_an_argument_show_nothing_of_others(api: Api, other: Api) -> None:
    """Keys, people, sessions and the audit log."""
    mine, theirs = await rows_of(api), await rows_of(other)
    async with other.runtime.transaction(other.viewer) as tx:
        await keys.revoke(tx, theirs["apiKey"])

    lists = await ask(
        api, mine, "{ apiKeys { id } users { id } auditLog { nodes { id subjectId actorId } } workspace { id } }", {}
    )

    ids = [id for kind, id in theirs.items() if kind != "session"]
    assert mine["apiKey"] in lists
    assert mine["user"] in lists
    assert not [id for id in [*ids, theirs["session"], other.viewer.workspace_id] if id in lists]
