"""What tests of carriers and conversations share: an agent, its actions, and a whole call on the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schema.rules.calls import AnsweredBy
from tests.support.time import VirtualClock
from workers.carriers.base import Answered, CarrierEvent, Leg, Order
from workers.carriers.sandbox import SandboxCarrier
from workers.conversation.brain import AgentBrief, Brain
from workers.conversation.loop import Conclusion, converse
from workers.conversation.scripted import ScriptedBrain
from workers.conversation.tools import Toolbox
from workers.conversation.turns import Turn

NOW = datetime(2025, 1, 15, 14, 0, tzinfo=UTC)
"""A Wednesday."""


def number(xx: str) -> str:
    return f"+121255501{xx}"


def order(to: str, attempt_id: str = "call.1", **changes: object) -> Order:
    given: dict[str, object] = {
        "ring_timeout_s": 30.0,
        "max_duration_s": 120.0,
        "detect_voicemail": True,
        "record": True,
        **changes,
    }
    return Order(attempt_id=attempt_id, to=to, caller_id="+12125550999", **given)  # type: ignore[arg-type]


def brief(**changes: object) -> AgentBrief:
    given: dict[str, object] = {
        "name": "Sales Rep - Sarah",
        "system_prompt": "You are Sarah from Acme Corp. You call people to book a product demo.",
        "first_message": "Hi, this is Sarah calling from Acme. Do you have a minute?",
        "language": "en-US",
        "voicemail_message": "Hi, this is Sarah from Acme. Please call us back.",
        "tools": ("book_appointment", "do_not_call", "end_call"),
        "now": NOW,
        **changes,
    }
    return AgentBrief(**given)  # type: ignore[arg-type]


@dataclass
class Actions:
    """Records what was done; `fails` is raised instead."""

    done: list[tuple[object, ...]] = field(default_factory=list)
    fails: Exception | None = None

    def _do(self, *what: object) -> None:
        if self.fails:
            raise self.fails
        self.done.append(what)

    async def book_appointment(self, start: datetime, end: datetime, title: str, notes: str | None) -> str:
        self._do("book_appointment", start, end, title, notes)
        return "Booked."

    async def do_not_call(self, reason: str) -> str:
        self._do("do_not_call", reason)
        return "This number will not be called again."

    async def transfer(self, to: str) -> str:
        self._do("transfer", to)
        return "Connected."


def toolbox(actions: Actions, tools: Sequence[str | Mapping[str, object]] = ("book_appointment",)) -> Toolbox:
    return Toolbox(tools, actions)


@dataclass
class Call:
    """A call that is over, as each side saw it."""

    reference: str
    events: list[CarrierEvent] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    actions: Actions = field(default_factory=Actions)
    conclusion: Conclusion | None = None
    leg: Leg | None = None

    def said(self) -> list[tuple[str, str]]:
        return [(turn.role.value, turn.text) for turn in self.turns]


async def carry(
    carrier: SandboxCarrier,
    clock: VirtualClock,
    attempt: Order,
    *,
    brain: Brain | None = None,
    silence_timeout_s: float = 10.0,
    history: Sequence[Turn] = (),
    reference: str | None = None,
    **changes: object,
) -> Call:
    """Place a call, follow its events, hold the conversation, hang up, and ask the carrier what it thinks of it all."""
    call = Call(reference or await carrier.place(attempt))
    session = await carrier.attach(call.reference)
    answered: asyncio.Future[AnsweredBy | None] = asyncio.get_running_loop().create_future()

    async def follow() -> None:
        async for event in session.events():
            call.events.append(event)
            if isinstance(event, Answered) and not answered.done():
                answered.set_result(event.by)
        if not answered.done():
            answered.set_result(None)

    following = asyncio.create_task(follow())
    by = await answered
    if by is not None:

        async def heard(turn: Turn) -> None:
            call.turns.append(turn)

        agent = brief(**changes)
        call.conclusion = await converse(
            session.media,
            brain or ScriptedBrain(),
            agent,
            toolbox(call.actions, agent.tools),
            heard,
            answered_by=by,
            silence_timeout_s=silence_timeout_s,
            max_duration_s=attempt.max_duration_s,
            history=history,
        )
        await carrier.hang_up(call.reference)
    await clock.sleep(10)
    call.leg = await carrier.find(attempt.attempt_id)
    await session.close()
    await following
    return call
