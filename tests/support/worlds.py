"""A workspace in which anything may happen, in an order that a seed decides, and the question who waits in vain."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from schema.errors import DomainError
from schema.rules import gate as rule
from schema.rules.calls import LIVE, CallPhase, EndReason
from schema.rules.campaigns import CampaignContactStatus
from schema.rules.gate import Go
from schema.rules.plans import PLANS, Plan
from schema.services import agents, calls, contacts, do_not_call, gate, phone_numbers
from schema.tables import Agent, Contact, PhoneNumber, Workspace
from tests.support import seeds
from tests.support.dialers import Workers

PENDING, _, WAITING, _ = CampaignContactStatus
ENDS = [EndReason.NO_ANSWER, EndReason.BUSY, EndReason.REJECTED, EndReason.UNALLOCATED_NUMBER]
HOURS = [
    None,
    {"start": "09:00", "end": "17:00"},
    {"start": "22:00", "end": "02:30"},
    {"start": "14:00", "end": "14:05"},
]


ONCE = {"max_attempts": 1, "delay_minutes": [], "on": ["busy", "no-answer"]}
THRICE = {"max_attempts": 3, "delay_minutes": [1, 30], "on": ["busy", "no-answer"]}


class World:
    """A workspace in which anything may happen, and the question whether somebody waits in vain."""

    def __init__(self, workers: Workers, choice: random.Random) -> None:
        self.workers = workers
        self.runtime, self.viewer, self.clock = workers.runtime, workers.viewer, workers.clock
        self.choice = choice
        self.campaigns: list[Any] = []

    @property
    def events(self) -> list[Callable[[], Awaitable[None]]]:
        """What may happen; what happens often stands there more often. Time is the test's own."""
        often = [self.edit] * 4 + [self.end] * 5 + [self.tick, self.begin] * 2
        return [
            *often,
            self.new_campaign,
            self.enrol,
            self.single,
            self.plan,
            self.switch,
            self.pace,
            self.block,
            self.hang_up,
            self.correct,
        ]

    async def act(self, verb: Any, *args: Any) -> None:
        with suppress(DomainError):  # refused, and nothing has changed
            async with self.runtime.transaction(self.viewer) as tx:
                await verb(tx, *args)

    async def new_campaign(self) -> None:
        if len(self.campaigns) < 4:
            row = await self.workers.new_campaign(
                self.choice.randint(0, 6),
                max_concurrent_calls=self.choice.randint(1, 4),
                call_window=self.choice.choice(HOURS),
                contact_window=self.choice.choice(HOURS),
                retry_policy=self.choice.choice([ONCE, THRICE]),
                scheduled_start=self.clock.now() + timedelta(minutes=self.choice.choice([-5, 0, 10])),
            )
            self.campaigns.append(row)

    async def edit(self) -> None:
        change: dict[str, Any] = self.choice.choice(
            [
                {"status": "paused"},
                {"status": "active"},
                {"status": "active"},
                {"status": self.choice.choice(["completed", "cancelled", "active", "active"])},
                {"max_concurrent_calls": self.choice.randint(1, 4)},
                {"call_window": self.choice.choice(HOURS)},
                {"contact_window": self.choice.choice(HOURS)},
                {"call_days": self.choice.choice([None, ["wednesday"], ["thursday", "friday"]])},
                {"timezone": self.choice.choice(["UTC", "Asia/Tokyo"])},
                {"retry_policy": self.choice.choice([ONCE, THRICE])},
            ]
        )
        if self.campaigns:
            with suppress(DomainError):
                await self.workers.update(self.choice.choice(self.campaigns), **change)

    async def enrol(self) -> None:
        if self.campaigns:
            person = await seeds.contact(self.runtime, self.viewer, timezone=self.choice.choice([None, "Asia/Tokyo"]))
            with suppress(DomainError):
                await seeds.enrolled(self.runtime, self.viewer, self.choice.choice(self.campaigns), [person.id])

    async def single(self) -> None:
        await seeds.call(self.runtime, self.viewer)

    async def plan(self) -> None:
        await seeds.plan(self.runtime, self.viewer, self.choice.choice([Plan.STARTER, Plan.PROFESSIONAL]))

    async def switch(self) -> None:
        if self.campaigns:
            row = self.choice.choice(self.campaigns)
            is_active = self.choice.random() < 0.6
            await self.act(agents.update, row.agent_id, {"is_active": is_active})
            await self.act(phone_numbers.update, row.phone_number_id, {"is_active": self.choice.random() < 0.7})

    async def pace(self) -> None:
        if self.campaigns:
            row = self.choice.choice(self.campaigns)
            await self.act(
                phone_numbers.update, row.phone_number_id, {"calls_per_second": self.choice.choice([None, 1, 4])}
            )

    async def block(self) -> None:
        if self.campaigns:
            people = await self.workers.contacts(self.choice.choice(self.campaigns))
            if people:
                id = self.choice.choice(people).contact_id
                if self.choice.random() < 0.5:
                    await self.act(contacts.delete, id)
                else:
                    found = await self.runtime.snapshot(self.viewer).all(select(Contact))
                    number = next(one.phone_number for one in found if one.id == id)
                    await self.act(do_not_call.add, {"phone_number": number})

    async def correct(self) -> None:
        if self.campaigns:
            people = await self.workers.contacts(self.choice.choice(self.campaigns))
            change = self.choice.choice([{"timezone": "UTC"}, {"timezone": None}, {"phone_number": seeds.number()}])
            if people:
                await self.act(contacts.update, self.choice.choice(people).contact_id, change)

    async def hang_up(self) -> None:
        found = [call.id for call in await self.workers.calls() if call.phase in {CallPhase.QUEUED, CallPhase.WAITING}]
        if found:
            await self.act(calls.hang_up, self.choice.choice(found))

    async def end(self) -> None:
        live = [dial for _, _, dial in self.workers.dials if dial.held.id in self.workers.live]
        if live:
            dial = self.choice.choice(live)
            how = self.choice.random()
            if how < 0.25:
                await self.workers.not_placed(dial, after_s=self.choice.choice([0, 5, 90]))
            elif how < 0.4:
                await self.workers.answered_and_over(dial)
            else:
                await self.workers.over(dial, self.choice.choice(ENDS))

    async def tick(self) -> None:
        await self.workers.tick()

    async def begin(self) -> None:
        await self.workers.begin()

    async def time(self) -> None:
        await self.clock.advance(self.choice.choice([0.4, 1, 7, 61, 3_600, 30_000]))

    async def waits_in_vain(self) -> list[str]:
        """Who could be dialed now although, at rest, nobody is due to do it."""
        [workspace] = await self.runtime.database.read(
            select(Workspace).where(Workspace.id == self.viewer.workspace_id)
        )
        found = [call for call in await self.workers.calls() if call.ended_at is None]
        in_slots = [call for call in found if call.phase in LIVE or call.id in self.workers.waits]
        if len(in_slots) >= PLANS[workspace.plan].concurrent_calls:
            return []
        held = [call for call in found if call.phase is CallPhase.WAITING and call.due_at is None]
        vain = [f"call {call.id}" for call in held if call.campaign_id is None]
        for each in self.campaigns:
            row = await self.workers.campaign(each)
            if not await self._may_dial(row):
                continue
            ours = [call for call in found if call.campaign_id == row.id and call.waiting_for != "contact-window"]
            waiting = [call for call in held if call in ours]
            if len(ours) - len(waiting) >= row.max_concurrent_calls:
                continue
            vain += [f"call {call.id} of campaign {row.id}" for call in waiting]
            if len(ours) < row.max_concurrent_calls:
                vain += await self._not_called(row)
        return vain

    async def _may_dial(self, row: Any) -> bool:
        read = self.runtime.database.read
        [agent] = await read(select(Agent).where(Agent.id == row.agent_id))
        [number] = await read(select(PhoneNumber).where(PhoneNumber.id == row.phone_number_id))
        verdict = rule.of_campaign(gate.facts_of(row), gate.parts_of(agent, number), self.clock.now())
        return isinstance(verdict, Go)

    async def _not_called(self, row: Any) -> list[str]:
        now = self.clock.now()
        return [
            f"contact {contact.id} ({contact.status.value}) of campaign {row.id}"
            for contact in await self.workers.contacts(row)
            if contact.status is PENDING or (contact.status is WAITING and contact.next_attempt_at <= now)
        ]
