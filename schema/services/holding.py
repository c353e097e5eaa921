"""Holding on to live calls, many at a time: leases are renewed and what has happened is written, in one transaction.

A worker has hundreds of live calls, each of which renews its lease and writes every turn: a transaction for each of
those would leave the database no time for anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.rules import moves
from schema.rules.calls import AnsweredBy, CallPhase, storable
from schema.runtime import Runtime, Transaction
from schema.services import watching
from schema.services.steps import LEASE_S
from schema.tables import Call


@dataclass(frozen=True, slots=True)
class Note:
    """What there is to write of a call that somebody holds; nothing but the lease: that they still do."""

    held: due.Lease

    def values(self, phase: CallPhase, now: datetime) -> dict[str, Any]:
        """What is written beside the lease, where the call is in that phase."""
        return {}


@dataclass(frozen=True, slots=True)
class Rings(Note):
    """The far end rings; said late or twice, it is nothing but a renewal."""

    def values(self, phase: CallPhase, now: datetime) -> dict[str, Any]:
        if not _may_move(phase, CallPhase.RINGING):
            return {}
        return {"phase": CallPhase.RINGING, "updated_at": now}


@dataclass(frozen=True, slots=True)
class IsAnswered(Note):
    """Somebody or something picked up; said late or twice, it is nothing but a renewal."""

    at: datetime
    by: AnsweredBy

    def values(self, phase: CallPhase, now: datetime) -> dict[str, Any]:
        if not _may_move(phase, CallPhase.ANSWERED):
            return {}
        return {"phase": CallPhase.ANSWERED, "answered_at": self.at, "answered_by": self.by, "updated_at": now}


@dataclass(frozen=True, slots=True)
class Said(Note):
    """All that has been said so far."""

    transcript: Sequence[Mapping[str, Any]]

    def values(self, phase: CallPhase, now: datetime) -> dict[str, Any]:
        return {"transcript": storable(self.transcript), "updated_at": now}


@dataclass(frozen=True, slots=True)
class Kept:
    """The call is still its holder's, under this lease; `wanted_over`: somebody wants it ended."""

    held: due.Lease
    wanted_over: bool


async def write(tx: Transaction, notes: Sequence[Note]) -> list[Kept | None]:
    """Write the notes, of each call no more than one, and renew the leases for `LEASE_S` seconds.

    In the order of the notes; None where the lease has been lost: of that call nothing is written.
    """
    rows = await _locked(tx, [note.held.id for note in notes])
    due_at = tx.now + timedelta(seconds=LEASE_S)
    alike: dict[tuple[str, ...], list[tuple[due.Lease, dict[str, Any]]]] = {}
    kept: list[Kept | None] = []
    for note in notes:
        version, phase, wanted_over = rows.get(note.held.id, (None, CallPhase.DONE, False))
        if version != note.held.version:
            kept.append(None)
            continue
        values = {"due_at": due_at, **note.values(phase, tx.now)}
        alike.setdefault(tuple(values), []).append((note.held, values))
        kept.append(Kept(due.Lease(note.held.id, version + 1, due_at), wanted_over))
    for settled in alike.values():
        await due.settle_many(tx, Call, settled)
        watching.changed(tx, *(held.id for held, values in settled if "updated_at" in values))
    return kept


async def wanted_over(runtime: Runtime, ids: Sequence[str]) -> list[str]:
    """Which of those calls somebody wants ended."""
    statement = select(col(Call.id)).where(col(Call.id).in_(ids), col(Call.hangup_requested).is_(True))
    return [row.id for row in await runtime.database.read(statement)]


async def _locked(tx: Transaction, ids: Sequence[str]) -> dict[str, tuple[int, CallPhase, bool]]:
    """Version, phase and whether somebody wants it ended, of each; nobody changes them until the transaction ends."""
    statement = (
        select(col(Call.id), col(Call.version), col(Call.phase), col(Call.hangup_requested))
        .where(col(Call.id).in_(ids))
        .order_by(col(Call.id))
        .with_for_update(key_share=True)
    )
    return {id: (version, phase, wanted) for id, version, phase, wanted in await tx.execute(statement)}


def _may_move(phase: CallPhase, to: CallPhase) -> bool:
    return phase is not to and moves.allowed(moves.CALL, phase, to)
