"""the hardened engine."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What was counted from the rows at every look is kept beside them from now on.
_COUNTS_SO_FAR = """
INSERT INTO run_count (run_id, code, rows)
SELECT item.run_id, item.outcome, count(*) FROM work_item AS item JOIN run ON run.id = item.run_id
WHERE run.kind = 'generate' AND item.outcome IS NOT NULL GROUP BY item.run_id, item.outcome
"""
_CALLS_SO_FAR = """
INSERT INTO call_tally (run_id, stage, model, state, calls, prompt_tokens, completion_tokens, cost_micro)
SELECT run_id, stage, model, state, count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost_micro)
FROM call WHERE state <> 'sent' GROUP BY run_id, stage, model, state
"""
# Every claim and every finish leaves a dead row behind; a fifth of a long run is too long to wait for.
_VACUUM_SOON = """
ALTER TABLE work_item SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE run SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02)
"""


def upgrade() -> None:
    op.create_table(
        "rate_limit",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("tokens_per_minute", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_rate_limit")),
    )
    op.create_table(
        "call_tally",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_call_tally_run_id")),
        sa.PrimaryKeyConstraint("run_id", "stage", "model", "state", name=op.f("pk_call_tally")),
    )
    op.create_table(
        "goal",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("wanted", sa.BigInteger(), nullable=False),
        sa.Column("planned", sa.BigInteger(), nullable=False),
        sa.Column("let_go", sa.BigInteger(), nullable=False),
        sa.Column("passed", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_goal_run_id")),
        sa.PrimaryKeyConstraint("run_id", "lane", name=op.f("pk_goal")),
    )
    op.create_table(
        "run_event",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_run_event_person_id")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_event_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_event")),
    )
    op.create_index("ix_run_event_run_id_id", "run_event", ["run_id", "id"], unique=False)
    op.create_index(
        "ix_instance_accepted", "instance", ["run_id"], postgresql_where=sa.text("status = 'accepted'")
    )
    op.add_column("call", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("call", sa.Column("written_off_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("call", sa.Column("usable", sa.Boolean(), nullable=True))
    op.drop_index(op.f("ix_call_run_id_state"), table_name="call")
    op.create_index(
        "ix_call_cache", "call", ["request_hash"], unique=False, postgresql_where=sa.text("usable IS TRUE")
    )
    op.create_index("ix_call_run_id_closed_at", "call", ["run_id", "closed_at"], unique=False)
    op.create_index(
        "ix_call_unknown",
        "call",
        ["run_id", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.add_column("run", sa.Column("priority", sa.Text(), server_default=sa.text("'normal'"), nullable=False))
    op.add_column("work_item", sa.Column("lane", sa.Text(), nullable=True))
    op.add_column(
        "work_item", sa.Column("bad_replies", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "work_item", sa.Column("reparse", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.drop_index(op.f("ix_work_item_run_id_state"), table_name="work_item")
    op.drop_index(
        op.f("ix_work_item_claim"), table_name="work_item", postgresql_where="(state = 'pending'::text)"
    )
    op.create_index(
        "ix_work_item_claim",
        "work_item",
        ["run_id", "stage", "next_attempt_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_index(
        op.f("ix_work_item_lease"), table_name="work_item", postgresql_where="(state = 'leased'::text)"
    )
    op.create_index(
        "ix_work_item_lease",
        "work_item",
        ["run_id", "lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "ix_work_item_outcome",
        "work_item",
        ["run_id", "outcome", "id"],
        unique=False,
        postgresql_where=sa.text("outcome IS NOT NULL"),
    )
    op.create_index(
        "ix_work_item_parked",
        "work_item",
        ["run_id", "lane", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'parked'"),
    )
    op.create_index(
        "ix_work_item_trouble",
        "work_item",
        ["run_id", "error_code"],
        unique=False,
        postgresql_where=sa.text("error_code IS NOT NULL AND state IN ('pending', 'failed')"),
    )
    op.drop_constraint("state", "call", type_="check")
    op.create_check_constraint("state", "call", "state IN ('sent', 'done', 'failed', 'unknown', 'cached')")
    op.execute(_COUNTS_SO_FAR)
    op.execute(_CALLS_SO_FAR)
    op.execute(_VACUUM_SOON)


def downgrade() -> None:
    op.drop_index("ix_instance_accepted", "instance", postgresql_where=sa.text("status = 'accepted'"))
    op.execute(
        "ALTER TABLE work_item RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor)"
    )
    op.execute("ALTER TABLE run RESET (fillfactor, autovacuum_vacuum_scale_factor)")
    op.execute("UPDATE call SET state = 'done' WHERE state = 'cached'")
    op.execute("UPDATE work_item SET state = 'pending' WHERE state = 'parked'")
    op.execute("DELETE FROM run_count USING run WHERE run.id = run_id AND run.kind = 'generate'")
    op.drop_constraint("state", "call", type_="check")
    op.create_check_constraint("state", "call", "state IN ('sent', 'done', 'failed', 'unknown')")
    op.drop_index(
        "ix_work_item_trouble",
        table_name="work_item",
        postgresql_where=sa.text("error_code IS NOT NULL AND state IN ('pending', 'failed')"),
    )
    op.drop_index("ix_work_item_parked", table_name="work_item", postgresql_where=sa.text("state = 'parked'"))
    op.drop_index(
        "ix_work_item_outcome", table_name="work_item", postgresql_where=sa.text("outcome IS NOT NULL")
    )
    op.drop_index("ix_work_item_lease", table_name="work_item", postgresql_where=sa.text("state = 'leased'"))
    op.create_index(
        op.f("ix_work_item_lease"),
        "work_item",
        ["lease_expires_at"],
        unique=False,
        postgresql_where="(state = 'leased'::text)",
    )
    op.drop_index("ix_work_item_claim", table_name="work_item", postgresql_where=sa.text("state = 'pending'"))
    op.create_index(
        op.f("ix_work_item_claim"),
        "work_item",
        ["stage", "next_attempt_at", "id"],
        unique=False,
        postgresql_where="(state = 'pending'::text)",
    )
    op.create_index(
        op.f("ix_work_item_run_id_state"), "work_item", ["run_id", "state", "outcome"], unique=False
    )
    op.drop_column("work_item", "reparse")
    op.drop_column("work_item", "bad_replies")
    op.drop_column("work_item", "lane")
    op.drop_column("run", "priority")
    op.drop_index("ix_call_unknown", table_name="call", postgresql_where=sa.text("state = 'unknown'"))
    op.drop_index("ix_call_run_id_closed_at", table_name="call")
    op.drop_index("ix_call_cache", table_name="call", postgresql_where=sa.text("usable IS TRUE"))
    op.create_index(op.f("ix_call_run_id_state"), "call", ["run_id", "state"], unique=False)
    op.drop_column("call", "usable")
    op.drop_column("call", "written_off_at")
    op.drop_column("call", "closed_at")
    op.drop_index("ix_run_event_run_id_id", table_name="run_event")
    op.drop_table("run_event")
    op.drop_table("goal")
    op.drop_table("call_tally")
    op.drop_table("rate_limit")
