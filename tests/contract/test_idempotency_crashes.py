"""R10 against crashes: wherever a request with a key dies, freezes or is given up, its retries do the work once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from app.rest.adapter import Endpoint
from schema.graph import idempotency as graph
from schema.graph.execution import Operation
from schema.runtime import Runtime
from schema.services import calls, idempotency
from tests.contract.idempotency import STILL_RUNNING, Hold, held, is_replayed, keys, post
from tests.support import seeds
from tests.support.api import Api, error
from tests.support.invariants import broken_invariants
from tests.support.runtime import on_both

pytestmark = on_both


class Killed(BaseException):
    """Nothing that catches errors catches this: as good as the end of the process."""


@pytest.fixture
async def hold(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hold]:
    """The next operation waits."""
    async for each in held(monkeypatch):
        yield each


@pytest.fixture
async def call(api: Api) -> dict[str, str]:
    """The body of a call."""
    agent, number = await seeds.agent(api.runtime, api.viewer), await seeds.phone_number(api.runtime, api.viewer)
    return {"agentId": agent.id, "phoneNumberId": number.id, "to": "+15551234567"}


@pytest.fixture(autouse=True)
async def invariants(runtime: Runtime) -> AsyncIterator[None]:
    yield
    assert await broken_invariants(runtime) == []


async def retried(api: Api, body: Any, key: str = "order-1") -> httpx.Response:
    """What a client gets that sends its request until it is answered."""
    for _ in range(15):
        response = await post(api, "/calls", body, key=key)
        if response.status_code != 409:
            return response
        assert error(response) == STILL_RUNNING
        await api.clock.advance(1)
    raise AssertionError("the reservation of a dead request does not expire")


async def total(api: Api) -> int:
    return (await api.get("/calls")).json()["total"]


def dies_first(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(*_: Any) -> Any:
        raise Killed

    monkeypatch.setattr(Operation, "run", run)


def dies_in_its_work(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    place = calls.place

    async def die(tx: Any, given: Any) -> Any:
        await place(tx, given)
        await tx.flush()
        raise Killed

    monkeypatch.setattr(calls, "place", die)


def dies_before_the_answer_is_written(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any) -> Any:
        raise Killed

    monkeypatch.setattr(Endpoint, "_respond", die)


def dies_before_the_commit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    settle = idempotency.settle

    async def die(*args: Any) -> None:
        await settle(*args)
        raise Killed

    monkeypatch.setattr(idempotency, "settle", die)


def dies_after_the_commit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(queue: str) -> None:
        raise Killed

    monkeypatch.setattr(api.runtime.bell, "ring", die)


Death = Callable[[Api, pytest.MonkeyPatch], None]
BEFORE = [dies_first, dies_in_its_work, dies_before_the_answer_is_written, dies_before_the_commit]


async def killed(api: Api, body: Any, death: Death) -> None:
    """A request that dies there."""
    with pytest.MonkeyPatch.context() as patch:
        death(api, patch)
        with pytest.raises(Killed):
            await post(api, "/calls", body)


@pytest.mark.parametrize("death", BEFORE)
async def test_who_dies_before_the_commit_has_done_nothing_and_the_retry_does_it(
    api: Api, call: dict[str, str], death: Death
) -> None:
    await killed(api, call, death)

    assert await total(api) == 0
    assert error(await post(api, "/calls", call)) == STILL_RUNNING
    response = await retried(api, call)
    assert (response.status_code, is_replayed(response)) == (201, False)
    assert (await post(api, "/calls", call)).content == response.content
    assert await total(api) == 1


async def test_who_dies_between_the_commit_and_the_answer_has_left_the_answer(api: Api, call: dict[str, str]) -> None:
    await killed(api, call, dies_after_the_commit)

    assert await total(api) == 1
    response = await post(api, "/calls", call)
    assert (response.status_code, is_replayed(response)) == (201, True)
    assert response.json() == (await api.get(f"/calls/{response.json()['id']}")).json()
    assert response.headers["location"] == f"/api/v1/calls/{response.json()['id']}"
    assert await total(api) == 1


async def test_what_happened_since_does_not_show_in_the_answer(api: Api, call: dict[str, str]) -> None:
    await killed(api, call, dies_after_the_commit)
    (row,) = (await api.get("/calls")).json()["calls"]
    await api.post(f"/calls/{row['id']}/hangup")

    response = await post(api, "/calls", call)

    assert response.json()["status"] == "queued"
    assert (await api.get(f"/calls/{row['id']}")).json()["status"] == "failed"


async def test_a_failure_after_the_commit_is_no_reason_to_do_it_again(
    api: Api, call: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(queue: str) -> None:
        raise RuntimeError

    monkeypatch.setattr(api.runtime.bell, "ring", fail)
    failed = await post(api, "/calls", call)
    monkeypatch.undo()

    response = await post(api, "/calls", call)

    assert failed.status_code == 500
    assert (response.status_code, is_replayed(response)) == (201, True)
    assert await total(api) == 1


async def test_given_up_at_any_instant(api: Api, call: dict[str, str]) -> None:
    """The caller's task is cancelled, as when a server that stops has waited long enough."""
    answers = {}
    for step in range(30):
        task = asyncio.create_task(post(api, "/calls", call, key=str(step)))
        await asyncio.sleep(step * 0.0005)
        task.cancel()
        await asyncio.wait([task])

        answers[str(step)] = (await retried(api, call, str(step))).content

    assert await total(api) == 30
    for key, content in answers.items():
        assert (await post(api, "/calls", call, key=key)).content == content
    assert len(await keys(api)) == 30


# --- frozen, and slow ---


async def test_who_was_frozen_longer_than_its_reservation_can_commit_nothing(
    api: Api, call: dict[str, str], hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "RENEW_EVERY_S", 10**9)  # a frozen process renews nothing
    frozen = asyncio.create_task(post(api, "/calls", call))
    await hold.reached.wait()
    await api.clock.advance(10)
    second = await post(api, "/calls", call)

    hold.released.set()

    assert (second.status_code, is_replayed(second)) == (201, False)
    assert error(await frozen) == STILL_RUNNING
    assert await total(api) == 1
    assert (await post(api, "/calls", call)).content == second.content


async def test_who_was_frozen_and_would_refuse_leaves_the_answer_as_it_is(
    api: Api, call: dict[str, str], hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "RENEW_EVERY_S", 10**9)
    frozen = asyncio.create_task(post(api, "/calls", call))
    await hold.reached.wait()
    await api.clock.advance(10)
    second = await post(api, "/calls", call)
    await api.post("/do-not-call", {"phoneNumber": call["to"]})

    hold.released.set()

    assert error(await frozen) == STILL_RUNNING
    assert (await post(api, "/calls", call)).content == second.content


async def test_who_is_only_slow_keeps_its_reservation(api: Api, call: dict[str, str], hold: Hold) -> None:
    slow = asyncio.create_task(post(api, "/calls", call))
    await hold.reached.wait()

    for _ in range(10):
        (before,) = await keys(api)
        await api.clock.advance(3)
        while (await keys(api))[0].reserved_until == before.reserved_until:  # noqa: ASYNC110 (no event for a row)
            await asyncio.sleep(0.001)
        assert error(await post(api, "/calls", call)) == STILL_RUNNING
    hold.released.set()

    assert (await slow).status_code == 201
    assert await total(api) == 1
    assert api.clock.sleepers == 0
