"""One form for every line, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from app import logs
from app.access_log import AccessLog
from app.exceptions import CatchExceptions
from app.redaction import HIDDEN, redact_event, redact_text
from app.request_id import RequestId
from schema.rules.addresses import Network, parse_network
from tests.app.support import client, serving, small_app

KEY = "vf_live_" + "Ab1" * 16 + "z"
SESSION = "vf_session_" + "aZ0-_" * 8 + "xyz"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw+/=="


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """What the process logs, as JSON lines."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    yield stream
    root.handlers[:] = kept
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def failure(message: str) -> ValueError:
    """An exception with a traceback, raised where there is a local variable."""
    local = "do not " + "show"
    try:
        int(local)
    except ValueError as error:
        error.args = (message,)
        return error
    raise AssertionError(local)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_our_line_and_a_librarys_have_the_same_form(out: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("voxforge.calls").info("placed", call="clx1")
        logging.getLogger("uvicorn.error").warning("slow %s", "client")

    ours, theirs = lines(out)
    assert {key: ours[key] for key in ours if key != "timestamp"} == {
        "event": "placed",
        "call": "clx1",
        "level": "info",
        "source": "voxforge.calls",
        "request_id": "r1",
    }
    assert {key: theirs[key] for key in theirs if key != "timestamp"} == {
        "event": "slow client",
        "level": "warning",
        "source": "uvicorn.error",
        "request_id": "r1",
    }
    assert ours["timestamp"].endswith("Z")


def test_what_is_too_quiet_is_left_out(out: io.StringIO) -> None:
    structlog.get_logger().debug("chatter")
    logging.getLogger("sqlalchemy.engine").debug("chatter")
    logging.getLogger("uvicorn.access").info("their access log is off")
    logging.getLogger("uvicorn.access").error("altogether")

    assert lines(out) == []


def test_warnings_are_logged(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)

    (line,) = lines(out)
    assert line["source"] == "py.warnings"
    assert "DeprecationWarning: old ways" in line["event"]


def test_configuring_twice_logs_once(out: io.StringIO) -> None:
    logs.configure("json", stream=out)

    logging.getLogger("dramatiq").error("once")
    structlog.get_logger().error("once")

    assert [line["event"] for line in lines(out)] == ["once", "once"]


def test_without_a_terminal_it_is_json() -> None:
    stream = io.StringIO()
    try:
        logs.configure(stream=stream)
        structlog.get_logger().info("hello")
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()

    assert json.loads(stream.getvalue())["event"] == "hello"


def test_pretty_is_for_people_and_shows_no_locals() -> None:
    stream = io.StringIO()
    try:
        logs.configure("pretty", stream=stream)
        structlog.get_logger().error("failed", number=1, exc_info=failure(f"bad {KEY}"))
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()

    shown = stream.getvalue()
    assert "failed" in shown
    assert "number=1" in shown
    assert "ValueError: bad vf_live_[redacted]" in shown
    assert "do not show" not in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"key {KEY} is used", "key vf_live_[redacted] is used"),
        (f"['{KEY}']", "['vf_live_[redacted]']"),
        (f"secret={WHSEC}", "secret=[redacted]"),
        (f"signed with {WHSEC}.", "signed with whsec_[redacted]."),
        (f"session={SESSION};", "session=vf_session_[redacted];"),
        ("Authorization: Bearer abc.def-123", "Authorization: [redacted]"),
        ("(b'authorization', b'Bearer abc.def-123')", "(b'authorization', b'Bearer [redacted]')"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("postgresql://voxforge:hunter2@db/voxforge", "postgresql://voxforge:[redacted]@db/voxforge"),
        ("redis://:hunter2@cache:6379/0", "redis://:[redacted]@cache:6379/0"),
        ("postgresql+asyncpg://u:p@ss:w0rd@db/x?a=b", "postgresql+asyncpg://u:[redacted]@db/x?a=b"),
        ("url='amqp://u:p@h' and more", "url='amqp://u:[redacted]@h' and more"),
        ("password=hunter2&next=1", "password=[redacted]&next=1"),
        ('{"password": "hunter 2", "name": "x"}', '{"password": [redacted], "name": "x"}'),
        ("{'client_secret': 'hunter2'}", "{'client_secret': [redacted]}"),
        ("api_key = hunter2", "api_key = [redacted]"),
    ],
)
def test_what_is_shaped_like_a_secret_is_hidden(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "Agent with id clx1 not found",
        "http://localhost:8000/api/v1/agents",
        "https://example.com/webhook?x=a@b",
        "mail me at someone@example.com",
        "basic checks passed",
        "the password must have 12 characters",
        "+15551234567",
        "tokens: 12",
    ],
)
def test_what_is_not_stays(text: str) -> None:
    assert redact_text(text) == text


def test_secrets_are_hidden_by_name_and_at_any_depth() -> None:
    event = {
        "event": "request",
        "password": "hunter2",
        "api_key": b"hunter2",
        "has_secret": True,
        "secret": None,
        "headers": {"Authorization": "hunter2", "Cookie": ["hunter2"], "Host": "x"},
        "items": [(KEY,), {KEY}],
        "raw": f"GET {KEY}".encode(),
        "thing": ValueError(KEY),
        "keys": {KEY: 1},
        "tokens": 3,
    }

    assert redact_event(None, "info", event) == {
        "event": "request",
        "password": HIDDEN,
        "api_key": HIDDEN,
        "has_secret": True,
        "secret": None,
        "headers": {"Authorization": HIDDEN, "Cookie": HIDDEN, "Host": "x"},
        "items": [["vf_live_[redacted]"], ["vf_live_[redacted]"]],
        "raw": "GET vf_live_[redacted]",
        "thing": "ValueError('vf_live_[redacted]')",
        "keys": {"vf_live_[redacted]": 1},
        "tokens": 3,
    }


