"""Texts are found by their trigrams, and one action decides on everything that matches a filter.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WORDS = {"instance": ["instruction", "task_name"], "snippet": ["path", "name", "comment"]}


def upgrade() -> None:
    for table, columns in WORDS.items():
        op.create_index(
            f"ix_{table}_words",
            table,
            columns,
            postgresql_using="gin",
            postgresql_ops=dict.fromkeys(columns, "gin_trgm_ops"),
        )
    op.create_table(
        "bulk_action",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("filters", postgresql.JSONB(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_back", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_bulk_action_project_id_project")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_bulk_action_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_action")),
    )
    op.create_index("ix_bulk_action_project_id_id", "bulk_action", ["project_id", "id"])
    op.add_column("decision", sa.Column("bulk_action_id", sa.BigInteger(), nullable=True))
    op.add_column("decision", sa.Column("before", postgresql.JSONB(), nullable=True))
    op.create_foreign_key(
        op.f("fk_decision_bulk_action_id_bulk_action"), "decision", "bulk_action", ["bulk_action_id"], ["id"]
    )
    op.create_index(
        "ix_decision_bulk_action_id",
        "decision",
        ["bulk_action_id"],
        postgresql_where=sa.text("bulk_action_id IS NOT NULL"),
    )
    op.drop_index("ix_decision_person_id_id", "decision")
    for column in ("id", "created_at"):
        op.create_index(
            f"ix_decision_person_id_{column}",
            "decision",
            ["person_id", column],
            postgresql_where=sa.text("bulk_action_id IS NULL"),
        )


def downgrade() -> None:
    """What was decided in bulk stays decided, each instance by itself."""
    op.drop_index("ix_decision_person_id_created_at", "decision")
    op.drop_index("ix_decision_person_id_id", "decision")
    op.create_index("ix_decision_person_id_id", "decision", ["person_id", "id"])
    op.drop_column("decision", "before")
    op.drop_column("decision", "bulk_action_id")
    op.drop_table("bulk_action")
    for table in WORDS:
        op.drop_index(f"ix_{table}_words", table)
