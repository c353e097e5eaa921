"""What the description says of each operation: parameters, bodies, answers and errors."""

from __future__ import annotations

from pathlib import Path

import jsonschema_rs
import pytest
from graphql import GraphQLInputObjectType
from hypothesis import given
from hypothesis import strategies as st

from app.openapi import document
from app.openapi.facts import Facts, keywords
from app.rest.inputs import refuses_null
from schema.errors import Invalid
from schema.graph.root import graphql_schema
from schema.rules.fields import Check, email, integer, language, text
from tests.contract.description import DESCRIPTION, SETTINGS, schemas_in
from tests.contract.examples import ID
from tests.support.runtime import settings_for

SCHEMAS = DESCRIPTION.document["components"]["schemas"]
OPERATIONS = {operation["operationId"]: operation for _, _, operation in DESCRIPTION.operations()}


# --- parameters ---


def test_parameters_have_the_types_and_defaults_of_the_operation_and_the_bounds_of_the_rules() -> None:
    parameters = {each["name"]: each for each in OPERATIONS["ListCalls"]["parameters"]}

    assert list(parameters) == ["limit", "offset", "status", "agentId", "campaignId", "from", "to"]
    assert all(each["in"] == "query" and each["required"] is False for each in parameters.values())
    assert parameters["limit"]["schema"] == {
        "type": "integer",
        "format": "int32",
        "minimum": 1,
        "maximum": 200,
        "default": 50,
    }
    assert parameters["offset"]["schema"] == {"type": "integer", "format": "int32", "minimum": 0, "default": 0}
    assert DESCRIPTION.resolve(parameters["status"]["schema"])["enum"] == [
        "queued",
        "in-progress",
        "completed",
        "failed",
    ]
    assert parameters["agentId"]["schema"] == {"type": "string"}
    assert DESCRIPTION.resolve(parameters["from"]["schema"])["anyOf"] == [
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
    ]


@pytest.mark.parametrize(
    ("operation", "default"),
    [
        ("ListAgents", None),
        ("ListCampaigns", None),
        ("ListAppointments", None),
        ("ListContacts", 100),
        ("ListCampaignContacts", 100),
        ("ListDeliveries", 50),
    ],
)
def test_the_default_of_limit_is_the_routes_own(operation: str, default: int | None) -> None:
    (limit,) = (each for each in OPERATIONS[operation]["parameters"] if each["name"] == "limit")

    assert limit["schema"].get("default") == default


def test_a_path_parameter_is_required() -> None:
    (parameter,) = OPERATIONS["GetCall"]["parameters"]

    assert (parameter["name"], parameter["in"], parameter["required"]) == ("id", "path", True)


def test_every_post_takes_an_idempotency_key_and_nothing_else_does() -> None:
    """R10."""
    for method, path, operation in DESCRIPTION.operations():
        named = [DESCRIPTION.resolve(each)["name"] for each in operation.get("parameters", [])]
        success = operation["responses"][min(operation["responses"])]
        is_post = method == "POST"

        assert ("Idempotency-Key" in named) is is_post, path
        assert ("409" in operation["responses"]) is is_post, path
        assert ("Idempotent-Replayed" in success["headers"]) is is_post, path


@pytest.mark.parametrize(
    ("key", "is_taken"), [("7", True), ("~" * 255, True), ("", False), ("~" * 256, False), ("a b", False), ("é", False)]
)
def test_an_idempotency_key_has_the_shape_of_the_rule(key: str, is_taken: bool) -> None:
    parameter = DESCRIPTION.document["components"]["parameters"]["Idempotency-Key"]

    assert (parameter["in"], parameter.get("required", False)) == ("header", False)
    assert DESCRIPTION.validator(parameter["schema"]).is_valid(key) is is_taken


# --- bodies ---


def test_a_body_has_the_bounds_and_defaults_of_the_rules() -> None:
    properties = SCHEMAS["CreateAgentInput"]["properties"]

    assert SCHEMAS["CreateAgentInput"]["required"] == ["name", "systemPrompt"]
    assert SCHEMAS["CreateAgentInput"]["additionalProperties"] is False
    assert properties["maxCallDuration"] == {
        "type": "integer",
        "format": "int32",
        "minimum": 10,
        "maximum": 14_400,
        "default": 600,
        "description": "Seconds.",
    }
    assert (properties["name"]["minLength"], properties["name"]["maxLength"]) == (1, 200)
    assert properties["voice"]["default"] == "jennifer"
    assert properties["language"]["default"] == "en-US"
    assert properties["isActive"] == {"type": "boolean", "default": True}


