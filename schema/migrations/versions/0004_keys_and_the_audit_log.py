"""Keys that were replaced and are still good, and who changed what.

Revision: 0004
Revises: 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.database import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retired_api_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=25), nullable=False),
        sa.Column("api_key_id", sa.String(length=25), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("good_until", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"], name=op.f("fk_retired_api_keys_api_key_id_api_keys")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_retired_api_keys_workspace_id_workspaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retired_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_retired_api_keys_digest")),
    )
    op.create_index("ix_retired_api_keys_api_key_id", "retired_api_keys", ["api_key_id"])
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=25), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=32), nullable=False),
        sa.Column("actor_id", sa.String(length=25), nullable=True),
        sa.Column("actor_name", sa.String(length=254), nullable=True),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("subject_id", sa.String(length=25), nullable=False),
        sa.Column("subject_name", sa.String(length=2048), nullable=True),
        sa.Column("changes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_audit_entries_workspace_id_workspaces")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_list", "audit_entries", ["workspace_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_table("audit_entries")
    op.drop_table("retired_api_keys")
