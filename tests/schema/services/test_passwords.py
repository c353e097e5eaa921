"""Hashing: what it costs, and that nobody can tell who has an account by it."""

from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters

from schema.errors import RateLimited
from schema.rules import passwords as rules
from schema.services import passwords


async def test_right_and_wrong() -> None:
    kept = await passwords.hashed("a sentence of my own")

    assert await passwords.is_right(kept, "a sentence of my own")
    assert not await passwords.is_right(kept, "a sentence of my own.")
    assert not await passwords.is_right("not a hash", "a sentence of my own")
    assert "sentence" not in kept


async def test_keyboards_need_not_agree_on_an_accent() -> None:
    kept = await passwords.hashed("cafe\u0301 au lait d'hiver")

    assert await passwords.is_right(kept, "caf\xe9 au lait d'hiver")


@pytest.mark.parametrize("kept", ["a hash", None])
async def test_what_no_password_can_be_is_refused_without_work(
    monkeypatch: pytest.MonkeyPatch, kept: str | None
) -> None:
    """Combining marks take the square of their number to normalise, and no other thread runs meanwhile."""
    normalised: list[str] = []
    monkeypatch.setattr(rules, "normal", normalised.append)

    assert await passwords.is_right(kept, "\u0301\u0316" * 401) is False
    assert normalised == []


async def test_nobody_is_as_much_work_as_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash that is verified has the same parameters, and is another each time."""
    verified: list[str] = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda kept, given: verified.append(kept) or verify(kept, given))
    somebody = await passwords.hashed("x")

    assert await passwords.is_right(None, "x") is False
    assert await passwords.is_right(None, "x") is False

    assert len(set(verified)) == 2
    assert [extract_parameters(each) for each in verified] == [extract_parameters(somebody)] * 2


def test_what_is_used_when_nobody_tests() -> None:
    """argon2id with 64 MiB and three passes: the second option of RFC 9106, section 4."""
    default = PasswordHasher()

    assert (default.type.name, default.memory_cost, default.time_cost, default.parallelism) == ("ID", 65_536, 3, 4)


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    kept = await passwords.hashed("x")

    assert not passwords.is_outdated(kept)
    assert passwords.is_outdated(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("x"))


async def test_two_at_a_time_while_the_loop_goes_on_and_forty_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    running: list[str] = []

    def verify(_kept: str, given: str) -> bool:
        running.append(given)
        return go.wait(30)

    monkeypatch.setattr(passwords, "_verify", verify)
    first = [asyncio.create_task(passwords.is_right("hash", str(i))) for i in range(42)]
    while len(running) < 2:  # noqa: ASYNC110 (threads tell nobody)
        await asyncio.sleep(0)

    with pytest.raises(RateLimited) as refusal:
        await passwords.is_right("hash", "one too many")
    under_way = list(running)
    go.set()

    assert await asyncio.gather(*first) == [True] * 42
    assert under_way == ["0", "1"]
    assert refusal.value.message == "Too many people are signing in right now: try again in some seconds"
    assert refusal.value.retry_after_s == 5
    assert await passwords.is_right("hash", "later") is True


async def test_who_makes_accounts_leaves_room_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    class Slow:
        def hash(self, _password: str) -> str:
            go.wait(30)
            return "hash"

    monkeypatch.setattr(passwords, "_hasher", Slow())
    monkeypatch.setattr(passwords, "_verify", lambda _kept, _given: True)
    first = [asyncio.create_task(passwords.new_one_time()) for _ in range(6)]
    await asyncio.sleep(0)

    with pytest.raises(RateLimited) as refusal:
        await passwords.new_one_time()
    others = [asyncio.create_task(passwords.is_right("hash", "right")) for _ in range(36)]
    await asyncio.sleep(0)
    go.set()

    assert await asyncio.gather(*others) == [True] * 36
    assert [made.hash for made in await asyncio.gather(*first)] == ["hash"] * 6
    assert refusal.value.message == "Too many one-time passwords are being made right now: try again in a second"
    assert refusal.value.retry_after_s == 1
    assert (await passwords.new_one_time()).hash == "hash"
