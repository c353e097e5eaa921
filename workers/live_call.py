"""A live call: follows its leg, lets the agent speak, and writes down what happens, until the leg is over."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from schema.due import Lease
from schema.rules.calls import AnsweredBy, CallPhase, EndReason
from schema.runtime import Runtime, Viewer
from schema.services import dialing
from schema.services.dialing import LEASE_S
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
from workers.conversation.tools import Toolbox
from workers.dialing import attempt_id

log = structlog.get_logger("voxforge.calls")

KEEP_EVERY_S = LEASE_S / 3
SILENCE_TIMEOUT_S = 10.0
ENDING_WITHIN_S = 5.0  # for the carrier to confirm a hang-up, before it is asked


class LiveCall:
    """One call on one leg. `run` returns how it ended; events repeated, late or out of order change nothing (L1)."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        viewer: Viewer,
        carrier: Carrier,
        brain: Brain,
        call: Call,
        agent: Agent,
        held: Lease,
        reference: str,
    ) -> None:
        self.held = held
        self.message_left = False
        self._runtime = runtime
        self._viewer = viewer
        self._carrier = carrier
        self._brain = brain
        self._call = call
        self._agent = agent
        self._reference = reference
        self._attempt = attempt_id(call)
        self._turns = [Turn.from_line(line) for line in call.transcript or []]
        self._writing = asyncio.Lock()
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._talk: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._seen: set[str] = set()
        self._reason: EndReason | None = None  # ours, once we have ended the leg
        self.answered_by: AnsweredBy | None = call.answered_by
        self.answered_at = call.answered_at

    async def run(self) -> Ending:
        """Carry the call to its end. Raises Fenced when somebody else has taken it over, DATABASE_ERRORS."""
        session = await self._carrier.attach(self._reference)
        try:
            self._start(self._apply_events(session))
            self._start(self._keep())
            leg = await self._carrier.find(self._attempt)
            if leg is not None:
                await self._catch_up(leg, session)
            return await self._ending
        finally:
            async with self._writing:  # a task that is cancelled inside a transaction costs its connection
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
            await session.close()

    def look_now(self) -> None:
        """Somebody may want this call ended."""
        self._start(self._look())

    # --- what the carrier says ---

    async def _apply_events(self, session: LegSession) -> None:
        async for event in session.events():
            if event.event_id not in self._seen:
                self._seen.add(event.event_id)
                await self._apply(event, session)

    async def _apply(self, event: CarrierEvent, session: LegSession) -> None:
        match event:
            case Ringing():
                await self._write(dialing.ringing)
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
            await self._write(dialing.ringing)

    async def _answered(self, session: LegSession, *, by: AnsweredBy, at: Any) -> None:
        if self._talk is not None or self._ending.done():
            return
        was_talking = self._call.phase is CallPhase.ANSWERED
        self.answered_at, self.answered_by = self.answered_at or at, by
        self._talk = self._start(self._converse(session, by, resumed=was_talking))
        await self._write(dialing.answered, at=at, by=by)

    async def _over_once_told(self, ending: Ending) -> None:
        """A conversation under way learns of the end too, and knows better why they hung up: wait for its word."""
        if self._talk is not None and self._reason is None:
            await asyncio.wait({self._talk}, timeout=ENDING_WITHIN_S)
        self._over(ending)

    def _over(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending if self._reason is None else replace(ending, reason=self._reason))

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
        actions = CallActions(self._runtime, self._viewer, self._call, self._carrier, self._reference)
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
        lines = [line.as_line() for line in self._turns]
        await self._write(dialing.heard, lines)

    # --- keeping hold of it, and ending it ---

    async def _keep(self) -> None:
        """Renew the lease, obey a hang-up, and ask the carrier now and then: its last word may have been lost."""
        while not self._ending.done():
            await self._look()
            leg = await self._find()
            if leg is not None and leg.ending is not None:
                await self._over_once_told(leg.ending)
            await self._runtime.clock.sleep(KEEP_EVERY_S)

    async def _look(self) -> None:
        async with self._writing, self._runtime.transaction(self._viewer) as tx:
            self.held, wanted = await dialing.keep(tx, self.held)
        if wanted:
            await self._hang_up(EndReason.CANCELLED)

    async def _hang_up(self, reason: EndReason) -> None:
        """End the leg for our reason; if it was over before that, its own reason stands."""
        if self._reason is not None or self._ending.done():
            return
        leg = await self._find()
        if leg is not None and leg.ending is not None:
            self._over(leg.ending)
            return
        self._reason = reason
        await self._carrier.hang_up(self._reference)
        await self._wait_until_over()

    async def _wait_until_over(self) -> None:
        """For the carrier's own word; when it does not come, ask, and at last decide."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_WITHIN_S):
                await asyncio.shield(self._ending)
        if self._ending.done():
            return
        leg = await self._find()
        if leg is not None and leg.ending is not None:
            self._over(leg.ending)
            return
        now = self._runtime.clock.now()
        seconds = (now - self.answered_at).total_seconds() if self.answered_at else 0.0
        self._over(Ending(EndReason.INTERRUPTED, now, seconds))

    async def _find(self) -> Leg | None:
        try:
            return await self._carrier.find(self._attempt)
        except CarrierError as error:
            log.warning("the carrier could not look a call up", call_id=self._call.id, error=type(error).__name__)
            return None

    async def _write(self, verb: Any, *args: Any, **kwargs: Any) -> None:
        """One fenced step at a time: each needs the version that the one before it left."""
        async with self._writing, self._runtime.transaction(self._viewer) as tx:
            self.held = await verb(tx, self.held, *args, **kwargs)

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._ending.done():
            self._ending.set_exception(error)
