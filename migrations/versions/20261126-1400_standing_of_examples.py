"""What people say about cases of the example bank; which calls and runs had one is found by index.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exemplar_standing",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("exemplar_id", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("standing IN ('pinned', 'retired')", name=op.f("ck_exemplar_standing_standing")),
        sa.ForeignKeyConstraint(
            ["exemplar_id"],
            ["exemplar.id"],
            name=op.f("fk_exemplar_standing_exemplar_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_exemplar_standing_person_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_exemplar_standing_project_id")),
        sa.PrimaryKeyConstraint("project_id", "exemplar_id", name=op.f("pk_exemplar_standing")),
    )
    op.create_index(op.f("ix_exemplar_standing_exemplar_id"), "exemplar_standing", ["exemplar_id"])
    op.create_index(op.f("ix_run_exemplar_exemplar_id"), "run_exemplar", ["exemplar_id"])
    for side in ("good", "bad"):
        op.create_index(
            f"ix_call_{side}_exemplar_id",
            "call",
            [f"{side}_exemplar_id"],
            postgresql_where=sa.text(f"{side}_exemplar_id IS NOT NULL"),
        )


def downgrade() -> None:
    for side in ("good", "bad"):
        op.drop_index(f"ix_call_{side}_exemplar_id", table_name="call")
    op.drop_index(op.f("ix_run_exemplar_exemplar_id"), table_name="run_exemplar")
    op.drop_table("exemplar_standing")
