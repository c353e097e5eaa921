"""News of transcripts, campaigns and lists: from the bell at once, from a look when the bell was not heard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schema import due
from schema.bell import LocalBell
from schema.errors import Invalid, NotFound
from schema.rules.calls import CallStatus, EndReason, Role
from schema.rules.campaigns import CampaignStatus
from schema.rules.webhooks import DeliveryState
from schema.runtime import Runtime, Viewer
from schema.services import campaigns, endings, holding, news, webhooks
from schema.services.news import TranscriptTurn
from tests.schema.conftest import Act
from tests.support import seeds
from tests.support.api import UNKNOWN
from tests.support.runtime import on_both
from tests.support.time import VirtualClock, settled

LINES = [
    {"role": "agent", "text": "Hi.", "start": 0.4, "end": 0.9},
    {"role": "callee", "text": "Hello?", "start": 1.2, "end": 1.8},
    {"role": "agent", "text": "This is Sam.", "start": 2.0, "end": 3.1},
]


class Watcher:
    """Somebody who watches, and what they were told."""

    def __init__(self, source: Any) -> None:
        self.told: list[Any] = []
        self.task = asyncio.create_task(self._watch(source))

    async def _watch(self, source: Any) -> None:
        async for value in source:
            self.told.append(value)

    async def until(self, number: int) -> list[Any]:
        """What was told, once it is that much."""
        async with asyncio.timeout(10):
            while len(self.told) < number and not self.task.done():  # noqa: ASYNC110 (told by an iterator)
                await asyncio.sleep(0.001)
        await settled()
        assert len(self.told) == number, self.told
        return self.told

    async def end(self) -> list[Any]:
        async with asyncio.timeout(10):
            await self.task
        return self.told

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def said(runtime: Runtime, viewer: Viewer, held: due.Lease, lines: list[dict[str, Any]]) -> due.Lease:
    """All that has been said so far."""
    async with runtime.transaction(viewer) as tx:
        (kept,) = await holding.write(tx, [holding.Said(held, lines)])
    assert kept is not None
    return kept.held


# --- a transcript ---


@on_both
async def test_turns_are_told_as_they_are_spoken(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)
    watcher = Watcher(news.transcript(runtime, viewer, row.id))
    held = await seeds.answered(runtime, viewer, row)

    held = await said(runtime, viewer, held, LINES[:1])
    first = list(await watcher.until(1))
    await said(runtime, viewer, held, LINES)

    assert first == [TranscriptTurn(1, Role.AGENT, "Hi.", 0.4, 0.9)]
    assert [(turn.number, turn.text) for turn in await watcher.until(3)] == [
        (1, "Hi."),
        (2, "Hello?"),
        (3, "This is Sam."),
    ]
    await watcher.stop()


async def test_whoever_was_cut_off_is_told_the_rest_and_the_end(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)
    held = await seeds.answered(runtime, viewer, row)
    held = await said(runtime, viewer, held, LINES)
    async with runtime.transaction(viewer) as tx:
        over = await endings.ended(tx, held, reason=EndReason.CALLEE_HANGUP, ended_at=tx.now, duration_s=3.1)
    assert over is not None
    async with runtime.transaction(viewer) as tx:
        await endings.broken(tx, over)

    rest = [turn.number async for turn in news.transcript(runtime, viewer, row.id, after=1)]
    nothing = [turn.number async for turn in news.transcript(runtime, viewer, row.id, after=3)]

    assert (rest, nothing) == ([2, 3], [])


async def test_what_is_no_transcript(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)
    other = await seeds.workspace(runtime, name="Other")

    with pytest.raises(Invalid, match="after must be 0 or more"):
        await anext(news.transcript(runtime, viewer, row.id, after=-1))
    with pytest.raises(NotFound, match=f"Call with id {row.id} not found"):
        await anext(news.transcript(runtime, other, row.id))


# --- a campaign ---


@on_both
async def test_a_campaign_is_told_as_it_goes(runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock) -> None:
    row = await seeds.campaign(runtime, viewer, contact_ids=[(await seeds.contact(runtime, viewer)).id])
    watcher = Watcher(news.campaign(runtime, viewer, row.id))
    await watcher.until(1)

    await act(campaigns.update, row.id, {"status": "paused"})
    await watcher.until(2)
    await act(campaigns.update, row.id, {"status": "paused"})
    await clock.advance(1)
    await act(campaigns.update, row.id, {"status": "cancelled"})
    told = await watcher.end()

    assert [each.status for each in told] == [CampaignStatus.ACTIVE, CampaignStatus.PAUSED, CampaignStatus.CANCELLED]
    assert told[0].calls_total == 1


async def test_a_campaign_that_is_over_is_told_once_and_another_s_never(
    runtime: Runtime, viewer: Viewer, act: Act
) -> None:
    row = await seeds.campaign(runtime, viewer)
    await act(campaigns.update, row.id, {"status": "cancelled"})
    other = await seeds.workspace(runtime, name="Other")

    told = [each.status async for each in news.campaign(runtime, viewer, row.id)]

    assert told == [CampaignStatus.CANCELLED]
    with pytest.raises(NotFound, match=f"Campaign with id {row.id} not found"):
        await anext(news.campaign(runtime, other, row.id))


async def test_a_campaign_s_ring_that_was_lost_costs_five_seconds(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await seeds.campaign(runtime, viewer)
    watcher = Watcher(news.campaign(runtime, viewer, row.id))
    await watcher.until(1)
    monkeypatch.setattr(runtime, "bell", LocalBell())

    await act(campaigns.update, row.id, {"name": "Autumn"})
    await clock.advance(news.LOOK_EVERY_S - 1)
    before = len(watcher.told)
    await clock.advance(1)

    assert before == 1
    assert (await watcher.until(2))[-1].name == "Autumn"
    await watcher.stop()


# --- the workspace's calls ---


def shown(lists: list[list[Any]]) -> list[list[tuple[str, CallStatus]]]:
    return [[(row.id, row.status) for row in rows] for rows in lists]


@on_both
async def test_new_calls_and_those_that_change_are_told(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    old = await seeds.call(runtime, viewer)
    watcher = Watcher(news.calls(runtime, viewer))
    await watcher.until(1)

    new = await seeds.call(runtime, viewer)
    await watcher.until(2)
    await seeds.answered(runtime, viewer, old)
    await clock.advance(news.GAP_S)
    told = await watcher.until(3)
    await clock.advance(news.LOOK_EVERY_S)

    assert shown(told) == [[], [(new.id, CallStatus.QUEUED)], [(old.id, CallStatus.IN_PROGRESS)]]
    await watcher.stop()


async def test_calls_of_others_are_not_told(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> None:
    other = await seeds.workspace(runtime, name="Other")
    watcher = Watcher(news.calls(runtime, other))
    await watcher.until(1)

    row = await seeds.call(runtime, viewer)
    await seeds.answered(runtime, viewer, row)
    await clock.advance(2 * news.LOOK_EVERY_S)

    assert await watcher.until(1) == [[]]
    await watcher.stop()


async def test_what_was_not_heard_is_found_new_ended_or_other(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await seeds.call(runtime, viewer)
    await clock.advance(60)
    watcher = Watcher(news.calls(runtime, viewer))
    await watcher.until(1)
    monkeypatch.setattr(runtime, "bell", LocalBell())

    await seeds.done(runtime, viewer, old)
    new = await seeds.call(runtime, viewer)
    await clock.advance(news.LOOK_EVERY_S)
    told = await watcher.until(2)
    await clock.advance(20)

    assert shown(told) == [[], [(old.id, CallStatus.COMPLETED), (new.id, CallStatus.QUEUED)]]
    await watcher.stop()


async def test_many_calls_are_several_answers(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "MOST", 2)
    watcher = Watcher(news.calls(runtime, viewer))
    await watcher.until(1)
    rows = [await seeds.call(runtime, viewer) for _ in range(5)]
    await clock.advance(1)

    told = [row.id for rows in watcher.told for row in rows]

    assert told == [row.id for row in rows]
    assert max(len(each) for each in watcher.told) == 2
    await watcher.stop()


# --- an endpoint's deliveries ---


@on_both
async def test_deliveries_are_told_when_they_are_made_and_when_they_change(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    hook = await seeds.endpoint(runtime, viewer)
    await act(webhooks.test, hook.id)
    watcher = Watcher(news.deliveries(runtime, viewer, hook.id))
    await watcher.until(1)

    row = await act(webhooks.test, hook.id)
    await watcher.until(2)
    await act(webhooks.update, hook.id, {"is_active": False})
    await clock.advance(news.GAP_S)
    told = await watcher.until(3)

    assert [len(each) for each in told] == [0, 1, 2]
    assert [(each.id, each.state) for each in told[1]] == [(row.id, DeliveryState.PENDING)]
    assert {each.state for each in told[2]} == {DeliveryState.CANCELLED}
    await watcher.stop()


async def test_deliveries_of_an_endpoint_that_is_not_there(runtime: Runtime, viewer: Viewer) -> None:
    with pytest.raises(NotFound, match=f"Webhook endpoint with id {UNKNOWN} not found"):
        await anext(news.deliveries(runtime, viewer, UNKNOWN))
