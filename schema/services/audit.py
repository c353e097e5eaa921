"""The audit log: who changed a key, an endpoint, a plan or a person. Written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schema.rules.audit import AUDIT_LIMIT, Action, Actor
from schema.runtime import Reads, Transaction
from schema.services.paging import Page, newest_first, page
from schema.tables import AuditEntry


def note(
    tx: Transaction,
    action: Action,
    subject_id: str,
    subject_name: str | None = None,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
    *,
    workspace_id: str | None = None,
) -> None:
    """Record what the transaction's viewer does. `changes`: before and after of each field, JSON values, no secrets.

    `workspace_id` is for transactions without a viewer, in which the system acts.
    """
    viewer = tx.viewer
    actor, actor_id = Actor.SYSTEM, None
    if viewer is not None and viewer.user_id is not None:
        actor, actor_id = Actor.USER, viewer.user_id
    elif viewer is not None and viewer.key_id is not None:
        actor, actor_id = Actor.API_KEY, viewer.key_id
    tx.add(
        AuditEntry(
            id=tx.new_id(),
            workspace_id=workspace_id or tx.workspace_id,
            action=action,
            actor=actor,
            actor_id=actor_id,
            actor_name=viewer.name if viewer is not None else None,
            address=viewer.address if viewer is not None else None,
            subject_id=subject_id,
            subject_name=subject_name,
            changes={name: list(pair) for name, pair in changes.items()} if changes else None,
            created_at=tx.now,
        )
    )


async def list_page(tx: Reads, *, limit: int = AUDIT_LIMIT, offset: int | None = None) -> Page[AuditEntry]:
    """The workspace's audit log, newest first."""
    return await page(tx, tx.select(AuditEntry), order=newest_first(AuditEntry), limit=limit, offset=offset)
