## House rules: a landed migration is never edited. A new column on a large table is nullable or has a constant
## default. An index on a large table is built CONCURRENTLY, alone in its migration. The docstring says why.
"""${message}."""

from alembic import op
import sqlalchemy as sa
import pgvector.sqlalchemy
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
