"""What must hold of the rows whatever has happened: ask after any run, however unkind."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from schema.rules.calls import CallPhase, CallStatus
from schema.rules.campaigns import OPEN, CampaignContactStatus, CampaignStatus
from schema.rules.webhooks import SECRET_PREFIX, DeliveryState, EventType
from schema.runtime import Runtime
from schema.tables import Call, Campaign, CampaignContact, Delivery, Dialer, Event, IdempotencyKey, Table

_FINAL = {CallStatus.COMPLETED, CallStatus.FAILED}


async def broken_invariants(runtime: Runtime, *, in_order: bool = True) -> list[str]:
    """A sentence for every row that breaks one; empty when all is well. `in_order`: see `wrong_events`."""
    return [
        *await lost_work(runtime),
        *await stuck_calls(runtime),
        *await wrong_campaigns(runtime),
        *await wrong_events(runtime, in_order=in_order),
        *await wrong_answers(runtime),
    ]


async def lost_work(runtime: Runtime) -> list[str]:
    """`jobs.md`: no unfinished row has `due_at` NULL, but for calls that the dialer holds; no finished row has one."""
    lost = []
    for call in await runtime.database.read(select(Call)):
        held = call.phase is CallPhase.WAITING and call.due_at is None
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


async def stuck_calls(runtime: Runtime) -> list[str]:
    """A call that waits without an instant of its own is let go on by a dialer that looks, or by who resumes it."""
    paused = {row.id for row in await runtime.database.read(select(Campaign)) if row.status is CampaignStatus.PAUSED}
    looks = {row.id for row in await runtime.database.read(select(Dialer)) if row.due_at is not None}
    stuck = []
    for call in await runtime.database.read(select(Call)):
        if call.phase is not CallPhase.WAITING:
            continue
        if call.due_at is None and call.workspace_id not in looks and call.campaign_id not in paused:
            stuck.append(f"call {call.id} waits for a dialer that does not look")
        if call.waiting_for is None:
            stuck.append(f"call {call.id} waits and does not say for what")
    return stuck


async def wrong_campaigns(runtime: Runtime) -> list[str]:
    """P3: counters count; a contact that is being called has one call that is open; no try was made twice."""
    wrong = []
    statuses: dict[str, Counter[CampaignContactStatus]] = defaultdict(Counter)
    calling = set()
    for one in await runtime.database.read(select(CampaignContact)):
        statuses[one.campaign_id][one.status] += 1
        waits = one.status is CampaignContactStatus.WAITING
        may_say_why = waits or one.status is CampaignContactStatus.CALLING  # whose call may be held back
        says_why = one.waiting_for is not None
        if waits != (one.next_attempt_at is not None) or (waits and not says_why) or (says_why and not may_say_why):
            wrong.append(f"campaign contact {one.id} is {one.status.value} until {one.next_attempt_at}")
        if (one.status is CampaignContactStatus.FINISHED) != (one.finished_at is not None):
            wrong.append(f"campaign contact {one.id} is {one.status.value} and finished_at is {one.finished_at}")
        if one.status is CampaignContactStatus.CALLING:
            calling.add((one.campaign_id, one.contact_id))
    for row in await runtime.database.read(select(Campaign)):
        count = statuses[row.id]
        if (row.calls_total, row.calls_completed) != (count.total(), count[CampaignContactStatus.FINISHED]):
            wrong.append(f"campaign {row.id} counts {row.calls_completed} of {row.calls_total}, and has {dict(count)}")
        if row.status in OPEN and 0 < row.calls_total == row.calls_completed:
            wrong.append(f"campaign {row.id} is {row.status.value} and everybody in it is finished")
    calls = [call for call in await runtime.database.read(select(Call)) if call.campaign_id is not None]
    made = [call for call in calls if call.contact_attempt is not None]  # by the others nobody was called
    tries = Counter((call.campaign_id, call.contact_id, call.contact_attempt) for call in made)
    wrong += [f"try {a_try} was made {times} times" for a_try, times in tries.items() if times > 1]
    being_called = Counter((call.campaign_id, call.contact_id) for call in calls if call.ended_at is None)
    if being_called != Counter(calling):
        wrong.append(f"calls are open for {sorted(being_called)}, and being called are {sorted(calling)}")
    return wrong


async def wrong_events(runtime: Runtime, *, in_order: bool = True) -> list[str]:
    """W2: started once for a call that a carrier was told of, then exactly one of ended and failed, then the rest.

    Calls so old that their events are kept no longer are passed over.
    Without `in_order` they may have come in any: when the clock was set back, ids do not tell what came first.
    """
    happened: dict[str, list[EventType]] = defaultdict(list)
    for event in await runtime.database.read(select(Event).where(Event.call_id.is_not(None)).order_by(Event.id)):
        happened[event.call_id].append(event.type)
    wrong = []
    kept_since = runtime.clock.now() - timedelta(days=runtime.settings.webhook_log_days)
    for call in await runtime.database.read(select(Call).where(Call.created_at >= kept_since)):
        kinds = happened[call.id] if in_order else sorted(happened[call.id], key=list(EventType).index)
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


async def wrong_answers(runtime: Runtime) -> list[str]:
    """R10: what is kept for an idempotency key is whole, final, and without a signing secret."""
    wrong = []
    for row in await runtime.database.read(select(IdempotencyKey)):
        if (row.status is None) != (row.body is None):
            wrong.append(f"idempotency key {row.id} has half an answer")
        if row.status is not None and (row.status >= 500 or row.status in {401, 403, 409, 413, 415, 429}):
            wrong.append(f"idempotency key {row.id} keeps a {row.status}")
        if SECRET_PREFIX.encode() in (row.body or b""):
            wrong.append(f"idempotency key {row.id} holds a secret")
    return wrong


async def rows(runtime: Runtime) -> dict[str, list[dict[str, Any]]]:
    """Every row of the database, by table: what a refusal must leave as it was."""
    found = {}
    for table in Table.metadata.sorted_tables:
        read = await runtime.database.read(select(table).order_by(table.c.id))
        found[table.name] = [{column.name: getattr(row, column.name) for column in table.columns} for row in read]
    return found
