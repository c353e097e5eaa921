"""What an agent can do in a call, on the database: the tools' other end."""

from __future__ import annotations

from datetime import datetime

from schema.errors import Invalid
from schema.rules.calls import storable
from schema.rules.contacts import DoNotCallSource
from schema.rules.instants import format_instant
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import appointments, contacts, do_not_call
from schema.tables import Call, Contact
from workers.carriers.base import Carrier


class CallActions:
    """The actions of one call; each answers a sentence for the brain, and raises the domain's errors."""

    def __init__(self, runtime: Runtime, viewer: Viewer, call: Call, carrier: Carrier, reference: str) -> None:
        self._runtime = runtime
        self._viewer = viewer
        self._call = call
        self._carrier = carrier
        self._reference = reference

    async def book_appointment(self, start: datetime, end: datetime, title: str, notes: str | None) -> str:
        """A confirmed appointment with whoever was called; a number that is no contact yet becomes one."""
        async with self._runtime.transaction(self._viewer) as tx:
            contact = await self._callee(tx)
            row = await appointments.book_in_call(
                tx,
                {
                    "contact_id": contact.id,
                    "start_time": start,
                    "end_time": end,
                    "title": title,
                    "notes": notes,
                },
                call_id=self._call.id,
            )
        return f"Booked: {row.title}, {format_instant(row.start_time)} to {format_instant(row.end_time)}"

    async def do_not_call(self, reason: str) -> str:
        """Put the callee's number on the workspace's do-not-call list (decision L5)."""
        async with self._runtime.transaction(self._viewer) as tx:
            await do_not_call.put(
                tx,
                self._call.to_number,
                reason=storable(reason)[:500] or None,
                source=DoNotCallSource.CALLEE,
                call_id=self._call.id,
            )
        return "This number will not be called again"

    async def transfer(self, to: str) -> str:
        """Connect the callee to the number that the agent's configuration names."""
        if not self._carrier.capabilities.transfer:
            raise Invalid(f"The {self._carrier.name} carrier cannot transfer calls")
        await self._carrier.transfer(self._reference, to)
        return f"Transferred to {to}"

    async def _callee(self, tx: Transaction) -> Contact:
        known = await contacts.by_number(tx, self._call.to_number)
        if known is not None:
            return known
        made = await contacts.create(tx, {"phone_number": self._call.to_number})
        await tx.flush()
        return made
