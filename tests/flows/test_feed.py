"""The feed and the subscriptions, wherever the work is done: what is followed is what webhooks carry."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import Queue

import httpx

from app.cli.streams import Block, blocks
from tests.flows.receiver import Receiver
from tests.flows.servers import Installation, caller, place

WAIT_S = 60.0
TURNS = "subscription ($id: ID!) { callTranscript(id: $id) { number text } }"


@contextmanager
def following(http: httpx.Client) -> Iterator[Queue[Block]]:
    """What a server tells from now on; a thread reads it, until the server has gone."""
    told: Queue[Block] = Queue()

    def read(response: httpx.Response) -> None:
        with suppress(httpx.TransportError, httpx.StreamError):
            for block in blocks(response.iter_bytes()):
                if block.event:
                    told.put(block)

    response = http.send(http.build_request("GET", "/events", timeout=WAIT_S), stream=True)
    assert response.status_code == 200
    threading.Thread(target=read, args=(response,), daemon=True).start()
    yield told


def test_every_server_tells_what_webhooks_carry(
    installation: Installation, client: httpx.Client, receiving: Receiver
) -> None:
    client.post("/webhooks", json={"url": receiving.url + "/"})
    ids = caller(client)

    with ExitStack() as stack:
        feeds = [stack.enter_context(following(installation.client(url))) for url in installation.urls]
        id = place(client, ids, "+12025550100")
        sent = {one.headers["webhook-id"]: one.body for one in receiving.wait_for(4)}
        told = [until_told(feed, id, 4) for feed in feeds]

    assert told == [sent] * len(installation.urls)


def until_told(feed: Queue[Block], call_id: str, count: int) -> dict[str, bytes]:
    """The bodies of that many events of the call, by their ids; other tests have calls, too."""
    told: dict[str, bytes] = {}
    while len(told) < count:
        block = feed.get(timeout=WAIT_S)
        if json.loads(block.data)["data"]["callId"] == call_id:
            told[block.id] = block.data
    return told


def test_a_call_s_turns_are_those_of_its_transcript(installation: Installation, client: httpx.Client) -> None:
    ids = caller(client)
    id = place(client, ids, "+12025550100")
    with installation.client(installation.urls[-1]) as http:
        where = str(http.base_url).removesuffix("/").removesuffix("/api/v1") + "/graphql/stream"
        with http.stream("POST", where, json={"query": TURNS, "variables": {"id": id}}, timeout=WAIT_S) as answer:
            turns = [
                json.loads(block.data)["data"]["callTranscript"]
                for block in blocks(answer.iter_bytes())
                if block.event == "next"
            ]
    transcript = client.get(f"/calls/{id}").json()["transcript"]

    assert turns == [{"number": number, "text": line["text"]} for number, line in enumerate(transcript, 1)]
