"""What must hold of the rows whatever has happened: ask after any run, however unkind."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import select

from schema.rules.calls import CallPhase, CallStatus
from schema.rules.campaigns import CampaignStatus
from schema.rules.webhooks import DeliveryState, EventType
from schema.runtime import Runtime
from schema.tables import Call, Campaign, Delivery, Event, Table

_FINAL = {CallStatus.COMPLETED, CallStatus.FAILED}


async def broken_invariants(runtime: Runtime) -> list[str]:
    """A sentence for every row that breaks one; empty when all is well."""
    return [*await lost_work(runtime), *await wrong_events(runtime)]


async def lost_work(runtime: Runtime) -> list[str]:
    """`jobs.md`: no unfinished row has `due_at` NULL, but for calls of a paused campaign; no finished row has one."""
    paused = {row.id for row in await runtime.database.read(select(Campaign)) if row.status is CampaignStatus.PAUSED}
    lost = []
    for call in await runtime.database.read(select(Call)):
        held = call.phase is CallPhase.QUEUED and call.campaign_id in paused
        if (call.phase is CallPhase.DONE) == (call.due_at is not None) and not held:
            lost.append(f"call {call.id} is {call.phase.value} and due_at is {call.due_at}")
        if (call.phase in {CallPhase.DONE, CallPhase.PROCESSING}) != (call.status in _FINAL):
            lost.append(f"call {call.id} is {call.phase.value} and {call.status.value}")
    for row in await runtime.database.read(select(Delivery)):
        if (row.state is DeliveryState.PENDING) == (row.due_at is None):
            lost.append(f"delivery {row.id} is {row.state.value} and due_at is {row.due_at}")
        if (row.state is DeliveryState.PENDING) == (row.finished_at is not None):
            lost.append(f"delivery {row.id} is {row.state.value} and finished_at is {row.finished_at}")
    return lost


async def wrong_events(runtime: Runtime) -> list[str]:
    """W2: started once for a call that a carrier was told of, then exactly one of ended and failed, then the rest."""
    happened: dict[str, list[EventType]] = defaultdict(list)
    for event in await runtime.database.read(select(Event).where(Event.call_id.is_not(None)).order_by(Event.id)):
        happened[event.call_id].append(event.type)
    wrong = []
    for call in await runtime.database.read(select(Call)):
        kinds = happened[call.id]
        ends = [EventType.CALL_ENDED] if call.status is CallStatus.COMPLETED else []
        ends += [EventType.CALL_FAILED] if call.status is CallStatus.FAILED else []
        expected = [EventType.CALL_STARTED] * (call.started_at is not None) + ends
        after = kinds[len(expected) :]
        if kinds[: len(expected)] != expected or after not in (
            [],
            [EventType.TRANSCRIPT_READY],
            [EventType.TRANSCRIPT_READY, EventType.ANALYSIS_COMPLETE],
        ):
            wrong.append(f"call {call.id} is {call.status.value} and told {[kind.value for kind in kinds]}")
        elif after and EventType.CALL_ENDED not in kinds:
            wrong.append(f"call {call.id} did not connect and told {[kind.value for kind in after]}")
    return wrong


async def rows(runtime: Runtime) -> dict[str, list[dict[str, Any]]]:
    """Every row of the database, by table: what a refusal must leave as it was."""
    found = {}
    for table in Table.metadata.sorted_tables:
        read = await runtime.database.read(select(table).order_by(table.c.id))
        found[table.name] = [{column.name: getattr(row, column.name) for column in table.columns} for row in read]
    return found
