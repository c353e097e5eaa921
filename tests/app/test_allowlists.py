"""K3 over HTTP: where a key may be used from, and what a refusal costs whom."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.main import create_app
from schema.rules.keys import new_key
from schema.runtime import Runtime
from schema.services import keys
from schema.settings import Settings
from schema.tables import ApiKey
from tests.support import seeds
from tests.support.api import Api, client, error
from tests.support.runtime import on_both

REFUSED = (403, "FORBIDDEN", "This API key may not be used from this address")
UNAUTHORIZED = (401, "UNAUTHORIZED", "Missing or invalid API key")


@on_both
@pytest.mark.parametrize("path", ["/api/v1/agents", "/api/v1/nothing", "/graphql"])
async def test_only_from_where_it_may(api: Api, path: str) -> None:
    row, text = await seeds.key(api.runtime, api.viewer, allowed_ips=["203.0.113.7", "2001:db8::/32"])

    async with api.unchanged(), client(api.app, text, peer="203.0.113.8") as http:
        response = await http.post(path)
    assert error(response) == REFUSED
    assert not [name for name in response.headers if "ratelimit" in name or name == "www-authenticate"]
    assert (await api.set(ApiKey, row.id)).last_used_at is None

    for peer in ("203.0.113.7", "::ffff:203.0.113.7", "2001:db8::1"):
        async with client(api.app, text, peer=peer) as http:
            assert (await http.post(path)).status_code != 403


async def test_the_address_is_the_one_that_a_trusted_proxy_says(api: Api, settings: Settings) -> None:
    behind = settings.model_copy(update={"trusted_proxies": (ip_network("10.0.0.0/8"),)})
    runtime = Runtime(behind, api.clock, api.runtime.database, api.runtime.bell, api.runtime.secret)
    _, text = await seeds.key(api.runtime, api.viewer, allowed_ips=["203.0.113.7", "10.0.0.1"])
    app = create_app(runtime)
    statuses = {}

    for peer, said in (
        ("10.0.0.1", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, 10.0.0.9"),
        ("10.0.0.1", "203.0.113.7, 203.0.113.8"),  # the client wrote the first itself
        ("10.0.0.1", "203.0.113.7, unknown"),  # cannot be told: refused
        ("203.0.113.8", "203.0.113.7"),  # no proxy of ours
    ):
        async with client(app, text, peer=peer) as http:
            response = await http.get("/api/v1/agents", headers={"X-Forwarded-For": said})
        statuses[peer, said] = response.status_code

    assert list(statuses.values()) == [200, 200, 403, 403, 403]


async def test_a_thief_uses_up_nothing_but_tries_of_the_own_address(api: Api) -> None:
    """K5: 20 a minute and address, shared with other failures; the key's own minute is untouched."""
    _, text = await seeds.key(api.runtime, api.viewer, allowed_ips=["203.0.113.7"])

    async with client(api.app, text, peer="198.51.100.1") as http:
        refusals = [await http.get("/api/v1/agents") for _ in range(19)]
        unknown = await http.get("/api/v1/agents", headers={"Authorization": f"Bearer {new_key()}"})
        over = await http.get("/api/v1/agents")
    async with client(api.app, text, peer="203.0.113.7") as http:
        good = await http.get("/api/v1/agents")

    assert {error(each) for each in refusals} == {REFUSED}
    assert error(unknown) == UNAUTHORIZED
    assert error(over)[:2] == (429, "RATE_LIMITED")
    assert good.status_code == 200
    assert good.headers["x-ratelimit-remaining"] == "299"


@on_both
async def test_a_list_that_changes_is_obeyed_by_the_next_request(api: Api) -> None:
    async def change(allowed: list[str] | None) -> int:
        async with api.runtime.transaction(api.viewer) as tx:
            await keys.update(tx, api.key_id, {"allowed_ips": allowed})
        return (await api.get("/agents")).status_code

    assert [await change(allowed) for allowed in (["10.0.0.0/8"], ["127.0.0.0/8"], ["10.0.0.1"], None)] == [
        403,
        200,
        403,
        200,
    ]


@on_both
async def test_unknown_expired_revoked_and_replaced_are_the_same_bytes_and_headers(api: Api) -> None:
    """K4: also from an address that a good key would be refused from."""
    async with api.runtime.transaction(api.viewer) as tx:
        revoked, revoked_text = await keys.create(tx, {"name": "R", "allowed_ips": ["10.0.0.1"]})
        _, expired_text = await keys.create(tx, {"name": "E", "expires_at": seeds.at("2025-01-15T14:01:00Z")})
        replaced, replaced_text = await keys.create(tx, {"name": "O"})
        at_once, at_once_text = await keys.create(tx, {"name": "N"})
        await tx.flush()
        await keys.revoke(tx, revoked.id)
        await keys.rotate(tx, replaced.id, overlap_seconds=60)
        await keys.rotate(tx, at_once.id, overlap_seconds=0)
    await api.clock.advance(60)

    answers = set()
    for text in (revoked_text, expired_text, replaced_text, at_once_text, new_key(), api.key[:-1]):
        async with client(api.app, text) as http:
            response = await http.get("/api/v1/agents", headers={"X-Request-Id": "r1"})
        assert error(response) == UNAUTHORIZED
        answers.add((response.content, tuple(response.headers.multi_items())))

    assert len(answers) == 1


@on_both
async def test_a_key_that_is_rotated_keeps_its_minute(api: Api) -> None:
    """K5: two texts are one key."""
    await api.get("/agents")
    async with api.runtime.transaction(api.viewer) as tx:
        new = (await keys.rotate(tx, api.key_id)).key

    async with client(api.app, new) as http:
        by_new = await http.get("/api/v1/agents")
    by_old = await api.get("/agents")

    assert [each.headers["x-ratelimit-remaining"] for each in (by_new, by_old)] == ["298", "297"]
