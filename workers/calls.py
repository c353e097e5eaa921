"""Calls: an actor claims a due call and hands it over; the stage dials, carries and processes it, and settles it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dramatiq
import structlog

from schema import due
from schema.database import DATABASE_ERRORS, may_pass
from schema.due import Fenced, Lease
from schema.rules.calls import UNDIALED, CallPhase, EndReason
from schema.runtime import Runtime, Viewer
from schema.services import dialing, endings, holding, recordings, steps
from schema.services.calls import HANGUPS, QUEUE
from schema.services.steps import LEASE_S
from schema.tables import Agent, Call
from workers.broker import Packed, broker
from workers.carriers.base import Carrier, CarrierError, Ending
from workers.carriers.registry import OpenCarriers, open_carriers
from workers.conversation.analysis import analyse
from workers.conversation.minds import Mind, open_mind
from workers.conversation.turns import Turn
from workers.dialing import Dialer, attempt_id
from workers.holding import Hold, Scribe
from workers.live_call import KEEP_EVERY_S, LiveCall
from workers.recording import RecordingInfo, Studio

log = structlog.get_logger("voxforge.calls")

PLACES = 1_200
"""Calls that are dialed and live at the same time."""
ASIDE = 2_000
"""Calls that are over and being processed without a place; with more, no further call is taken until some are done."""
_PLACING_S = 3.0  # of a stop, for carriers to say what became of what they were just told


@dramatiq.actor(actor_name="carry", queue_name=QUEUE, broker=broker)
def carry(leases: Packed) -> None:
    """Carry leased calls: dial those that are queued, take up those that somebody else let fall."""
    broker.hand_over(QUEUE, leases)


@dataclass(slots=True)
class _Crew:
    """What every call of this worker is carried with."""

    runtime: Runtime
    carriers: Mapping[str, Carrier]
    mind: Mind
    studio: Studio
    scribe: Scribe
    live: dict[str, LiveCall] = field(default_factory=dict)


class Calls:
    """Carries calls on the stage; see `workers.stage.Performer`.

    A call belongs to whoever holds its lease, which is renewed while it lives. When a worker dies, the lease runs out
    and the next one takes the call up where its row says it was: queued calls are dialed, a call found `dialing` is
    looked up and never dialed again blindly (L4), a live leg is followed again, a call that is over is processed.
    """

    def __init__(self, runtime: Runtime, done: Callable[[int], None], open_with: OpenCarriers = open_carriers) -> None:
        self.queue = QUEUE
        self.places = PLACES
        self.lease_s = LEASE_S
        self._runtime = runtime
        self._done = done
        self._crew = _Crew(
            runtime,
            open_with(runtime.settings, runtime.clock),
            open_mind(runtime.settings),
            Studio(),
            Scribe(runtime),
        )
        self._carried: dict[asyncio.Task[None], Hold] = {}
        self._aside = 0
        self._looking: set[asyncio.Task[None]] = set()

    def take(self, leases: Sequence[Lease]) -> None:
        for held in leases:
            hold = Hold(self._runtime, self._crew.scribe, held)
            task = asyncio.create_task(self._carry(hold))
            self._carried[task] = hold
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        if not self._crew.scribe.is_closing:  # else it may be one that was let go of, to be put back
            self._carried.pop(task)

    def busy(self) -> Sequence[Any]:
        return []

    def hear(self, topic: str) -> None:
        """Somebody asked for a call to be ended: look which of ours it is now, not at the next renewal."""
        if topic == HANGUPS and self._crew.live:
            task = asyncio.create_task(self._obey_hangups())
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _obey_hangups(self) -> None:
        try:
            wanted = await holding.wanted_over(self._runtime, list(self._crew.live))
        except DATABASE_ERRORS:
            return  # each call looks by itself when it renews its lease
        for id in wanted:
            if id in self._crew.live:
                self._crew.live[id].look_now()

    async def close(self, timeout_s: float) -> None:
        """Let go of every call without ending it at its carrier: the next start takes it up."""
        self._crew.scribe.is_closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_PLACING_S, timeout_s / 2)):
                await asyncio.gather(*(hold.told() for hold in self._carried.values()))
        for task in (*self._carried, *self._looking):
            task.cancel()
        await asyncio.gather(*self._carried, *self._looking, return_exceptions=True)
        await self._put_back(list(self._carried.values()))
        self._carried.clear()
        for carrier in self._crew.carriers.values():
            await carrier.aclose()
        await self._crew.mind.aclose()
        self._crew.studio.close()

    async def _put_back(self, holds: Sequence[Hold]) -> None:
        for result in await asyncio.gather(*(hold.withdraw() for hold in holds), return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, Fenced):
                log.warning("a call that was begun could not be queued again", error=repr(result))
        try:
            await due.put_back(self._runtime, Call, [hold.lease for hold in holds])
        except DATABASE_ERRORS as error:
            log.warning("calls could not be put back; they are taken up when their leases end", error=repr(error))

    async def _carry(self, hold: Hold) -> None:
        is_aside = False

        def step_aside() -> None:
            """Give the place to a call that can be dialed: this one only has to be processed."""
            nonlocal is_aside
            if not is_aside and self._aside < ASIDE:
                is_aside = True
                self._aside += 1
                self._done(1)

        try:
            call = await steps.look(self._runtime, hold.lease)
            if call is not None:
                await _Carried(self._crew, call, hold, step_aside).on()
        except Fenced:
            log.info("another worker has taken the call over", call_id=hold.lease.id)
        except DATABASE_ERRORS as error:
            log.warning(
                "the call's row cannot be written; it is taken up again", call_id=hold.lease.id, error=repr(error)
            )
        finally:
            if is_aside:
                self._aside -= 1
            else:
                self._done(1)


class _Carried:
    """One call in this worker's hands, wherever it stands."""

    def __init__(self, crew: _Crew, call: Call, hold: Hold, step_aside: Callable[[], None]) -> None:
        self._crew = crew
        self._runtime = crew.runtime
        self._call = call
        self._hold = hold
        self._step_aside = step_aside
        hold.viewer, hold.campaign_id = Viewer(call.workspace_id), call.campaign_id

    async def on(self) -> None:
        """Take the call as far as it goes. Raises Fenced, DATABASE_ERRORS that may pass."""
        structlog.contextvars.bind_contextvars(call_id=self._call.id, workspace_id=self._call.workspace_id)
        try:
            await self._on()
        except Fenced:
            raise
        except Exception as error:
            if isinstance(error, DATABASE_ERRORS) and may_pass(error):
                raise
            log.exception("the call failed here")
            await self._give_up()

    async def _on(self) -> None:
        if self._call.phase is not CallPhase.PROCESSING:
            carrier = self._crew.carriers[await dialing.carrier_of(self._runtime, self._call)]
            reference = await self._leg(carrier)
            if reference is None or not await self._follow(carrier, reference):
                return
            await self._reread()
        self._step_aside()
        await self._process()

    async def _leg(self, carrier: Carrier) -> str | None:
        dialer = Dialer(self._runtime, self._hold, carrier)
        if self._call.phase in UNDIALED:
            return await dialer.dial()
        if self._call.phase is CallPhase.DIALING:
            return await dialer.settle_unknown(attempt_id(self._call))
        return self._call.leg or ""

    async def _follow(self, carrier: Carrier, reference: str) -> bool:
        """Carry the live call to its end; returns whether there is something to process."""
        agent = await steps.agent_of(self._runtime, self._call)
        await self._reread()  # last: whoever wants the call ended from here on finds it among the live ones
        live = LiveCall(
            runtime=self._runtime,
            hold=self._hold,
            carrier=carrier,
            brain=self._crew.mind.brain,
            call=self._call,
            agent=agent,
            reference=reference,
        )
        self._crew.live[self._call.id] = live
        try:
            ending = await live.run()
        finally:
            self._crew.live.pop(self._call.id, None)
        return await self._over(live, ending)

    async def _over(self, live: LiveCall, ending: Ending) -> bool:
        held = await self._hold.step(
            endings.ended,
            reason=ending.reason,
            ended_at=ending.at,
            duration_s=ending.duration_s,
            answered_by=live.answered_by,
            answered_at=live.answered_at,
            message_left=live.message_left,
            sip_code=ending.sip_code,
            q850=ending.q850,
            carrier_code=ending.carrier_code,
        )
        return held is not None

    async def _process(self) -> None:
        """Recording, transcript, analysis: what a connected call leaves behind."""
        call = self._call
        turns = [Turn.from_line(line) for line in call.transcript or []]
        if call.recording is None:
            info = await self._hold.through(self._record(turns), KEEP_EVERY_S)
            await self._hold.step(
                endings.recorded,
                recording=f"{call.id}.{info.format}" if info else None,
                voice=info.voice if info else None,
            )
        analysis = analyse(
            turns,
            answered_by=call.answered_by,
            end_reason=call.end_reason or EndReason.INTERNAL_ERROR,
            llm=self._crew.mind.analyst,
        )
        result = await self._hold.through(analysis, KEEP_EVERY_S)
        await self._hold.step(
            endings.analysed,
            summary=result.summary,
            sentiment=result.sentiment,
            outcome=result.outcome,
            action_items=result.action_items,
            extracted=result.extracted,
        )

    async def _record(self, turns: Sequence[Turn]) -> RecordingInfo | None:
        agent: Agent = await steps.agent_of(self._runtime, self._call)
        directory: Path = recordings.directory(self._runtime.settings)
        duration_s = float(self._call.duration or 0)
        try:
            return await self._crew.studio.record(turns, duration_s, directory / self._call.id, language=agent.language)
        except OSError:  # a full disk must not cost the transcript
            log.exception("the recording could not be written")
            return None

    async def _reread(self) -> None:
        call = await steps.look(self._runtime, self._hold.lease)
        if call is None:
            raise Fenced(f"Call {self._call.id} is no longer held at version {self._hold.lease.version}")
        self._call = call

    async def _give_up(self) -> None:
        """Something here is broken: the call ends and says so, and is not tried for ever."""
        call = await steps.look(self._runtime, self._hold.lease)
        if call is None or call.phase is CallPhase.DONE:
            return
        if call.leg is not None and call.phase is not CallPhase.PROCESSING:
            carrier = self._crew.carriers.get(await dialing.carrier_of(self._runtime, call))
            if carrier is not None:
                try:
                    await carrier.hang_up(call.leg)
                except CarrierError:
                    log.warning("the leg could not be ended")
        await self._hold.step(endings.broken)
