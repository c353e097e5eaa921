"""The sandbox carrier: a telephone network in one SQLite file, which needs no account, no network and no telephone."""

from __future__ import annotations

import asyncio
import re
import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from schema.clock import Clock
from schema.rules.calls import EndReason
from workers.carriers.base import (
    Capabilities,
    CarrierBusy,
    CarrierError,
    CarrierEvent,
    CarrierRejected,
    Leg,
    Order,
    SubmissionUnknown,
)
from workers.carriers.sandbox_ledger import SLACK_S, Ledger, LegRow
from workers.carriers.sandbox_leg import SandboxLeg
from workers.carriers.sandbox_numbers import SCENARIOS, Submission, scenario_of

E164 = re.compile(r"\+[1-9]\d{5,14}")
CONNECTING_S = 0.8
"""Call seconds from placing a call to the first ring."""
CONGESTION_S = 5.0
"""Call seconds after which a congested carrier is worth another try."""
SUBMISSION_TIMEOUT_S = 3.0
"""Call seconds after which `place()` gives up on an answer."""
POLL_S = 0.25
"""Real seconds between two looks for legs that were hung up by another process; one query for all legs."""

log = structlog.get_logger("voxforge.sandbox")


class SandboxCarrier:
    """`Carrier` whose far side is `sandbox.db` in `directory` and a table of personas; see `sandbox_numbers.SCENARIOS`.

    Everything simulated takes `1 / speed` of its time; speed 1 is like a real call. Several processes may share the
    directory. One carrier belongs to one event loop.
    """

    name = "sandbox"
    capabilities = Capabilities(
        calls_per_second=50.0,
        idempotent_place=True,
        find=True,
        resume=True,
        transfer=True,
        answering_machine_detection=True,
        recording=True,
    )

    def __init__(self, directory: Path, clock: Clock, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("the sandbox's speed must be greater than 0")
        self.ledger = Ledger(directory / "sandbox.db")
        self._clock = clock
        self._speed = speed
        self._legs: dict[str, SandboxLeg] = {}
        self._watching: asyncio.Task[None] | None = None

    async def place(self, order: Order) -> str:
        """Dial. Placing an attempt again dials nothing and answers the same reference."""
        if not E164.fullmatch(order.to):
            raise CarrierRejected(EndReason.INVALID_NUMBER, "the number is not complete", sip_code=484, q850=28)
        number = scenario_of(order.to)
        submission = SCENARIOS[number].submission
        if submission is Submission.LOST_ORDER:
            await self._clock.sleep(SUBMISSION_TIMEOUT_S / self._speed)
            raise SubmissionUnknown("the sandbox did not answer")
        if submission is Submission.CONGESTED and await self._refuses(order):
            raise CarrierBusy(CONGESTION_S / self._speed, "the sandbox is congested (503)")
        row = self._dial(order, number)
        if await self.ledger.insert(row, order.caller_id):
            if submission is Submission.LOST_ANSWER:
                await self._clock.sleep(SUBMISSION_TIMEOUT_S / self._speed)
                raise SubmissionUnknown("the sandbox did not answer")
            return row.reference
        return (await self._row(attempt_id=order.attempt_id)).reference

    async def _refuses(self, order: Order) -> bool:
        """44: each call is refused once, whatever its attempts are called, and never after it was dialed."""
        if await self.ledger.by_attempt(order.attempt_id) is not None:
            return False
        return await self.ledger.refuse_once(order.attempt_id, order.to, self._now())

    def _dial(self, order: Order, number: str) -> LegRow:
        """The leg's whole future until somebody speaks."""
        now = self._now()
        scenario = SCENARIOS[number]
        rings_at = now + CONNECTING_S / self._speed
        gives_up_at = rings_at + order.ring_timeout_s / self._speed
        answers_at = rings_at + scenario.persona.rings_s / self._speed if scenario.persona else None
        ends_at, cause = None, None
        if answers_at is None:
            cause = scenario.refusal
            after_s = scenario.refused_after_s
            ends_at = gives_up_at if after_s is None else now + after_s / self._speed
        if (answers_at or ends_at or now) > gives_up_at:
            answers_at, ends_at, cause = None, gives_up_at, EndReason.NO_ANSWER
        return LegRow(
            reference=f"sbx_{secrets.token_hex(12)}",
            attempt_id=order.attempt_id,
            to_number=order.to,
            scenario=number,
            detects_voicemail=order.detect_voicemail,
            max_duration_s=order.max_duration_s,
            placed_at=now,
            ringing_at=rings_at if scenario.rings else None,
            answered_at=answers_at,
            ended_at=ends_at,
            cause=cause,
            duration_s=None if cause is None else 0.0,
            said="",
            position_s=0.0,
            position_at=answers_at,
        )

    async def find(self, attempt_id: str) -> Leg | None:
        """What became of that attempt, from the ledger and the clock; None if it was never dialed."""
        row = await self.ledger.by_attempt(attempt_id)
        return None if row is None else row.leg(self._now(), self._speed)

    async def attach(self, reference: str) -> SandboxLeg:
        """Follow the leg from the first event on, and take up the conversation where it stood."""
        row = await self._row(reference=reference)
        if (ahead_s := row.happened_at - self._now()) > SLACK_S:  # the clock was set back
            row = await self.ledger.shift(row, -ahead_s)
        leg = SandboxLeg(self.ledger, self._clock, self._speed, row, on_close=self._forget)
        if row.ending(self._now(), self._speed) is not None:
            leg.over(row)
        self._legs[reference] = leg
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="sandbox: legs hung up elsewhere")
        return leg

    async def hang_up(self, reference: str) -> None:
        """End the leg from any process; before the answer it is cancelled (487)."""
        await self._end(reference, EndReason.AGENT_HANGUP)

    async def transfer(self, reference: str, to: str) -> None:
        """Hand the callee over to `to`; the leg is over for us."""
        await self._end(reference, EndReason.TRANSFERRED, to=to)

    async def send_dtmf(self, reference: str, digits: str) -> None:
        """The tones are written to the ledger; no persona presses on."""
        await self._row(reference=reference)
        await self.ledger.add_dtmf(reference, digits)

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> list[CarrierEvent]:
        """The sandbox calls nobody back over HTTP."""
        return []

    async def dials(self, attempt_id: str) -> int:
        """How often that attempt was really dialed: the oracle of fault tests."""
        return await self.ledger.dials(attempt_id)

    async def aclose(self) -> None:
        """Let go of all legs, which go on without us, and of the file."""
        for leg in list(self._legs.values()):
            await leg.close()
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        await self.ledger.aclose()

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _row(self, *, attempt_id: str = "", reference: str = "") -> LegRow:
        row = await (self.ledger.by_reference(reference) if reference else self.ledger.by_attempt(attempt_id))
        if row is None:
            raise CarrierError(f"the sandbox knows no leg {reference or attempt_id}")
        return row

    async def _end(self, reference: str, reason: EndReason, *, to: str | None = None) -> None:
        row = await self._row(reference=reference)
        if row.ending(self._now(), self._speed) is not None:
            return
        leg = self._legs.get(reference)
        if leg is not None:
            await leg.end(reason, to=to)
        else:
            await self.ledger.end(reference, self._now(), reason, duration_s=None, to=to)

    def _forget(self, leg: SandboxLeg) -> None:
        if self._legs.get(leg.reference) is leg:
            del self._legs[leg.reference]

    async def _watch(self) -> None:
        """Notice what other processes have hung up, for as long as there are legs."""
        while self._legs:
            await self._clock.sleep(POLL_S)
            try:
                for row in await self.ledger.unsettled():
                    if (leg := self._legs.get(row.reference)) is not None and leg.ending is None:
                        await leg.hung_up_elsewhere(row)
            except sqlite3.OperationalError as error:  # locked for longer than the timeout: the next look will tell
                log.warning("sandbox ledger busy", error=str(error))
        self._watching = None
