"""Audits: a frozen lot, the readings of its draws and the changes of their labels.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("frozen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("filters", postgresql.JSONB(), nullable=False),
        sa.Column("gates", postgresql.JSONB(), nullable=False),
        sa.Column("census", sa.Text(), nullable=False),
        sa.Column("max_defect_rate", sa.Float(), nullable=False),
        sa.Column("alpha", sa.Float(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("prior_a", sa.Float(), nullable=False),
        sa.Column("prior_b", sa.Float(), nullable=False),
        sa.Column("double_share", sa.Float(), nullable=False),
        sa.Column("guideline_version", sa.BigInteger(), nullable=True),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("census_rows", sa.BigInteger(), nullable=False),
        sa.Column("dropped_rows", sa.BigInteger(), nullable=False),
        sa.Column("lot_sha256", sa.Text(), nullable=False),
        sa.Column("seed", sa.Text(), nullable=False),
        sa.Column("order_sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why_closed", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("census IN ('none', 'read', 'drop')", name=op.f("ck_audit_census")),
        sa.CheckConstraint(
            "state IN ('open', 'certified', 'failed', 'abandoned')", name=op.f("ck_audit_state")
        ),
        sa.CheckConstraint(
            "max_defect_rate > 0 AND max_defect_rate < 1", name=op.f("ck_audit_max_defect_rate")
        ),
        sa.CheckConstraint("alpha > 0 AND alpha < 1", name=op.f("ck_audit_alpha")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_audit_person_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_audit_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_project_id_id", "audit", ["project_id", "id"])
    op.create_table(
        "lot_row",
        sa.Column("audit_id", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", sa.BigInteger(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("twice", sa.Boolean(), nullable=False),
        sa.CheckConstraint("part IN ('random', 'census')", name=op.f("ck_lot_row_part")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_lot_row_audit_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name=op.f("fk_lot_row_instance_id")),
        sa.PrimaryKeyConstraint("audit_id", "instance_id", name=op.f("pk_lot_row")),
        sa.UniqueConstraint("audit_id", "part", "position", name=op.f("uq_lot_row_audit_id_part_position")),
    )
    op.create_index(op.f("ix_lot_row_instance_id"), "lot_row", ["instance_id"])
    op.add_column("decision", sa.Column("audit_id", sa.BigInteger(), nullable=True))
    op.add_column("decision", sa.Column("defect", sa.Boolean(), nullable=True))
    op.create_foreign_key(op.f("fk_decision_audit_id"), "decision", "audit", ["audit_id"], ["id"])
    op.create_check_constraint(
        op.f("ck_decision_defect"), "decision", "(audit_id IS NULL) = (defect IS NULL)"
    )
    op.create_index(
        "ix_decision_audit_id",
        "decision",
        ["audit_id", "instance_id"],
        postgresql_where=sa.text("audit_id IS NOT NULL"),
    )
    op.create_table(
        "label_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("audit_id", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", sa.BigInteger(), nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("before", sa.Boolean(), nullable=False),
        sa.Column("after", sa.Boolean(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint(
            "why IN ('disagreement', 'adjudicated', 'found later')", name=op.f("ck_label_change_why")
        ),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_label_change_audit_id")),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_label_change_decision_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name=op.f("fk_label_change_instance_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_label_change_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_change")),
    )
    op.create_index("ix_label_change_audit_id_id", "label_change", ["audit_id", "id"])
    op.add_column("release", sa.Column("audit_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_release_audit_id"), "release", "audit", ["audit_id"], ["id"])


def downgrade() -> None:
    op.drop_constraint(op.f("fk_release_audit_id"), "release")
    op.drop_column("release", "audit_id")
    op.drop_table("label_change")
    op.drop_index("ix_decision_audit_id", "decision")
    op.drop_constraint(op.f("ck_decision_defect"), "decision")
    op.drop_column("decision", "defect")
    op.drop_column("decision", "audit_id")
    op.drop_table("lot_row")
    op.drop_table("audit")
