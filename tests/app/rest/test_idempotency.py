"""The header of a request as it came; what is made of it is in tests/contract/test_idempotency.py."""

from __future__ import annotations

import pytest

from app.rest.adapter import compile_endpoints
from app.rest.idempotency import sent_key
from schema.errors import Invalid


def sent(*headers: tuple[bytes, bytes]) -> str | None:
    return sent_key({"type": "http", "headers": [(b"host", b"voxforge.test"), *headers]})


def test_a_request_without_the_header_has_no_key() -> None:
    assert sent() is None
    assert sent((b"x-idempotency-key", b"1")) is None


@pytest.mark.parametrize(("value", "key"), [(b"order-1", "order-1"), (b"", ""), (b"\xe9", "é")])
def test_a_key_is_taken_as_it_was_sent(value: bytes, key: str) -> None:
    assert sent((b"idempotency-key", value)) == key


def test_two_are_refused_even_if_they_are_the_same() -> None:
    with pytest.raises(Invalid) as refusal:
        sent((b"idempotency-key", b"1"), (b"idempotency-key", b"1"))

    assert refusal.value.message == "Idempotency-Key was given more than once"


def test_every_post_takes_one() -> None:
    for endpoint in compile_endpoints():
        assert endpoint.takes_key is (endpoint.route.method == "POST")
