"""What a REST caller sends becomes variables, or a sentence without GraphQL in it (decisions R6, R7, R8, E4)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
import strawberry
from graphql import (
    GraphQLError,
    GraphQLInputType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    coerce_input_value,
)
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from app.rest.inputs import read_input
from schema.errors import Invalid, NotFound

SCHEMA = build_schema(
    """
    enum Status { ACTIVE PAUSED NO_SHOW }
    scalar Instant
    scalar Phone
    scalar JSON
    scalar Odd
    input Window { start: String! end: String! days: [Status!] inner: Window }
    input Contact { phoneNumber: Phone! name: String }
    input Contacts @oneOf { contactIds: [ID!] contacts: [Contact!] }
    input Campaign {
      name: String!
      agentId: ID!
      status: Status
      size: Int! = 1
      ratio: Float
      isActive: Boolean
      contactIds: [ID!]
      contacts: [Contact!]
      matrix: [[Int]]
      callWindow: Window
      tools: JSON
      start: Instant
      odd: Odd
    }
    type Query { x(campaign: Campaign, contacts: Contacts): Int }
    """
)


def _read_instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise Invalid("must be a string such as 2025-01-15T14:23:00Z")
    if value == "noon":
        raise Invalid("the value needs an offset or Z")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise Invalid("must have an offset or Z")
    return moment


def _read_phone(value: Any) -> str:
    if not str(value).startswith("+"):
        raise Invalid("phoneNumber must start with +")
    if len(value) > 16:
        raise NotFound("Such a number does not exist")
    return str(value)


def _read_odd(value: Any) -> Any:
    raise {
        "graphql": GraphQLError("Odd cannot represent value: 'graphql'"),
        "graphql sentence": GraphQLError("must be even"),
        "wrapped": GraphQLError("Odd cannot", original_error=Invalid("is not even")),
        "value": ValueError("invalid literal for int() with base 10: 'x'"),
        "value sentence": ValueError("must be even"),
        "type": TypeError("unsupported operand"),
        "overflow": OverflowError("too big"),
    }[value]


def _scalar(name: str, parse: Any) -> None:
    scalar = SCHEMA.type_map[name]
    assert isinstance(scalar, GraphQLScalarType)
    scalar.parse_value = parse  # type: ignore[method-assign]


_scalar("Instant", _read_instant)
_scalar("Phone", _read_phone)
_scalar("Odd", _read_odd)


def input_type(name: str, schema: GraphQLSchema = SCHEMA) -> GraphQLInputType:
    return schema.type_map[name]  # type: ignore[return-value]


def campaign(**fields: object) -> object:
    return read_input(input_type("Campaign"), {"name": "Q1", "agentId": "clx1", **fields})


def refusal(value: object, type: str = "Campaign", name: str = "") -> str:
    with pytest.raises(Invalid) as refused:
        read_input(input_type(type), value, name)
    return refused.value.message


def campaign_refusal(**fields: object) -> str:
    return refusal({"name": "Q1", "agentId": "clx1", **fields})


def test_a_whole_body() -> None:
    body = {
        "name": "Q1 ☎",
        "agentId": "clx1",
        "status": "no-show",
        "size": 3,
        "ratio": 1,
        "isActive": False,
        "contactIds": ["a", "b"],
        "contacts": [{"phoneNumber": "+1555", "name": None}],
        "matrix": [[1, None], None],
        "callWindow": {"start": "09:00", "end": "17:00", "days": ["active", "no-show"], "inner": None},
        "tools": {"any": [1, "thing", {"status": "no-show"}]},
        "start": "2025-01-15T14:23:00Z",
    }

    variables = read_input(input_type("Campaign"), body)

    assert variables == {
        **body,
        "status": "NO_SHOW",
        "callWindow": {"start": "09:00", "end": "17:00", "days": ["ACTIVE", "NO_SHOW"], "inner": None},
    }
    coerce_input_value(variables, input_type("Campaign"))  # GraphQL itself takes it


def test_what_was_sent_is_left_as_it_was() -> None:
    body = {"name": "Q1", "agentId": "clx1", "status": "active"}

    read_input(input_type("Campaign"), body)

    assert body["status"] == "active"


def test_absent_and_null_stay_different() -> None:
    assert campaign() == {"name": "Q1", "agentId": "clx1"}
    assert campaign(status=None, callWindow=None) == {
        "name": "Q1",
        "agentId": "clx1",
        "status": None,
        "callWindow": None,
    }


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, None),
        ([], "The request body must be an object"),
        ("x", "The request body must be an object"),
        (1, "The request body must be an object"),
        ({}, "name is required"),
        ({"agentId": "x"}, "name is required"),
        ({"name": None, "agentId": "x"}, "name cannot be null"),
        ({"foo": 1}, "Unknown field 'foo'"),
        ({"name": 1, "foo": 1, "bar": 2}, "Unknown field 'foo'"),
        ({"name": "x", "agentId": "x", "size": None}, "size cannot be null"),
        ({"x" * 500: 1}, f"Unknown field '{'x' * 100}'"),
    ],
)
def test_bodies(value: object, sentence: str | None) -> None:
    if sentence is None:
        assert read_input(input_type("Campaign"), value) is None
    else:
        assert refusal(value) == sentence


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": 5}, "name must be a string"),
        ({"name": ["x"]}, "name must be a string"),
        ({"name": "a\0b"}, "name cannot contain the NUL character"),
        ({"name": "a\ud800"}, "name must be Unicode text"),
        ({"agentId": 12}, "agentId must be a string"),
        ({"agentId": "\0"}, "agentId cannot contain the NUL character"),
        ({"size": "3"}, "size must be a whole number"),
        ({"size": 3.5}, "size must be a whole number"),
        ({"size": True}, "size must be a whole number"),
        ({"size": float("inf")}, "size must be a whole number"),
        ({"size": float("nan")}, "size must be a whole number"),
        ({"size": 2**31}, "size must be between -2147483648 and 2147483647"),
        ({"size": -(2**31) - 1}, "size must be between -2147483648 and 2147483647"),
        ({"size": 10**400}, "size must be between -2147483648 and 2147483647"),
        ({"size": 1e300}, "size must be between -2147483648 and 2147483647"),
        ({"ratio": "1"}, "ratio must be a number"),
        ({"ratio": False}, "ratio must be a number"),
        ({"ratio": float("nan")}, "ratio must be a number"),
        ({"ratio": 10**400}, "ratio must fit in 64 bits"),
        ({"isActive": "true"}, "isActive must be true or false"),
        ({"isActive": 1}, "isActive must be true or false"),
        ({"isActive": {}}, "isActive must be true or false"),
        ({"status": "PAUSED"}, "status must be one of: active, paused, no-show"),
        ({"status": "no_show"}, "status must be one of: active, paused, no-show"),
        ({"status": "x"}, "status must be one of: active, paused, no-show"),
        ({"status": 1}, "status must be one of: active, paused, no-show"),
        ({"status": ["active"]}, "status must be one of: active, paused, no-show"),
        ({"contactIds": "clx1"}, "contactIds must be a list"),
        ({"contactIds": {"0": "clx1"}}, "contactIds must be a list"),
        ({"contactIds": ["a", 2]}, "contactIds[1] must be a string"),
        ({"contactIds": ["a", None]}, "contactIds[1] cannot be null"),
        ({"matrix": [[1], [2, "x"]]}, "matrix[1][1] must be a whole number"),
        ({"callWindow": "09:00-17:00"}, "callWindow must be an object"),
        ({"callWindow": {"start": "09:00"}}, "callWindow.end is required"),
        ({"callWindow": {"start": "09:00", "end": "17:00", "foo": 1}}, "Unknown field 'callWindow.foo'"),
        (
            {"callWindow": {"start": "1", "end": "2", "inner": {"start": "1", "end": 2}}},
            "callWindow.inner.end must be a string",
        ),
        (
            {"callWindow": {"start": "1", "end": "2", "days": ["active", "paused", "off"]}},
            "callWindow.days[2] must be one of: active, paused, no-show",
        ),
        ({"contacts": [{"phoneNumber": "+1"}, {"name": "x"}]}, "contacts[1].phoneNumber is required"),
        ({"contacts": [{"phoneNumber": "+1", "x": 1}]}, "Unknown field 'contacts[0].x'"),
    ],
)
def test_fields(fields: dict[str, object], sentence: str) -> None:
    assert campaign_refusal(**fields) == sentence


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"start": "2025-01-15T14:23:00"}, "start must have an offset or Z"),
        ({"start": 5}, "start must be a string such as 2025-01-15T14:23:00Z"),
        ({"start": "tomorrow"}, "start is not valid"),
        ({"callWindow": {"start": "a", "end": "b"}, "start": "noon"}, "start needs an offset or Z"),
        ({"start": "2025\0"}, "start cannot contain the NUL character"),
        ({"contacts": [{"phoneNumber": "555"}]}, "contacts[0].phoneNumber must start with +"),
        ({"contacts": [{"phoneNumber": "+" * 17}]}, "contacts[0].phoneNumber: Such a number does not exist"),
        ({"odd": "graphql"}, "odd is not valid"),
        ({"odd": "graphql sentence"}, "odd must be even"),
        ({"odd": "wrapped"}, "odd is not even"),
        ({"odd": "value"}, "odd is not valid"),
        ({"odd": "value sentence"}, "odd must be even"),
        ({"odd": "type"}, "odd is not valid"),
        ({"odd": "overflow"}, "odd is not valid"),
        ({"tools": {"a": [1, {"b": "\0"}]}}, "tools cannot contain the NUL character"),
        ({"tools": [{"\0": 1}]}, "tools cannot contain the NUL character"),
        ({"tools": ["\ud800"]}, "tools must be Unicode text"),
    ],
)
def test_our_own_scalars_say_what_is_wrong(fields: dict[str, object], sentence: str) -> None:
    assert campaign_refusal(**fields) == sentence


def test_whole_numbers_may_have_a_point() -> None:
    assert campaign(size=600.0) == {"name": "Q1", "agentId": "clx1", "size": 600}


@pytest.mark.parametrize("value", [{}, {"contactIds": [], "contacts": []}, {"contactIds": None}])
def test_one_of(value: object) -> None:
    assert refusal(value, "Contacts") == "The request body must have exactly one of: contactIds, contacts"
    assert read_input(input_type("Contacts"), {"contactIds": []}) == {"contactIds": []}


def test_a_value_that_is_not_the_body_goes_by_its_name() -> None:
    assert refusal("PAUSED", "Status", "status") == "status must be one of: active, paused, no-show"
    assert refusal({"start": 1, "end": ""}, "Window", "callWindow") == "callWindow.start must be a string"


@strawberry.input
class Change:
    name: strawberry.Maybe[str]
    note: strawberry.Maybe[str | None]
    ids: strawberry.Maybe[list[str]]


@strawberry.type
class Query:
    @strawberry.field
    def change(self, change: Change) -> int:
        return 1


MAYBE = strawberry.Schema(Query, config=StrawberryConfig(auto_camel_case=True))._schema


def test_a_field_that_may_be_left_out_may_still_refuse_null() -> None:
    change = input_type("Change", MAYBE)

    assert read_input(change, {}) == {}
    assert read_input(change, {"note": None}) == {"note": None}
    for name in ("name", "ids"):
        with pytest.raises(Invalid) as refused:
            read_input(change, {name: None})
        assert refused.value.message == f"{name} cannot be null"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["active", "+1", "no-show"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "agentId", "status", "size", "callWindow", "start", "end", "contacts", "x"]), inner
        )
    ),
    max_leaves=15,
)


@given(JSON)
def test_any_json_is_taken_by_graphql_or_refused_in_plain_words(value: object) -> None:
    try:
        variables = read_input(input_type("Campaign"), value)
    except Invalid as refused:
        sentence = refused.message
    else:
        coerce_input_value(variables, input_type("Campaign"))
        return

    assert not re.search(r"GraphQL|Campaign|Expected|represent|Int\b|None|\bstr\b|\$", sentence)


bodies = st.fixed_dictionaries(
    {"name": st.text(st.characters(exclude_characters="\0", codec="utf-8")), "agentId": st.just("clx1")},
    optional={
        "status": st.none() | st.sampled_from(["active", "paused", "no-show"]),
        "size": st.integers(-(2**31), 2**31 - 1),
        "ratio": st.floats(allow_nan=False, allow_infinity=False, min_value=-1e18, max_value=1e18),
        "isActive": st.none() | st.booleans(),
        "contactIds": st.lists(st.text("abc"), max_size=3),
        "start": st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    },
)


@given(bodies)
def test_good_bodies_pass_with_only_enums_changed(body: dict[str, Any]) -> None:
    variables = read_input(input_type("Campaign"), body)

    status = body.get("status")
    expected = {**body, "status": status.upper().replace("-", "_")} if status else body
    assert variables == expected
    coerce_input_value(variables, input_type("Campaign"))
