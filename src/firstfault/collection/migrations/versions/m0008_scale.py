"""Several processes on one database: collections know their identity and where their index is; jobs are rows.

On PostgreSQL also: 64-bit keys, text compared by code points as SQLite does, traces partitioned by day.
"""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_LARGE = {
    "documents": ("id",),
    "embeddings": ("id",),
    "chunks": ("id", "document_row", "embedding_row"),
    "token_counts": ("chunk",),
}
_COMPARED = {
    "collections": ("name",),
    "versions": ("at",),
    "documents": ("document_id",),
    "fields": ("name",),
    "failures": ("source",),
    "runs": ("id", "at"),
    "run_cases": ("run_id",),
}


def upgrade() -> None:
    """Add the columns and the table."""
    connection = op.get_bind()
    op.add_column("collections", sa.Column("identity", sa.Text(), nullable=False, server_default=""))
    op.add_column("collections", sa.Column("placed", sa.Text(), nullable=False, server_default="edge"))
    for row in connection.execute(sa.text("SELECT id FROM collections")).all():
        values = {"id": row.id, "identity": uuid4().hex}
        connection.execute(sa.text("UPDATE collections SET identity = :identity WHERE id = :id"), values)
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False, comment="the job as JSON"),
        sa.Column(
            "payload", sa.Text(), nullable=True, comment="what it works on, as JSON; null when finished"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_lane_state", "jobs", ["lane", "state"])
    if connection.dialect.name == "postgresql":
        _suit_postgresql()


def _suit_postgresql() -> None:
    """The tables are new and empty here: no earlier version knew PostgreSQL."""
    for table, columns in _LARGE.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint")
        if "id" in columns:
            op.execute(f"ALTER SEQUENCE {table}_id_seq AS bigint")
    op.execute("ALTER TABLE run_cases DROP CONSTRAINT fk_run_cases_run_id")
    for table, columns in _COMPARED.items():
        for column in columns:
            op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE "C"')
    op.create_foreign_key("fk_run_cases_run_id", "run_cases", "runs", ["run_id"], ["id"])
    op.execute('ALTER TABLE jobs ALTER COLUMN id TYPE text COLLATE "C"')
    op.drop_table("traces")
    op.execute(
        """
        CREATE TABLE traces (
            id text COLLATE "C" NOT NULL, at text COLLATE "C" NOT NULL, collection text NOT NULL,
            question text NOT NULL, status text NOT NULL, record bytea NOT NULL,
            CONSTRAINT pk_traces PRIMARY KEY (id, at)
        ) PARTITION BY RANGE (at)
        """
    )
    op.create_index("ix_traces_at", "traces", ["at"])


def downgrade() -> None:
    """Drop what was added; PostgreSQL keeps its types."""
    op.drop_table("jobs")
    op.drop_column("collections", "placed")
    op.drop_column("collections", "identity")
