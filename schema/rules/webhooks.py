"""Webhooks: event types, bodies, signatures and the retry ladder (`rest-api.md`, *Webhooks*; decisions W1 to W7)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson

from schema.errors import Invalid
from schema.rules.calls import CallStatus, EndReason, Outcome, Role, Sentiment
from schema.rules.instants import format_instant

# Seconds from the end of one attempt to the start of the next: five requests in all (W5).
LADDER: tuple[int, ...] = (30, 300, 1800, 7200)

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with


class EventType(StrEnum):
    """The document's five events."""

    CALL_STARTED = "call.started"
    CALL_ENDED = "call.ended"
    CALL_FAILED = "call.failed"
    TRANSCRIPT_READY = "transcript.ready"
    ANALYSIS_COMPLETE = "analysis.complete"


class DeliveryState(StrEnum):
    """Where a delivery stands; all but `pending` are final for the ladder (a resend makes it pending again)."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"  # its endpoint was deleted or switched off (W8)


class AttemptTrigger(StrEnum):
    """Why a request was sent (W7)."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    TEST = "test"


class ErrorClass(StrEnum):
    """Why an attempt has no status (W7)."""

    DNS = "dns"
    CONNECT = "connect"  # refused, reset, cut off, or an answer that is not HTTP
    TLS = "tls"
    TIMEOUT = "timeout"
    BLOCKED = "blocked"  # the address may not be connected to; nothing was sent (W6)


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What every event says of its call (W1). `duration` is whole seconds from answer to end (L2)."""

    call_id: str
    status: CallStatus
    duration: int | None
    to: str
    agent_id: str | None
    campaign_id: str | None


def call_started(call: CallFacts) -> dict[str, Any]:
    """`data` of `call.started`."""
    return _call(call)


def call_ended(call: CallFacts) -> dict[str, Any]:
    """`data` of `call.ended`."""
    return _call(call)


def call_failed(call: CallFacts, end_reason: EndReason) -> dict[str, Any]:
    """`data` of `call.failed`: adds `endReason`."""
    return _call(call) | {"endReason": end_reason.value}


def transcript_ready(call: CallFacts, transcript: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`data` of `transcript.ready`: adds `transcript`, lines of `role, text, start, end` (L2)."""
    return _call(call) | {"transcript": list(transcript)}


def analysis_complete(call: CallFacts, analysis: Mapping[str, Any]) -> dict[str, Any]:
    """`data` of `analysis.complete`: adds `analysis` (L2) and, beside it, its `summary` and `sentiment`."""
    return _call(call) | {
        "summary": analysis["summary"],
        "sentiment": analysis["sentiment"],
        "analysis": dict(analysis),
    }


def sample_data(event: EventType) -> dict[str, Any]:
    """`data` of a test event: made up, of the same shape as the real one."""
    status = {EventType.CALL_STARTED: CallStatus.IN_PROGRESS, EventType.CALL_FAILED: CallStatus.FAILED}
    duration = {EventType.CALL_STARTED: 0, EventType.CALL_FAILED: 0}
    call = CallFacts(
        call_id="ctest0000000000000000call",
        status=status.get(event, CallStatus.COMPLETED),
        duration=duration.get(event, 183),
        to="+15551234567",
        agent_id="ctest000000000000000agent",
        campaign_id=None,
    )
    match event:
        case EventType.CALL_STARTED:
            return call_started(call)
        case EventType.CALL_ENDED:
            return call_ended(call)
        case EventType.CALL_FAILED:
            return call_failed(call, EndReason.NO_ANSWER)
        case EventType.TRANSCRIPT_READY:
            return transcript_ready(call, _SAMPLE_TRANSCRIPT)
        case EventType.ANALYSIS_COMPLETE:
            return analysis_complete(call, _SAMPLE_ANALYSIS)


