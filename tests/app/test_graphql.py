"""`POST /graphql`: what reaches GraphQL is 200, what does not is refused as everywhere."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import get_introspection_query

from schema.services import agents
from schema.tables import ApiKey
from tests.support import seeds
from tests.support.api import JSON, UNKNOWN, Api, client, error
from tests.support.runtime import on_both

UPDATE = "mutation($id: ID!, $input: UpdateAgentInput!) { updateAgent(id: $id, input: $input) { voice firstMessage } }"


def refusal(answer: Any) -> tuple[str, str]:
    """Message and code of an answer's only error."""
    (wrong,) = answer["errors"]
    return wrong["message"], wrong["extensions"]["code"]


@on_both
async def test_a_query_and_a_mutation(api: Api) -> None:
    row = await seeds.agent(api.runtime, api.viewer)

    changed = await api.http.post(
        "/graphql",
        json={"query": UPDATE, "variables": {"id": row.id, "input": {"voice": "nova"}}, "extensions": {}},
    )
    read = await api.http.post(
        "/graphql",
        json={
            "query": "query A($id: ID!) { agent(id: $id) { name } } query B { calls { total } }",
            "operationName": "A",
            "variables": {"id": row.id},
        },
    )

    assert (changed.status_code, changed.headers["content-type"]) == (200, "application/json")
    assert changed.text == '{"data":{"updateAgent":{"voice":"nova","firstMessage":null}}}'
    assert read.text == '{"data":{"agent":{"name":"Sam"}}}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([{"query": "{ agents { total } }"}], "The request body must be one GraphQL request: batches are not taken"),
        ("{ agents { total } }", "The request body must be an object"),
        (None, "The request body must be an object"),
        ({}, "query is required"),
        ({"query": ""}, "query must be a GraphQL document"),
        ({"query": 5}, "query must be a GraphQL document"),
        ({"query": "{ x }", "variables": "{}"}, "variables must be an object"),
        ({"query": "{ x }", "variables": []}, "variables must be an object"),
        ({"query": "{ x }", "operationName": 5}, "operationName must be a string"),
        ({"query": "{ x }", "extensions": 5}, "extensions must be an object"),
        ({"query": "{ x }", "id": "abc"}, "Unknown field 'id'"),
        ({"query": "{ x }", "variables": {"a": [{"b": "\u0000"}]}}, "variables cannot contain the NUL character"),
    ],
)
async def test_a_body_that_is_no_request(api: Api, body: Any, message: str) -> None:
    response = await api.http.post("/graphql", json=body if body is not None else [None][0], headers=JSON)
    if body is None:
        response = await api.http.post("/graphql", content=b"null", headers=JSON)

    assert error(response) == (400, "BAD_REQUEST", message)


async def test_other_ways_to_ask(api: Api) -> None:
    query = "{ agents { total } }"

    get = await api.http.get("/graphql", params={"query": query})
    put = await api.http.put("/graphql", json={"query": query})
    form = await api.http.post("/graphql", data={"query": query})
    text = await api.http.post("/graphql", content=query, headers={"Content-Type": "application/graphql"})
    both = await api.http.post("/graphql", params={"query": query}, json={"query": query})
    empty = await api.http.post("/graphql", content=b"", headers=JSON)
    large = await api.http.post("/graphql", json={"query": "#" * 1024 * 1024})

    assert error(get) == (405, "BAD_REQUEST", "GET is not allowed on /graphql, only POST")
    assert (error(put)[0], put.headers["allow"]) == (405, "POST")
    assert error(form) == error(text) == (415, "BAD_REQUEST", "Content-Type must be application/json")
    assert error(both) == (400, "BAD_REQUEST", "/graphql takes no query parameters: send a JSON body")
    assert error(empty) == (400, "BAD_REQUEST", "The request body is empty: it must be JSON")
    assert error(large) == (413, "BAD_REQUEST", "The request body is larger than 1 MiB")


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_key_is_needed(api: Api, key: str | None) -> None:
    async with client(api.app, key) as http:
        response = await http.post("/graphql", json={"query": "{ __typename }"})

    assert error(response) == (401, "UNAUTHORIZED", "Missing or invalid API key")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ agents {", "Syntax Error: Expected Name, found <EOF>."),
        ("{ moods }", "Cannot query field 'moods' on type 'Query'."),
        (
            "query($id: ID!) { agent(id: $id) { id } }",
            "Variable '$id' has invalid value: Expected a value of non-null type",
        ),
        ("subscription { calls }", "Cannot query field 'calls' on type 'Subscription'."),
        ('subscription { callChanged(id: "c1") { id } }', "Subscriptions are not answered over POST: open a WebSocket"),
        ("query A { agents { total } } query B { calls { total } }", "operationName must say which operation"),
        ("fragment A on Agent { id }", "Fragment 'A' is never used."),
        ("{ ...Nowhere }", "Unknown fragment 'Nowhere'."),
        ("{ a { " + "b { " * 20 + "c" + " }" * 22, "The query is nested deeper than 10 levels"),
    ],
)
async def test_what_graphql_refuses_is_200(api: Api, query: str, message: str) -> None:
    """GraphQL over HTTP, for `application/json`."""
    answer = await api.graphql(query)

    assert answer["data"] is None
    assert answer["errors"][0]["message"].startswith(message)
    assert {wrong["extensions"]["code"] for wrong in answer["errors"]} == {"BAD_REQUEST"}


async def test_an_operation_that_is_not_there(api: Api) -> None:
    response = await api.http.post("/graphql", json={"query": "query A { agents { total } }", "operationName": "B"})

    assert refusal(response.json()) == ("There is no operation named 'B' in the query", "BAD_REQUEST")


