"""What each magic number ends as, over the whole platform (`telephony.md`, *Sandbox carrier*)."""

from __future__ import annotations

import httpx
import pytest

from tests.flows.servers import caller, place, until_over

ENDS = {  # status, end reason, outcome
    "00": ("completed", "agent-hangup", "appointment-booked"),
    "40": ("failed", "busy", "not-reached"),
    "41": ("failed", "no-answer", "not-reached"),
    "42": ("failed", "rejected", "not-reached"),
    "43": ("failed", "unallocated-number", "not-reached"),
    "45": ("completed", "agent-hangup", "appointment-booked"),
    "46": ("failed", "submission-unknown", "not-reached"),
}


@pytest.mark.parametrize("xx", ENDS)
def test_it_ends_as_the_table_says(client: httpx.Client, xx: str) -> None:
    id = place(client, caller(client, voicemailMessage="Please call us back."), f"+120255501{xx}")

    call = until_over(client, [id])[id]

    assert (call["status"], call["endReason"], call["outcome"]) == ENDS[xx]
