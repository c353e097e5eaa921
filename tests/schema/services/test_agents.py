"""Agents (decisions A1, A2)."""

from __future__ import annotations

from typing import Any

import pytest

from schema.errors import Invalid, NotFound
from schema.rules.campaigns import CampaignStatus
from schema.runtime import Runtime, Viewer
from schema.services import agents, calls, campaigns
from schema.services.steps import agent_of
from schema.tables import Agent
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

UNKNOWN = "c0000000000000000unknown0"
SAM = {"name": "Sam", "system_prompt": "Be kind."}
BOUNDS = "maxCallDuration must be between 10 and 14400 seconds"
TOOLS = "tools must contain only: book_appointment, do_not_call, transfer, end_call"
TRANSFER = 'tools: transfer needs a number, as in {"name": "transfer", "to": "+15551234567"}'


@on_both
async def test_a_new_agent_has_the_documents_defaults(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """A1."""
    row = await act(agents.create, SAM)

    kept = await agents.get(runtime.snapshot(viewer), row.id)
    now = runtime.clock.now()
    assert {name: getattr(kept, name) for name in Agent.model_fields} == {
        "id": row.id,
        "workspace_id": viewer.workspace_id,
        "name": "Sam",
        "is_active": True,
        "voice": "jennifer",
        "first_message": None,
        "system_prompt": "Be kind.",
        "language": "en-US",
        "max_call_duration": 600,
        "voicemail_message": None,
        "tools": ["book_appointment", "do_not_call", "end_call"],
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
    }


async def test_every_field_can_be_given(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    given: dict[str, Any] = {
        "name": " Kim ",
        "is_active": False,
        "voice": "ryan",
        "first_message": "Hello!",
        "system_prompt": "  Indented.\n\tTabs stay.",
        "language": "de",
        "max_call_duration": 14_400,
        "voicemail_message": "",
        "tools": [{"name": "transfer", "to": "+15551234567"}, {"name": "end_call"}],
    }

    row = await act(agents.create, given)

    kept = await agents.get(runtime.snapshot(viewer), row.id)
    assert {name: getattr(kept, name) for name in given} == {
        **given,
        "name": "Kim",
        "tools": [{"name": "transfer", "to": "+15551234567"}, "end_call"],
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "Sam"}, "systemPrompt is required"),
        ({"system_prompt": "Be kind."}, "name is required"),
        ({**SAM, "name": None}, "name cannot be null"),
        ({**SAM, "name": " "}, "name must not be empty"),
        ({**SAM, "name": "x" * 201}, "name must be between 1 and 200 characters"),
        ({**SAM, "name": 7}, "name must be a string"),
        ({**SAM, "name": "S\x00m"}, "name must not contain control characters"),
        ({**SAM, "name": "S\ud800m"}, "name must not contain control characters"),
        ({**SAM, "system_prompt": "x" * 50_001}, "systemPrompt must be between 1 and 50,000 characters"),
        ({**SAM, "max_call_duration": 9}, BOUNDS),
        ({**SAM, "max_call_duration": 14_401}, BOUNDS),
        ({**SAM, "max_call_duration": True}, "maxCallDuration must be a whole number"),
        ({**SAM, "max_call_duration": 10.5}, "maxCallDuration must be a whole number"),
        ({**SAM, "max_call_duration": None}, "maxCallDuration cannot be null"),
        ({**SAM, "language": "English, please"}, "language must be a language tag such as en-US"),
        ({**SAM, "is_active": "yes"}, "isActive must be true or false"),
        ({**SAM, "tools": "end_call"}, "tools must be a list"),
        ({**SAM, "tools": ["sing"]}, TOOLS),
        ({**SAM, "tools": [["end_call"]]}, TOOLS),
        ({**SAM, "tools": [{}]}, TOOLS),
        ({**SAM, "tools": ["end_call", {"name": "end_call"}]}, "tools must not name end_call twice"),
        ({**SAM, "tools": ["transfer"]}, TRANSFER),
        ({**SAM, "tools": [{"name": "end_call", "to": "+1"}]}, "tools: end_call takes no setting 'to'"),
        ({**SAM, "mood": "sunny"}, "Unknown field 'mood'"),
        ({**SAM, "id": "c1"}, "Unknown field 'id'"),
        ({**SAM, "created_at": None}, "Unknown field 'createdAt'"),
    ],
)
async def test_what_breaks_a_rule_is_refused(act: Act, refused: Refused, given: dict[str, Any], message: str) -> None:
    """A1, R6, R7, E4."""
    async with refused(Invalid, message):
        await act(agents.create, given)


@on_both
async def test_only_the_fields_sent_change(runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock) -> None:
    """R6."""
    row = await seeds.agent(runtime, viewer, first_message="Hello!", voicemail_message="Bye!")
    await clock.advance(5)

    await act(agents.update, row.id, {"first_message": None, "max_call_duration": 10})

    kept = await agents.get(runtime.snapshot(viewer), row.id)
    assert (kept.name, kept.first_message, kept.voicemail_message, kept.max_call_duration) == ("Sam", None, "Bye!", 10)
    assert (kept.created_at, kept.updated_at) == (row.created_at, clock.now())


