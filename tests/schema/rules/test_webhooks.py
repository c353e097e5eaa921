"""Webhooks: bodies, signatures that others verify, the ladder (`rest-api.md`, *Webhooks*; W1, W3, W5)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import standardwebhooks
import svix

from schema.errors import Invalid
from schema.rules.calls import CallStatus, EndReason
from schema.rules.webhooks import (
    LADDER,
    CallFacts,
    EventType,
    analysis_complete,
    call_ended,
    call_failed,
    call_started,
    headers,
    is_success,
    new_secret,
    next_delay,
    parse_events,
    render,
    sample_data,
    standard_signature,
    transcript_ready,
    user_agent,
)

AT = datetime(2025, 1, 15, 14, 25, 0, 999_999, tzinfo=UTC)
CALL = CallFacts(
    call_id="clx1", status=CallStatus.COMPLETED, duration=183, to="+15551234567", agent_id="clx2", campaign_id="clx3"
)
CALL_DATA = {
    "callId": "clx1",
    "status": "completed",
    "duration": 183,
    "to": "+15551234567",
    "agentId": "clx2",
    "campaignId": "clx3",
}
ANALYSIS: dict[str, Any] = {
    "summary": "Wants a demo.",
    "sentiment": "positive",
    "outcome": "interested",
    "actionItems": ["Send an invitation"],
    "extracted": {"budget": 5_000},
}
BODY = '{"event":"call.ended","data":{"text":"Grüße, 世界 🌍 \\u2028"}}'.encode()


def signed(secrets: list[str], body: bytes = BODY, sent_at: datetime | None = None) -> dict[str, str]:
    return headers(
        body,
        event_id="c0000000000000000000event",
        secrets=secrets,
        sent_at=sent_at or datetime.now(UTC),  # the verifiers look at the real clock
        user_agent=user_agent("1.2.3"),
    )


# --- bodies


def test_the_body_is_the_documents() -> None:
    body = render(EventType.CALL_ENDED, AT, call_ended(CALL))

    assert body == (
        b'{"event":"call.ended","timestamp":"2025-01-15T14:25:00Z","data":{"callId":"clx1","status":"completed",'
        b'"duration":183,"to":"+15551234567","agentId":"clx2","campaignId":"clx3"}}'
    )


def test_the_timestamp_is_utc_whatever_zone_the_event_comes_with() -> None:
    body = render(EventType.CALL_ENDED, AT.astimezone(timezone(timedelta(hours=-5))), {})

    assert json.loads(body)["timestamp"] == "2025-01-15T14:25:00Z"


def test_a_single_call_has_a_null_campaign() -> None:
    single = CallFacts("clx1", CallStatus.IN_PROGRESS, None, "+15551234567", "clx2", None)

    assert call_started(single) == {
        "callId": "clx1",
        "status": "in-progress",
        "duration": None,
        "to": "+15551234567",
        "agentId": "clx2",
        "campaignId": None,
    }


def test_each_event_adds_what_it_promises_and_nothing_else() -> None:
    lines = [{"role": "agent", "text": "Hi", "start": 0.0, "end": 1.5}]

    assert call_started(CALL) == CALL_DATA
    assert call_ended(CALL) == CALL_DATA
    assert call_failed(CALL, EndReason.NO_ANSWER) == {**CALL_DATA, "endReason": "no-answer"}
    assert transcript_ready(CALL, lines) == {**CALL_DATA, "transcript": lines}
    assert analysis_complete(CALL, ANALYSIS) == {
        **CALL_DATA,
        "summary": "Wants a demo.",
        "sentiment": "positive",
        "analysis": ANALYSIS,
    }


@pytest.mark.parametrize(
    "text", ["Grüße, 世界 🌍", 'a "quoted" \\ word\n', "\u2028\u2029\x00\x7f", "\ud83d alone", "e\u0301", "</script>"]
)
def test_any_text_survives_the_body(text: str) -> None:
    body = render(EventType.TRANSCRIPT_READY, AT, {"text": text})

    assert json.loads(body) == {
        "event": "transcript.ready",
        "timestamp": "2025-01-15T14:25:00Z",
        "data": {"text": text},
    }
    assert list(json.loads(body)) == ["event", "timestamp", "data"]


def test_any_number_survives_the_body() -> None:
    body = render(EventType.ANALYSIS_COMPLETE, AT, {"large": 10**30, "negative": -(10**30), "float": 0.1})

    assert json.loads(body)["data"] == {"large": 10**30, "negative": -(10**30), "float": 0.1}


@pytest.mark.parametrize("event", list(EventType))
def test_a_sample_has_the_shape_of_the_real_event(event: EventType) -> None:
    real: dict[EventType, dict[str, Any]] = {
        EventType.CALL_STARTED: call_started(CALL),
        EventType.CALL_ENDED: call_ended(CALL),
        EventType.CALL_FAILED: call_failed(CALL, EndReason.BUSY),
        EventType.TRANSCRIPT_READY: transcript_ready(CALL, []),
        EventType.ANALYSIS_COMPLETE: analysis_complete(CALL, ANALYSIS),
    }

    sample = sample_data(event)

    assert list(sample) == list(real[event])
    assert re.fullmatch(r"c[0-9a-z]{24}", sample["callId"])
    assert re.fullmatch(r"c[0-9a-z]{24}", sample["agentId"])
    assert json.loads(render(event, AT, sample))["data"] == sample


# --- signatures


def is_valid_webhook(raw_body: bytes, signature: str, secret: str) -> bool:
    """The document's Python sample, letter for letter."""
    expected = hmac.new(
        secret.encode(), raw_body, hashlib.sha256
    ).hexdigest()  # fmt: skip
    return f"sha256={expected}" == signature


