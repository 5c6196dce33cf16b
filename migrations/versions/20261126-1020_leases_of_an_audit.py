"""An audit hands out the draws of its lot apart from the work stream: leases know their audit.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lease", sa.Column("audit_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_lease_audit_id"), "lease", "audit", ["audit_id"], ["id"])
    op.drop_constraint(op.f("uq_lease_instance_id_person_id"), "lease", type_="unique")
    op.create_unique_constraint(
        op.f("uq_lease_instance_id_person_id_audit_id"),
        "lease",
        ["instance_id", "person_id", "audit_id"],
        postgresql_nulls_not_distinct=True,
    )
    op.create_check_constraint(op.f("ck_lease_stream"), "lease", "(audit_id IS NULL) = (stream = 'work')")
    op.create_index(
        "ix_lease_audit_id",
        "lease",
        ["audit_id", "instance_id"],
        postgresql_where=sa.text("audit_id IS NOT NULL"),
    )
    op.create_index(
        "ix_lot_row_twice", "lot_row", ["audit_id", "position"], postgresql_where=sa.text("twice")
    )


def downgrade() -> None:
    op.drop_index("ix_lot_row_twice", "lot_row")
    op.drop_index("ix_lease_audit_id", "lease")
    op.execute("DELETE FROM lease WHERE audit_id IS NOT NULL")
    op.drop_constraint(op.f("ck_lease_stream"), "lease", type_="check")
    op.drop_constraint(op.f("uq_lease_instance_id_person_id_audit_id"), "lease", type_="unique")
    op.create_unique_constraint(op.f("uq_lease_instance_id_person_id"), "lease", ["instance_id", "person_id"])
    op.drop_constraint(op.f("fk_lease_audit_id"), "lease", type_="foreignkey")
    op.drop_column("lease", "audit_id")
