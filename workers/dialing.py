"""Dialing: from a leased call to a leg at a carrier, at most once for each attempt (decision L4)."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from schema.due import Fenced, Lease
from schema.rules.calls import EndReason
from schema.runtime import Runtime, Viewer
from schema.services import dialing
from schema.services.dialing import LEASE_S, Dial, Wait
from schema.tables import Call
from workers.carriers.base import (
    Carrier,
    CarrierBusy,
    CarrierError,
    CarrierRejected,
    CarrierUnreachable,
    Order,
    SubmissionUnknown,
)

log = structlog.get_logger("voxforge.calls")

RING_TIMEOUT_S = 30.0
UNREACHABLE_RETRY_S = 5.0
# Looking a call up that a carrier did not confirm: at once, then after these many seconds. A carrier may list a new
# call only after a while.
FIND_AFTER_S = (0.0, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Placed:
    """A leg that is ours, and the lease to carry it under."""

    held: Lease
    reference: str


class Dialer:
    """Takes one queued or uncertain call to a leg; None means that the call is over, or somebody else's."""

    def __init__(self, runtime: Runtime, viewer: Viewer, carrier: Carrier) -> None:
        self._runtime = runtime
        self._viewer = viewer
        self._carrier = carrier

    async def dial(self, held: Lease) -> Placed | None:
        """Claim, place, settle. Raises Fenced."""
        order = await self._begin(held)
        if order is None:
            return None
        if order.held.left_s(self._runtime.clock.now()) < LEASE_S / 3:
            # Frozen since the claim: the carrier has certainly not heard of it, but the lease may end while it does.
            async with self._runtime.transaction(self._viewer) as tx:
                await dialing.withdraw(tx, order.held, order.attempt_id)
            return None
        try:
            reference = await self._carrier.place(_order(order))
        except SubmissionUnknown:
            async with self._runtime.transaction(self._viewer) as tx:
                held = await dialing.unknown(tx, order.held, order.attempt_id)
            return await self.settle_unknown(held, order.attempt_id)
        except CarrierBusy as busy:
            await self._not_placed(order, EndReason.CARRIER_CONGESTION, busy.retry_after_s)
            return None
        except CarrierUnreachable:
            await self._not_placed(order, EndReason.CARRIER_UNREACHABLE, UNREACHABLE_RETRY_S)
            return None
        except CarrierRejected as refusal:
            await self._rejected(order, refusal)
            return None
        return await self._submitted(order.held, order.attempt_id, reference, is_after_setbacks=order.is_after_setbacks)

    async def _begin(self, held: Lease) -> Dial | None:
        """The gate; a place in the number's pace that comes soon is waited for, and then the gate is asked again."""
        while True:
            async with self._runtime.transaction(self._viewer) as tx:
                order = await dialing.begin(tx, held)
            if not isinstance(order, Wait):
                return order
            held = order.held
            await self._runtime.clock.sleep((order.at - self._runtime.clock.now()).total_seconds())

    async def settle_unknown(self, held: Lease, attempt_id: str) -> Placed | None:
        """Ask the carrier what became of a submission; what it does not know of is never dialed again (L4)."""
        for delay in FIND_AFTER_S:
            await self._runtime.clock.sleep(delay)
            try:
                leg = await self._carrier.find(attempt_id)
            except CarrierError as error:
                log.warning("the carrier could not look a call up", call_id=held.id, error=type(error).__name__)
                continue
            if leg is not None:
                return await self._submitted(held, attempt_id, leg.reference)
        async with self._runtime.transaction(self._viewer) as tx:
            await dialing.ended(
                tx, held, reason=EndReason.SUBMISSION_UNKNOWN, ended_at=self._runtime.clock.now(), duration_s=0
            )
        return None

    async def _submitted(
        self, held: Lease, attempt_id: str, reference: str, *, is_after_setbacks: bool = False
    ) -> Placed:
        try:
            async with self._runtime.transaction(self._viewer) as tx:
                held = await dialing.submitted(tx, held, attempt_id, reference, is_after_setbacks=is_after_setbacks)
                return Placed(held, reference)
        except Fenced:
            # Somebody took the call over meanwhile. If they own this very leg it goes on; a leg of nobody is ended.
            if not await dialing.owns_leg(self._runtime, held.id, reference):
                await self._carrier.hang_up(reference)
            raise

    async def _not_placed(self, order: Dial, reason: EndReason, retry_after_s: float) -> None:
        async with self._runtime.transaction(self._viewer) as tx:
            await dialing.not_placed(tx, order.held, order.attempt_id, reason, retry_after_s=retry_after_s)

    async def _rejected(self, order: Dial, refusal: CarrierRejected) -> None:
        async with self._runtime.transaction(self._viewer) as tx:
            await dialing.ended(
                tx,
                order.held,
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