def test_a_body_of_csv_is_text() -> None:
    operation = OPERATIONS["ImportContacts"]
    parameters = {DESCRIPTION.resolve(each)["name"]: DESCRIPTION.resolve(each) for each in operation["parameters"]}

    assert operation["requestBody"]["required"] is True
    ((media_type, content),) = operation["requestBody"]["content"].items()
    assert (media_type, content["schema"]["type"]) == ("text/csv", "string")
    assert list(parameters) == ["mode", "dryRun", "campaignId", "Idempotency-Key"]
    assert parameters["mode"]["schema"]["default"] == "all-or-nothing"
    assert parameters["dryRun"]["schema"] == {"type": "boolean", "default": False}
    assert operation["responses"]["413"]["description"] == "The body is larger than 25 MiB."
    assert operation["responses"]["415"]["description"] == "The body is not declared as CSV."


def test_who_is_enrolled_is_said_in_one_of_three_ways() -> None:
    body = DESCRIPTION.body("POST", "/api/v1/campaigns/{id}/contacts")

    for good in ({"contactIds": [ID]}, {"contacts": [{"phoneNumber": "+15551234567"}], "all": False}, {"all": True}):
        assert body.is_valid(good), good
    for bad in ({}, {"all": False}, {"all": True, "contactIds": [ID]}, {"contactIds": []}, {"all": None}):
        assert not body.is_valid(bad), bad


def test_only_what_the_rules_let_be_null_may_be_null() -> None:
    properties = SCHEMAS["UpdateAgentInput"]["properties"]

    assert properties["firstMessage"]["type"] == ["string", "null"]
    assert properties["name"]["type"] == "string"
    assert SCHEMAS["UpdateCampaignInput"]["properties"]["callWindow"]["anyOf"][1] == {"type": "null"}


def test_a_change_requires_nothing_and_has_no_defaults() -> None:
    for name, schema in SCHEMAS.items():
        if name.startswith("Update"):
            assert schema["required"] == []
            assert not any("default" in each for each in schema["properties"].values())


def test_the_graph_and_the_rules_agree_on_every_field_that_may_be_sent() -> None:
    facts = Facts(SETTINGS)

    for name, shape in {**facts.creates, **facts.changes}.items():
        input = graphql_schema().type_map[name]
        assert isinstance(input, GraphQLInputObjectType)
        assert len(set(input.fields) - {"contactIds"}) == len(shape.fields)
        for field_name, field in input.fields.items():
            rule = facts.field(name, field_name)
            if rule is not None:
                required = name in facts.creates and rule.required
                assert str(field.type).endswith("!") is required, f"{name}.{field_name}"
                assert rule.nullable is not (required or refuses_null(field)), f"{name}.{field_name}"
            else:
                assert (name, field_name) == ("CreateCampaignInput", "contactIds")


def test_every_input_that_a_route_takes_has_its_rules() -> None:
    facts = Facts(SETTINGS)

    for name in SCHEMAS:
        if name.endswith("Input"):
            assert (
                name in facts.creates
                or name in facts.changes
                or facts.of(name, next(iter(SCHEMAS[name]["properties"])))
            )


def test_defaults_and_examples_are_what_they_are_examples_of() -> None:
    checked = 0
    for schema in [
        *schemas_in(DESCRIPTION.document),
        *(each for one in SCHEMAS.values() for each in [one, *one.get("properties", {}).values()]),
    ]:
        validator = DESCRIPTION.validator(schema)
        for value in [*schema.get("examples", []), *([schema["default"]] if "default" in schema else [])]:
            validator.validate(value)
            checked += 1
    assert checked > 50


def test_urls_are_as_open_as_the_settings() -> None:
    open_settings = settings_for(Path("unused"), webhook_allow_http=True)

    assert SCHEMAS["CreateWebhookEndpointInput"]["properties"]["url"]["pattern"] == "^https://"
    opened = document(open_settings)["components"]["schemas"]["CreateWebhookEndpointInput"]
    assert opened["properties"]["url"]["pattern"] == "^https?://"


@pytest.mark.parametrize("value", [" ", "", "\n", "a\x07", "x" * 201])
def test_a_text_that_the_rule_refuses_is_refused_by_its_keywords(value: str) -> None:
    validator = jsonschema_rs.Draft202012Validator({"type": "string", **keywords(text(1, 200))})

    assert not validator.is_valid(value)
    assert validator.is_valid("Q1 Outreach")


