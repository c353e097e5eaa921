"""A workspace's dialer: gives free slots to those who wait for them, and contacts of campaigns their calls (P1–P6, K6).

A tick is one transaction under the lock of the dialer's row. First come single calls, for which a person waits; what
is left goes to the open campaign with the fewest calls, slot by slot. A campaign finds its next contact by its cursor,
so that a claim costs the same among a million contacts as among ten. Whatever frees a slot or brings somebody to call
wakes the dialer in its own transaction (`tx.wake`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Row, func, select
from sqlalchemy import update as sql_update
from sqlmodel import col

from schema import due
from schema.errors import Invalid
from schema.rules import gate as rule
from schema.rules.calls import CallPhase, WaitReason
from schema.rules.campaigns import OPEN, CampaignStatus, next_attempt_at
from schema.rules.gate import CampaignFacts, Hold, Refuse
from schema.runtime import DIALERS, Own, Transaction
from schema.services import calls, do_not_call, gate, progress, watching
from schema.services.slots import WATCH_S, open_calls
from schema.tables import Agent, Call, Campaign, CampaignContact, Contact, Dialer, PhoneNumber

log = structlog.get_logger("voxforge.dialers")

QUEUE = DIALERS
LEASE_S = 10.0
MAX_ADMITTED = 100
"""Calls let go on in one tick; more are left to the next, so that others get their turn at the database."""
MAX_LOOKED_AT = 500
"""Contacts looked at in one tick."""
_BUSY_S = 0.1  # until a campaign that somebody is changing is looked at again
_AT_ONCE = 20  # contacts read at once, of whom some may be refused


async def tick(tx: Transaction, held: due.Lease) -> None:
    """Give every free slot to somebody, and say when to look again. Raises due.Fenced when the lease was lost."""
    dialer = await tx.lock(Dialer, held.id)
    tx.read_clock()
    if dialer.version != held.version:
        raise due.Fenced(f"Dialer {held.id} is no longer held at version {held.version}")
    due_at = await _Tick(tx, await gate.plan_limit(tx)).run()
    await tx.flush()
    await due.settle(tx, Dialer, held, due_at=due_at)
    if due_at is not None and due_at <= tx.now:
        tx.ring(QUEUE)


@dataclass(slots=True)
class _Runner:
    """A campaign that may dial now, with the calls it has: those with a slot, and those that wait."""

    row: Campaign
    facts: CampaignFacts
    from_number: str
    taken: int
    waiting: int


class _Tick:
    """One look at a workspace."""

    def __init__(self, tx: Transaction, limit: int) -> None:
        self._tx = tx
        self._limit = limit
        self._room = 0
        self._to_look_at = MAX_LOOKED_AT
        self._looks: list[datetime] = []

    async def run(self) -> datetime | None:
        """Returns when to look again, None when nobody waits and no campaign has anything to do."""
        taken: dict[str | None, int] = {}
        waiting: dict[str | None, int] = {}
        for phase, reason, campaign_id, count in (await self._tx.execute(open_calls(self._tx.workspace_id))).all():
            if reason is WaitReason.CONTACT_WINDOW:
                continue  # until tomorrow, perhaps: others may be called meanwhile
            into = waiting if phase is CallPhase.WAITING else taken
            into[campaign_id] = into.get(campaign_id, 0) + count
        free = max(0, self._limit - sum(taken.values()))
        self._room = min(free, MAX_ADMITTED)
        if waiting.get(None):
            await self._admit(None, self._room)
            self._look_in(WATCH_S)
        await self._let_go(waiting)
        await self._share(await self._runners(taken, waiting))
        if free > MAX_ADMITTED and self._room <= 0:
            self._look_in(0)  # more may go on than one tick lets
        return min(self._looks, default=None)

    async def _let_go(self, waiting: dict[str | None, int]) -> None:
        """Have the gate end calls of campaigns that are over: whoever ended the campaign found them locked."""
        ids = [id for id in waiting if id is not None]
        if not ids:
            return
        over = select(col(Campaign.id)).where(col(Campaign.id).in_(ids), col(Campaign.status).not_in(OPEN))
        for id in (await self._tx.execute(over)).scalars().all():
            if await self._admit(id, waiting[id]) < waiting[id]:
                self._look_in(WATCH_S)

    async def _runners(self, taken: dict[str | None, int], waiting: dict[str | None, int]) -> list[_Runner]:
        """The campaigns that may dial now; of the others it is noted when they may."""
        tx = self._tx
        active = tx.select(Campaign).where(col(Campaign.status) == CampaignStatus.ACTIVE)
        expected = await tx.count(active)
        if not expected:
            return []
        # Of those with as few calls, the one whose last call is the longest ago comes first.
        last_call = (
            select(func.max(col(Call.created_at)))
            .where(col(Call.workspace_id) == tx.workspace_id, col(Call.campaign_id) == col(Campaign.id))
            .correlate(Campaign)
            .scalar_subquery()
        )
        in_turn = active.order_by(last_call.asc().nulls_first(), col(Campaign.id))
        rows = await tx.all(in_turn.with_for_update(skip_locked=True, key_share=True))
        if len(rows) < expected:
            self._look_in(_BUSY_S)
        rows = [row for row in rows if row.calls_completed < row.calls_total]
        agents = {row.id: row for row in await self._rows(Agent, {row.agent_id for row in rows})}
        numbers = {row.id: row for row in await self._rows(PhoneNumber, {row.phone_number_id for row in rows})}
        runners = []
        for row in rows:
            number = numbers.get(row.phone_number_id)
            try:
                facts = gate.facts_of(row)
            except Invalid:  # a zone that is no more, say: this one dials nobody, the others go on
                log.exception("a campaign's hours cannot be read", campaign_id=row.id)
                self._look_in(WATCH_S)
                continue
            verdict = rule.of_campaign(facts, gate.parts_of(agents.get(row.agent_id), number), tx.now)
            if isinstance(verdict, Hold):
                self._looks.append(verdict.until or tx.now + timedelta(seconds=WATCH_S))
            elif number is not None:
                runners.append(_Runner(row, facts, number.phone_number, taken.get(row.id, 0), waiting.get(row.id, 0)))
        return runners

    async def _rows(self, table: type[Own], ids: set[str]) -> list[Own]:
        return await self._tx.all(self._tx.select(table).where(col(table.id).in_(ids))) if ids else []

    async def _share(self, runners: list[_Runner]) -> None:
        """Slot by slot to whoever has the fewest calls, until there is no room or nobody left to call."""
        while runners and self._room > 0 and self._to_look_at > 0:
            takers = [(runner.taken, runner.row.max_concurrent_calls) for runner in runners]
            shares = rule.share_out(self._room, takers)
            if not any(shares):
                break
            runners = [
                runner
                for runner, share in zip(runners, shares, strict=True)
                if not share or await self._dial(runner, share)
            ]
        if self._to_look_at <= 0:
            self._look_in(0)
        elif runners:
            self._look_in(WATCH_S)

    async def _dial(self, runner: _Runner, share: int) -> bool:
        """Give the campaign up to `share` slots; returns whether it could use more."""
        admitted = await self._admit(runner.row.id, share)
        runner.taken += admitted
        runner.waiting -= admitted
        share -= admitted
        most = max(0, runner.row.max_concurrent_calls - runner.taken - runner.waiting)
        if share > most:
            self._look_in(WATCH_S)  # for the end of a call that has its own instant to wait for
        left = min(share, most)
        while left > 0 and self._to_look_at > 0:
            found = await self._next_contacts(runner.row, left)
            if not found:
                await self._look_at_next_try(runner.row)
                return False
            made = await self._call(runner, found, left)
            runner.taken += made
            left -= made
        return share <= most

    async def _admit(self, campaign_id: str | None, most: int) -> int:
        """Let calls that wait for a slot go on, the oldest first."""
        if most <= 0:
            return 0
        of_campaign = col(Call.campaign_id).is_(None) if campaign_id is None else col(Call.campaign_id) == campaign_id
        waiting = (
            select(col(Call.id))
            .where(
                col(Call.workspace_id) == self._tx.workspace_id,
                col(Call.ended_at).is_(None),
                col(Call.phase) == CallPhase.WAITING,
                of_campaign,
                col(Call.due_at).is_(None),
            )
            .order_by(col(Call.id))
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        ids = list((await self._tx.execute(waiting)).scalars())
        if ids:
            await self._tx.execute(
                sql_update(Call)
                .where(col(Call.id).in_(ids))
                .values(
                    phase=CallPhase.QUEUED,
                    due_at=self._tx.now,
                    waiting_for=None,
                    version=Call.version + 1,
                    updated_at=self._tx.now,
                )
                .execution_options(synchronize_session=False)
            )
            self._tx.ring(calls.QUEUE)
            watching.changed(self._tx, *ids)
            self._room -= len(ids)
        return len(ids)

    async def _next_contacts(self, row: Campaign, wanted: int) -> Sequence[Row[CampaignContact, Contact]]:
        """Whose turn it is: those whose next try is due, then those who have not been called."""
        most = min(max(wanted, _AT_ONCE), self._to_look_at)
        enrolled = (
            select(CampaignContact, Contact)
            .join(Contact, col(Contact.id) == col(CampaignContact.contact_id))
            .where(col(CampaignContact.campaign_id) == row.id)
        )
        again = (
            enrolled.where(col(CampaignContact.next_attempt_at) <= self._tx.now)
            .order_by(col(CampaignContact.next_attempt_at), col(CampaignContact.position))
            .limit(most)
        )
        found = list((await self._tx.execute(again)).all())
        if len(found) < most:
            fresh = (
                enrolled.where(col(CampaignContact.position) > row.cursor)
                .order_by(col(CampaignContact.position))
                .limit(most - len(found))
            )
            found += (await self._tx.execute(fresh)).all()
        return found

    async def _call(self, runner: _Runner, found: Sequence[Row[CampaignContact, Contact]], most: int) -> int:
        """Make calls to up to `most` of the contacts, those whom the gate lets through; returns how many."""
        tx, campaign = self._tx, runner.row
        numbers = {contact.phone_number for _, contact in found}
        on_list = await do_not_call.among(tx, numbers)
        called = await gate.called_for(tx, campaign.id, numbers)
        made = 0
        for enrolled, contact in found:
            if made == most:
                break
            self._to_look_at -= 1
            campaign.cursor = max(campaign.cursor, enrolled.position)
            if enrolled.end_reason is not None and not self._is_tried_again(campaign, enrolled):
                progress.finish(tx, campaign, enrolled, enrolled.end_reason)
                continue
            facts = gate.contact_facts(
                contact.phone_number,
                deleted_at=contact.deleted_at,
                timezone=contact.timezone,
                is_duplicate=bool(called.get(contact.phone_number, set()) - {contact.id}),
                campaign_zone=campaign.timezone,
            )
            is_on_list = contact.phone_number in on_list
            match rule.of_contact(runner.facts, facts, is_on_list=is_on_list, now=tx.now):
                case Refuse(reason):
                    progress.finish(tx, campaign, enrolled, reason)
                case Hold(reason, until) if until is not None:
                    progress.wait(enrolled, until, reason)
                    self._looks.append(until)
                case _:
                    progress.begin(enrolled)
                    watching.changed(tx, tx.add(self._new_call(runner, enrolled, contact)).id)
                    made += 1
        if made:
            tx.ring(calls.QUEUE)
            watching.campaign_changed(tx, campaign.id)
            self._room -= made
        await tx.flush()
        return made

    def _is_tried_again(self, campaign: Campaign, enrolled: CampaignContact) -> bool:
        """By the policy of now (P6), which may not be the one by which it was made to wait."""
        reason = enrolled.end_reason or ""
        return next_attempt_at(campaign.retry_policy, reason, enrolled.attempts, self._tx.now) is not None

    def _new_call(self, runner: _Runner, enrolled: CampaignContact, contact: Contact) -> Call:
        tx, campaign = self._tx, runner.row
        return Call(
            id=tx.new_id(),
            workspace_id=tx.workspace_id,
            to_number=contact.phone_number,
            from_number=runner.from_number,
            agent_id=campaign.agent_id,
            phone_number_id=campaign.phone_number_id,
            campaign_id=campaign.id,
            contact_id=contact.id,
            contact_attempt=enrolled.attempts,
            due_at=tx.now,
            created_at=tx.now,
            updated_at=tx.now,
        )

    async def _look_at_next_try(self, row: Campaign) -> None:
        tries = select(func.min(col(CampaignContact.next_attempt_at))).where(
            col(CampaignContact.campaign_id) == row.id, col(CampaignContact.next_attempt_at).is_not(None)
        )
        instant = (await self._tx.execute(tries)).scalar_one()
        if instant is not None:
            self._looks.append(instant)

    def _look_in(self, seconds: float) -> None:
        self._looks.append(self._tx.now + timedelta(seconds=seconds))
