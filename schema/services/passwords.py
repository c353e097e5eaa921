"""Hashing passwords: argon2id, in threads, two at a time, so that signing in cannot take the whole machine.

One hash takes about a tenth of a second of all cores and 64 MiB. Nothing here may be called inside a transaction: on
SQLite everybody else's writes would wait for it.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from schema.errors import RateLimited
from schema.rules import passwords as rules

T = TypeVar("T")

AT_ONCE = 2
MOST_WAITING = 40
"""Of more than so many that wait the next is refused: its turn would not come within some seconds."""
MOST_MADE = 6
"""Of these, one-time passwords: whoever makes accounts as fast as they may leaves the others room to sign in."""

_hasher = PasswordHasher()  # argon2id, RFC 9106's second recommended option
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
_waiting = 0
_making = 0


@dataclass(frozen=True, slots=True)
class OneTimePassword:
    """A password that was made for somebody: its text, to be shown once, and the hash that is kept."""

    text: str = field(repr=False)
    hash: str = field(repr=False)


async def new_one_time() -> OneTimePassword:
    """A one-time password. Raises RateLimited."""
    global _making  # noqa: PLW0603 (as below)
    if _making >= MOST_MADE:
        raise RateLimited(
            "Too many one-time passwords are being made right now: try again in a second", retry_after_s=1
        )
    _making += 1
    try:
        text = rules.new_one_time()
        return OneTimePassword(text, await hashed(text))
    finally:
        _making -= 1


async def hashed(password: str) -> str:
    """The password's hash, with its parameters and salt. Raises RateLimited."""
    return await _run(lambda: _hasher.hash(rules.normal(password)))


async def is_right(kept: str | None, password: str) -> bool:
    """Whether it is the password of the hash `kept`; None (there is nobody) takes as long. Raises RateLimited.

    What is too long to be anybody's is wrong at once, whoever is asked about.
    """
    if not rules.can_be_one(password):
        return False
    against = kept if kept is not None else _nobody()
    return await _run(lambda: _verify(against, rules.normal(password))) and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than are used now."""
    return _hasher.check_needs_rehash(kept)


def _verify(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def _nobody() -> str:
    """A hash that no password has, which is as much work to verify as a real one and none to make."""
    salt, digest = (_base64(secrets.token_bytes(size)) for size in (_hasher.salt_len, _hasher.hash_len))
    parameters = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v=19${parameters}${salt}${digest}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


async def _run(work: Callable[[], T]) -> T:
    global _waiting  # noqa: PLW0603 (of the process, as the threads are)
    if _waiting >= AT_ONCE + MOST_WAITING:
        raise RateLimited("Too many people are signing in right now: try again in some seconds", retry_after_s=5)
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _waiting -= 1
