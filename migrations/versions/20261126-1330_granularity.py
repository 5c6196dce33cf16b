"""How much a summary says, kept on its instance.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instance", sa.Column("granularity", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("instance", "granularity")
