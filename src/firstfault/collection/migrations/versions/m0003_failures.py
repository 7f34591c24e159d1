"""Failures know their document, and how many documents are served as they were before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the two columns; what failed before is told apart at the next ingest."""
    op.add_column("failures", sa.Column("document_id", sa.Text(), nullable=True))
    op.add_column("failures", sa.Column("stale", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop the two columns."""
    op.drop_column("failures", "stale")
    op.drop_column("failures", "document_id")
