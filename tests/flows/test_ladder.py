"""The retry ladder end to end, through a call's own events (decision W5)."""

from __future__ import annotations

from itertools import pairwise

import httpx

from tests.flows.receiver import Receiver
from tests.flows.servers import caller, place
from tests.flows.test_deliveries import settled
from tests.flows.test_first_call import endpoint


def test_five_requests_in_all_each_with_the_same_bytes_and_then_it_has_failed(
    client: httpx.Client, receiving: Receiver
) -> None:
    hook = endpoint(client, receiving, events=["call.failed"])
    receiving.statuses["/"] = [500] * 5
    place(client, caller(client), "+12025550143")

    got = receiving.wait_for(5)
    [row] = client.get(f"/webhooks/{hook['id']}/deliveries").json()
    delivery = settled(client, row["id"], "failed")

    assert {one.body for one in got} == {got[0].body}
    assert {one.headers["webhook-id"] for one in got} == {delivery["eventId"]}
    assert [one["number"] for one in delivery["attempts"]] == [1, 2, 3, 4, 5]
    assert delivery["attempts"][-1]["nextAttemptAt"] is None
    for earlier, later in pairwise(got):
        assert later.at - earlier.at >= 0.3  # never early: this installation's ladder is 0.3 s


def test_a_retry_that_is_answered_well_ends_the_ladder(client: httpx.Client, receiving: Receiver) -> None:
    hook = endpoint(client, receiving, events=["call.failed"])
    receiving.statuses["/"] = [503, 500]
    place(client, caller(client), "+12025550142")

    receiving.wait_for(3)
    [row] = client.get(f"/webhooks/{hook['id']}/deliveries").json()
    delivery = settled(client, row["id"], "delivered")

    assert [one["statusCode"] for one in delivery["attempts"]] == [503, 500, 200]
    assert len(receiving.got) == 3