@pytest.mark.parametrize("piece", ["a-", "a.", "a://:", "password=", "bearer ", "basic A", "vf_live_", "'", "@"])
def test_a_hostile_text_takes_linear_time(piece: str) -> None:
    begun = time.process_time()
    redact_text(piece * 200_000)

    assert time.process_time() - begun < 5  # quadratic, it would be hours


@given(
    st.recursive(
        st.just(KEY) | st.just(WHSEC) | st.text().map(lambda text: f"{text} {KEY} {text}") | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_no_key_survives_wherever_it_is(value: object) -> None:
    text = json.dumps(redact_event(None, "info", {"event": "x", "value": value}))

    assert KEY[8:] not in text
    assert WHSEC[6:] not in text


def test_no_secret_survives_in_exceptions_of_either_kind(out: io.StringIO) -> None:
    first = failure("cannot reach postgresql://voxforge:hunter2@db")
    second = failure(f"refused {KEY}")
    second.__cause__ = first

    structlog.get_logger().error("crash", exc_info=second)
    logging.getLogger("sqlalchemy.pool").error("crash %s", {"password": "hunter2"}, exc_info=second)

    text = out.getvalue()
    assert "hunter2" not in text
    assert KEY not in text
    for line in lines(out):
        assert "ValueError: cannot reach postgresql://voxforge:[redacted]@db" in line["exception"]
        assert "ValueError: refused vf_live_[redacted]" in line["exception"]


def test_what_json_cannot_say_is_still_logged(out: io.StringIO) -> None:
    structlog.get_logger().info("odd \ud800", value=object, big=2**70, none=None)

    (line,) = lines(out)
    assert (line["event"], line["value"], line["big"], line["none"]) == ("odd \ud800", "<class 'object'>", 2**70, None)


async def call(request: Request) -> Response:
    return Response(status_code=int(request.query_params.get("status", "200")))


async def crash(request: Request) -> Response:
    raise ZeroDivisionError


async def listen(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


ROUTES = [
    Route("/api/v1/agents/{id}", call),
    Route("/api/v1/campaigns/{campaign_id}/contacts/{contact_id}", call),
    Route("/recordings/{signature}", call),
    Route("/crash", crash),
    Route("/healthz", call),
    Mount("/carriers/{name}", routes=[Route("/calls/{token}/{id}", call)]),
    WebSocketRoute("/live", listen),
]


def logged_app(*trusted: Network) -> RequestId:
    return RequestId(AccessLog(CatchExceptions(small_app(ROUTES)), trusted))


async def test_a_request_is_one_line(out: io.StringIO) -> None:
    async with client(logged_app(), peer="203.0.113.7") as http:
        await http.get("/api/v1/agents/clx1?token=hunter2", headers={"X-Request-Id": "r7", "Authorization": KEY})

    (line,) = lines(out)
    duration = line.pop("duration_ms")
    line.pop("timestamp")
    assert line == {
        "event": "request",
        "source": "voxforge.access",
        "level": "info",
        "method": "GET",
        "path": "/api/v1/agents/clx1",
        "status": 200,
        "client": "203.0.113.7",
        "request_id": "r7",
    }
    assert 0 <= duration < 5000


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/api/v1/campaigns/clx1/contacts/clx2", "/api/v1/campaigns/clx1/contacts/clx2"),
        ("/recordings/s3cret", "/recordings/{signature}"),
        ("/carriers/twilio/calls/t0ken/clx3", "/carriers/twilio/calls/{token}/clx3"),
        ("/unknown/place", "/unknown/place"),
        (f"/unknown/{KEY}", "/unknown/vf_live_[redacted]"),
    ],
)
async def test_only_ids_of_a_path_are_logged(out: io.StringIO, asked: str, path: str) -> None:
    async with client(logged_app()) as http:
        await http.get(asked)

    assert lines(out)[-1]["path"] == path


async def test_the_client_behind_a_proxy(out: io.StringIO) -> None:
    async with client(logged_app(parse_network("10.0.0.0/8", "x")), peer="10.0.0.1") as http:
        await http.get("/crash", headers={"X-Forwarded-For": "1.1.1.1, 203.0.113.9"})
        await http.get("/crash", headers={"X-Forwarded-For": "nonsense"})

    assert [line["client"] for line in lines(out) if line["event"] == "request"] == ["203.0.113.9", None]


async def test_a_crash_is_logged_with_its_status() -> None:
    with capture_logs() as captured:
        async with client(logged_app()) as http:
            await http.get("/crash")

    assert [(line["event"], line["log_level"]) for line in captured] == [("crash", "error"), ("request", "warning")]
    assert captured[1]["status"] == 500


async def test_probes_are_logged_only_when_they_fail() -> None:
    with capture_logs() as captured:
        async with client(logged_app()) as http:
            await http.get("/healthz")
            await http.get("/healthz?status=503")

    assert [line["status"] for line in captured] == [503]


async def test_an_answer_that_breaks_off_is_said_to() -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ZeroDivisionError

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "client": None}
    with capture_logs() as captured, pytest.raises(ZeroDivisionError):
        await AccessLog(half)(scope, send, send)

    assert (captured[0]["status"], captured[0]["complete"]) == (200, False)


async def test_a_websocket_is_one_line() -> None:
    with capture_logs() as captured:
        async with serving(logged_app()) as port, connect(f"ws://127.0.0.1:{port}/live") as websocket:
            await websocket.wait_closed()

    (line,) = [line for line in captured if line["event"] == "request"]
    assert (line["method"], line["path"], line["status"]) == ("WEBSOCKET", "/live", 101)
