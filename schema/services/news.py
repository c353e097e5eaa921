"""News of what changes: turns as they are spoken, a campaign's progress, and lists of calls and deliveries.

Told by the bell, and found by a look every few seconds where a ring was lost. What changes while somebody is slow to
ask is told once. One call alone is for `watching`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select
from sqlmodel import col

from schema.errors import Invalid
from schema.rules.calls import CallPhase, Role
from schema.rules.campaigns import OPEN
from schema.runtime import Reads, Runtime, Viewer
from schema.services import slots, watching
from schema.services.hearing import Look, hearing, looks
from schema.tables import Call, Campaign, Delivery, WebhookEndpoint

LOOK_EVERY_S = watching.LOOK_EVERY_S
GAP_S = 0.25
"""Between two answers, so that a busy workspace is not a stream of single rows."""
MOST = 50
"""Rows in one answer."""
LATEST = 100
"""Of an endpoint's deliveries, those that are watched."""
_OPEN_CALLS = 500

_Stamps: TypeAlias = dict[str, tuple[Any, ...]]
"""Of rows, by their ids."""


@dataclass(frozen=True, slots=True)
class TranscriptTurn:
    """A line of a transcript (L2), and its number: how many there are up to it."""

    number: int
    role: Role
    text: str
    start: float
    end: float


async def transcript(runtime: Runtime, viewer: Viewer, id: str, after: int = 0) -> AsyncGenerator[TranscriptTurn, None]:
    """The turns of a call beyond the first `after`, as they are spoken, until it is over. Raises NotFound, Invalid."""
    if after < 0:
        raise Invalid("after must be 0 or more")
    async with aclosing(watching.states(runtime, viewer, id)) as states:
        async for row in states:
            for line in (row.transcript or [])[after:]:
                after += 1
                yield TranscriptTurn(after, Role(line["role"]), line["text"], line["start"], line["end"])


async def campaign(runtime: Runtime, viewer: Viewer, id: str) -> AsyncGenerator[Campaign, None]:
    """The campaign as it is, then as it becomes, until it is over and so is its last call. Raises NotFound."""
    with hearing(runtime, watching.CAMPAIGN + id) as hearer:
        shown = None
        async with aclosing(looks(hearer, runtime.clock, every_s=LOOK_EVERY_S, gap_s=GAP_S)) as times:
            async for _ in times:
                reads = runtime.snapshot(viewer)
                row = await reads.get(Campaign, id)
                live = (await slots.live_calls(reads)).get(id, 0)
                if (seen := (live, *(getattr(row, name) for name in Campaign.model_fields))) != shown:
                    shown = seen
                    yield row
                if row.status not in OPEN and not live:
                    return


async def calls(runtime: Runtime, viewer: Viewer) -> AsyncGenerator[list[Call], None]:
    """The workspace's calls as they change, new ones too; the first list is empty: from then on nothing is missed."""
    with hearing(runtime, watching.TOPIC, every=True) as hearer:
        known: _Stamps | None = None
        async with aclosing(looks(hearer, runtime.clock, every_s=LOOK_EVERY_S, gap_s=GAP_S)) as times:
            async for look in times:
                reads = runtime.snapshot(viewer)
                found = await _call_stamps(reads, look, known or {})
                if known is None:
                    known = found
                    yield []
                changed = sorted(id for id, stamp in found.items() if known.get(id) != stamp)
                known |= found
                for first in range(0, len(changed), MOST):
                    rows = reads.select(Call).where(col(Call.id).in_(changed[first : first + MOST]))
                    yield await reads.all(rows.order_by(col(Call.id)))
                if look.is_due:  # of one that is over nothing is heard any more
                    known = {id: each for id, each in known.items() if id in found or each[0] is not CallPhase.DONE}


async def deliveries(runtime: Runtime, viewer: Viewer, endpoint_id: str) -> AsyncGenerator[list[Delivery], None]:
    """An endpoint's latest deliveries as they change, new ones too; the first list is empty, as above.

    Raises NotFound.
    """
    with hearing(runtime, watching.DELIVERIES + endpoint_id) as hearer:
        known: _Stamps | None = None
        async with aclosing(looks(hearer, runtime.clock, every_s=LOOK_EVERY_S, gap_s=GAP_S)) as times:
            async for _ in times:
                reads = runtime.snapshot(viewer)
                await reads.get(WebhookEndpoint, endpoint_id)
                rows = {row.id: row for row in await reads.all(_latest(reads, endpoint_id))}
                found = {id: (row.state, row.attempts_made, row.trigger) for id, row in rows.items()}
                if known is None:
                    known = found
                    yield []
                changed = sorted(id for id, stamp in found.items() if known.get(id) != stamp)
                known = found
                for first in range(0, len(changed), MOST):
                    yield [rows[id] for id in changed[first : first + MOST]]


def _latest(reads: Reads, endpoint_id: str) -> Select[Delivery]:
    of_endpoint = reads.select(Delivery).where(col(Delivery.endpoint_id) == endpoint_id)
    return of_endpoint.order_by(col(Delivery.created_at).desc(), col(Delivery.id).desc()).limit(LATEST)


async def _call_stamps(reads: Reads, look: Look, known: _Stamps) -> _Stamps:
    """The calls that may have changed: those that were heard of; when it is due, those not over and the new ones."""
    ids = {topic.removeprefix(watching.TOPIC) for topic in look.topics}
    found: _Stamps = {}
    if look.is_due:
        recent = reads.now - timedelta(seconds=2 * LOOK_EVERY_S)
        for some in (col(Call.ended_at).is_(None), col(Call.created_at) >= recent):
            found |= await _stamps(reads, some, limit=_OPEN_CALLS)
        ids |= {id for id, stamp in known.items() if stamp[0] is not CallPhase.DONE}
    wanted = sorted(ids - found.keys())
    for first in range(0, len(wanted), _OPEN_CALLS):
        found |= await _stamps(reads, col(Call.id).in_(wanted[first : first + _OPEN_CALLS]))
    return found


async def _stamps(reads: Reads, where: ColumnElement[bool], limit: int | None = None) -> _Stamps:
    """What is shown of a call has changed if this has."""
    columns = (col(Call.phase), col(Call.updated_at), col(Call.waiting_for), col(Call.end_reason))
    some = reads.select(Call).where(where).with_only_columns(col(Call.id), *columns)
    if limit is not None:
        some = some.order_by(col(Call.created_at).desc(), col(Call.id).desc()).limit(limit)
    rows = await reads.runtime.database.read(some)
    return {row.id: (row.phase, row.updated_at, row.waiting_for, row.end_reason) for row in rows}
