"""The sandbox's own ledger, `sandbox.db`: a row a leg, kept as a carrier would keep it, whatever becomes of us.

It is the oracle of fault tests. `legs` has a row for each attempt that was dialed, `dials` one for each dial (appended
by a trigger, so that no code can dial without leaving a trace), `refusals` one for each call refused by congestion.
Instants are seconds since the epoch by the injected clock; durations are call seconds. What is known at the time of
dialing (ringing, answer, an unanswered end) is written then, as instants that may lie ahead: the state of a leg is
computed from its row and the clock, and needs no process to move it along.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import aiosqlite

from schema.rules.calls import AnsweredBy, EndReason
from workers.carriers.base import Ending, Leg, LegState
from workers.carriers.sandbox_numbers import CODES, SCENARIOS

SLACK_S = 0.001
"""By which two readings of the clock may disagree about the same moment."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS legs (
    reference TEXT PRIMARY KEY,
    attempt_id TEXT NOT NULL UNIQUE,
    to_number TEXT NOT NULL,
    caller_id TEXT NOT NULL,
    scenario TEXT NOT NULL,
    detects_voicemail INTEGER NOT NULL,
    max_duration_s REAL NOT NULL,
    placed_at REAL NOT NULL,
    ringing_at REAL,
    answered_at REAL,
    ended_at REAL,
    cause TEXT,
    sip_code INTEGER,
    q850 INTEGER,
    duration_s REAL,
    said TEXT NOT NULL DEFAULT '',
    position_s REAL NOT NULL DEFAULT 0,
    position_at REAL,
    transferred_to TEXT,
    dtmf TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS legs_unsettled ON legs (reference) WHERE cause IS NOT NULL AND duration_s IS NULL;
