"""Dialing: from a leased call to a leg at a carrier, at most once for each attempt (decision L4)."""

from __future__ import annotations

import structlog

from schema.due import Fenced
from schema.rules.calls import EndReason
from schema.runtime import Runtime
from schema.services import dialing, endings
from schema.services.dialing import Dial, Wait
from schema.services.steps import LEASE_S
from schema.tables import Call
from workers.carriers.base import (
    Carrier,
    CarrierBusy,
    CarrierError,
    CarrierRejected,
    CarrierUnreachable,
    Leg,
    Order,
    SubmissionUnknown,
)
from workers.holding import Hold

log = structlog.get_logger("voxforge.calls")

RING_TIMEOUT_S = 30.0
UNREACHABLE_RETRY_S = 5.0
# Looking a call up that a carrier did not confirm: at once, then after these many seconds. A carrier may list a new
# call only after a while.
FIND_AFTER_S = (0.0, 1.0, 3.0)
RENEW_EVERY_S = LEASE_S / 3  # while a carrier thinks: a leg found under a lease that is lost would be hung up
ASK_FOR_S = 600.0
"""How long after an attempt has begun a carrier that cannot answer is asked what became of it."""


class Dialer:
    """Takes one queued or uncertain call to a leg; None means that the call is over, or waits for its turn."""

    def __init__(self, runtime: Runtime, hold: Hold, carrier: Carrier) -> None:
        self._runtime = runtime
        self._hold = hold
        self._carrier = carrier

    async def dial(self) -> str | None:
        """Claim, place, settle; returns the carrier's reference of the leg. Raises Fenced, DATABASE_ERRORS."""
        order = await self._begin()
        if order is None:
            return None
        if order.held.left_s(self._runtime.clock.now()) < LEASE_S / 3 or self._hold.is_closing:
            # Frozen since the claim: the carrier has certainly not heard of it, but the lease may end while it does. Or
            # stopped meanwhile: there would be nobody left to hear what it says.
            await self._hold.withdraw()
            return None
        try:
            with self._hold.telling_carrier():
                return await self._place(order)
        except SubmissionUnknown:
            await self._hold.step(dialing.unknown, order.attempt_id)
            return await self.settle_unknown(order.attempt_id)

    async def _begin(self) -> Dial | None:
        """The gate; a place in the number's pace that comes soon is waited for, and then the gate is asked again."""
        while isinstance(order := await self._hold.begin(), Wait):
            await self._runtime.clock.sleep((order.at - self._runtime.clock.now()).total_seconds())
        return order

    async def _place(self, order: Dial) -> str | None:
        """Raises SubmissionUnknown, of which nothing has been written."""
        try:
            reference = await self._carrier.place(_order(order))
        except CarrierBusy as busy:
            await self._not_placed(order, EndReason.CARRIER_CONGESTION, busy.retry_after_s)
        except CarrierUnreachable:
            await self._not_placed(order, EndReason.CARRIER_UNREACHABLE, UNREACHABLE_RETRY_S)
        except CarrierRejected as refusal:
            await self._rejected(refusal)
        else:
            return await self._submitted(order.attempt_id, reference, is_after_setbacks=order.is_after_setbacks)
        return None

    async def settle_unknown(self, attempt_id: str) -> str | None:
        """Ask the carrier what became of a submission; what it does not know of is never dialed again (L4).

        None: it is over; or the carrier, asked last, could not answer, and the row is as it was, to be taken up when
        its lease ends, until `ASK_FOR_S` are over.
        """
        is_answered, leg = await self._hold.through(self._ask(attempt_id), RENEW_EVERY_S)
        if leg is not None:
            return await self._submitted(attempt_id, leg.reference)
        now = self._runtime.clock.now()
        if not is_answered:
            began = await dialing.began(self._runtime, attempt_id)
            if (now - began).total_seconds() < ASK_FOR_S:
                return None
        await self._hold.step(endings.ended, reason=EndReason.SUBMISSION_UNKNOWN, ended_at=now, duration_s=0)
        return None

    async def _ask(self, attempt_id: str) -> tuple[bool, Leg | None]:
        """Whether the carrier, asked last, could answer; and the leg, if it knows of one."""
        is_answered = False
        for delay in FIND_AFTER_S:
            await self._runtime.clock.sleep(delay)
            try:
                leg = await self._carrier.find(attempt_id)
            except CarrierError as error:
                is_answered = False
                log.warning(
                    "the carrier could not look a call up", call_id=self._hold.lease.id, error=type(error).__name__
                )
                continue
            is_answered = True
            if leg is not None:
                return True, leg
        return is_answered, None

    async def _submitted(self, attempt_id: str, reference: str, *, is_after_setbacks: bool = False) -> str:
        try:
            await self._hold.step(dialing.submitted, attempt_id, reference, is_after_setbacks=is_after_setbacks)
        except Fenced:
            # Somebody took the call over meanwhile. If they own this very leg it goes on; a leg of nobody is ended.
            if not await dialing.owns_leg(self._runtime, self._hold.lease.id, reference):
                await self._carrier.hang_up(reference)
            raise
        return reference

    async def _not_placed(self, order: Dial, reason: EndReason, retry_after_s: float) -> None:
        await self._hold.step(dialing.not_placed, order.attempt_id, reason, retry_after_s=retry_after_s)

    async def _rejected(self, refusal: CarrierRejected) -> None:
        await self._hold.step(
            endings.ended,
            reason=refusal.reason,
            ended_at=self._runtime.clock.now(),
            duration_s=0,
            sip_code=refusal.sip_code,
            q850=refusal.q850,
            carrier_code=refusal.carrier_code,
        )


def attempt_id(call: Call) -> str:
    """The token of the attempt under way."""
    return f"{call.id}.{call.attempts_made}"


def _order(dial: Dial) -> Order:
    return Order(
        attempt_id=dial.attempt_id,
        to=dial.to,
        caller_id=dial.caller_id,
        ring_timeout_s=RING_TIMEOUT_S,
        max_duration_s=dial.max_duration_s,
        detect_voicemail=True,
        record=True,
    )