NODE_SAMPLE = """
const crypto = require("crypto");

function isValidWebhook(rawBody, signatureHeader, secret) {
  const expected = crypto
    .createHmac("sha256", secret)
    .update(rawBody)
    .digest("hex");
  return `sha256=${expected}` === signatureHeader;
}

const [body, signature, secret] = process.argv.slice(1);
const raw = Buffer.from(body, "base64");
process.stdout.write(String(isValidWebhook(raw.toString(), signature, secret)));
"""


def test_a_secret_is_whsec_and_32_bytes() -> None:
    made = {new_secret() for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"whsec_[0-9A-Za-z+/]{43}=", secret) for secret in made)
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in made} == {32}


def test_the_documents_python_sample_verifies_it() -> None:
    secret = new_secret()

    signature = signed([secret])["X-VoxForge-Signature"]

    assert is_valid_webhook(BODY, signature, secret)
    assert not is_valid_webhook(BODY + b" ", signature, secret)
    assert not is_valid_webhook(BODY, signature, new_secret())


def test_the_documents_node_sample_verifies_it() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("the document's Node sample runs in Node, which is not on the PATH")
    secret = new_secret()
    signature = signed([secret])["X-VoxForge-Signature"]

    def verdict(body: bytes, key: str) -> str:
        command = [node, "-e", NODE_SAMPLE, "--", base64.b64encode(body).decode(), signature, key]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    assert verdict(BODY, secret) == "true"
    assert verdict(BODY + b" ", secret) == "false"
    assert verdict(BODY, new_secret()) == "false"


Verifier = Callable[[str, bytes, dict[str, str]], object]

VERIFIERS: dict[str, tuple[Verifier, type[Exception]]] = {
    "standardwebhooks": (
        lambda secret, body, sent: standardwebhooks.Webhook(secret).verify(body, sent),
        standardwebhooks.WebhookVerificationError,
    ),
    "svix": (
        lambda secret, body, sent: svix.webhooks.Webhook(secret).verify(body, sent),
        svix.webhooks.WebhookVerificationError,
    ),
}


