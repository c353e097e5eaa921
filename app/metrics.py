"""`/metrics` for Prometheus: requests by route, how long they took, and figures that others register.

With `PROMETHEUS_MULTIPROC_DIR` set (to an empty directory, before this module is imported) the requests of all server
processes are added up, whichever of them is asked.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.route_path import route_template

log = structlog.get_logger("voxforge.metrics")

Reading = float | Mapping[str, float]
"""A figure, or one for each value of the gauge's label."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class _Gauge:
    name: str
    documentation: str
    label: str | None
    read: Callable[[], Awaitable[Reading]]


class Metrics:
    """The figures of one application."""

    def __init__(self, read_timeout_s: float = 2.0) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "voxforge_http_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._latency = Histogram(
            "voxforge_http_request_duration_seconds",
            "Seconds from a request until its answer began.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._gauges: list[_Gauge] = []
        self._read_timeout_s = read_timeout_s

    def gauge(
        self, name: str, documentation: str, read: Callable[[], Awaitable[Reading]], *, label: str | None = None
    ) -> None:
        """Register a figure that is read whenever `/metrics` is: the backlog, the age of the oldest due row.

        With `label`, `read` answers a mapping from the label's value. A figure that cannot be read is left out.
        """
        self._gauges.append(_Gauge(name, documentation, label, read))

    def route(self) -> Route:
        """The route `GET /metrics`."""

        async def metrics(_request: Request) -> Response:
            return Response(await self.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

        return Route("/metrics", metrics)

    async def render(self) -> bytes:
        """Everything in Prometheus's text format."""
        requests = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            requests = CollectorRegistry()
            MultiProcessCollector(requests)  # type: ignore[no-untyped-call]
        own = CollectorRegistry()
        ProcessCollector(registry=own)
        own.register(_Readings(await asyncio.gather(*map(self._read, self._gauges))))
        return generate_latest(requests) + generate_latest(own)

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answered request; labels have routes, never ids, so they stay few."""
        method = scope.get("method", "WEBSOCKET")
        if method not in _METHODS and method != "WEBSOCKET":
            method = "OTHER"
        route = route_template(scope) or "unmatched"
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(seconds)

    async def _read(self, gauge: _Gauge) -> Metric:
        family = GaugeMetricFamily(gauge.name, gauge.documentation, labels=[gauge.label] if gauge.label else [])
        try:
            async with asyncio.timeout(self._read_timeout_s):
                reading = await gauge.read()
        except Exception as error:  # a database that is down must not take the other figures with it
            log.warning("gauge unreadable", gauge=gauge.name, exc_info=error)
            return family
        if isinstance(reading, Mapping):
            for value, figure in reading.items():
                family.add_metric([value], figure)
        else:
            family.add_metric([], reading)
        return family


class _Readings(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class CountRequests:
    """ASGI layer that counts requests and measures until the answer begins. Outside CatchExceptions."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.observe(scope, message["status"], time.perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, watch)
