"""What an idempotency key looks like, and which requests are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.rules.idempotency import check_key, fingerprint, reservation_id

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("key", ["1", "~", "!", '"8e03978e-40d5-43e8-bc93-6894a57f9324"', "x" * 255])
def test_a_key_is_visible_ascii(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "a\n", "é", "\x7f", "x" * 256])
def test_anything_else_is_refused(key: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_key(key)

    assert refusal.value.message == "Idempotency-Key must be 1 to 255 visible ASCII characters"


def test_a_key_belongs_to_a_workspace_and_to_where_it_was_sent() -> None:
    mine = reservation_id("w1", ["/campaigns/{id}/contacts", "c1"], "k")

    others = {
        reservation_id("w2", ["/campaigns/{id}/contacts", "c1"], "k"),
        reservation_id("w1", ["/campaigns/{id}/contacts", "c2"], "k"),
        reservation_id("w1", ["/campaigns", "c1"], "k"),
        reservation_id("w1", ["/campaigns/{id}/contacts", "c1"], "K"),
        reservation_id("w1", ["/campaigns/{id}/contacts", 'c1","k'], ""),
    }

    assert mine == reservation_id("w1", ("/campaigns/{id}/contacts", "c1"), "k")
    assert len(mine) == 64
    assert len(others) == 5
    assert mine not in others


def test_the_order_of_fields_does_not_count() -> None:
    one = fingerprint({"id": "c1", "input": {"name": "Sam", "retryPolicy": {"maxAttempts": 2, "on": ["busy"]}}})
    two = fingerprint({"input": {"retryPolicy": {"on": ["busy"], "maxAttempts": 2}, "name": "Sam"}, "id": "c1"})

    assert one == two
    assert len(one) == 64


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"input": {}},
        {"input": {"name": "Sam", "notes": None}},
        {"input": {"name": "sam"}},
        {"input": {"name": ["Sam"]}},
        {"id": "c1", "input": {"name": "Sam"}},
    ],
)
def test_what_a_request_says_does(other: dict[str, object]) -> None:
    assert fingerprint(other) != fingerprint({"input": {"name": "Sam"}})


def test_the_order_of_a_list_counts() -> None:
    assert fingerprint({"ids": ["a", "b"]}) != fingerprint({"ids": ["b", "a"]})


@given(JSON)
def test_whatever_was_sent_has_a_fingerprint(value: object) -> None:
    assert len(fingerprint({"input": value})) == 64