@pytest.mark.parametrize("verifier", list(VERIFIERS))
def test_independent_libraries_verify_it(verifier: str) -> None:
    verify, _ = VERIFIERS[verifier]
    secret = new_secret()

    verify(secret, BODY, signed([secret]))  # raises when it does not


@pytest.mark.parametrize("verifier", list(VERIFIERS))
def test_independent_libraries_refuse_what_was_changed(verifier: str) -> None:
    verify, refusal = VERIFIERS[verifier]
    secret = new_secret()
    sent = signed([secret])

    for other_secret, body, changed in (
        (secret, BODY + b" ", sent),
        (new_secret(), BODY, sent),
        (secret, BODY, {**sent, "webhook-id": "another"}),
        (secret, BODY, {**sent, "webhook-timestamp": str(int(sent["webhook-timestamp"]) + 1)}),
        (secret, BODY, signed([secret], sent_at=datetime.now(UTC) - timedelta(minutes=6))),
    ):
        with pytest.raises(refusal):
            verify(other_secret, body, changed)


@pytest.mark.parametrize("verifier", list(VERIFIERS))
def test_during_a_rotation_either_secret_verifies_it(verifier: str) -> None:
    verify, refusal = VERIFIERS[verifier]
    new, old = new_secret(), new_secret()

    sent = signed([new, old])

    verify(new, BODY, sent)
    verify(old, BODY, sent)
    with pytest.raises(refusal):
        verify(new_secret(), BODY, sent)
    assert is_valid_webhook(BODY, sent["X-VoxForge-Signature"], old)
    assert not is_valid_webhook(BODY, sent["X-VoxForge-Signature"], new)


def test_the_headers_are_these() -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()

    sent = signed([secret], b"{}", AT)

    content = f"c0000000000000000000event.{int(AT.timestamp())}.".encode() + b"{}"
    assert sent == {
        "Content-Type": "application/json",
        "User-Agent": "VoxForge-Webhooks/1.2.3",
        "X-VoxForge-Signature": "sha256=" + hmac.new(secret.encode(), b"{}", hashlib.sha256).hexdigest(),
        "webhook-id": "c0000000000000000000event",
        "webhook-timestamp": "1736951100",
        "webhook-signature": "v1," + base64.b64encode(hmac.digest(b"k" * 32, content, "sha256")).decode(),
    }


def test_a_broken_secret_is_not_quoted_in_the_error() -> None:
    with pytest.raises(ValueError, match="a webhook secret is whsec_ and base64") as failure:
        standard_signature(b"{}", "id", "0", "whsec_not*base64")

    assert "not*base64" not in str(failure.value)


# --- the ladder


def test_the_ladder_is_the_documents() -> None:
    assert LADDER == (30, 5 * 60, 30 * 60, 2 * 60 * 60)
    assert [next_delay(made) for made in range(7)] == [0, 30, 300, 1800, 7200, None, None]


def test_a_ladder_can_be_set() -> None:
    assert [next_delay(made, (1, 2)) for made in range(4)] == [0, 1, 2, None]
    assert next_delay(1, ()) is None


def test_only_a_2xx_is_a_success() -> None:
    assert [status for status in range(100, 600) if is_success(status)] == list(range(200, 300))
    assert not is_success(None)


# --- subscriptions


def test_events_come_in_the_documents_order_each_once() -> None:
    chosen = parse_events(["analysis.complete", "call.started", "analysis.complete"])

    assert chosen == (EventType.CALL_STARTED, EventType.ANALYSIS_COMPLETE)


@pytest.mark.parametrize("name", ["call_ended", "CALL.ENDED", "call.ended ", "", "*"])
def test_an_unknown_event_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_events(["call.started", name])

    assert refusal.value.message == (
        "events must be among call.started, call.ended, call.failed, transcript.ready, analysis.complete"
    )


def test_no_events_are_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        parse_events([])

    assert refusal.value.message == "events must name at least one event"
