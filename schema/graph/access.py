"""Permission classes: what the viewer's key must allow, stated once on every root field (decision K2)."""

from __future__ import annotations

from functools import cache
from typing import Any

from graphql import GraphQLField
from strawberry.permission import BasePermission

from schema.errors import Forbidden
from schema.graph.context import Info
from schema.rules.scopes import Access, Resource, allows
from schema.runtime import Viewer


@cache
def _permission(resource: Resource, access: Access) -> type[BasePermission]:
    class Permission(BasePermission):
        message = f"This API key lacks permission to {access.value} {resource.value}"

        @classmethod
        def require(cls, viewer: Viewer) -> None:
            if not allows(viewer.scopes, resource, access):
                raise Forbidden(cls.message)

        def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
            self.require(info.context.viewer)
            return True

    Permission.__name__ = f"{access.value.capitalize()}{resource.name.title().replace('_', '')}"
    return Permission


def reads(resource: Resource) -> list[type[BasePermission]]:
    """The field shows rows of that resource."""
    return [_permission(resource, Access.READ)]


def writes(resource: Resource) -> list[type[BasePermission]]:
    """The field changes rows of that resource."""
    return [_permission(resource, Access.WRITE)]


def require(field: GraphQLField, viewer: Viewer) -> None:
    """What running the field would ask of the viewer, asked before. Raises Forbidden."""
    for permission in field.extensions["strawberry-definition"].permission_classes:
        permission.require(viewer)


def require_write(resource: Resource, viewer: Viewer) -> None:
    """For a field that changes rows of that resource only with certain arguments. Raises Forbidden."""
    permission: Any = _permission(resource, Access.WRITE)
    permission.require(viewer)