@pytest.mark.parametrize("given", [{}, SAM])
async def test_a_change_that_changes_nothing_does_not_touch_the_row(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, unchanged: Unchanged, given: dict[str, Any]
) -> None:
    """R6: an empty patch changes nothing, `updatedAt` included."""
    row = await seeds.agent(runtime, viewer)
    await clock.advance(5)

    async with unchanged():
        await act(agents.update, row.id, given)


async def test_a_refused_change_changes_nothing(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row = await seeds.agent(runtime, viewer)

    async with refused(Invalid, "name cannot be null"):
        await act(agents.update, row.id, {"voice": "ryan", "name": None})
    async with refused(NotFound, f"Agent with id {UNKNOWN} not found"):
        await act(agents.update, UNKNOWN, {"voice": "ryan"})


async def test_agents_are_listed_newest_first(runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock) -> None:
    """R3: ties by id."""
    first = await seeds.agent(runtime, viewer)
    tied = await seeds.agent(runtime, viewer)
    await clock.advance(1)
    newest = await seeds.agent(runtime, viewer)
    gone = await seeds.agent(runtime, viewer)
    await act(agents.delete, gone.id)

    page = await agents.list_page(runtime.snapshot(viewer))

    assert [row.id for row in page.nodes] == [newest.id, tied.id, first.id]
    assert (page.total, page.limit, page.offset) == (3, None, 0)


@on_both
async def test_a_list_can_be_paged(runtime: Runtime, viewer: Viewer) -> None:
    """R2."""
    ids = [(await seeds.agent(runtime, viewer)).id for _ in range(5)][::-1]
    tx = runtime.snapshot(viewer)

    pages = [
        await agents.list_page(tx, limit=limit, offset=offset)
        for limit, offset in ((2, None), (2, 4), (None, 3), (200, 5), (1, 2**31 - 1))
    ]

    assert [[row.id for row in page.nodes] for page in pages] == [ids[:2], ids[4:], ids[3:], [], []]
    assert [(page.total, page.limit, page.offset) for page in pages] == [
        (5, 2, 0),
        (5, 2, 4),
        (5, None, 3),
        (5, 200, 5),
        (5, 1, 2**31 - 1),
    ]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"limit": 0}, "limit must be between 1 and 200"),
        ({"limit": 201}, "limit must be between 1 and 200"),
        ({"offset": -1}, "offset must be 0 or more"),
        ({"offset": 2**31}, "offset must be 0 or more"),
    ],
)
async def test_bounds_of_a_page(
    runtime: Runtime, viewer: Viewer, refused: Refused, bounds: dict[str, int], message: str
) -> None:
    """R7."""
    async with refused(Invalid, message):
        await agents.list_page(runtime.snapshot(viewer), **bounds)


async def test_a_deleted_agent_is_gone_but_its_calls_stay_readable(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    """A2."""
    call = await seeds.call(runtime, viewer)
    await seeds.done(runtime, viewer, call)

    assert await act(agents.delete, call.agent_id) == call.agent_id

    tx = runtime.snapshot(viewer)
    gone = f"Agent with id {call.agent_id} not found"
    async with refused(NotFound, gone):
        await agents.get(tx, call.agent_id)
    async with refused(NotFound, gone):
        await act(agents.update, call.agent_id, {})
    async with refused(NotFound, gone):
        await act(agents.delete, call.agent_id)
    assert (await calls.get(tx, call.id)).agent_id == call.agent_id
    assert (await agent_of(runtime, call)).name == "Sam"


@pytest.mark.parametrize("status", [CampaignStatus.ACTIVE, CampaignStatus.PAUSED])
async def test_an_agent_that_an_open_campaign_uses_cannot_be_deleted(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, status: CampaignStatus
) -> None:
    """A2."""
    campaign = await seeds.campaign(runtime, viewer)
    await act(campaigns.update, campaign.id, {"status": status})

    async with refused(Invalid, f"Agent with id {campaign.agent_id} is used by {status.value} campaign {campaign.id}"):
        await act(agents.delete, campaign.agent_id)


@pytest.mark.parametrize("status", [CampaignStatus.COMPLETED, CampaignStatus.CANCELLED])
async def test_an_agent_of_a_finished_campaign_can_be_deleted(
    runtime: Runtime, viewer: Viewer, act: Act, status: CampaignStatus
) -> None:
    """A2."""
    campaign = await seeds.campaign(runtime, viewer)
    await act(campaigns.update, campaign.id, {"status": status})

    await act(agents.delete, campaign.agent_id)

    assert (await campaigns.get(runtime.snapshot(viewer), campaign.id)).agent_id == campaign.agent_id
