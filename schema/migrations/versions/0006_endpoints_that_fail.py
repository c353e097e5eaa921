"""Endpoints that have failed for long are switched off, and say since when and why.

Revision: 0006
Revises: 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.database import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_endpoints", sa.Column("failing_since", Instant(), nullable=True))
    op.add_column("webhook_endpoints", sa.Column("disabled_at", Instant(), nullable=True))
    op.add_column("webhook_endpoints", sa.Column("disabled_reason", sa.String(length=500), nullable=True))


def downgrade() -> None:
    for name in ("disabled_reason", "disabled_at", "failing_since"):
        op.drop_column("webhook_endpoints", name)
