"""Bodies that are not JSON, or too much of it, are 400 (decision E6)."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.json_body import parse_json, read_json
from app.responses import JSONResponse
from schema.errors import Invalid
from tests.app.support import client, small_app


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The request body is empty: it must be JSON"),
        (b" \n", "The request body is empty: it must be JSON"),
        (b"{", "The request body is not valid JSON (line 1, column 2)"),
        (b'{"name":\n nope}', "The request body is not valid JSON (line 2, column 2)"),
        (b"name=x", "The request body is not valid JSON (line 1, column 1)"),
        (b"\xef\xbb\xbf{}", "The request body is not valid JSON (line 1, column 1)"),
        (b'{"name": "\xff"}', "The request body is not UTF-8"),
        (b'{"name": NaN}', "The request body is not valid JSON (line 1, column 10)"),
        (b"[Infinity]", "The request body is not valid JSON (line 1, column 2)"),
        (b"[-Infinity]", "The request body is not valid JSON (line 1, column 3)"),
        (b"[1e999]", "The request body is not valid JSON (line 1, column 2)"),
        (b'"\\ud800"', "The request body is not valid JSON (line 1, column 2)"),
        (b'{"a": 1} x', "The request body is not valid JSON (line 1, column 10)"),
        (b"[9223372036854775808]", "The request body has a number that does not fit in 64 bits"),
        (b"[-9223372036854775809]", "The request body has a number that does not fit in 64 bits"),
        (b'{"n": %s}' % (b"9" * 5000), "The request body is not valid JSON"),
        (b"[1e30]", "The request body has a number that does not fit in 64 bits"),
        (b"[" * 33 + b"]" * 33, "The request body is nested deeper than 32 levels"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "The request body is nested deeper than 32 levels"),
        (b"[" * 100_000, "The request body is nested deeper than 32 levels"),
        (b"[" * 500_000 + b"]" * 500_000, "The request body is nested deeper than 32 levels"),
    ],
    ids=range(21),
)
def test_what_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_json(body)

    assert refused.value.message.startswith(sentence)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"name": "Zo\xc3\xab", "n": [1, 2.5, null, true]}', {"name": "Zoë", "n": [1, 2.5, None, True]}),
        (b"[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"null", None),
    ],
)
def test_what_is_read(body: bytes, value: object) -> None:
    assert parse_json(body) == value


def test_thirty_two_levels_are_allowed() -> None:
    value: object = 1
    for level in range(32):
        value = [value] if level % 2 else {"a": value}

    assert parse_json(json.dumps(value).encode()) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e18, 1e18) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_within_the_limits_is_read_as_it_is(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,0123456789eE.-\\untrlfas ', max_size=60).map(str.encode))
def test_any_bytes_are_a_value_or_a_sentence(body: bytes) -> None:
    sentence = "The request body is fine"

    try:
        parse_json(body)
    except Invalid as refused:
        sentence = refused.message

    assert sentence.startswith("The request body ")


async def echo(request: Request) -> Response:
    return JSONResponse({"read": await read_json(request, optional="optional" in request.query_params)})


async def post(body: bytes, content_type: str | None, query: str = "") -> httpx.Response:
    async with client(small_app([Route("/", echo, methods=["POST"])])) as http:
        headers = {"Content-Type": content_type} if content_type is not None else {}
        return await http.post(f"/{query}", content=body, headers=headers)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
async def test_json_may_be_declared_so(content_type: str) -> None:
    response = await post(b"{}", content_type)

    assert (response.status_code, response.json()) == (200, {"read": {}})


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/x-www-form-urlencoded",
    ],
)
async def test_anything_else_is_415(content_type: str | None) -> None:
    response = await post(b"{}", content_type)

    assert response.status_code == 415
    assert response.json() == {"error": {"code": "BAD_REQUEST", "message": "Content-Type must be application/json"}}


async def test_another_charset_is_415() -> None:
    response = await post(b"{}", "application/json; charset=latin-1")

    message = "Content-Type must be application/json in UTF-8: leave the charset out"
    assert (response.status_code, response.json()) == (415, {"error": {"code": "BAD_REQUEST", "message": message}})


async def test_a_body_that_may_be_left_out_needs_no_type_when_it_is() -> None:
    absent = await post(b"", None, "?optional")
    present = await post(b"{}", None, "?optional")

    assert (absent.status_code, absent.json()) == (200, {"read": None})
    assert present.status_code == 415


async def test_bad_json_is_400_in_the_envelope() -> None:
    response = await post(b"{", "application/json")

    assert response.status_code == 400
    assert response.json() == {
        "error": {"code": "BAD_REQUEST", "message": "The request body is not valid JSON (line 1, column 2)"}
    }
