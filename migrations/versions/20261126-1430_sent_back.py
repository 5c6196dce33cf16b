"""Texts that went back to their generator once.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sent_back",
        sa.Column("instance_id", sa.BigInteger(), nullable=False),
        sa.Column("judge_call_id", sa.BigInteger(), nullable=False),
        sa.Column("instruction", sa.Text(), nullable=False),
        sa.Column("information", sa.Text(), nullable=False),
        sa.Column("solution", sa.Text(), nullable=False),
        sa.Column("analysis", sa.Text(), nullable=False),
        sa.Column("call_id", sa.BigInteger(), nullable=True),
        sa.Column("why_kept", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("fk_sent_back_call_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name=op.f("fk_sent_back_instance_id")),
        sa.ForeignKeyConstraint(["judge_call_id"], ["call.id"], name=op.f("fk_sent_back_judge_call_id")),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_sent_back")),
    )


def downgrade() -> None:
    op.drop_table("sent_back")
