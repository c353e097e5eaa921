"""The path of a request as it may be logged and counted: the route's template, not what the caller typed."""

from __future__ import annotations

from starlette.routing import Mount
from starlette.types import Scope

_LONGEST = 200


def route_template(scope: Scope) -> str | None:
    """The matched route, such as `/api/v1/agents/{id}`; None before routing and for unknown paths."""
    route = scope.get("route")
    if route is None:
        return None
    root: str = scope.get("root_path", "")
    mounted_at = root.removeprefix(scope.get("app_root_path", root))
    if isinstance(route, Mount):
        return f"{mounted_at}/{{path}}"
    return mounted_at + str(getattr(route, "path_format", ""))


def loggable_path(scope: Scope) -> str:
    """The path without its query, with ids filled in; other path parameters may be secrets and stay `{name}`."""
    template = route_template(scope)
    if template is None:
        return short_path(scope)
    for name, value in scope.get("path_params", {}).items():
        if name == "id" or name.endswith("_id"):
            template = template.replace(f"{{{name}}}", str(value))
    return template[:_LONGEST]


def short_path(scope: Scope) -> str:
    """The path that was asked for, cut to what fits in a sentence."""
    path: str = scope["path"]
    return path if len(path) <= _LONGEST else f"{path[:_LONGEST]}…"
