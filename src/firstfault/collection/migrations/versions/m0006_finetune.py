"""Training runs, releases of adapters, and the log that says which release a name points to."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables of fine-tuning."""
    op.create_table(
        "finetune_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="training, trained, stopped or failed"),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_finetune_runs"),
    )
    op.create_index("ix_finetune_runs_at", "finetune_runs", ["at"])
    op.create_table(
        "releases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False, comment="from 1, per name"),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column(
            "run_id", sa.Text(), nullable=False, comment="training run; empty = an adapter from outside"
        ),
        sa.Column("file", sa.Text(), nullable=False, comment="GGUF adapter, relative to home/finetune"),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of that file"),
        sa.Column("base", sa.Text(), nullable=False, comment="model that it was trained for"),
        sa.Column("base_digest", sa.Text(), nullable=False, comment="of its GGUF header; empty = not known"),
        sa.Column("record", sa.JSON(), nullable=False, comment="gate verdicts and what they rest on"),
        sa.PrimaryKeyConstraint("name", "number", name="pk_releases"),
    )
    op.create_table(
        "release_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="release that the name points to since then"
        ),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False, comment="release or rollback"),
        sa.PrimaryKeyConstraint("id", name="pk_release_log"),
    )
    op.create_index("ix_release_log_name", "release_log", ["name"])


def downgrade() -> None:
    """Drop the tables of fine-tuning."""
    op.drop_table("release_log")
    op.drop_table("releases")
    op.drop_table("finetune_runs")