def render(event: EventType, timestamp: datetime, data: Mapping[str, Any]) -> bytes:
    """The body: exactly `event`, `timestamp`, `data`, compact JSON in UTF-8.

    Render once, when the event happens, and store the bytes: every attempt sends the same ones (W1).
    """
    body = {"event": event.value, "timestamp": format_instant(timestamp), "data": dict(data)}
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:  # half a surrogate pair or an integer beyond 64 bits: JSON allows both
        return json.dumps(body, separators=(",", ":")).encode("ascii")


def next_delay(attempts_made: int, ladder: Sequence[float] = LADDER) -> float | None:
    """Seconds from the end of automatic attempt number `attempts_made` to the next; None when there is none (W5).

    0 attempts made → 0: the first goes at once.
    """
    if attempts_made <= 0:
        return 0
    return ladder[attempts_made - 1] if attempts_made <= len(ladder) else None


def is_success(status: int | None) -> bool:
    """Whether an attempt that ended with this status delivered the event: any 2xx (W4)."""
    return status is not None and 200 <= status <= 299


def new_secret() -> str:
    """`whsec_` + base64 of 32 random bytes (W3)."""
    return SECRET_PREFIX + base64.b64encode(random.token_bytes(32)).decode("ascii")


def parse_events(names: Sequence[str], field: str = "events") -> tuple[EventType, ...]:
    """The named events in the document's order, each once. Raises `Invalid` for none and for an unknown name."""
    known = {event.value: event for event in EventType}
    for name in names:
        if name not in known:
            raise Invalid(f"{field} must be among {', '.join(known)}")
    if not names:
        raise Invalid(f"{field} must name at least one event")
    return tuple(event for event in EventType if event.value in names)


def headers(
    body: bytes, *, event_id: str, secrets: Sequence[str], sent_at: datetime, user_agent: str
) -> dict[str, str]:
    """The headers of one attempt (W3).

    `event_id` is the same on every attempt. `secrets` are those that are good at `sent_at`, newest first: one, or two
    during a rotation's overlap. `X-VoxForge-Signature` uses the oldest of them, as a receiver that has not changed yet
    expects; `webhook-signature` carries all. `sent_at` is the instant of this attempt: receivers refuse old ones.
    """
    timestamp = str(int(sent_at.timestamp()))
    return {
        "Content-Type": "application/json",
        "User-Agent": user_agent,
        "X-VoxForge-Signature": f"sha256={document_signature(body, secrets[-1])}",
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            f"v1,{standard_signature(body, event_id, timestamp, secret)}" for secret in secrets
        ),
    }


def user_agent(version: str) -> str:
    """`VoxForge-Webhooks/<version>`."""
    return f"VoxForge-Webhooks/{version}"


def document_signature(body: bytes, secret: str) -> str:
    """Hex HMAC-SHA256 of the body; the key is the whole secret, prefix and all, as in the document's samples."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_signature(body: bytes, event_id: str, timestamp: str, secret: str) -> str:
    """Base64 HMAC-SHA256 of `id.timestamp.body`; the key is what the secret's base64 says (Standard Webhooks)."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook secret is whsec_ and base64") from None
    signed = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return base64.b64encode(signed).decode("ascii")


def _call(call: CallFacts) -> dict[str, Any]:
    return {
        "callId": call.call_id,
        "status": call.status.value,
        "duration": call.duration,
        "to": call.to,
        "agentId": call.agent_id,
        "campaignId": call.campaign_id,
    }


_SAMPLE_TRANSCRIPT: tuple[dict[str, Any], ...] = (
    {"role": Role.AGENT.value, "text": "Hi, this is a test event from VoxForge.", "start": 0.4, "end": 2.9},
    {"role": Role.CALLEE.value, "text": "Thank you, it has arrived.", "start": 3.6, "end": 5.2},
)
_SAMPLE_ANALYSIS: dict[str, Any] = {
    "summary": "Prospect interested in a demo next week.",
    "sentiment": Sentiment.POSITIVE.value,
    "outcome": Outcome.INTERESTED.value,
    "actionItems": ["Send an invitation to the demo"],
    "extracted": {},
}
