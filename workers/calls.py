"""Calls: an actor claims a due call and hands it over; the stage dials, carries and processes it, and settles it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dramatiq
import structlog

from schema import due
from schema.database import DATABASE_ERRORS
from schema.due import Fenced, Lease
from schema.rules.calls import UNDIALED, CallPhase, EndReason
from schema.runtime import Runtime, Viewer
from schema.services import dialing, recordings
from schema.services.calls import HANGUPS, QUEUE
from schema.services.dialing import LEASE_S
from schema.tables import Agent, Call
from workers.broker import Packed, broker
from workers.carriers.base import Carrier, CarrierError, Ending
from workers.carriers.registry import OpenCarriers, open_carriers
from workers.conversation.analysis import analyse
from workers.conversation.minds import Mind, open_mind
from workers.conversation.turns import Turn
from workers.dialing import Dialer, Placed, attempt_id
from workers.live_call import KEEP_EVERY_S, LiveCall
from workers.recording import RecordingInfo, render

log = structlog.get_logger("voxforge.calls")
T = TypeVar("T")

PLACES = 1_000
# Not a fault of this worker's code: the row is somebody else's now, or the database is away.
_NOT_OURS: tuple[type[Exception], ...] = (Fenced, *DATABASE_ERRORS)


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
    studio: ThreadPoolExecutor  # rendering a recording is work for a processor, not for the loop
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
            ThreadPoolExecutor(1, "studio"),
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, leases: Sequence[Lease]) -> None:
        for held in leases:
            self._start(self._carry(held))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def busy(self) -> Sequence[Any]:
        return []

    def hear(self, topic: str) -> None:
        """Somebody asked for a call to be ended: look which of ours it is now, not at the next renewal."""
        if topic == HANGUPS and self._crew.live:
            self._start(self._obey_hangups())

    async def _obey_hangups(self) -> None:
        try:
            wanted = await dialing.hangups(self._runtime, list(self._crew.live))
        except DATABASE_ERRORS:
            return  # each call looks by itself when it renews its lease
        for id in wanted:
            if id in self._crew.live:
                self._crew.live[id].look_now()

    async def close(self, timeout_s: float) -> None:
        """Let go of every call without ending it at its carrier: the next start takes it up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for carrier in self._crew.carriers.values():
            await carrier.aclose()
        await self._crew.mind.aclose()
        self._crew.studio.shutdown(wait=False, cancel_futures=True)

    async def _carry(self, held: Lease) -> None:
        try:
            call = await dialing.look(self._runtime, held)
            if call is not None:
                await _Carried(self._crew, call, held).on()
        except Fenced:
            log.info("another worker has taken the call over", call_id=held.id)
        except DATABASE_ERRORS as error:
            log.warning("the call's row cannot be written; it is taken up again", call_id=held.id, error=repr(error))
        finally:
            self._done(1)


