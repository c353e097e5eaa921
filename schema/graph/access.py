"""Permission classes: what the viewer's key or role must allow, stated once on every root field (decision K2)."""

from __future__ import annotations

from functools import cache
from typing import Any

from graphql import GraphQLField
from strawberry.permission import BasePermission

from schema.errors import Forbidden
from schema.graph.context import Info
from schema.rules.scopes import Access, Resource, allows, lacking
from schema.runtime import Viewer


@cache
def _permission(resource: Resource, access: Access) -> type[BasePermission]:
    lacks = lacking(resource, access)

    class Permission(BasePermission):
        message = f"This API key {lacks}"

        @classmethod
        def require(cls, viewer: Viewer) -> None:
            if not allows(viewer.scopes, resource, access):
                raise Forbidden(cls.message if viewer.user_id is None else f"Your role {lacks}")

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


def require_access(resource: Resource, access: Access, viewer: Viewer) -> None:
    """For a field that reaches that resource only with certain arguments (decision 0010). Raises Forbidden."""
    permission: Any = _permission(resource, access)
    permission.require(viewer)
