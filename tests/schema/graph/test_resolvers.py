"""Values through the graph: inputs that are absent or null, instants, relations in batches."""

from __future__ import annotations

from typing import Any

import pytest

from schema.database import Database
from schema.runtime import Runtime, Viewer
from schema.services import agents
from tests.schema.conftest import Act
from tests.schema.graph.conftest import Ask
from tests.support import seeds

UPDATE = "mutation ($id: ID!, $input: UpdateAgentInput!) { updateAgent(id: $id, input: $input) { name firstMessage } }"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, {"name": "Sam", "firstMessage": "Hello!"}),
        ({"firstMessage": None}, {"name": "Sam", "firstMessage": None}),
        ({"firstMessage": "Hi!"}, {"name": "Sam", "firstMessage": "Hi!"}),
        ({"name": "Kim"}, {"name": "Kim", "firstMessage": "Hello!"}),
    ],
)
async def test_absent_stays_and_null_clears(
    ask: Ask, runtime: Runtime, viewer: Viewer, sent: dict[str, Any], expected: dict[str, Any]
) -> None:
    """R6."""
    row = await seeds.agent(runtime, viewer, first_message="Hello!")

    assert await ask(UPDATE, id=row.id, input=sent) == {"data": {"updateAgent": expected}}


async def test_null_for_what_cannot_be_null_is_refused_in_our_words(ask: Ask, runtime: Runtime, viewer: Viewer) -> None:
    """R6."""
    row = await seeds.agent(runtime, viewer)

    answer = await ask(UPDATE, id=row.id, input={"name": None})

    assert [(error["message"], error["extensions"]["code"]) for error in answer["errors"]] == [
        ("name cannot be null", "BAD_REQUEST")
    ]
    assert (await agents.get(runtime.snapshot(viewer), row.id)).name == "Sam"


async def test_a_finished_call_is_shown_whole(ask: Ask, runtime: Runtime, viewer: Viewer) -> None:
    """L1 to L3, R4."""
    call = await seeds.call(runtime, viewer, to="+15551234567")
    await seeds.done(runtime, viewer, call)

    answer = await ask(
        """query ($id: ID!) { call(id: $id) {
            status direction to duration summary sentiment outcome endReason answeredBy createdAt endedAt recordingUrl
            transcript { text } analysis { summary sentiment outcome actionItems extracted }
            agent { name } phoneNumber { carrier } campaign { id } contact { id }
        } }""",
        id=call.id,
    )

    shown = answer["data"]["call"]
    assert shown.pop("recordingUrl").startswith(f"http://127.0.0.1:8000/recordings/{call.id}.mp3?expires=")
    assert answer == {
        "data": {
            "call": {
                "status": "COMPLETED",
                "direction": "OUTBOUND",
                "to": "+15551234567",
                "duration": 183,
                "summary": "Wants a demo.",
                "sentiment": "POSITIVE",
                "outcome": "INTERESTED",
                "endReason": "CALLEE_HANGUP",
                "answeredBy": "HUMAN",
                "createdAt": "2025-01-15T14:00:00Z",
                "endedAt": "2025-01-15T14:00:00Z",
                "transcript": None,
                "analysis": {
                    "summary": "Wants a demo.",
                    "sentiment": "POSITIVE",
                    "outcome": "INTERESTED",
                    "actionItems": ["Send an invitation"],
                    "extracted": {"company": "Acme"},
                },
                "agent": {"name": "Sam"},
                "phoneNumber": {"carrier": "sandbox"},
                "campaign": None,
                "contact": None,
            }
        }
    }


async def test_relations_are_read_in_batches_deleted_ones_too(
    ask: Ask, runtime: Runtime, viewer: Viewer, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A2: calls of a deleted agent still name it."""
    rows = [await seeds.call(runtime, viewer) for _ in range(5)]
    await act(agents.delete, rows[0].agent_id)
    reads = 0
    read = Database.read

    async def counted(self: Database, statement: Any) -> list[Any]:
        nonlocal reads
        reads += 1
        return await read(self, statement)

    monkeypatch.setattr(Database, "read", counted)
    answer = await ask("{ calls { total nodes { agent { id } phoneNumber { id } } } }")

    shown = [node["agent"]["id"] for node in answer["data"]["calls"]["nodes"]]
    assert shown == [row.agent_id for row in rows[::-1]]
    assert reads <= 4  # the page, its total, agents, numbers


async def test_relations_of_one_workspace_stay_in_it(ask: Ask, runtime: Runtime, viewer: Viewer) -> None:
    """R5."""
    other = await seeds.workspace(runtime, name="Other")
    theirs = await seeds.agent(runtime, other)
    call = await seeds.call(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        (await tx.lock(type(call), call.id)).agent_id = theirs.id  # which nothing of ours would do

    answer = await ask("query ($id: ID!) { call(id: $id) { agent { id } } }", id=call.id)

    assert answer == {"data": {"call": {"agent": None}}}


async def test_deliveries_show_what_was_sent_and_what_came_back(ask: Ask, runtime: Runtime, viewer: Viewer) -> None:
    """W7."""
    await seeds.everything(runtime, viewer)
    endpoint = (await ask("{ webhookEndpoints { nodes { id } } }"))["data"]["webhookEndpoints"]["nodes"][0]["id"]

    answer = await ask(
        """query ($id: ID!) { deliveries(id: $id) { total nodes {
            event state attemptsMade nextAttemptAt body endpoint { id } attempts { number statusCode nextAttemptAt }
        } } }""",
        id=endpoint,
    )

    shown = answer["data"]["deliveries"]
    assert shown["total"] == 4
    (tried,) = (node for node in shown["nodes"] if node["attempts"])
    assert tried["body"].startswith('{"event":"' + tried["event"] + '"')
    assert (tried["state"], tried["attemptsMade"], tried["endpoint"]) == ("PENDING", 1, {"id": endpoint})
    assert tried["nextAttemptAt"] == "2025-01-15T14:00:30Z"
    assert tried["attempts"] == [{"number": 1, "statusCode": 500, "nextAttemptAt": "2025-01-15T14:00:30Z"}]


async def test_a_secret_is_shown_when_it_is_made(ask: Ask) -> None:
    """W3, K1."""
    made = await ask('mutation { createWebhookEndpoint(input: {url: "https://hooks.example.com/"}) { id secret } }')

    endpoint = made["data"]["createWebhookEndpoint"]
    assert endpoint["secret"].startswith("whsec_")
    rotated = await ask("mutation ($id: ID!) { rotateWebhookSecret(id: $id) { secret } }", id=endpoint["id"])
    assert rotated["data"]["rotateWebhookSecret"]["secret"] != endpoint["secret"]
