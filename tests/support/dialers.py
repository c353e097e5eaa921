"""Workers for a test of dialing, one step at a time: dialers that are due look, calls that are due go through the gate.

No carrier and no thread: what became of a dial is said by the test (`over`, `not_placed`), and `on_to` lets the virtual
clock run from one due instant to the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.due import Fenced, Lease
from schema.rules.calls import LIVE, EndReason
from schema.rules.campaigns import CampaignContactStatus
from schema.runtime import Runtime, Viewer
from schema.services import campaigns, dialer, dialing, endings, steps
from schema.services.dialing import Dial, Wait
from schema.tables import Call, Campaign, CampaignContact, Dialer
from tests.support import seeds
from tests.support.time import VirtualClock

Fate = Callable[[Call], EndReason | None]
"""How a dial ends at once; None: it is under way until the test says otherwise."""


@dataclass
class Workers:
    """Everybody who works for one workspace."""

    runtime: Runtime
    viewer: Viewer
    clock: VirtualClock
    dials: list[tuple[datetime, str, Dial]] = field(default_factory=list)
    """When, to which number, and the leave to."""
    live: dict[str, Lease] = field(default_factory=dict)
    waits: dict[str, Wait] = field(default_factory=dict)

    async def tick(self) -> bool:
        """The dialer looks, if it is due."""
        leases = await due.lease(self.runtime, Dialer, limit=10, seconds=dialer.LEASE_S)
        for held in leases:
            async with self.runtime.transaction(Viewer(held.id)) as tx:
                await dialer.tick(tx, held)
        return bool(leases)

    async def begin(self) -> list[Dial]:
        """Calls that are due, and those whose place has come, go through the gate."""
        now = self.clock.now()
        mine = col(Call.id).in_([*self.live, *self.waits])
        held = await due.lease(self.runtime, Call, limit=1_000, seconds=steps.LEASE_S, where=[~mine])
        ripe = [wait.held for wait in self.waits.values() if wait.at <= now]
        dials = []
        for each in [*ripe, *sorted(held, key=lambda lease: lease.id)]:
            self.waits.pop(each.id, None)
            try:
                dial = await self.begin_one(each)
            except Fenced:
                continue
            if dial is not None:
                dials.append(dial)
        return dials

    async def begin_one(self, held: Lease) -> Dial | None:
        call = await self.call(held.id)
        async with self.runtime.transaction(Viewer(call.workspace_id)) as tx:
            came = await dialing.begin(tx, held)
        if isinstance(came, Wait):
            self.waits[held.id] = came
            return None
        if isinstance(came, Dial):
            self.dials.append((self.clock.now(), came.to, came))
            self.live[held.id] = came.held
        return came

    async def work(self, fate: Fate = lambda _: None) -> list[Dial]:
        """Until nothing is due: what is due now is done, and every dial meets its fate."""
        all_dials: list[Dial] = []
        while True:
            ticked = await self.tick()
            dials = await self.begin()
            all_dials += dials
            for dial in dials:
                reason = fate(await self.call(dial.held.id))
                if reason is not None:
                    await self.over(dial, reason)
            if not ticked and not dials and not await self.due_now():
                return all_dials

    async def on_to(self, until: datetime, fate: Fate = lambda _: None) -> list[Dial]:
        """Work as the clock goes, from one due instant to the next, until that one."""
        dials = await self.work(fate)
        while (instant := await self.next_instant()) is not None and instant <= until:
            await self.clock.advance((instant - self.clock.now()).total_seconds())
            dials += await self.work(fate)
        await self.clock.advance(max(0.0, (until - self.clock.now()).total_seconds()))
        return dials

    async def due_now(self) -> bool:
        instant = await self.next_instant()
        return instant is not None and instant <= self.clock.now()

    async def next_instant(self) -> datetime | None:
        """When somebody is due next, but for calls that are under way here."""
        instants = [wait.at for wait in self.waits.values()]
        mine = self.live.keys() | self.waits.keys()
        for table in (Call, Dialer):
            rows = await self.runtime.database.read(select(table).where(col(table.due_at).is_not(None)))
            instants += [row.due_at for row in rows if row.id not in mine]
        return min(instants, default=None)

    async def over(self, dial: Dial, reason: EndReason = EndReason.NO_ANSWER, **given: Any) -> None:
        """The call is over as far as its slot goes; one that was answered is processed by nobody."""
        call = await self.call(dial.held.id)
        async with self.runtime.transaction(Viewer(call.workspace_id)) as tx:
            held = await endings.ended(
                tx,
                self.live.pop(dial.held.id),
                reason=reason,
                ended_at=tx.now,
                duration_s=given.get("duration_s", 0),
                answered_at=given.get("answered_at"),
            )
            if held is not None:
                await due.settle(tx, Call, held, due_at=tx.now + timedelta(days=365))

    async def answered_and_over(self, dial: Dial) -> None:
        await self.over(dial, EndReason.CALLEE_HANGUP, answered_at=self.clock.now(), duration_s=5)

    async def not_placed(
        self, dial: Dial, reason: EndReason = EndReason.CARRIER_CONGESTION, after_s: float = 5
    ) -> bool:
        """The carrier would not."""
        async with self.runtime.transaction(self.viewer) as tx:
            return await dialing.not_placed(
                tx, self.live.pop(dial.held.id), dial.attempt_id, reason, retry_after_s=after_s
            )

    async def submitted(self, dial: Dial) -> None:
        """The carrier took it."""
        async with self.runtime.transaction(self.viewer) as tx:
            self.live[dial.held.id] = await dialing.submitted(
                tx, dial.held, dial.attempt_id, f"leg {dial.attempt_id}", is_after_setbacks=dial.is_after_setbacks
            )

    # --- how things stand ---

    async def call(self, id: str) -> Any:
        return (await self.runtime.database.read(select(Call).where(col(Call.id) == id)))[0]

    async def calls(self, campaign: Campaign | None = None) -> list[Any]:
        """The workspace's calls, oldest first; only those of the campaign, if one is given."""
        statement = select(Call).where(col(Call.workspace_id) == self.viewer.workspace_id).order_by(col(Call.id))
        if campaign is not None:
            statement = statement.where(col(Call.campaign_id) == campaign.id)
        return await self.runtime.database.read(statement)

    async def under_way(self) -> Counter[str | None]:
        """Calls in a slot, by campaign."""
        return Counter(call.campaign_id for call in await self.calls() if call.phase in LIVE)

    async def campaign(self, row: Campaign) -> Campaign:
        return await campaigns.get(self.runtime.snapshot(self.viewer), row.id)

    async def contacts(self, row: Campaign) -> list[Any]:
        """Who is enrolled, in order."""
        statement = select(CampaignContact).where(col(CampaignContact.campaign_id) == row.id)
        return await self.runtime.database.read(statement.order_by(col(CampaignContact.position)))

    async def statuses(self, row: Campaign) -> Counter[CampaignContactStatus]:
        return Counter(contact.status for contact in await self.contacts(row))

    async def dialer(self) -> Any:
        statement = select(Dialer).where(col(Dialer.id) == self.viewer.workspace_id)
        return (await self.runtime.database.read(statement))[0]

    async def update(self, row: Campaign, **given: Any) -> Campaign:
        """PATCH the campaign."""
        async with self.runtime.transaction(self.viewer) as tx:
            return await campaigns.update(tx, row.id, given)

    async def new_campaign(self, people: int | list[str] = 1, **given: Any) -> Campaign:
        """A campaign of that many new contacts, or of those."""
        ids = people if isinstance(people, list) else await seeds.contact_list(self.runtime, self.viewer, people)
        if ids:
            given["contact_ids"] = ids
        return await seeds.campaign(self.runtime, self.viewer, **given)
