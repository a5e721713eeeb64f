"""The first form: analyses, their reports, conversations, keys."""

import sqlalchemy as sa
from alembic import op

revision = "first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "analyses",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(100)),
        sa.Column("repeat", sa.String(200)),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("reading", sa.Text, nullable=False),
        sa.Column("case_name", sa.Text, nullable=False, server_default=""),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("label", sa.String(12)),
        sa.Column("fake", sa.Float),
        sa.Column("error", sa.Text),
        sa.Column("step", sa.String(10)),
        sa.Column("done", sa.Float),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("runner", sa.String(64)),
        sa.Column("lease", sa.Float),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("started", sa.Float),
        sa.Column("finished", sa.Float),
        sa.PrimaryKeyConstraint("id", name="pk_analyses"),
        sa.UniqueConstraint("owner", "repeat", name="uq_analyses_owner_repeat"),
    )
    op.create_index("ix_analyses_state_created", "analyses", ["state", "created"])
    op.create_index("ix_analyses_owner_created", "analyses", ["owner", "created"])
    op.create_index("ix_analyses_sha256", "analyses", ["sha256"])
    op.create_table(
        "reports",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("report", sa.LargeBinary, nullable=False),
        sa.Column("landmarks", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
        sa.ForeignKeyConstraint(["id"], ["analyses.id"], name="fk_reports_id", ondelete="CASCADE"),
    )
    op.create_table(
        "turns",
        sa.Column("analysis", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("answered", sa.Text, nullable=False),
        sa.Column("memory", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("analysis", "number", name="pk_turns"),
        sa.ForeignKeyConstraint(["analysis"], ["analyses.id"], name="fk_turns_analysis", ondelete="CASCADE"),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("expires", sa.Float),
        sa.Column("revoked", sa.Float),
        sa.Column("used", sa.Float),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("keys", "turns", "reports", "analyses"):
        op.drop_table(name)
