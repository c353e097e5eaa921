"""The document, put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.events import PATH as EVENTS
from app.openapi import feed
from app.openapi.components import Components
from app.openapi.events import webhooks
from app.openapi.facts import Facts
from app.openapi.failures import ERROR, HEADERS, shared
from app.openapi.inputs import Inputs
from app.openapi.operations import IDEMPOTENCY_KEY, Operations, path_of, tag_of
from app.rest.adapter import Endpoint, compile_endpoints
from schema.graph.root import graphql_schema
from schema.rules.idempotency import HEADER
from schema.rules.keys import PREFIX as KEY_PREFIX
from schema.rules.plans import PLANS
from schema.settings import Settings
from schema.version import VERSION


def document(settings: Settings, endpoints: Sequence[Endpoint] | None = None) -> dict[str, Any]:
    """The OpenAPI 3.1 document of those endpoints (None: all there are) under those settings.

    Raises DescriptionError for what cannot be described.
    """
    endpoints = compile_endpoints() if endpoints is None else endpoints
    schema = graphql_schema()
    components = Components()
    operations = Operations(endpoints, components, Inputs(schema, components, Facts(settings)))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(path_of(endpoint), {})[endpoint.route.method.lower()] = operations.of(endpoint)
    paths.setdefault(EVENTS, {})["get"] = feed.operation()
    events = webhooks(settings, components, components.schemas["Call"])
    components.add("Error", ERROR)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VoxForge",
            "version": VERSION,
            "summary": "AI voice agents that call and are called.",
            "description": _description(),
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": settings.public_base}],
        "security": [{"apiKey": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(map(tag_of, endpoints))],
        "paths": paths,
        "webhooks": events,
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "parameters": {HEADER: IDEMPOTENCY_KEY},
            "responses": shared(),
            "headers": HEADERS,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": f"{KEY_PREFIX}…",
                    "description": f"An API key, `{KEY_PREFIX}…`, shown once when it is made.",
                }
            },
        },
    }


def _description() -> str:
    limits = "\n".join(
        f"| {plan.value.capitalize()} | {limits.requests_per_minute or 'Unlimited'} |" for plan, limits in PLANS.items()
    )
    return (
        "All fields are in camelCase, instants are in UTC, and enums are in lower case with hyphens. A field or a "
        'parameter that is not described here is refused. Every error is `{"error": {"code", "message"}}`.\n\n'
        "Requests are counted for each API key:\n\n"
        f"| Plan | Requests / minute |\n|------|-------------------|\n{limits}\n"
    )
