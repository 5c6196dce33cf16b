"""Items are claimed in the order of their ids, so that what is tried again does not wait for all the rest.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_work_item_claim", "work_item")
    op.create_index(
        "ix_work_item_claim",
        "work_item",
        ["run_id", "stage", "id"],
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    op.drop_index("ix_work_item_claim", "work_item")
    op.create_index(
        "ix_work_item_claim",
        "work_item",
        ["run_id", "stage", "next_attempt_at", "id"],
        postgresql_where=sa.text("state = 'pending'"),
    )