async def test_errors_beside_data(api: Api) -> None:
    answer = await api.graphql("query($id: ID!) { agent(id: $id) { id } workspace { plan } }", id=UNKNOWN)

    assert answer["data"] == {"agent": None, "workspace": {"plan": "PROFESSIONAL"}}
    assert answer["errors"] == [
        {
            "message": f"Agent with id {UNKNOWN} not found",
            "locations": [{"line": 1, "column": 19}],
            "path": ["agent"],
            "extensions": {"code": "NOT_FOUND"},
        }
    ]


async def test_a_crash_is_masked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """E4."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret")

    monkeypatch.setattr(agents, "list_page", broken)

    response = await api.http.post(
        "/graphql", json={"query": "{ agents { total } }"}, headers={"X-Request-Id": "order-4711"}
    )

    assert response.status_code == 200
    assert refusal(response.json()) == ("Something went wrong on our end (request order-4711)", "INTERNAL_ERROR")


async def test_scopes_hold_here_too(api: Api) -> None:
    """K2."""
    await api.set(ApiKey, api.key_id, scopes={"calls": "read"})

    answer = await api.graphql("{ calls { total } contacts { total } }")

    assert refusal(answer) == ("This API key lacks permission to read contacts", "FORBIDDEN")


@pytest.mark.parametrize("field", ["name", "voice", "maxCallDuration", "isActive", "tools"])
async def test_null_for_what_cannot_be_null(api: Api, field: str) -> None:
    """R6: by variable, by literal and over REST, in one sentence."""
    row = await seeds.agent(api.runtime, api.viewer)
    literal = f"mutation($id: ID!) {{ updateAgent(id: $id, input: {{{field}: null}}) {{ id }} }}"
    within = (
        f"mutation($id: ID!, $value: {types[field]}) {{ updateAgent(id: $id, input: {{{field}: $value}}) {{ id }} }}"
    )

    async with api.unchanged():
        answers = [
            await api.graphql(UPDATE, id=row.id, input={field: None}),
            await api.graphql(literal, id=row.id),
            await api.graphql(within, id=row.id, value=None),
        ]
        rest = await api.patch(f"/agents/{row.id}", {field: None})

    assert [refusal(answer) for answer in answers] == [(f"{field} cannot be null", "BAD_REQUEST")] * 3
    assert error(rest) == (400, "BAD_REQUEST", f"{field} cannot be null")


types = {
    "name": "String",
    "voice": "String",
    "maxCallDuration": "Int",
    "isActive": "Boolean",
    "tools": "[AgentTool!]",
}


async def test_null_deeper_in_an_input(api: Api) -> None:
    """R6."""
    row = await seeds.campaign(api.runtime, api.viewer)
    update = "mutation($id: ID!, $input: UpdateCampaignInput!) { updateCampaign(id: $id, input: $input) { id } }"
    enrol = "mutation($id: ID!, $input: EnrolContactsInput!) { enrolContacts(id: $id, input: $input) { enrolled } }"
    people = [{"phoneNumber": "+15551234567"}, {"phoneNumber": "+15551234568", "customFields": None}]

    async with api.unchanged():
        policy = await api.graphql(update, id=row.id, input={"retryPolicy": {"maxAttempts": 2, "on": None}})
        contacts = await api.graphql(enrol, id=row.id, input={"contacts": people})

    assert refusal(policy) == ("retryPolicy.on cannot be null", "BAD_REQUEST")
    assert refusal(contacts) == ("contacts[1].customFields cannot be null", "BAD_REQUEST")


async def test_null_clears_and_absent_stays(api: Api) -> None:
    """R6."""
    row = await seeds.agent(api.runtime, api.viewer, first_message="Hello")
    mutation = "mutation($id: ID!, $m: String) { updateAgent(id: $id, input: {firstMessage: $m}) { firstMessage } }"

    absent = await api.graphql(mutation, id=row.id)
    null = await api.graphql(mutation, id=row.id, m=None)

    assert absent == {"data": {"updateAgent": {"firstMessage": "Hello"}}}
    assert null == {"data": {"updateAgent": {"firstMessage": None}}}


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("2025-02-01T10:00:00", "needs an offset or Z"),
        ("soon", "must be an ISO 8601 instant"),
        (5, "must be an ISO 8601 instant"),
    ],
)
async def test_a_scalar_that_is_refused_is_the_callers_mistake(api: Api, value: object, part: str) -> None:
    """R4."""
    mutation = "mutation($input: CreateCampaignInput!) { createCampaign(input: $input) { id } }"
    given = {"name": "C", "agentId": UNKNOWN, "phoneNumberId": UNKNOWN, "scheduledStart": value}

    message, code = refusal(await api.graphql(mutation, input=given))

    assert code == "BAD_REQUEST"
    assert part in message
    assert ".scheduledStart" in message


@on_both
async def test_nul_does_not_reach_the_database(api: Api) -> None:
    literal = await api.graphql('{ agent(id: "a\\u0000b") { id } }')
    variable = await api.http.post(
        "/graphql", json={"query": "query($id: ID!) { agent(id: $id) { id } }", "variables": {"id": "a\u0000b"}}
    )

    assert refusal(literal) == ("A string cannot contain the NUL character", "BAD_REQUEST")
    assert error(variable)[0] == 400


async def test_graphiql_can_read_the_schema(api: Api) -> None:
    query = get_introspection_query(
        descriptions=True, specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )

    answer = await api.graphql(query)

    assert "errors" not in answer
    assert {"Agent", "Call", "Mutation"} <= {kind["name"] for kind in answer["data"]["__schema"]["types"]}
