"""Evaluation runs and the result of each of their cases."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables of runs."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_at", "runs", ["at"])
    op.create_table(
        "run_cases",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column(
            "position", sa.Integer(), autoincrement=False, nullable=False, comment="of the case in its file"
        ),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_cases_run_id"),
        sa.PrimaryKeyConstraint("run_id", "position", name="pk_run_cases"),
    )


def downgrade() -> None:
    """Drop the tables of runs."""
    op.drop_table("run_cases")
    op.drop_table("runs")
