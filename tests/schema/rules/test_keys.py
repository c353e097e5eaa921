"""API keys: shape, checksum, what is kept (decision K1)."""

from __future__ import annotations

import hashlib
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.rules.keys import digest, hint, is_well_formed, new_key

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def number(text: str) -> int:
    total = 0
    for character in text:
        total = total * 62 + BASE62.index(character)
    return total


def test_a_key_is_prefix_body_and_checksum() -> None:
    key = new_key()

    assert re.fullmatch(r"vf_live_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", key)
    assert is_well_formed(key)
    assert number(key[-6:]) == zlib.crc32(key[:-6].encode())


def test_the_body_carries_256_bits() -> None:
    values = [number(new_key()[8:51]) for _ in range(500)]

    assert len(set(values)) == 500
    assert max(values) < 2**256
    assert max(values) > 2**255  # the top bit is used: missed once in 2**500


@pytest.mark.parametrize("place", [0, 3, 8, 20, 50, 51, 56])
def test_one_mistyped_character_is_noticed(place: int) -> None:
    key = new_key()
    other = "A" if key[place] != "A" else "B"

    assert not is_well_formed(key[:place] + other + key[place + 1 :])


def test_two_swapped_characters_are_noticed() -> None:
    key = "vf_live_" + "Aa" * 21 + "A"
    key += next(text for text in [_checksum(key)])
    swapped = key[:10] + key[11] + key[10] + key[12:]

    assert is_well_formed(key)
    assert not is_well_formed(swapped)


def _checksum(body: str) -> str:
    value, characters = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, place = divmod(value, 62)
        characters = BASE62[place] + characters
    return characters


def test_a_small_checksum_is_padded_to_six_characters() -> None:
    bodies = (f"vf_live_{count:043d}" for count in range(200_000))
    body = next(body for body in bodies if zlib.crc32(body.encode()) < 62**4)

    assert _checksum(body).startswith("00")
    assert is_well_formed(body + _checksum(body))
    assert not is_well_formed(body + _checksum(body).lstrip("0"))


@given(st.text() | st.from_regex(r"vf_live_[0-9A-Za-z]{49}", fullmatch=True))
def test_invented_keys_are_not_well_formed(text: str) -> None:
    assert not is_well_formed(text)


@pytest.mark.parametrize(
    "change", [lambda key: key + "\n", lambda key: " " + key, lambda key: key[:-1], lambda key: key.lower()]
)
def test_a_key_with_something_added_or_lost_is_not_well_formed(change: object) -> None:
    assert callable(change)

    assert not is_well_formed(change(new_key()))


def test_what_is_stored_is_the_sha_256_in_hex() -> None:
    key = new_key()

    assert digest(key) == hashlib.sha256(key.encode()).hexdigest()


def test_any_text_has_a_digest() -> None:
    assert len(digest("\ud800 not a key")) == 64


def test_the_hint_is_the_prefix_and_the_last_four() -> None:
    key = new_key()

    assert hint(key) == (key[:12], key[-4:])
    assert hint(key)[0].startswith("vf_live_")
