"""Calls: statuses, phases of an attempt, end reasons and what each means (L1, `telephony.md`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from schema.rules.fields import Field, Shape, identifier, phone_number


class CallStatus(StrEnum):
    """What the API shows (decision L1)."""

    QUEUED = "queued"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"


class CallPhase(StrEnum):
    """Where a call stands inside; `CallStatus` is its public summary."""

    WAITING = "waiting"  # for a slot, or for whatever `WaitReason` says; the dialer lets it go on
    QUEUED = "queued"  # to be dialed now
    DIALING = "dialing"  # the carrier may or may not have heard of it: uncertain until settled
    SUBMITTED = "submitted"
    RINGING = "ringing"
    ANSWERED = "answered"
    PROCESSING = "processing"  # over; recording, transcript and analysis are being made
    DONE = "done"


LIVE = frozenset({CallPhase.DIALING, CallPhase.SUBMITTED, CallPhase.RINGING, CallPhase.ANSWERED})
"""The phases in which a call takes one of the slots that plans and campaigns limit."""


UNDIALED = frozenset({CallPhase.WAITING, CallPhase.QUEUED})
"""The phases in which no carrier has been told of the call, or has certainly not taken it."""


class WaitReason(StrEnum):
    """Why a queued call is not being dialed."""

    PLAN_LIMIT = "plan-limit"  # as many calls at the same time as the plan allows
    CAMPAIGN_LIMIT = "campaign-limit"  # as many as the campaign's maxConcurrentCalls
    CAMPAIGN_PAUSED = "campaign-paused"
    NOT_STARTED = "not-started"  # before the campaign's scheduledStart
    CALL_WINDOW = "call-window"
    CONTACT_WINDOW = "contact-window"  # by the clock where the contact is
    NUMBER_BUSY = "number-busy"  # another call of ours to the same number is under way
    RETRY = "retry"  # the contact was not reached, and is tried again (decision P5)
    AGENT_INACTIVE = "agent-inactive"
    NUMBER_INACTIVE = "number-inactive"
    PACE = "pace"  # the number's calls per second
    CARRIER = "carrier"  # it could not take the call, and is tried again


class CallDirection(StrEnum):
    """Who called whom."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


class AnsweredBy(StrEnum):
    """What picked up."""

    HUMAN = "human"
    VOICEMAIL = "voicemail"
    IVR = "ivr"
    CALL_SCREENING = "call-screening"
    FAX = "fax"
    UNKNOWN = "unknown"


class Sentiment(StrEnum):
    """How the callee felt (decision L2)."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class Role(StrEnum):
    """Who a line of the transcript belongs to (decision L2)."""

    AGENT = "agent"
    CALLEE = "callee"
    TOOL = "tool"


class Outcome(StrEnum):
    """How a call went for the business."""

    APPOINTMENT_BOOKED = "appointment-booked"
    INTERESTED = "interested"
    NOT_INTERESTED = "not-interested"
    CALLBACK_REQUESTED = "callback-requested"
    DO_NOT_CALL = "do-not-call"
    TRANSFERRED = "transferred"
    VOICEMAIL_LEFT = "voicemail-left"
    VOICEMAIL_REACHED = "voicemail-reached"
    SCREENED = "screened"
    NO_CONVERSATION = "no-conversation"
    CONVERSATION = "conversation"
    NOT_REACHED = "not-reached"


class EndReason(StrEnum):
    """Why a call ended, technically (`telephony.md`, *Words*)."""

    # callee
    CALLEE_HANGUP = "callee-hangup"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    REJECTED = "rejected"
    VOICEMAIL = "voicemail"
    CALL_SCREENED = "call-screened"
    OPTED_OUT = "opted-out"
    # agent
    AGENT_HANGUP = "agent-hangup"
    TRANSFERRED = "transferred"
    MAX_DURATION = "max-duration"
    SILENCE_TIMEOUT = "silence-timeout"
    # operator
    CANCELLED = "cancelled"
    CAMPAIGN_CANCELLED = "campaign-cancelled"
    EXPIRED = "expired"
    # gate
    BLOCKED_DO_NOT_CALL = "blocked-do-not-call"
    BLOCKED_WINDOW = "blocked-window"
    BLOCKED_LIMIT = "blocked-limit"
    BLOCKED_DUPLICATE = "blocked-duplicate"  # the campaign has called that number for another contact
    BLOCKED_CONTACT_DELETED = "blocked-contact-deleted"
    # number
    INVALID_NUMBER = "invalid-number"
    UNALLOCATED_NUMBER = "unallocated-number"
    NUMBER_CHANGED = "number-changed"
    # carrier
    CARRIER_CONGESTION = "carrier-congestion"
    CARRIER_REJECTED = "carrier-rejected"
    CARRIER_UNREACHABLE = "carrier-unreachable"
    SUBMISSION_UNKNOWN = "submission-unknown"
    # platform
    MEDIA_FAILURE = "media-failure"
    AGENT_ERROR = "agent-error"
    INTERNAL_ERROR = "internal-error"
    INTERRUPTED = "interrupted"


class AttemptState(StrEnum):
    """Where one dial stands (`telephony.md`, *Words*)."""

    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    SUBMISSION_UNKNOWN = "submission-unknown"
    REFUSED = "refused"  # certainly not placed
    WITHDRAWN = "withdrawn"  # its carrier was never told of it
    ENDED = "ended"


BROKEN = frozenset(
    {
        EndReason.MEDIA_FAILURE,
        EndReason.AGENT_ERROR,
        EndReason.INTERNAL_ERROR,
        EndReason.INTERRUPTED,
        EndReason.CALL_SCREENED,
    }
)


def final_status(*, answered: bool, reason: EndReason, message_left: bool = False) -> CallStatus:
    """`completed` when it connected, also to a voicemail that took a message; `failed` otherwise (decision L1)."""
    if not answered or reason in BROKEN or (reason is EndReason.VOICEMAIL and not message_left):
        return CallStatus.FAILED
    return CallStatus.COMPLETED


PLACE = Shape(
    agent_id=Field(identifier, required=True),
    phone_number_id=Field(identifier, required=True),
    to=Field(phone_number, required=True),
)


def unconnected_outcome(reason: EndReason) -> Outcome:
    """How a call that failed went for the business."""
    return {EndReason.VOICEMAIL: Outcome.VOICEMAIL_REACHED, EndReason.CALL_SCREENED: Outcome.SCREENED}.get(
        reason, Outcome.NOT_REACHED
    )


def unanalysed(reason: EndReason, transcript: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The analysis (L2) of a connected call that could not be analysed: nothing but what is certain."""
    spoke = any(line["role"] == Role.CALLEE.value for line in transcript)
    certain = {
        EndReason.VOICEMAIL: Outcome.VOICEMAIL_LEFT,
        EndReason.OPTED_OUT: Outcome.DO_NOT_CALL,
        EndReason.TRANSFERRED: Outcome.TRANSFERRED,
    }
    return {
        "summary": "The call could not be analysed.",
        "sentiment": Sentiment.NEUTRAL.value,
        "outcome": certain.get(reason, Outcome.CONVERSATION if spoke else Outcome.NO_CONVERSATION).value,
        "actionItems": [],
        "extracted": {},
    }


def storable(value: Any) -> Any:
    """What was said or written by a model, as every database and reader can take it: no NUL, no half of a character."""
    if isinstance(value, str):
        whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return whole.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
