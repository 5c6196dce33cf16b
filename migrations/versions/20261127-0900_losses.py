"""How often the holder of an item died, and items that were put off beyond all bounds are brought back.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "work_item", sa.Column("losses", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index(
        "ix_work_item_suspect",
        "work_item",
        ["run_id", "id"],
        postgresql_where=sa.text("losses >= 2 AND state IN ('pending', 'leased')"),
    )
    # A provider's Retry-After went into the interval as it came: rows are due in 2083, or at infinity.
    op.execute(
        "UPDATE work_item SET next_attempt_at = now()"
        " WHERE next_attempt_at > now() + interval '2 hours' OR next_attempt_at < timestamptz '2000-01-01'"
    )


def downgrade() -> None:
    op.drop_index("ix_work_item_suspect", table_name="work_item")
    op.drop_column("work_item", "losses")