class _Carried:
    """One call in this worker's hands, wherever it stands."""

    def __init__(self, crew: _Crew, call: Call, held: Lease) -> None:
        self._crew = crew
        self._runtime = crew.runtime
        self._call = call
        self._held = held
        self._viewer = Viewer(call.workspace_id)

    async def on(self) -> None:
        """Take the call as far as it goes. Raises Fenced, DATABASE_ERRORS."""
        structlog.contextvars.bind_contextvars(call_id=self._call.id, workspace_id=self._call.workspace_id)
        try:
            await self._on()
        except asyncio.CancelledError:
            await due.put_back(self._runtime, Call, [self._held])
            raise
        except _NOT_OURS:
            raise
        except Exception:
            log.exception("the call failed here")
            await self._give_up()

    async def _on(self) -> None:
        if self._call.phase is CallPhase.PROCESSING:
            await self._process()
            return
        carrier = self._crew.carriers[await dialing.carrier_of(self._runtime, self._call)]
        placed = await self._leg(carrier)
        if placed is None:
            return
        self._held = placed.held
        if await self._follow(carrier, placed.reference):
            await self._process()

    async def _leg(self, carrier: Carrier) -> Placed | None:
        dialer = Dialer(self._runtime, self._viewer, carrier)
        if self._call.phase in UNDIALED:
            return await dialer.dial(self._held)
        if self._call.phase is CallPhase.DIALING:
            return await dialer.settle_unknown(self._held, attempt_id(self._call))
        return Placed(self._held, self._call.leg or "")

    async def _follow(self, carrier: Carrier, reference: str) -> bool:
        """Carry the live call to its end; returns whether there is something to process."""
        await self._reread()
        agent = await dialing.agent_of(self._runtime, self._call)
        live = LiveCall(
            runtime=self._runtime,
            viewer=self._viewer,
            carrier=carrier,
            brain=self._crew.mind.brain,
            call=self._call,
            agent=agent,
            held=self._held,
            reference=reference,
        )
        self._crew.live[self._call.id] = live
        try:
            ending = await live.run()
        finally:
            self._crew.live.pop(self._call.id, None)
            self._held = live.held
        return await self._over(live, ending)

    async def _over(self, live: LiveCall, ending: Ending) -> bool:
        async with self._runtime.transaction(self._viewer) as tx:
            held = await dialing.ended(
                tx,
                self._held,
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
        if held is None:
            return False
        self._held = held
        return True

    async def _process(self) -> None:
        """Recording, transcript, analysis: what a connected call leaves behind."""
        await self._reread()
        call = self._call
        turns = [Turn.from_line(line) for line in call.transcript or []]
        if call.recording is None:
            info = await self._holding(self._record(turns))
            async with self._runtime.transaction(self._viewer) as tx:
                self._held = await dialing.recorded(
                    tx,
                    self._held,
                    recording=f"{call.id}.{info.format}" if info else None,
                    voice=info.voice if info else None,
                )
        result = await self._holding(
            analyse(
                turns,
                answered_by=call.answered_by,
                end_reason=call.end_reason or EndReason.INTERNAL_ERROR,
                llm=self._crew.mind.analyst,
            )
        )
        async with self._runtime.transaction(self._viewer) as tx:
            await dialing.analysed(
                tx,
                self._held,
                summary=result.summary,
                sentiment=result.sentiment,
                outcome=result.outcome,
                action_items=result.action_items,
                extracted=result.extracted,
            )

    async def _record(self, turns: Sequence[Turn]) -> RecordingInfo | None:
        agent: Agent = await dialing.agent_of(self._runtime, self._call)
        directory: Path = recordings.directory(self._runtime.settings)
        duration_s = float(self._call.duration or 0)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._crew.studio,
                lambda: render(turns, duration_s, directory / self._call.id, language=agent.language),
            )
        except OSError:  # a full disk must not cost the transcript
            log.exception("the recording could not be written")
            return None

    async def _holding(self, work: Coroutine[Any, Any, T]) -> T:
        """Do long work while the lease is renewed."""
        task = asyncio.ensure_future(work)
        try:
            while True:
                finished, _ = await asyncio.wait({task}, timeout=KEEP_EVERY_S)
                if finished:
                    return task.result()
                async with self._runtime.transaction(self._viewer) as tx:
                    self._held, _ = await dialing.keep(tx, self._held)
        finally:
            task.cancel()

    async def _reread(self) -> None:
        call = await dialing.look(self._runtime, self._held)
        if call is None:
            raise Fenced(f"Call {self._held.id} is no longer held at version {self._held.version}")
        self._call = call

    async def _give_up(self) -> None:
        """Something here is broken: the call ends and says so, and is not tried for ever."""
        call = await dialing.look(self._runtime, self._held)
        if call is None or call.phase is CallPhase.DONE:
            return
        if call.leg is not None and call.phase is not CallPhase.PROCESSING:
            carrier = self._crew.carriers.get(await dialing.carrier_of(self._runtime, call))
            if carrier is not None:
                try:
                    await carrier.hang_up(call.leg)
                except CarrierError:
                    log.warning("the leg could not be ended")
        async with self._runtime.transaction(self._viewer) as tx:
            await dialing.broken(tx, self._held)
