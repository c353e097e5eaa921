"""The description of the API is made of what is served, is a valid OpenAPI document, and is served itself."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31
from starlette.applications import Starlette

from app.events import PATH as FEED
from app.openapi import openapi_route
from app.openapi.components import Components, DescriptionError, nullable, present
from app.rest.adapter import compile_endpoints
from app.rest.routes import PREFIX, ROUTES
from schema.rules.webhooks import EventType, headers, new_secret
from schema.version import VERSION
from tests.app.support import client
from tests.contract.description import DESCRIPTION, SETTINGS, references_in, schemas_in
from tests.support.seeds import at

DOCUMENT = DESCRIPTION.document
SCHEMAS = DOCUMENT["components"]["schemas"]


# --- the document ---


def test_it_is_what_openapi_3_1_allows() -> None:
    assert [error.message for error in jsonschema_rs.validator_for(OPENAPI_31).iter_errors(DOCUMENT)] == []


def test_every_reference_leads_somewhere() -> None:
    references = list(references_in(DOCUMENT))

    assert len(references) > 500
    assert all(isinstance(DESCRIPTION.resolve(reference), dict) for reference in references)


def test_every_schema_compiles() -> None:
    for schema in [*schemas_in(DOCUMENT), *SCHEMAS.values()]:
        DESCRIPTION.validator(schema)


def test_no_component_is_described_for_nobody() -> None:
    used = {reference["$ref"] for reference in references_in(DOCUMENT)}

    for kind in ("schemas", "parameters", "responses", "headers"):
        assert {f"#/components/{kind}/{name}" for name in DOCUMENT["components"][kind]} <= used


def test_it_describes_the_routes_and_no_others() -> None:
    described = {(method, path) for method, path, _ in DESCRIPTION.operations()}

    assert described == {(route.method, PREFIX + route.path) for route in ROUTES} | {("GET", FEED)}
    assert len(described) == len(ROUTES) + 1


def test_every_operation_is_named_once_and_tagged_with_the_first_part_of_its_path() -> None:
    names = [operation["operationId"] for _, _, operation in DESCRIPTION.operations()]

    assert len(set(names)) == len(names)
    assert {route.operation for route in ROUTES} | {"FollowEvents"} == set(names)
    for _, path, operation in DESCRIPTION.operations():
        assert operation["tags"] == [path.split("/")[3]]
        assert operation["summary"]
    assert [tag["name"] for tag in DOCUMENT["tags"]] == list(
        dict.fromkeys(route.path.split("/")[1] for route in ROUTES)
    )


def test_it_says_where_the_server_is_and_how_to_get_in() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == VERSION
    assert DOCUMENT["servers"] == [{"url": "https://voice.example.com"}]
    assert DOCUMENT["security"] == [{"apiKey": []}]
    assert DOCUMENT["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_nothing_of_graphql_shows() -> None:
    text = str(DOCUMENT)

    assert "graphql" not in text.lower()
    assert "IN_PROGRESS" not in text
    assert "Answers the id" not in text


def test_the_feed_of_events_is_a_stream() -> None:
    feed = DESCRIPTION.operation("GET", FEED)

    assert feed["responses"]["200"]["content"] == {"text/event-stream": {"schema": {"type": "string"}}}
    assert [(each["in"], each["name"]) for each in feed["parameters"]] == [
        ("query", "events"),
        ("header", "Last-Event-ID"),
    ]
    assert set(feed["responses"]) == {"200", "400", "401", "403", "429", "500"}


# --- webhooks ---


def test_the_five_events_are_described_with_an_example() -> None:
    assert list(DOCUMENT["webhooks"]) == [event.value for event in EventType]
    for item in DOCUMENT["webhooks"].values():
        content = item["post"]["requestBody"]["content"]["application/json"]
        DESCRIPTION.validator(content["schema"]).validate(content["example"])


def test_an_event_says_what_it_adds() -> None:
    def data(name: str) -> list[str]:
        return SCHEMAS[name]["properties"]["data"]["required"]

    common = ["callId", "status", "duration", "to", "agentId", "campaignId"]
    assert data("CallStartedEvent") == common
    assert data("CallEndedEvent") == common
    assert data("CallFailedEvent") == [*common, "endReason"]
    assert data("TranscriptReadyEvent") == [*common, "transcript"]
    assert data("AnalysisCompleteEvent") == [*common, "summary", "sentiment", "analysis"]


def test_the_signature_headers_are_described_as_they_are_sent() -> None:
    sent = headers(
        b"{}", event_id="evt", secrets=[new_secret(), new_secret()], sent_at=at("2025-01-15T14:25:00Z"), user_agent="x"
    )

    for item in DOCUMENT["webhooks"].values():
        described = {each["name"]: each for each in item["post"]["parameters"]}
        assert described.keys() == sent.keys() - {"Content-Type", "User-Agent"}
        for name, parameter in described.items():
            DESCRIPTION.validator(parameter["schema"]).validate(sent[name])


# --- parts ---


def test_one_name_has_one_schema() -> None:
    components = Components()
    components.add("Agent", {"type": "object"})

    assert components.add("Agent", {"type": "object"}) == {"$ref": "#/components/schemas/Agent"}
    with pytest.raises(DescriptionError, match="Agent"):
        components.add("Agent", {"type": "string"})


@pytest.mark.parametrize(
    "schema",
    [{"type": "string", "maxLength": 3}, {"$ref": "#/components/schemas/Id"}, {"type": "string", "enum": ["a"]}],
)
def test_nullable_is_undone(schema: dict[str, Any]) -> None:
    assert present(nullable(schema)) == schema
    assert present(schema) == schema


# --- serving ---


@pytest.fixture
def app() -> Starlette:
    return Starlette(routes=[openapi_route(SETTINGS, compile_endpoints())])


async def test_it_is_served_with_an_etag(app: Starlette) -> None:
    async with client(app) as http:
        answer = await http.get("/api/v1/openapi.json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json() == DOCUMENT


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_whoever_has_it_is_not_sent_it_again(app: Starlette, form: str) -> None:
    async with client(app) as http:
        etag = (await http.get("/api/v1/openapi.json")).headers["etag"]
        answer = await http.get("/api/v1/openapi.json", headers={"If-None-Match": form.format(etag)})
        other = await http.get("/api/v1/openapi.json", headers={"If-None-Match": '"other"'})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert other.status_code == 200
