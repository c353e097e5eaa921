"""The dialer: its row for each workspace, what it works through a campaign by, and the pace of numbers.

Revision: 0002
Revises: 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.database import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CAMPAIGN_CONTACTS = """
    UPDATE campaign_contacts SET position = (
        SELECT count(*) FROM campaign_contacts AS earlier
        WHERE earlier.campaign_id = campaign_contacts.campaign_id AND earlier.id <= campaign_contacts.id
    )
"""
_ADDED = {
    "campaigns": ("call_days", "contact_window_start", "contact_window_end", "cursor"),
    "campaign_contacts": ("position", "attempts", "next_attempt_at", "waiting_for", "end_reason", "finished_at"),
    "calls": ("contact_attempt", "waiting_for", "dial_at"),
    "phone_numbers": ("calls_per_second", "next_dial_at", "setbacks"),
}


def upgrade() -> None:
    op.create_table(
        "dialers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=25), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_dialers_workspace_id_workspaces")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dialers")),
    )
    _partial_index("ix_dialers_due", "dialers", ["due_at"], "due_at IS NOT NULL")
    # Due at once: campaigns of before are dialed from now on.
    op.execute(
        sa.text("INSERT INTO dialers (id, workspace_id, version, due_at) SELECT id, id, 0, created_at FROM workspaces")
    )

    op.add_column("campaigns", sa.Column("call_days", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("campaigns", sa.Column("contact_window_start", sa.String(length=5), nullable=True))
    op.add_column("campaigns", sa.Column("contact_window_end", sa.String(length=5), nullable=True))
    op.add_column("campaigns", sa.Column("cursor", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_campaigns_status", "campaigns", ["workspace_id", "status"])

    op.add_column("campaign_contacts", sa.Column("position", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("campaign_contacts", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("campaign_contacts", sa.Column("next_attempt_at", Instant(), nullable=True))
    op.add_column("campaign_contacts", sa.Column("waiting_for", sa.String(length=32), nullable=True))
    op.add_column("campaign_contacts", sa.Column("end_reason", sa.String(length=32), nullable=True))
    op.add_column("campaign_contacts", sa.Column("finished_at", Instant(), nullable=True))
    op.execute(sa.text(_CAMPAIGN_CONTACTS))
    op.drop_index("ix_campaign_contacts_list", "campaign_contacts")
    op.create_index("uq_campaign_contacts_position", "campaign_contacts", ["campaign_id", "position"], unique=True)
    _partial_index(
        "ix_campaign_contacts_next_attempt",
        "campaign_contacts",
        ["campaign_id", "next_attempt_at"],
        "next_attempt_at IS NOT NULL",
    )

    op.add_column("calls", sa.Column("contact_attempt", sa.Integer(), nullable=True))
    op.add_column("calls", sa.Column("waiting_for", sa.String(length=32), nullable=True))
    op.add_column("calls", sa.Column("dial_at", Instant(), nullable=True))
    _partial_index("ix_calls_open", "calls", ["workspace_id", "phase", "campaign_id", "id"], "ended_at IS NULL")
    _partial_index(
        "uq_calls_attempt",
        "calls",
        ["campaign_id", "to_number", "contact_attempt"],
        "campaign_id IS NOT NULL",
        unique=True,
    )

    op.add_column("phone_numbers", sa.Column("calls_per_second", sa.Integer(), nullable=True))
    op.add_column("phone_numbers", sa.Column("next_dial_at", Instant(), nullable=True))
    op.add_column("phone_numbers", sa.Column("setbacks", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        # Rows of work are written many times: room beside each for its next version, and its dead ones swept early.
        for table in ("calls", "deliveries", "dialers"):
            op.execute(
                f"ALTER TABLE {table} SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02,"
                " autovacuum_analyze_scale_factor = 0.05)"
            )


def downgrade() -> None:
    for index, table in (
        ("uq_calls_attempt", "calls"),
        ("ix_calls_open", "calls"),
        ("ix_campaign_contacts_next_attempt", "campaign_contacts"),
        ("uq_campaign_contacts_position", "campaign_contacts"),
        ("ix_campaigns_status", "campaigns"),
    ):
        op.drop_index(index, table)
    op.create_index("ix_campaign_contacts_list", "campaign_contacts", ["campaign_id", "id"])
    for table, names in _ADDED.items():
        for name in names:
            op.drop_column(table, name)
    op.drop_table("dialers")


def _partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
