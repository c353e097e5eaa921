"""Which status may follow which: one table a noun, which services check before they write."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from schema.errors import Invalid
from schema.rules.appointments import AppointmentStatus
from schema.rules.calls import CallPhase
from schema.rules.campaigns import CampaignStatus

S = TypeVar("S", bound=StrEnum)
Moves = Mapping[S, frozenset[S]]

CAMPAIGN: Moves[CampaignStatus] = {  # decision P2
    CampaignStatus.ACTIVE: frozenset({CampaignStatus.PAUSED, CampaignStatus.COMPLETED, CampaignStatus.CANCELLED}),
    CampaignStatus.PAUSED: frozenset({CampaignStatus.ACTIVE, CampaignStatus.COMPLETED, CampaignStatus.CANCELLED}),
    CampaignStatus.COMPLETED: frozenset(),
    CampaignStatus.CANCELLED: frozenset(),
}

APPOINTMENT: Moves[AppointmentStatus] = {  # decision T1
    AppointmentStatus.CONFIRMED: frozenset(
        {AppointmentStatus.CANCELLED, AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW}
    ),
    AppointmentStatus.CANCELLED: frozenset(),
    AppointmentStatus.COMPLETED: frozenset(),
    AppointmentStatus.NO_SHOW: frozenset(),
}

_ENDS = frozenset({CallPhase.PROCESSING, CallPhase.DONE})
CALL: Moves[CallPhase] = {  # decision L1; back to queued only when the carrier certainly did not dial
    CallPhase.WAITING: frozenset({CallPhase.QUEUED, CallPhase.DIALING}) | _ENDS,
    CallPhase.QUEUED: frozenset({CallPhase.WAITING, CallPhase.DIALING}) | _ENDS,
    CallPhase.DIALING: frozenset({CallPhase.QUEUED, CallPhase.WAITING, CallPhase.SUBMITTED}) | _ENDS,
    CallPhase.SUBMITTED: frozenset({CallPhase.RINGING, CallPhase.ANSWERED}) | _ENDS,
    CallPhase.RINGING: frozenset({CallPhase.ANSWERED}) | _ENDS,
    CallPhase.ANSWERED: _ENDS,
    CallPhase.PROCESSING: frozenset({CallPhase.DONE}),
    CallPhase.DONE: frozenset(),
}


def allowed(moves: Moves[S], old: S, new: S) -> bool:
    """Whether `new` may follow `old`; a status may always be set to what it is."""
    return old == new or new in moves[old]


def check(moves: Moves[S], noun: str, old: S, new: S) -> None:
    """Raise Invalid, naming both statuses (decision E3), unless `new` may follow `old`."""
    if not allowed(moves, old, new):
        ending = "" if moves[old] else f": {old.value} is final"
        raise Invalid(f"{noun} cannot go from {old.value} to {new.value}{ending}")
