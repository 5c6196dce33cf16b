"""Replays: what another judge says of instances that people have decided.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replay_verdict",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", sa.BigInteger(), nullable=False),
        sa.Column("verdict_id", sa.BigInteger(), nullable=False),
        sa.Column("is_good", sa.Boolean(), nullable=False),
        sa.Column("call_id", sa.BigInteger(), nullable=True),
        sa.Column("overall", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("fk_replay_verdict_call_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name=op.f("fk_replay_verdict_instance_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_replay_verdict_run_id")),
        sa.ForeignKeyConstraint(["verdict_id"], ["verdict.id"], name=op.f("fk_replay_verdict_verdict_id")),
        sa.PrimaryKeyConstraint("run_id", "instance_id", name=op.f("pk_replay_verdict")),
    )


def downgrade() -> None:
    op.drop_table("replay_verdict")
