"""Prompts and rules as data: versions, which of them are in force, what each run renders from.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prompt_version",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_prompt_version_person_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_prompt_version_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_version")),
        sa.UniqueConstraint(
            "project_id", "name", "content_hash", name=op.f("uq_prompt_version_project_id_name_content_hash")
        ),
        sa.UniqueConstraint(
            "project_id", "name", "version", name=op.f("uq_prompt_version_project_id_name_version")
        ),
    )
    op.create_table(
        "prompt_in_force",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["template.content_hash"], name=op.f("fk_prompt_in_force_content_hash")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_prompt_in_force_project_id")),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_prompt_in_force")),
    )
    op.create_table(
        "run_template",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["template.content_hash"], name=op.f("fk_run_template_content_hash")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_template_run_id")),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_run_template")),
    )
    # What earlier runs said they were started with.
    op.execute(
        """
        INSERT INTO run_template (run_id, name, content_hash)
        SELECT run.id, started.key, started.value FROM run, jsonb_each_text(run.params -> 'templates') AS started
        WHERE jsonb_typeof(run.params -> 'templates') = 'object'
            AND EXISTS (SELECT FROM template WHERE template.content_hash = started.value)"""
    )


def downgrade() -> None:
    op.drop_table("run_template")
    op.drop_table("prompt_in_force")
    op.drop_table("prompt_version")