@pytest.mark.parametrize("check", [text(1, 6), text(0, 6), text(1, 6, strip=False), email, language])
@given(value=st.text(max_size=6) | st.from_regex(r"\A[a-z]{1,3}[@-]\s?[a-z]{1,3}\.?[A-Z\x00-\x1f]{1,3}\Z"))
def test_a_rule_and_its_keywords_accept_the_same(check: Check, value: str) -> None:
    described = jsonschema_rs.Draft202012Validator({"type": "string", **keywords(check)}).is_valid(value)

    assert described is accepts(check, value) or value != value.strip()  # stripped before it is counted


def accepts(check: Check, value: str) -> bool:
    try:
        check(value, "name")
    except Invalid:
        return False
    return True


def test_a_whole_number_keeps_its_bounds() -> None:
    assert keywords(integer(1, 5)) == {"minimum": 1, "maximum": 5}


# --- answers ---


def test_an_answer_has_the_selected_fields_and_no_others() -> None:
    summary = SCHEMAS["CallSummary"]

    assert summary["additionalProperties"] is False
    assert summary["required"] == list(summary["properties"])
    assert list(summary["properties"]) == [
        "id",
        "status",
        "direction",
        "to",
        "duration",
        "summary",
        "sentiment",
        "recordingUrl",
        "createdAt",
    ]
    assert summary["properties"]["duration"]["type"] == ["integer", "null"]
    assert list(SCHEMAS["CallPage"]["properties"]) == ["calls", "total", "limit", "offset"]


def test_array_routes_answer_arrays_and_say_how_many_there_are() -> None:
    response = OPERATIONS["ListAgents"]["responses"]["200"]

    assert response["content"]["application/json"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/AgentSummary"},
    }
    assert {"X-Total-Count", "Link", "X-Request-Id", "X-RateLimit-Reset"} <= response["headers"].keys()


def test_what_is_made_has_a_location_and_links() -> None:
    response = OPERATIONS["CreateCampaign"]["responses"]["201"]

    assert "Location" in response["headers"]
    assert list(response["links"]) == ["GetCampaign", "UpdateCampaign", "ListCampaignContacts", "EnrolContacts"]
    assert list(OPERATIONS["TestWebhook"]["responses"]["201"]["links"]) == ["GetDelivery", "ResendDelivery"]


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("ListAgents", "200 400 401 403 429 500"),
        ("CreateAgent", "201 400 401 403 409 413 415 422 429 500"),
        ("UpdateAgent", "200 400 401 403 404 413 415 429 500"),
        ("DeleteAgent", "204 400 401 403 404 429 500"),
        ("CreateCall", "201 400 401 403 404 409 413 415 429 500"),
        ("HangUpCall", "200 400 401 403 404 409 413 415 429 500"),
        ("CreateContact", "201 400 401 403 409 413 415 422 429 500"),
        ("ImportContacts", "200 400 401 403 404 409 413 415 422 429 500"),
        ("UpdateContact", "200 400 401 403 404 413 415 429 500"),
        ("EnrolContacts", "200 400 401 403 404 409 413 415 422 429 500"),
        ("CreateWebhook", "201 400 401 403 409 413 415 422 429 500"),
        ("AddDoNotCall", "201 400 401 403 409 413 415 429 500"),
    ],
)
def test_an_operation_lists_the_statuses_it_can_answer(operation: str, statuses: str) -> None:
    assert " ".join(OPERATIONS[operation]["responses"]) == statuses


def test_every_error_is_the_same_envelope() -> None:
    envelope = DESCRIPTION.validator(SCHEMAS["Error"])

    for operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                content = DESCRIPTION.resolve(response)["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Error"}
                envelope.validate(content["example"])
    assert not envelope.is_valid({"error": {"code": "TEAPOT", "message": "No"}})
    assert not envelope.is_valid({"error": {"code": "NOT_FOUND", "message": "No"}, "detail": "No"})


def test_the_scope_and_the_plans_limit_are_named() -> None:
    responses = OPERATIONS["CreateWebhook"]["responses"]

    forbidden = responses["403"]["content"]["application/json"]["example"]["error"]
    assert forbidden == {"code": "FORBIDDEN", "message": "This API key lacks permission to write webhooks"}
    assert responses["422"]["description"] == (
        "The plan allows no more webhook endpoints: 2 (Starter), 10 (Professional), 50 (Business)."
    )
