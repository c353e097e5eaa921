"""Requests that nobody would think of, made from the description: every answer is as described, and none is a 5xx.

A short and repeatable run; `scripts/schemathesis` is the long one.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks

from app.events import PATH as FEED
from schema.rules.plans import Plan
from tests.app.support import serving
from tests.contract.description import Description
from tests.contract.examples import ID
from tests.support import seeds
from tests.support.api import Api

EXAMPLES = 3  # a mode and operation
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
# Some rules are beyond JSON Schema (a country's numbers, an end after its start), and the rest is about many requests.
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


@pytest.fixture
def plan() -> Plan:
    return Plan.ENTERPRISE


def ask_all(base: str, key: str) -> dict[str, set[int]]:
    """Ask every operation; returns the statuses it answered. Raises for an answer that is not as described."""
    load_all_checks()
    headers = {"Authorization": f"Bearer {key}"}
    answered: dict[str, set[int]] = {}
    with httpx.Client(base_url=f"{base}/api/v1", headers=headers) as http, requests.Session() as session:
        session.headers.update(headers)
        document = http.get("/openapi.json").json()
        description = schemathesis.openapi.from_dict(document)
        for method, path, operation in Description(document).operations():
            if path == FEED and method == "GET":  # which has no end; tests of its own have it
                continue
            known = {"path_parameters": {"id": an_id(http, path)}} if "{id}" in path else {}
            cases = [description[path][method].as_strategy(generation_mode=mode, **known) for mode in MODES]
            answered[operation["operationId"]] = {status for each in cases for status in ask(each, base, session)}
    return answered


def ask(cases: Any, base: str, session: requests.Session) -> list[int]:
    """Send some of the cases; returns the statuses of the answers."""
    checks = CHECKS.get_by_names(list(CHECKED))
    statuses: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def send(case: Any) -> None:
        statuses.append(case.call_and_validate(base_url=base, session=session, checks=checks).status_code)

    send()
    return statuses


def an_id(http: httpx.Client, path: str) -> str:
    """The id of a row that is there, or a plausible one when all are gone."""
    noun = re.match(r"/api/v1/(.+?)/{id}", path)[1]
    if noun == "calls":
        rows = http.get("/calls").json()["calls"]
    elif noun == "webhooks/deliveries":
        hooks = http.get("/webhooks").json()
        rows = [row for hook in hooks for row in http.get(f"/webhooks/{hook['id']}/deliveries").json()]
    else:
        rows = http.get(f"/{noun}").json()
    return rows[0]["id"] if rows else ID


async def test_every_answer_is_as_described(api: Api) -> None:
    await seeds.everything(api.runtime, api.viewer)

    async with serving(api.app) as port:
        answered = await asyncio.to_thread(ask_all, f"http://127.0.0.1:{port}", api.key)

    assert len(answered) == 43
    assert all(statuses and max(statuses) < 500 for statuses in answered.values())
    assert sum(min(statuses) < 300 for statuses in answered.values()) > 30
