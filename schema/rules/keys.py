"""API keys: their shape, their checksum and what of them is kept (decision K1)."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

PREFIX = "vf_live_"

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH = 43  # the fewest base62 characters that hold 256 bits
_CHECKSUM_LENGTH = 6  # base62 of any CRC32
_HINT_LENGTH = len(PREFIX) + 4
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII)


def new_key() -> str:
    """A new key: `vf_live_` + 256 random bits in 43 base62 characters + 6 of checksum. Show it once, store `digest`."""
    body = PREFIX + _base62(secrets.randbits(256), _BODY_LENGTH)
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether the shape and the checksum are right; a mistyped key fails here, without a query."""
    if _SHAPE.fullmatch(key) is None:
        return False
    return key[-_CHECKSUM_LENGTH:] == _checksum(key[:-_CHECKSUM_LENGTH])


def digest(key: str) -> str:
    """SHA-256 of the key in lower-case hex (64 characters): what is stored and looked up.

    A key is 256 random bits, so no salt and no slow hash are needed.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def hint(key: str) -> tuple[str, str]:
    """What people recognise a key by: its first twelve characters (`vf_live_AbCd`) and its last four."""
    return key[:_HINT_LENGTH], key[-4:]


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii")), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, remainder = divmod(number, 62)
        characters.append(_ALPHABET[remainder])
    return "".join(reversed(characters))
