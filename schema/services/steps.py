"""The steps of a call that somebody holds a lease on: what `dialing` and `endings` are made of.

Each writes only while the caller's lease holds, and raises `due.Fenced` otherwise.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Table, Update, bindparam, select
from sqlalchemy import update as sql_update
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import col

from schema import due
from schema.rules import moves
from schema.rules.calls import CallPhase
from schema.runtime import Runtime, Transaction
from schema.services import watching
from schema.tables import Agent, Call, CallAttempt

LEASE_S = 12.0


async def look(runtime: Runtime, held: due.Lease) -> Call | None:
    """The call as it stands, None if the lease has been lost already."""
    rows = await runtime.database.read(_HELD, {"call": held.id, "held_version": held.version})
    return rows[0] if rows else None


async def agent_of(runtime: Runtime, call: Call) -> Agent:
    """The call's agent, also when it has been deleted meanwhile (decision A2)."""
    agent: Agent = (await runtime.database.read(_AGENT, {"agent": call.agent_id}))[0]
    return agent


# Read for every call, and made once, because making a statement takes as long as running it.
_HELD = select(Call).where(col(Call.id) == bindparam("call"), col(Call.version) == bindparam("held_version"))
_AGENT = select(Agent).where(col(Agent.id) == bindparam("agent"))


async def locked(tx: Transaction, held: due.Lease) -> Call:
    call = await tx.lock(Call, held.id)
    if call.version != held.version:
        raise due.Fenced(f"Call {held.id} is no longer held at version {held.version}")
    return call


async def step(tx: Transaction, held: due.Lease, call: Call, phase: CallPhase, **values: Any) -> due.Lease:
    moves.check(moves.CALL, "Call", call.phase, phase)
    due_at = tx.now + timedelta(seconds=LEASE_S)
    return await settle(tx, held, call, due_at=due_at, phase=phase, updated_at=tx.now, **values)


async def settle(tx: Transaction, held: due.Lease, call: Call, *, due_at: datetime | None, **values: Any) -> due.Lease:
    """`due.settle`, after which the row in hand says what the table says."""
    held = await due.settle(tx, Call, held, due_at=due_at, **values)
    watching.changed(tx, held.id)
    for name, value in {"due_at": due_at, "version": held.version, **values}.items():
        set_committed_value(call, name, value)
    return held


async def note_attempt(tx: Transaction, id: str, **values: Any) -> None:
    await tx.execute(_attempting(tuple(values)), {"attempt": id, **values})


@cache
def _attempting(names: tuple[str, ...]) -> Update:
    attempts: Table = CallAttempt.__table__  # type: ignore[attr-defined]
    named: dict[str, Any] = {name: bindparam(name) for name in names}
    return sql_update(attempts).where(attempts.c.id == bindparam("attempt")).values(**named)
