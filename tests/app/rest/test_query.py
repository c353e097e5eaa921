"""Text in a URL, by the declared type (decision R7)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLString,
)
from hypothesis import given
from hypothesis import strategies as st

from app.rest.query import query_parameters, read_query
from schema.errors import Invalid

STATUS = GraphQLEnumType("CallStatus", {"QUEUED": None, "IN_PROGRESS": None})


def _read_instant(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Invalid("must be an ISO 8601 instant") from None
    if moment.tzinfo is None:
        raise Invalid("must have an offset or Z")
    return moment


INSTANT = GraphQLScalarType("Instant", parse_value=_read_instant)


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        (GraphQLInt, "50", 50),
        (GraphQLInt, "-1", -1),
        (GraphQLInt, "007", 7),
        (GraphQLNonNull(GraphQLInt), "0", 0),
        (GraphQLFloat, "1.5", 1.5),
        (GraphQLFloat, "2", 2.0),
        (GraphQLBoolean, "true", True),
        (GraphQLBoolean, "false", False),
        (GraphQLString, "", ""),
        (GraphQLString, "50", "50"),
        (GraphQLID, "clx1", "clx1"),
        (STATUS, "in-progress", "IN_PROGRESS"),
        (GraphQLNonNull(STATUS), "queued", "QUEUED"),
        (INSTANT, "2025-01-15T14:23:00Z", "2025-01-15T14:23:00Z"),
        (INSTANT, "2025-01-15T14:23:00 01:00", "2025-01-15T14:23:00+01:00"),
    ],
)
def test_what_is_read(type: GraphQLInputType, text: str, value: object) -> None:
    read = read_query(type, text, "x")

    assert read == value
    assert read.__class__ is value.__class__


@pytest.mark.parametrize(
    ("type", "text", "sentence"),
    [
        (GraphQLInt, "", "limit must be a whole number"),
        (GraphQLInt, "ten", "limit must be a whole number"),
        (GraphQLInt, "1.0", "limit must be a whole number"),
        (GraphQLInt, "1e3", "limit must be a whole number"),
        (GraphQLInt, "1_000", "limit must be a whole number"),
        (GraphQLInt, " 1", "limit must be a whole number"),
        (GraphQLInt, "1\n", "limit must be a whole number"),
        (GraphQLInt, "+1", "limit must be a whole number"),
        (GraphQLInt, "\u0661", "limit must be a whole number"),
        (GraphQLInt, "9" * 5000, "limit must be a whole number"),
        (GraphQLInt, "2147483648", "limit must be between -2147483648 and 2147483647"),
        (GraphQLFloat, "nan", "limit must be a number"),
        (GraphQLFloat, "1e999", "limit must be a number"),
        (GraphQLBoolean, "1", "limit must be true or false"),
        (GraphQLBoolean, "True", "limit must be true or false"),
        (GraphQLString, "a\0", "limit cannot contain the NUL character"),
        (GraphQLID, "a\0", "limit cannot contain the NUL character"),
        (STATUS, "QUEUED", "limit must be one of: queued, in-progress"),
        (STATUS, "", "limit must be one of: queued, in-progress"),
        (INSTANT, "2025-01-15T14:23:00", "limit must have an offset or Z"),
        (INSTANT, "2025-01-15 14:23:00", "limit must have an offset or Z"),
        (INSTANT, "soon", "limit must be an ISO 8601 instant"),
    ],
)
def test_what_is_refused(type: GraphQLInputType, text: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_query(type, text, "limit")

    assert refused.value.message == sentence


@pytest.mark.parametrize(
    "type",
    [GraphQLList(GraphQLInt), GraphQLInputObjectType("Page", {"limit": GraphQLInputField(GraphQLInt)})],
)
def test_what_cannot_be_in_a_url_is_a_mistake_of_ours(type: GraphQLInputType) -> None:
    with pytest.raises(TypeError, match="cannot be given in a URL"):
        read_query(type, "1", "x")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"", {}),
        (b"&&", {}),
        (b"limit=10&offset=0", {"limit": "10", "offset": "0"}),
        (b"status=", {"status": ""}),
        (b"status", {"status": ""}),
        (b"from=2025-01-01T00%3A00%3A00%2B01:00", {"from": "2025-01-01T00:00:00+01:00"}),
        (b"to=a+b=c", {"to": "a b=c"}),
        (b"name=Zo%C3%AB", {"name": "Zoë"}),
        (b"x=100%", {"x": "100%"}),
    ],
)
def test_parameters(query: bytes, found: dict[str, str]) -> None:
    assert query_parameters(query) == found


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (b"limit=1&limit=2", "Query parameter 'limit' was given more than once"),
        (b"limit=1&l%69mit=1", "Query parameter 'limit' was given more than once"),
        (b"x=%ff", "The query string is not UTF-8"),
        (b"\xff=1", "The query string is not UTF-8"),
        (b"x=%ed%a0%80", "The query string is not UTF-8"),
    ],
)
def test_parameters_that_are_refused(query: bytes, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        query_parameters(query)

    assert refused.value.message == sentence


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_any_parameters_are_read_back(parameters: dict[str, str]) -> None:
    assert query_parameters(urlencode(parameters).encode()) == parameters


@given(st.integers(-(2**31), 2**31 - 1))
def test_any_number_is_read_back(number: int) -> None:
    assert read_query(GraphQLInt, str(number), "x") == number
