"""The Carrier interface: what VoxForge asks of whoever dials, and what it is told in return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from schema.rules.calls import AnsweredBy, EndReason


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a carrier can do; the call loop asks here and never by the carrier's name."""

    calls_per_second: float
    idempotent_place: bool  # placing twice with one attempt id dials once
    find: bool  # an attempt can be looked up by its id
    resume: bool  # a leg that is up can be attached to again after a crash
    transfer: bool
    answering_machine_detection: bool
    recording: bool


@dataclass(frozen=True, slots=True)
class Order:
    """One dial. `attempt_id` is our token: the carrier remembers it, and `find` asks for it."""

    attempt_id: str
    to: str
    caller_id: str
    ring_timeout_s: float
    max_duration_s: float
    detect_voicemail: bool
    record: bool


class LegState(StrEnum):
    """Where a leg stands at the carrier."""

    SUBMITTED = "submitted"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why and when a leg ended, in the carrier's words and ours.

    `duration_s`: the carrier's own count of seconds from answer to end; 0 if never answered.
    """

    reason: EndReason
    at: datetime
    duration_s: float
    sip_code: int | None = None
    q850: int | None = None
    carrier_code: str | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """What the carrier knows of one attempt."""

    reference: str
    attempt_id: str
    state: LegState
    placed_at: datetime
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    answered_by: AnsweredBy | None = None
    ending: Ending | None = None


# --- events: carriers repeat and reorder them; the call applies each once and never moves back ---


@dataclass(frozen=True, slots=True)
class CarrierEvent:
    """`event_id` is the carrier's own and the same on every repetition."""

    event_id: str
    leg: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ringing(CarrierEvent):
    """The far end is ringing."""


@dataclass(frozen=True, slots=True)
class Answered(CarrierEvent):
    """Somebody or something picked up."""

    by: AnsweredBy


@dataclass(frozen=True, slots=True)
class Ended(CarrierEvent):
    """The leg is over; terminal."""

    ending: Ending


# --- failures of place() ---


class CarrierError(Exception):
    """The carrier did not take the order."""


class CarrierRejected(CarrierError):
    """Refused for good: nothing rings, and dialing again would be refused again."""

    def __init__(
        self,
        reason: EndReason,
        message: str = "",
        *,
        sip_code: int | None = None,
        q850: int | None = None,
        carrier_code: str | None = None,
    ) -> None:
        super().__init__(message or f"carrier rejected the call: {reason}")
        self.reason = reason
        self.sip_code = sip_code
        self.q850 = q850
        self.carrier_code = carrier_code


class CarrierBusy(CarrierError):
    """Congested: certainly not placed, worth trying again after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float, message: str = "carrier congestion") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CarrierUnreachable(CarrierError):
    """Connection refused: certainly not placed."""


class SubmissionUnknown(CarrierError):
    """The order left us and no answer came: it may or may not be dialing. Only `find` can tell."""


# --- the conversation's side of a leg ---


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something said; `start` and `end` are seconds from the answer (decision L2)."""

    text: str
    start: float
    end: float
    interrupted: bool = False


class LegOver(Exception):
    """Raised out of `speak` and `listen` when the leg has ended under them.

    `ending`: why, where the carrier has said so already. `heard`: what was said of the words or the turn until then.
    """

    def __init__(self, ending: Ending | None = None, heard: Utterance | None = None) -> None:
        super().__init__("the leg has ended" if ending is None else f"the leg has ended: {ending.reason}")
        self.ending = ending
        self.heard = heard


class TextMedia(Protocol):
    """A text leg: words go out and are spoken, what the callee says comes in as text."""

    async def speak(self, words: AsyncIterator[str]) -> Utterance:
        """Say the words as they come; returns what was heard: cut short, and `interrupted`, if the callee cut in.

        Raises LegOver when the leg ends meanwhile.
        """

    async def listen(self, timeout_s: float) -> Utterance | None:
        """The callee's next turn, or None after `timeout_s` seconds of silence. Raises LegOver."""

    def elapsed_s(self) -> float:
        """Seconds of the call since the answer."""


class LegSession(Protocol):
    """One live leg, attached to by the process that carries the call."""

    @property
    def media(self) -> TextMedia:
        """Where to speak and listen once somebody has answered."""

    def events(self) -> AsyncIterator[CarrierEvent]:
        """The carrier's events from now on, possibly repeated, late and out of order; ends after the leg does."""

    async def close(self) -> None:
        """Let go of the leg without ending it at the carrier."""


class Carrier(Protocol):
    """Who dials."""

    @property
    def name(self) -> str:
        """As a phone number names it."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    async def place(self, order: Order) -> str:
        """Dial; returns the carrier's reference of the leg. Raises CarrierError's kinds."""

    async def find(self, attempt_id: str) -> Leg | None:
        """What the carrier knows of that attempt: settles an unknown submission."""

    async def attach(self, reference: str) -> LegSession:
        """Follow a leg and speak on it."""

    async def hang_up(self, reference: str) -> None:
        """End the leg; nothing happens if it has ended."""

    async def transfer(self, reference: str, to: str) -> None:
        """Connect the callee to `to` and leave the call."""

    async def send_dtmf(self, reference: str, digits: str) -> None:
        """Send tones."""

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> list[CarrierEvent]:
        """The events in a signed callback; the signature is verified first."""

    async def aclose(self) -> None:
        """Let go of sockets and files."""
