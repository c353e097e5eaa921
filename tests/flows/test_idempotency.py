"""`Idempotency-Key` while servers die: a client that sends a request until it is answered has made one call (R10)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx

from tests.flows.servers import AGENT, Installation, caller, listen_at

CLIENTS = 6
KILLS = 2
MOST_KEYS = 8
"""Of each client, which then asks again with one of those."""
PATIENCE_S = 120.0
TO = "+12025550142"


class Client:
    """Somebody who makes calls, each with a key of its own, and does not let go before one is answered."""

    def __init__(self, installation: Installation, ids: Mapping[str, str]) -> None:
        self._http = installation.client()
        self._body = {**ids, "to": TO}
        self.answers: dict[str, set[bytes]] = {}
        self.statuses: Counter[str] = Counter()

    def work(self, done: threading.Event) -> None:
        with self._http:
            while not done.is_set():
                if len(self.answers) < MOST_KEYS:
                    self._call(str(uuid4()))
                else:
                    self._call(random.choice(list(self.answers)))

    def _call(self, key: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                answer = self._http.post("/calls", json=self._body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                self.statuses["lost"] += 1
                time.sleep(0.1)
                continue
            replayed = " again" if "idempotent-replayed" in answer.headers else ""
            self.statuses[f"{answer.status_code}{replayed}"] += 1
            if answer.status_code == 201:
                self.answers.setdefault(key, set()).add(answer.content)
                return
            assert answer.status_code == 409, answer.text
            time.sleep(0.2)
        raise AssertionError(f"{key} was not answered within {PATIENCE_S} s: {self.statuses}")


def wait_for_answers(clients: Sequence[Client], number: int) -> None:
    """Until they have had that many more, so that the next kill comes while they are busy."""
    wanted = answered(clients) + number
    deadline = time.monotonic() + PATIENCE_S
    while answered(clients) < wanted:
        assert time.monotonic() < deadline, [each.statuses for each in clients]
        time.sleep(0.005)


def answered(clients: Sequence[Client]) -> int:
    return sum(each.statuses["201"] + each.statuses["201 again"] for each in clients)


def kill_and_restart(installation: Installation, url: str) -> None:
    """As the machine's supervisor would, after a `kill -9`."""
    options = listen_at(url)
    (victim,) = (process for process in installation.processes if set(options) <= set(process.args))
    victim.kill()
    victim.wait()
    installation.processes.remove(victim)
    installation.spawn("serve" if installation.scaled else "up", *options)
    installation.wait_ready(url)


def test_every_key_makes_one_call_wherever_the_server_is_killed(installation: Installation) -> None:
    with installation.client() as client:
        ids = caller(client)
    clients = [Client(installation, ids) for _ in range(CLIENTS)]
    done = threading.Event()

    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(each.work, done) for each in clients]
        try:
            for number in range(KILLS):
                wait_for_answers(clients, 2 * CLIENTS)
                time.sleep(random.uniform(0, 0.2))
                kill_and_restart(installation, installation.urls[number % len(installation.urls)])
        finally:
            done.set()
        for each in working:
            each.result()

    wait_until_over(installation, ids["agentId"])
    answers = {key: contents for each in clients for key, contents in each.answers.items()}
    seen = sum((each.statuses for each in clients), Counter())
    assert seen["lost"] >= KILLS, seen
    assert {len(contents) for contents in answers.values()} == {1}
    assert made(installation, ids["agentId"]) == len(answers)
    assert len(set.union(*answers.values())) == len(answers)


def wait_until_over(installation: Installation, agent_id: str) -> None:
    """What these calls are told of must not reach the endpoints of the flows that come next."""
    deadline = time.monotonic() + PATIENCE_S
    with installation.client() as client:
        for status in ("queued", "in-progress"):
            while client.get("/calls", params={"agentId": agent_id, "status": status, "limit": 1}).json()["total"]:
                assert time.monotonic() < deadline, f"calls are {status} after {PATIENCE_S} s"
                time.sleep(0.2)


def made(installation: Installation, agent_id: str) -> int:
    """How many calls that agent has."""
    with installation.client() as client:
        total: int = client.get("/calls", params={"agentId": agent_id, "limit": 1}).json()["total"]
        return total


def test_of_many_at_once_one_is_carried_out(installation: Installation) -> None:
    """Where there are two servers, half of them ask each."""
    body = {**AGENT, "name": str(uuid4())}
    together = threading.Barrier(10)

    def ask(number: int) -> httpx.Response:
        with installation.client(installation.urls[number % len(installation.urls)]) as client:
            together.wait()
            return client.post("/agents", json=body, headers={"Idempotency-Key": body["name"]})

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, range(10)))

    made = [answer for answer in answers if answer.status_code == 201]
    with installation.client() as client:
        names = [agent["name"] for agent in client.get("/agents").json()]
    assert names.count(body["name"]) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in made}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in made) == 1
