"""The first schema: catalog, embedding cache and traces."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "collections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False, comment="as the user names it"),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column(
            "token_format",
            sa.Text(),
            nullable=False,
            comment="encoding of token vectors; empty = none stored",
        ),
        sa.Column("language", sa.Text(), nullable=False, comment="stemmer of the BM25 arm, or none"),
        sa.Column(
            "average_length", sa.Integer(), nullable=False, comment="BM25 terms per chunk; 0 until the first"
        ),
        sa.Column("version", sa.Integer(), nullable=False, comment="the corpus clock"),
        sa.Column(
            "indexed", sa.Integer(), nullable=False, comment="version the index agrees with; -1 = unsure"
        ),
        sa.Column("points", sa.Integer(), nullable=False, comment="points that the index then had"),
        sa.PrimaryKeyConstraint("id", name="pk_collections"),
        sa.UniqueConstraint("name", name="uq_collections_name"),
    )
    op.create_table(
        "versions",
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Text(), nullable=False, comment="UTC, ISO 8601"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], name="fk_versions_collection_id"),
        sa.PrimaryKeyConstraint("collection_id", "version", name="pk_versions"),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("valid_from", sa.Integer(), nullable=False),
        sa.Column(
            "valid_to",
            sa.Integer(),
            nullable=True,
            comment="first version it is no longer in; null = live",
        ),
        sa.Column("text", sa.Text(), nullable=False, comment="last, so that the others are read without it"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], name="fk_documents_collection_id"),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_documents_collection_id_document_id", "documents", ["collection_id", "document_id"])
    op.create_table(
        "embeddings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False, comment="embedder fingerprint and token format"),
        sa.Column("text_hash", sa.Text(), nullable=False, comment="SHA-256 of the text, hex"),
        sa.Column(
            "truncated", sa.Boolean(), nullable=False, comment="the text was longer than the model reads"
        ),
        sa.Column("vector", sa.LargeBinary(), nullable=False, comment="float32, little endian"),
        sa.Column("tokens", sa.LargeBinary(), nullable=True, comment="compressed token vectors"),
        sa.PrimaryKeyConstraint("id", name="pk_embeddings"),
        sa.UniqueConstraint("space", "text_hash", name="uq_embeddings_space_text_hash"),
    )
    op.create_table(
        "chunks",
        sa.Column(
            "id", sa.Integer(), nullable=False, comment="also the point in the index; never used twice"
        ),
        sa.Column("document_row", sa.Integer(), nullable=False),
        sa.Column("embedding_row", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["document_row"], ["documents.id"], name="fk_chunks_document_row"),
        sa.ForeignKeyConstraint(["embedding_row"], ["embeddings.id"], name="fk_chunks_embedding_row"),
        sa.PrimaryKeyConstraint("id", name="pk_chunks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_chunks_document_row", "chunks", ["document_row"])
    op.create_index("ix_chunks_embedding_row", "chunks", ["embedding_row"])
    op.create_table(
        "fields",
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="text, number or boolean"),
        sa.Column("documents", sa.Integer(), nullable=False, comment="live documents that have it"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], name="fk_fields_collection_id"),
        sa.PrimaryKeyConstraint("collection_id", "name", "kind", name="pk_fields"),
    )
    op.create_table(
        "failures",
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False, comment="UTC, ISO 8601"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], name="fk_failures_collection_id"),
        sa.PrimaryKeyConstraint("collection_id", "source", name="pk_failures"),
    )
    op.create_table(
        "traces",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_traces"),
    )
    op.create_index("ix_traces_at", "traces", ["at"])


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "traces",
        "failures",
        "fields",
        "chunks",
        "embeddings",
        "documents",
        "versions",
        "collections",
    ):
        op.drop_table(table)
