"""A share of the instances is read twice, disagreements go to an adjudicator, and readers have their languages.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "review_policy",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("overlap_percent", sa.BigInteger(), nullable=False),
        sa.Column("overlap_readers", sa.BigInteger(), nullable=False),
        sa.Column("skips_return", sa.Boolean(), nullable=False),
        sa.Column("skips_to_adjudicate", sa.BigInteger(), nullable=False),
        sa.Column("opinions_visible", sa.Text(), nullable=False),
        sa.Column("speed_visible", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "overlap_percent BETWEEN 0 AND 100", name=op.f("ck_review_policy_overlap_percent")
        ),
        sa.CheckConstraint("overlap_readers BETWEEN 2 AND 5", name=op.f("ck_review_policy_overlap_readers")),
        sa.CheckConstraint(
            "opinions_visible IN ('blind', 'open', 'admins')", name=op.f("ck_review_policy_opinions_visible")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_review_policy_project_id")),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_review_policy")),
    )
    op.create_table(
        "reader_languages",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("languages", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_reader_languages_person_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_reader_languages_project_id")),
        sa.PrimaryKeyConstraint("person_id", "project_id", name=op.f("pk_reader_languages")),
    )
    op.add_column("instance", sa.Column("assigned_to", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_instance_assigned_to"), "instance", "person", ["assigned_to"], ["id"])
    op.add_column("instance", sa.Column("round", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("instance", sa.Column("readings", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("instance", sa.Column("readings_wanted", sa.BigInteger(), nullable=True))
    op.drop_index("ix_instance_queue", "instance")
    op.create_index(
        "ix_instance_queue",
        "instance",
        ["project_id", "assigned_to", "priority", "id"],
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_index(
        "ix_instance_disputed",
        "instance",
        ["project_id", "id"],
        postgresql_where=sa.text("status = 'disputed'"),
    )
    op.create_index(
        "ix_instance_filters", "instance", ["project_id", "status", "verdict", "task", "language", "id"]
    )
    op.add_column("decision", sa.Column("round", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(
        "decision", sa.Column("is_adjudication", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column("decision", sa.Column("leased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_decision_reason",
        "decision",
        ["project_id", "reason"],
        postgresql_where=sa.text("reason IS NOT NULL"),
    )
    op.create_index(
        "ix_decision_answer",
        "decision",
        ["person_id", "instance_id"],
        postgresql_where=sa.text("undone_at IS NULL"),
    )


def downgrade() -> None:
    """What waits for an adjudicator waits for a reader again."""
    op.execute("UPDATE instance SET status = 'waiting' WHERE status = 'disputed'")
    op.drop_index("ix_decision_answer", "decision")
    op.drop_index("ix_decision_reason", "decision")
    for column in ("leased_at", "is_adjudication", "round"):
        op.drop_column("decision", column)
    op.drop_index("ix_instance_filters", "instance")
    op.drop_index("ix_instance_disputed", "instance")
    op.drop_index("ix_instance_queue", "instance")
    op.create_index(
        "ix_instance_queue",
        "instance",
        ["project_id", "priority", "id"],
        postgresql_where=sa.text("status = 'waiting'"),
    )
    for column in ("readings_wanted", "readings", "round", "assigned_to"):
        op.drop_column("instance", column)
    op.drop_table("reader_languages")
    op.drop_table("review_policy")