CREATE TABLE IF NOT EXISTS dials (attempt_id TEXT NOT NULL, reference TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS dials_attempt ON dials (attempt_id);
CREATE TRIGGER IF NOT EXISTS legs_dialed AFTER INSERT ON legs BEGIN
    INSERT INTO dials VALUES (NEW.attempt_id, NEW.reference, NEW.placed_at);
END;
CREATE TABLE IF NOT EXISTS refusals (call TEXT PRIMARY KEY, to_number TEXT NOT NULL, at REAL NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class LegRow:
    """A row of `legs`, as far as the sandbox needs it. `position_s`: where the conversation stood at `position_at`."""

    reference: str
    attempt_id: str
    to_number: str
    scenario: str
    detects_voicemail: int
    max_duration_s: float
    placed_at: float
    ringing_at: float | None
    answered_at: float | None
    ended_at: float | None
    cause: str | None
    duration_s: float | None
    said: str
    position_s: float
    position_at: float | None

    @property
    def answered_by(self) -> AnsweredBy:
        """What the carrier says picked up: it knows only when asked to listen."""
        persona = SCENARIOS[self.scenario].persona
        return persona.answered_by if persona and self.detects_voicemail else AnsweredBy.UNKNOWN

    @property
    def happened_at(self) -> float:
        """The latest instant that was not written ahead of its time."""
        return self.position_at if self.position_at is not None and self.position_s > 0 else self.placed_at

    def limit_at(self, speed: float) -> float | None:
        """When the maximum duration is over if nobody speaks any more: silence on our side counts real seconds."""
        if self.position_at is None:
            return None
        return self.position_at + (self.max_duration_s - self.position_s) / min(speed, 1.0)

    def ending(self, now: float, speed: float) -> Ending | None:
        """How the leg ended, if it has by now."""
        now += SLACK_S
        if self.ended_at is not None and self.ended_at <= now and self.cause is not None:
            duration = self.duration_s
            if duration is None:  # hung up by a process that did not carry the call
                silent = self.ended_at - self.position_at if self.answered_at and self.position_at else 0.0
                duration = self.position_s + max(0.0, silent) if self.answered_at else 0.0
            return _ending(EndReason(self.cause), self.ended_at, min(duration, self.max_duration_s))
        limit_at = self.limit_at(speed) if self.ended_at is None else None
        if limit_at is not None and limit_at <= now:
            return _ending(EndReason.MAX_DURATION, limit_at, self.max_duration_s)
        return None

    def leg(self, now: float, speed: float) -> Leg:
        """What the carrier would answer if it were asked now."""
        ending = self.ending(now, speed)
        until = float("inf") if ending else now + SLACK_S  # an end has struck out what it came before
        ringing = self.ringing_at is not None and self.ringing_at <= until
        answered = self.answered_at is not None and self.answered_at <= until
        state = LegState.SUBMITTED
        if ringing:
            state = LegState.RINGING
        if answered:
            state = LegState.ANSWERED
        return Leg(
            reference=self.reference,
            attempt_id=self.attempt_id,
            state=LegState.ENDED if ending else state,
            placed_at=instant(self.placed_at),
            ringing_at=instant(self.ringing_at) if ringing and self.ringing_at is not None else None,
            answered_at=instant(self.answered_at) if answered and self.answered_at is not None else None,
            answered_by=self.answered_by if answered else None,
            ending=ending,
        )


def instant(seconds: float) -> datetime:
    """Seconds since the epoch as an instant."""
    return datetime.fromtimestamp(seconds, UTC)


def _ending(reason: EndReason, at: float, duration_s: float) -> Ending:
    sip_code, q850 = CODES[reason]
    return Ending(reason, instant(at), round(duration_s, 2), sip_code, q850, carrier_code=f"sandbox-{reason}")


# The f-strings below put these names, and nothing that anybody sent, into SQL.
COLUMNS = ", ".join(field.name for field in fields(LegRow))
PLACES = ", ".join(f":{field.name}" for field in fields(LegRow))


class Ledger:
    """One SQLite connection, opened on first use; several processes may hold the same file open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opening = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None

    async def _rows(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[sqlite3.Row]:
        connection = self._connection or await self._open()
        return list(await connection.execute_fetchall(sql, parameters))

    async def _open(self) -> aiosqlite.Connection:
        async with self._opening:
            if self._connection is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                connection = await aiosqlite.connect(self._path, isolation_level=None, timeout=10)
                try:
                    await self._prepare(connection)
                except BaseException:
                    await connection.close()
                    raise
                self._connection = connection
            return self._connection

    async def _prepare(self, connection: aiosqlite.Connection) -> None:
        """Several processes may create the file at once, and the change to WAL does not wait for a lock by itself."""
        for attempts_left in reversed(range(50)):
            try:
                await connection.execute_fetchall("PRAGMA journal_mode = WAL")
                await connection.execute_fetchall("PRAGMA synchronous = NORMAL")
                await connection.executescript(SCHEMA)
            except sqlite3.OperationalError:
                if not attempts_left:
                    raise
                await asyncio.sleep(0.05)
            else:
                return

    async def aclose(self) -> None:
        """Close the file."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def insert(self, row: LegRow, caller_id: str) -> bool:
        """Dial, unless that attempt was dialed before; whether it was. One statement: all of it or nothing."""
        sip_code, q850 = CODES[EndReason(row.cause)] if row.cause else (None, None)
        rows = await self._rows(
            f"INSERT INTO legs ({COLUMNS}, caller_id, sip_code, q850) VALUES ({PLACES}, :caller_id, :sip_code, :q850)"  # noqa: S608
            " ON CONFLICT (attempt_id) DO NOTHING RETURNING 1",
            {**asdict(row), "caller_id": caller_id, "sip_code": sip_code, "q850": q850},
        )
        return bool(rows)

    async def by_attempt(self, attempt_id: str) -> LegRow | None:
        """The leg of an attempt."""
        rows = await self._rows(f"SELECT {COLUMNS} FROM legs WHERE attempt_id = ?", (attempt_id,))  # noqa: S608
        return LegRow(*rows[0]) if rows else None

    async def by_reference(self, reference: str) -> LegRow | None:
        """The leg of that reference."""
        rows = await self._rows(f"SELECT {COLUMNS} FROM legs WHERE reference = ?", (reference,))  # noqa: S608
        return LegRow(*rows[0]) if rows else None

    async def refuse_once(self, attempt_id: str, to: str, at: float) -> bool:
        """Whether congestion refuses this attempt: the first of each call, a call being what is before the last dot."""
        rows = await self._rows(
            "INSERT INTO refusals VALUES (?, ?, ?) ON CONFLICT (call) DO NOTHING RETURNING 1",
            (attempt_id.rpartition(".")[0] or attempt_id, to, at),
        )
        return bool(rows)

    async def progress(self, reference: str, said: str, position_s: float, position_at: float) -> bool:
        """Note how far the conversation has come; False if the leg has ended meanwhile."""
        rows = await self._rows(
            "UPDATE legs SET said = ?, position_s = ?, position_at = ? WHERE reference = ? AND cause IS NULL"
            " RETURNING 1",
            (said, position_s, position_at, reference),
        )
        return bool(rows)

    async def end(
        self, reference: str, at: float, reason: EndReason, *, duration_s: float | None, to: str | None = None
    ) -> LegRow | None:
        """End the leg unless it has ended, and answer its row. Before the answer, whatever the reason, it is a cancel.

        `duration_s` None: not known to whoever ends it; the process that carries the call will `settle` it.
        """
        sip_code, q850 = CODES[reason]
        await self._rows(
            "UPDATE legs SET ended_at = :at, duration_s = :duration_s, transferred_to = :to,"
            " cause = iif(answered_at <= :now, :reason, :cancelled),"
            " sip_code = iif(answered_at <= :now, :sip_code, :cancelled_sip_code),"
            " q850 = iif(answered_at <= :now, :q850, NULL),"
            " ringing_at = iif(ringing_at <= :now, ringing_at, NULL),"
            " answered_at = iif(answered_at <= :now, answered_at, NULL)"
            " WHERE reference = :reference AND (ended_at IS NULL OR ended_at > :now)",
            {
                "reference": reference,
                "at": at,
                "now": at + SLACK_S,
                "duration_s": duration_s,
                "to": to,
                "reason": reason,
                "sip_code": sip_code,
                "q850": q850,
                "cancelled": EndReason.CANCELLED,
                "cancelled_sip_code": CODES[EndReason.CANCELLED][0],
            },
        )
        return await self.by_reference(reference)

    async def shift(self, row: LegRow, seconds: float) -> LegRow:
        """Move the leg's instants, once: a telephone network goes on whoever sets our clock."""
        instants = ("placed_at", "ringing_at", "answered_at", "ended_at", "position_at")
        moved = ", ".join(f"{name} = {name} + :seconds" for name in instants)
        await self._rows(
            f"UPDATE legs SET {moved} WHERE reference = :reference AND placed_at = :placed_at",  # noqa: S608
            {"seconds": seconds, "reference": row.reference, "placed_at": row.placed_at},
        )
        return await self.by_reference(row.reference) or row

    async def settle(self, row: LegRow, duration_s: float) -> LegRow:
        """The exact duration of a leg that another process hung up."""
        await self._rows(
            "UPDATE legs SET duration_s = ? WHERE reference = ? AND duration_s IS NULL", (duration_s, row.reference)
        )
        return replace(row, duration_s=duration_s)

    async def unsettled(self) -> list[LegRow]:
        """Legs that were hung up by a process which did not carry them, not yet noticed by the one that does."""
        return [
            LegRow(*row)
            for row in await self._rows(
                f"SELECT {COLUMNS} FROM legs WHERE cause IS NOT NULL AND duration_s IS NULL"  # noqa: S608
            )
        ]

    async def add_dtmf(self, reference: str, digits: str) -> None:
        """Note tones that were received."""
        await self._rows("UPDATE legs SET dtmf = dtmf || ? WHERE reference = ?", (digits, reference))

    async def dials(self, attempt_id: str) -> int:
        """How often that attempt was really dialed."""
        rows = await self._rows("SELECT count(*) FROM dials WHERE attempt_id = ?", (attempt_id,))
        count: int = rows[0][0]
        return count
