"""Server-side request forgery: every URL of the corpus is saved over REST, and delivered by the real worker.

Saving must be refused, unless only resolution can tell. Then the URL is put into a row behind the API's back and the
worker sends to it: its attempt must be `blocked`. Then the worker's check of URLs is switched off, too, so that only
the socket is left. A canary on every form of the loopback counts connections, and every proxy variable names it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
from canary import Canary, listening, lookup
from sqlalchemy import insert, select
from sqlmodel import col
from ssrf_corpus import ADDRESSES, PORT, Attack, corpus

from app.main import create_app
from schema import migrations
from schema.bell import LocalBell
from schema.rules.ids import new_id
from schema.rules.plans import Plan
from schema.rules.webhooks import DeliveryState, ErrorClass, EventType, new_secret
from schema.runtime import Runtime, Viewer
from schema.services import webhooks
from schema.tables import Delivery, DeliveryAttempt, WebhookEndpoint
from tests.support import seeds
from tests.support.runtime import settings_for
from workers import lookups, outbound
from workers.main import Unit
from workers.outbound import Outbound

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_DECOY = "127.0.0.9"
_BATCH = 90
"""Requests in a minute that the plan allows, with some to spare."""


async def attack() -> bool:
    """Attack, print the table; whether nothing got through."""
    attacks = corpus()
    others = sorted({int(port) for each in attacks if (port := each.url.rpartition(":")[2].strip("/")).isdigit()})
    _check_canary()
    with listening([80, 443, *(port for port in others if 0 < port < 65_536)]) as canary, _environment(canary):
        with tempfile.TemporaryDirectory() as directory:
            saved = await _save(Path(directory) / "saved", attacks, canary)
            blocked = await _deliver(Path(directory) / "checked", attacks, canary, is_checked=True)
            stopped = await _deliver(Path(directory) / "unchecked", attacks, canary, is_checked=False)
        more = [await _rebind(canary), await _redirect(canary)]
        await asyncio.sleep(0.5)  # who is late is counted, too
    print(f"The canary listened on {canary.port} and {len(canary.others)} other ports of every loopback address.\n")
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    good = not canary.connections
    for each in attacks:
        counts = rows[each.kind]
        counts["urls"] += 1
        counts["refused"] += saved[each.url] == 400
        counts["may be saved"] += each.only_resolution_tells
        counts["blocked"] += blocked[each.url] is ErrorClass.BLOCKED
        counts["stopped"] += stopped[each.url] is not None
        if saved[each.url] != (201 if each.only_resolution_tells else 400):
            print(f"WRONG: {each.url!a} was answered {saved[each.url]}")
            good = False
        if blocked[each.url] is not ErrorClass.BLOCKED or stopped[each.url] is None:
            print(f"WRONG: {each.url!a} was delivered: {blocked[each.url]}, {stopped[each.url]}")
            good = False
    print("| kind | URLs | refused when saved | resolution tells | blocked by the worker | without its check |")
    print("|---|---|---|---|---|---|")
    for kind, counts in [*rows.items(), ("**all**", sum(rows.values(), Counter()))]:
        print("|", " | ".join([kind, *(str(counts[name]) for name in _COLUMNS)]), "|")
    for name, tried, kept in more:
        print(f"\n{name}: {tried} tried, {kept} kept out")
        good = good and tried == kept
    print(f"\nConnections to the canary: {len(canary.connections)}", *canary.connections[:10], sep="\n")
    return good


def _check_canary() -> None:
    """A canary that is deaf would find nothing. Raises RuntimeError."""
    with listening() as canary:
        for host in ("127.0.0.1", "127.0.0.2", "::1"):
            socket.create_connection((host, canary.port), timeout=5).close()
        deadline = time.monotonic() + 5
        while len(canary.connections) < 3:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the canary heard only {canary.connections}")
            time.sleep(0.01)


_COLUMNS = ("urls", "refused", "may be saved", "blocked", "stopped")


class _environment:  # noqa: N801 (used as a function)
    """Every proxy variable names the canary."""

    def __init__(self, canary: Canary) -> None:
        self._canary = canary

    def __enter__(self) -> None:
        os.environ.update(dict.fromkeys(_PROXIES, f"http://127.0.0.1:{self._canary.port}"))
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "example.com"

    def __exit__(self, *_: object) -> None:
        for name in (*_PROXIES, "NO_PROXY", "no_proxy"):
            os.environ.pop(name, None)


@asynccontextmanager
async def _domain(data: Path) -> AsyncIterator[tuple[Runtime, Viewer]]:
    """A migrated installation as in production, and a workspace."""
    await asyncio.to_thread(data.mkdir)
    settings = settings_for(data)
    await migrations.upgrade(settings)
    runtime = Runtime.open(settings, bell=LocalBell())
    try:
        yield runtime, await seeds.workspace(runtime, plan=Plan.ENTERPRISE)
    finally:
        await runtime.close()


async def _save(data: Path, attacks: Sequence[Attack], canary: Canary) -> Mapping[str, int]:
    """The status of each over REST; what was refused must have stored nothing."""
    found = {}
    async with _domain(data) as (runtime, viewer):
        app = create_app(runtime)
        for begin in range(0, len(attacks), _BATCH):
            _, key = await seeds.key(runtime, viewer)  # a key's own minute
            headers = {"Authorization": f"Bearer {key}"}
            transport = httpx.ASGITransport(app, client=("203.0.113.7", 40_000))
            async with httpx.AsyncClient(transport=transport, base_url="http://voxforge", headers=headers) as http:
                for each in attacks[begin : begin + _BATCH]:
                    url = each.url.replace(PORT, str(canary.port))
                    response = await http.post("/api/v1/webhooks", json={"url": url})
                    found[each.url] = response.status_code
        stored = len(await runtime.database.read(select(col(WebhookEndpoint.id))))
        if stored != sum(status == 201 for status in found.values()):
            raise RuntimeError(f"{stored} endpoints were stored")
    return found


async def _deliver(
    data: Path, attacks: Sequence[Attack], canary: Canary, *, is_checked: bool
) -> Mapping[str, ErrorClass | None]:
    """The error class of each attempt, made by the real worker over the row; None: it had a status."""
    resolve, check = outbound.Outbound.__init__.__kwdefaults__, outbound.check_url
    system = resolve["lookup"]
    resolve["lookup"] = lookup(ADDRESSES)
    if not is_checked:
        outbound.check_url = lambda url, **_: url
    try:
        async with _domain(data) as (runtime, viewer):
            rows = [_row(runtime, viewer, each.url.replace(PORT, str(canary.port))) for each in attacks]
            async with runtime.transaction(viewer) as tx:
                await tx.execute(insert(WebhookEndpoint), rows)
            for row in rows:
                async with runtime.transaction(viewer) as tx:
                    await webhooks.test(tx, row["id"])
            unit = Unit(runtime.settings, bell=runtime.bell)
            await asyncio.to_thread(unit.start)
            try:
                await _until_sent(runtime)
            finally:
                await asyncio.to_thread(unit.stop, 5.0)
            attempts = await runtime.database.read(
                select(col(DeliveryAttempt.error_class), col(Delivery.endpoint_id)).join(
                    Delivery, col(Delivery.id) == DeliveryAttempt.delivery_id
                )
            )
    finally:
        resolve["lookup"], outbound.check_url = system, check
    by_endpoint = {attempt.endpoint_id: attempt.error_class for attempt in attempts}
    return {each.url: by_endpoint[row["id"]] for each, row in zip(attacks, rows, strict=True)}


async def _until_sent(runtime: Runtime) -> None:
    async with asyncio.timeout(60):
        while await runtime.database.read(  # noqa: ASYNC110 (another thread works; nobody tells this one)
            select(col(Delivery.id)).where(col(Delivery.state) == DeliveryState.PENDING).limit(1)
        ):
            await asyncio.sleep(0.1)


def _row(runtime: Runtime, viewer: Viewer, url: str) -> dict[str, Any]:
    """An endpoint that no verb would make."""
    now = runtime.clock.now()
    return {
        "id": new_id(now),
        "workspace_id": viewer.workspace_id,
        "url": url,
        "events": [event.value for event in EventType],
        "is_active": True,
        "secret": new_secret(),
        "previous_secrets": [],
        "created_at": now,
        "updated_at": now,
    }


async def _rebind(canary: Canary) -> tuple[str, int, int]:
    """Names that say an open address when they are looked at, and another at the next connection."""
    kept = 0
    answers = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "127.0.0.2", "10.0.0.1", "169.254.169.254", "::")  # noqa: S104 (they are attacks)
    async with _decoy(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as port:
        for inside in answers:
            turns = iter([[_DECOY], [inside]])
            async with _open(lambda *_, turns=turns: next(turns)) as client:
                first = await client.post(f"http://rebind.example.com:{port}/", b"{}", {})
                await client.close()  # ours keeps a name for as long as a connection
                second = await client.post(f"http://rebind.example.com:{canary.port}/", b"{}", {})
            kept += first.status == 200 and second.error_class is ErrorClass.BLOCKED
    return "Names whose answer changes between two connections", len(answers), kept


async def _redirect(canary: Canary) -> tuple[str, int, int]:
    """Receivers that are where they should be and send us elsewhere."""
    kept = tried = 0
    for status in (300, 301, 302, 303, 307, 308, 401, 407):
        for header in ("Location", "Refresh", "Content-Location"):
            there = f"http://127.0.0.1:{canary.port}/"
            value = f"0; url={there}" if header == "Refresh" else there
            raw = f"HTTP/1.1 {status} Go\r\n{header}: {value}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            async with _decoy(raw.encode()) as port, _open(lookups.system_lookup) as client:
                answer = await client.post(f"http://{_DECOY}:{port}/", b"{}", {})
            tried += 1
            kept += answer.status == status
    return "Redirects", tried, kept


def _open(look_up: Any) -> Outbound:
    """A client to which only the decoy's address is open."""
    return Outbound(timeout_s=5, allow_http=True, allow_networks=[ip_network(f"{_DECOY}/32")], lookup=look_up)


@asynccontextmanager
async def _decoy(raw: bytes) -> AsyncIterator[int]:
    """A receiver at an address that is open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, _DECOY, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
