"""Traces are listed by status and by collection, newest first, however many there are."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Index what the listings filter on, in the order in which they page."""
    op.create_index("ix_traces_status_at_id", "traces", ["status", "at", "id"])
    op.create_index("ix_traces_collection_at_id", "traces", ["collection", "at", "id"])


def downgrade() -> None:
    """Drop the indexes."""
    op.drop_index("ix_traces_collection_at_id", "traces")
    op.drop_index("ix_traces_status_at_id", "traces")
