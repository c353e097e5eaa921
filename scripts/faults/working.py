"""Work to break: calls asked for over the API, one by one or as a campaign, and the webhooks that they cause."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
from books import Books
from counting import Request, undelivered
from installing import Site, Unwell
from receiving import Receiver

from schema.rules.calls import CallStatus, EndReason

# How the sandbox's numbers end, by what happens there.
BUSY = "40"
REFUSED = (BUSY, "43")  # or not in service: two events each, at once
MIXED = ("01", "04", "40", "41", "42", "43", "44", "45", "47", "48")

_AGAIN_S = 0.1
_LOOK_S = 0.02
_PATIENCE_S = 60.0
_CLIENTS = 4
_NOT_SENT = -1


class Api:
    """The REST API of an installation, whichever of its processes answers; notes answers that are not the envelope."""

    def __init__(self, site: Site) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)  # a connection to a process that was killed is no use
        headers = {"Authorization": f"Bearer {site.key}"}
        self._client = httpx.AsyncClient(headers=headers, timeout=15, limits=limits)
        self._bases = itertools.cycle(site.installation.urls)
        self.wrong: list[str] = []

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request to the next process: status and JSON; 0 for no answer, less if it was not even sent."""
        try:
            answer = await self._client.request(method, f"{next(self._bases)}/api/v1{path}", json=body)
        except httpx.ConnectError:
            return _NOT_SENT, None
        except httpx.TransportError:
            return 0, None
        told = answer.json() if "json" in answer.headers.get("content-type", "") else None
        if not answer.is_success and not is_envelope(told):
            self.wrong.append(f"{method} {path} answered {answer.status_code} without the envelope")
        return answer.status_code, told

    async def insist(self, method: str, path: str, body: object = None) -> Any:
        """Ask until it is done. Raises Unwell for a request that is wrong, and when it takes too long."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            status, told = await self.ask(method, path, body)
            if 200 <= status < 300:
                return told
            if 400 <= status < 500:
                raise Unwell(f"{method} {path} answered {status}: {told}")
            await asyncio.sleep(_AGAIN_S)
        raise Unwell(f"{method} {path}: no answer within {_PATIENCE_S:g} s")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def is_envelope(told: object) -> bool:
    """`{"error": {"code", "message"}}` and nothing else (decision E1)."""
    return isinstance(told, dict) and list(told) == ["error"] and sorted(told["error"]) == ["code", "message"]


async def make_endpoints(api: Api, receiver: Receiver, count: int) -> dict[str, str]:
    """Endpoints of that receiver, for every event; returns their paths by their ids."""
    made = {}
    for number in range(count):
        told = await api.insist("POST", "/webhooks", {"url": receiver.url(number)})
        made[str(told["id"])] = receiver.path(number)
    return made


@dataclass
class Calls:
    """`total` calls to numbers that are called once each, `rate` a second; what was acknowledged is kept.

    No more than `allowed` are asked for before somebody raises it, so that faults strike while there is work. With
    `spread` they come at odds, up to that share of the time between two earlier or later.
    """

    site: Site
    api: Api
    books: Books
    numbers: Iterator[str]
    total: int
    rate: float
    spread: float = 0.0
    acknowledged: list[str] = field(default_factory=list)
    allowed: int = 0
    _begun: int = 0
    _next_at: float = 0.0
    _odds: Random = field(default_factory=lambda: Random(1))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    noun = "calls"

    @property
    def progress(self) -> int:
        """How many were acknowledged."""
        return len(self.acknowledged)

    async def begin(self) -> None:
        """Start asking for them, as far as allowed."""
        self._tasks = [asyncio.create_task(self._place()) for _ in range(_CLIENTS)]

    def allow(self, calls: int) -> None:
        """Ask for so many in all."""
        self.allowed = min(self.total, calls)

    def check(self) -> None:
        """Raises Unwell when somebody who asks has given up."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def placed(self) -> None:
        """Ask for all of them, and wait until each was acknowledged. Raises Unwell."""
        self.allow(self.total)
        await asyncio.gather(*self._tasks)

    async def cancel(self) -> None:
        """Stop asking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _place(self) -> None:
        while self._begun < self.total:
            if self._begun >= self.allowed:
                await asyncio.sleep(_LOOK_S)
                continue
            self._begun += 1
            wait = (1 + self._odds.uniform(-self.spread, self.spread)) / self.rate
            self._next_at = max(self._next_at + wait, time.monotonic())  # no rush after a pause
            await asyncio.sleep(self._next_at - time.monotonic())
            self.acknowledged.append(await self._place_one())

    async def _place_one(self) -> str:
        body = {"agentId": self.site.agent_id, "phoneNumberId": self.site.phone_number_id, "to": next(self.numbers)}
        while True:
            status, told = await self.api.ask("POST", "/calls", body)
            if status == 201:
                return str(told["id"])
            if 400 <= status < 500:
                raise Unwell(f"POST /calls answered {status}: {told}")
            if status != _NOT_SENT:  # a request that died may have placed its call
                body["to"] = next(self.numbers)
            await asyncio.sleep(_AGAIN_S)

    async def unfinished(self) -> int:
        """Nothing but the rows, which are counted for every kind of work."""
        return 0

    def missing(self, calls: Sequence[Any]) -> list[str]:
        """Calls that were acknowledged and are not there."""
        there = {call.id for call in calls}
        return [f"call {id}" for id in self.acknowledged if id not in there]

    def allowed_dials(self) -> dict[str, int]:
        """How often each number may be dialed; those that are not named, once."""
        return {}


@dataclass
class Campaign:
    """A campaign; its progress is how many of its numbers the carrier has dialed (decisions P1–P6)."""

    site: Site
    api: Api
    books: Books
    numbers: Sequence[str]
    concurrency: int
    attempts: int = 1
    id: str = ""

    noun = "contacts"

    @property
    def total(self) -> int:
        """Contacts."""
        return len(self.numbers)

    @property
    def progress(self) -> int:
        """How many numbers were dialed."""
        return len(self.books.dials().keys() & set(self.numbers))

    async def begin(self) -> None:
        """Create it, and enrol the contacts. Raises Unwell."""
        body: dict[str, Any] = {
            "name": "Faults",
            "agentId": self.site.agent_id,
            "phoneNumberId": self.site.phone_number_id,
            "maxConcurrentCalls": self.concurrency,
        }
        if self.attempts > 1:
            body["retryPolicy"] = {"maxAttempts": self.attempts, "delayMinutes": [1], "on": ["busy"]}
        self.id = (await self.api.insist("POST", "/campaigns", body))["id"]
        contacts = [{"phoneNumber": number} for number in self.numbers]
        await self.api.insist("POST", f"/campaigns/{self.id}/contacts", {"contacts": contacts})

    def check(self) -> None:
        """Nobody asks."""

    def allow(self, contacts: int) -> None:
        """The campaign's own concurrency says how fast it goes."""

    async def placed(self) -> None:
        """All of them are in already."""

    async def cancel(self) -> None:
        """Nothing is being asked for."""

    async def unfinished(self) -> int:
        """Contacts that are not finished, or 1 for a campaign that does not say that it is completed (P3)."""
        told = await self.api.insist("GET", f"/campaigns/{self.id}")
        left = int(told["callsTotal"]) - int(told["callsCompleted"])
        return max(left, int(told["status"] != "completed"), self.total - int(told["callsTotal"]))

    def missing(self, calls: Sequence[Any]) -> list[str]:
        """Contacts that never had a call."""
        called = {call.to_number for call in calls if call.campaign_id == self.id}
        return ["a contact that was not called"] * (self.total - len(called))

    def allowed_dials(self) -> dict[str, int]:
        """How often each number may be dialed; those that are not named, once."""
        return dict.fromkeys((number for number in self.numbers if number.endswith(BUSY)), self.attempts)


