"""A live call: follows its leg, lets the agent speak, and writes down what happens, until the leg is over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from schema.rules.calls import AnsweredBy, CallPhase, EndReason, Role
from schema.runtime import Runtime, Viewer
from schema.services.holding import IsAnswered, Note, Rings, Said
from schema.services.steps import LEASE_S
from schema.tables import Agent, Call
from workers.actions import CallActions
from workers.carriers.base import (
    Answered,
    Carrier,
    CarrierError,
    CarrierEvent,
    Ended,
    Ending,
    Leg,
    LegOver,
    LegSession,
    LegState,
    Ringing,
)
from workers.conversation.brain import AgentBrief, Brain
from workers.conversation.loop import Conclusion, Turn, converse
from workers.conversation.tools import OPT_OUT, Toolbox, succeeded
from workers.dialing import attempt_id
from workers.holding import Hold

log = structlog.get_logger("voxforge.calls")

KEEP_EVERY_S = LEASE_S / 3
SILENCE_TIMEOUT_S = 10.0
ENDING_WITHIN_S = 5.0  # for the carrier to confirm a hang-up, before it is asked
ATTACH_AFTER_S = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each try to attach to a leg; a carrier that still cannot then is not worth waiting for."""
HANG_UP_TRIES = 3


class LiveCall:
    """One call on one leg. `run` returns how it ended; events repeated, late or out of order change nothing (L1)."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        hold: Hold,
        carrier: Carrier,
        brain: Brain,
        call: Call,
        agent: Agent,
        reference: str,
    ) -> None:
        self.message_left = False
        self._runtime = runtime
        self._hold = hold
        self._carrier = carrier
        self._brain = brain
        self._call = call
        self._agent = agent
        self._reference = reference
        self._attempt = attempt_id(call)
        self._turns = [Turn.from_line(line) for line in call.transcript or []]
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._talk: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._seen: set[str] = set()
        self._reason: EndReason | None = None  # ours, once we have ended the leg
        self._is_hanging_up = False
        self.answered_by: AnsweredBy | None = call.answered_by
        self.answered_at = call.answered_at

    async def run(self) -> Ending:
        """Carry the call to its end. Raises Fenced when somebody else has taken it over, DATABASE_ERRORS, CarrierError.

        A carrier that cannot be asked at the moment is asked again.
        """
        session = None
        try:
            self._start(self._keep())
            if self._call.hangup_requested:
                self._start(self._hang_up(EndReason.CANCELLED))
            session = await self._attach()
            if session is not None:
                self._start(self._apply_events(session))
                leg = await self._find()
                if leg is not None:
                    await self._catch_up(leg, session)
            return await self._ending
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if session is not None:
                await session.close()

    def look_now(self) -> None:
        """Somebody may want this call ended."""
        self._start(self._write(Note))

    # --- what the carrier says ---

    async def _attach(self) -> LegSession | None:
        """None when the call was over before the carrier could."""
        failure: CarrierError | None = None
        for delay in ATTACH_AFTER_S:
            if await self._over_within(delay):
                return None
            try:
                return await self._carrier.attach(self._reference)
            except CarrierError as error:
                failure = error
                log.warning("the carrier could not attach to a leg", call_id=self._call.id, error=type(error).__name__)
        raise failure or CarrierError("the carrier was not asked")

    async def _apply_events(self, session: LegSession) -> None:
        async for event in session.events():
            if event.event_id not in self._seen:
                self._seen.add(event.event_id)
                await self._apply(event, session)

    async def _apply(self, event: CarrierEvent, session: LegSession) -> None:
        match event:
            case Ringing():
                await self._write(Rings)
            case Answered(by=by, at=at):
                await self._answered(session, by=by, at=at)
            case Ended(ending=ending):
                self._start(self._over_once_told(ending))

    async def _catch_up(self, leg: Leg, session: LegSession) -> None:
        """What happened while nobody listened: events before `attach` do not come again."""
        if leg.answered_at is not None and leg.answered_by is not None:
            self.answered_at, self.answered_by = self.answered_at or leg.answered_at, leg.answered_by
        if leg.ending is not None:
            self._over(leg.ending)
        elif leg.state is LegState.ANSWERED and leg.answered_at is not None:
            await self._answered(session, by=leg.answered_by or AnsweredBy.UNKNOWN, at=leg.answered_at)
        elif leg.state is LegState.RINGING:
            await self._write(Rings)

    async def _answered(self, session: LegSession, *, by: AnsweredBy, at: datetime) -> None:
        if self._talk is not None or self._ending.done():
            return
        was_talking = self._call.phase is CallPhase.ANSWERED
        self.answered_at, self.answered_by = self.answered_at or at, by
        self._talk = self._start(self._converse(session, by, resumed=was_talking))
        await self._write(IsAnswered, at=at, by=by)

    async def _over_once_told(self, ending: Ending) -> None:
        """A conversation under way learns of the end too, and knows better why they hung up: wait for its word."""
        if self._talk is not None and self._reason is None:
            await self._within(ENDING_WITHIN_S, self._talk)
        self._over(ending)

    def _over(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(replace(ending, reason=self._reason or self._told_by_transcript(ending.reason)))

    def _told_by_transcript(self, reason: EndReason) -> EndReason:
        """Why somebody hung up, where whoever carried the call then is gone: the carrier only knows that they did."""
        if reason not in {EndReason.AGENT_HANGUP, EndReason.CALLEE_HANGUP}:
            return reason
        if reason is EndReason.AGENT_HANGUP and self._call.hangup_requested:
            return EndReason.CANCELLED
        if any(turn.role is Role.TOOL and succeeded(turn.text, OPT_OUT) for turn in self._turns):
            return EndReason.OPTED_OUT
        if self.answered_by is not AnsweredBy.VOICEMAIL:
            return reason
        message = (self._agent.voicemail_message or "").strip()
        self.message_left = any(turn.role is Role.AGENT and turn.text == message for turn in self._turns)
        return EndReason.VOICEMAIL

    # --- what the agent says ---

    async def _converse(self, session: LegSession, by: AnsweredBy, *, resumed: bool) -> None:
        if resumed and not self._carrier.capabilities.resume:
            await self._hang_up(EndReason.INTERRUPTED)
            return
        brief = AgentBrief(
            name=self._agent.name,
            system_prompt=self._agent.system_prompt,
            first_message=self._agent.first_message,
            language=self._agent.language,
            voicemail_message=self._agent.voicemail_message,
            tools=tuple(self._agent.tools),
            now=self._runtime.clock.now(),
        )
        actions = CallActions(
            self._runtime, Viewer(self._call.workspace_id), self._call, self._carrier, self._reference
        )
        try:
            conclusion = await converse(
                session.media,
                self._brain,
                brief,
                Toolbox(self._agent.tools, actions),
                self._heard,
                answered_by=by,
                silence_timeout_s=SILENCE_TIMEOUT_S,
                max_duration_s=float(self._agent.max_call_duration),
                history=tuple(self._turns),
            )
        except LegOver as over:
            if over.ending is not None:
                self._over(over.ending)
            else:
                self._start(self._wait_until_over())
            return
        await self._concluded(conclusion)

    async def _concluded(self, conclusion: Conclusion) -> None:
        self.message_left, self.answered_by = conclusion.message_left, conclusion.answered_by
        if conclusion.failure is not None:
            log.warning("the brain failed", call_id=self._call.id, reason=conclusion.failure)
        if conclusion.ending is not None:
            self._over(conclusion.ending)
        else:
            await self._hang_up(conclusion.reason)

    async def _heard(self, turn: Turn) -> None:
        self._turns.append(turn)
        await self._write(Said, [line.as_line() for line in self._turns])

    # --- keeping hold of it, and ending it ---

    async def _keep(self) -> None:
        """Renew the lease, and ask the carrier now and then: its last word may have been lost."""
        while not self._ending.done():
            if self._hold.lease.left_s(self._runtime.clock.now()) < LEASE_S - KEEP_EVERY_S / 2:
                await self._write(Note)
            leg = await self._find()
            if leg is not None and leg.ending is not None:
                await self._over_once_told(leg.ending)
            await self._over_within(KEEP_EVERY_S)

    async def _write(self, make: Any, *args: Any, **given: Any) -> None:
        """Write down what happened, and obey whoever wants the call ended."""
        await self._hold.write(make, *args, **given)
        if self._hold.wanted_over and not self._is_hanging_up:
            self._start(self._hang_up(EndReason.CANCELLED))

    async def _hang_up(self, reason: EndReason) -> None:
        """End the leg for our reason; if it was over before that, its own reason stands."""
        if self._is_hanging_up or self._ending.done():
            return
        self._is_hanging_up = True
        leg = await self._find()
        if leg is not None and leg.ending is not None:
            self._over(leg.ending)
            return
        self._reason = reason
        for _ in range(HANG_UP_TRIES):
            try:
                await self._carrier.hang_up(self._reference)
                break
            except CarrierError as error:
                log.warning("the carrier could not end a leg", call_id=self._call.id, error=type(error).__name__)
                if await self._over_within(1.0):
                    return
        await self._wait_until_over()

    async def _wait_until_over(self) -> None:
        """For the carrier's own word; when it does not come, ask, and at last decide."""
        if await self._over_within(ENDING_WITHIN_S):
            return
        leg = await self._find()
        if leg is not None and leg.ending is not None:
            self._over(leg.ending)
            return
        now = self._runtime.clock.now()
        seconds = (now - self.answered_at).total_seconds() if self.answered_at else 0.0
        self._over(Ending(EndReason.INTERRUPTED, now, seconds))

    async def _over_within(self, seconds: float) -> bool:
        """Wait that long, no longer than until the call is over; whether it is."""
        if seconds:
            await self._within(seconds, self._ending)
        return self._ending.done()

    async def _within(self, seconds: float, end: asyncio.Future[Any]) -> None:
        sleeper = asyncio.ensure_future(self._runtime.clock.sleep(seconds))
        try:
            await asyncio.wait({sleeper, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()

    async def _find(self) -> Leg | None:
        try:
            return await self._carrier.find(self._attempt)
        except CarrierError as error:
            log.warning("the carrier could not look a call up", call_id=self._call.id, error=type(error).__name__)
            return None

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._ending.done():
            self._ending.set_exception(error)
