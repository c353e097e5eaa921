"""What Prometheus reads."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from structlog.testing import capture_logs

from app.metrics import CountRequests, Metrics
from tests.app.support import client, small_app


async def call(request: Request) -> Response:
    return Response()


async def crash(request: Request) -> Response:
    raise ZeroDivisionError


def app_with(metrics: Metrics) -> CountRequests:
    routes = [
        Route("/api/v1/agents/{id}", call),
        Route("/crash", crash),
        Mount("/assets", routes=[Route("/{file}", call)]),
        metrics.route(),
    ]
    return CountRequests(small_app(routes, inner=[Middleware(lambda app: app)]), metrics)


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


async def test_requests_are_counted_by_route_not_by_id() -> None:
    async with client(app_with(Metrics())) as http:
        await http.get("/api/v1/agents/clx1")
        await http.get("/api/v1/agents/clx2?x=1")
        await http.post("/api/v1/agents/clx2")
        await http.get("/assets/logo.svg")
        await http.get("/crash")
        await http.get("/no/such/place")
        await http.request("BREW", "/no/such/place")
        response = await http.get("/metrics")

    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    counted = samples(response.text, "voxforge_http_requests_total")
    assert counted == {
        ("GET", "/api/v1/agents/{id}", "200"): 2,
        ("POST", "/api/v1/agents/{id}", "405"): 1,
        ("GET", "/assets/{file}", "200"): 1,
        ("GET", "/crash", "500"): 1,
        ("GET", "unmatched", "404"): 1,
        ("OTHER", "unmatched", "404"): 1,
    }
    timed = samples(response.text, "voxforge_http_request_duration_seconds_count")
    assert timed["GET", "/api/v1/agents/{id}"] == 2
    assert samples(response.text, "voxforge_http_request_duration_seconds_bucket")["10.0", "GET", "/crash"] == 1
    assert samples(response.text, "process_resident_memory_bytes")[()] > 0


async def test_registered_figures_are_read_when_asked() -> None:
    metrics = Metrics()
    backlog = {"calls": 3.0, "deliveries": 0.0}

    async def read_backlog() -> Mapping[str, float]:
        return dict(backlog)

    async def read_age() -> float:
        return 12.5

    metrics.gauge("voxforge_backlog", "Due rows.", read_backlog, label="queue")
    metrics.gauge("voxforge_oldest_due_seconds", "Age of the oldest due row.", read_age)

    first = (await metrics.render()).decode()
    backlog["calls"] = 4
    second = (await metrics.render()).decode()

    assert samples(first, "voxforge_backlog") == {("calls",): 3, ("deliveries",): 0}
    assert samples(second, "voxforge_backlog") == {("calls",): 4, ("deliveries",): 0}
    assert samples(first, "voxforge_oldest_due_seconds") == {(): 12.5}


async def test_a_figure_that_cannot_be_read_is_left_out() -> None:
    metrics = Metrics(read_timeout_s=0.02)

    async def fails() -> float:
        raise ConnectionError

    async def hangs() -> float:
        await asyncio.Event().wait()
        return 0

    async def fine() -> float:
        return 1

    metrics.gauge("voxforge_fails", "x", fails)
    metrics.gauge("voxforge_hangs", "x", hangs)
    metrics.gauge("voxforge_fine", "x", fine)

    with capture_logs() as logs:
        text = (await metrics.render()).decode()

    assert samples(text, "voxforge_fails") == {}
    assert samples(text, "voxforge_hangs") == {}
    assert samples(text, "voxforge_fine") == {(): 1}
    assert [line["gauge"] for line in logs] == ["voxforge_fails", "voxforge_hangs"]


@pytest.mark.parametrize("processes", [3])
def test_processes_add_up_when_told_where(tmp_path: Path, processes: int) -> None:
    program = (
        "import asyncio; from app.metrics import Metrics; metrics = Metrics();"
        "metrics.observe({'method': 'GET'}, 200, 0.01); print(asyncio.run(metrics.render()).decode())"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    for _ in range(processes):
        ran = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )

    counted = samples(ran.stdout, "voxforge_http_requests_total")
    assert counted == {("GET", "unmatched", "200"): processes}