Work = Calls | Campaign


def promised(calls: Sequence[Any], paths: Sequence[str]) -> list[tuple[str, str, str]]:
    """Which (path, call, event) must have arrived for calls that are over (decision W2)."""
    return [(path, call.id, event) for call in calls for event in _events(call) for path in paths]


def _events(call: Any) -> list[str]:
    if call.status is CallStatus.COMPLETED:
        return ["call.started", "call.ended", "transcript.ready", "analysis.complete"]
    if call.status is CallStatus.FAILED:
        return [*(["call.started"] if call.started_at is not None else []), "call.failed"]
    return []


def never_dialed(calls: Sequence[Any], dials: Mapping[str, int]) -> int:
    """Calls that are over although no carrier heard of them, but for those that say so: `submission-unknown` (L4)."""
    return sum(
        call.status in {CallStatus.COMPLETED, CallStatus.FAILED}
        and call.to_number not in dials
        and call.end_reason is not EndReason.SUBMISSION_UNKNOWN
        for call in calls
    )


def lost(
    calls: Sequence[Any],
    works: Sequence[Work],
    paths: Sequence[str],
    requests: Sequence[Request],
    dials: Mapping[str, int],
) -> list[str]:
    """A line for everything that was promised and did not happen."""
    gone = [line for work in works for line in work.missing(calls)]
    silent = [" ".join(each) for each in undelivered(promised(calls, paths), requests)]
    return [*gone, *silent, *["a call that was not dialed"] * never_dialed(calls, dials)]
