"""Permission classes: what the viewer's key must allow, stated once on every root field (decision K2)."""

from __future__ import annotations

from functools import cache
from typing import Any

from strawberry.permission import BasePermission

from schema.errors import Forbidden
from schema.graph.context import Info
from schema.rules.scopes import Access, Resource, allows


@cache
def _permission(resource: Resource, access: Access) -> type[BasePermission]:
    class Permission(BasePermission):
        message = f"This API key lacks permission to {access.value} {resource.value}"

        def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
            viewer = info.context.viewer
            if not allows(viewer.scopes, resource, access):
                raise Forbidden(self.message)
            return True

    Permission.__name__ = f"{access.value.capitalize()}{resource.name.title().replace('_', '')}"
    return Permission


def reads(resource: Resource) -> list[type[BasePermission]]:
    """The field shows rows of that resource."""
    return [_permission(resource, Access.READ)]


def writes(resource: Resource) -> list[type[BasePermission]]:
    """The field changes rows of that resource."""
    return [_permission(resource, Access.WRITE)]
