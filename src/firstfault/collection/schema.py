"""Tables of the catalog, the truth about a home: what is stored, since when, until when.

Kept to what SQLite and PostgreSQL share. Made and changed by the migrations only; a test compares the two.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

collections = Table(
    "collections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("embedder", Text, nullable=False, comment="as the user names it"),
    Column("fingerprint", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("token_format", Text, nullable=False, comment="encoding of token vectors; empty = none stored"),
    Column("language", Text, nullable=False, comment="stemmer of the BM25 arm, or none"),
    Column("average_length", Integer, nullable=False, comment="BM25 terms per chunk; 0 until the first"),
    Column("version", Integer, nullable=False, comment="the corpus clock"),
    Column(
        "indexed",
        Integer,
        nullable=False,
        comment="version the index agrees with; -1 = unsure, -2 = make it anew",
    ),
    Column("points", Integer, nullable=False, comment="points that the index then had"),
    Column("identity", Text, nullable=False, server_default="", comment="random; names it in a cluster"),
    Column("placed", Text, nullable=False, server_default="edge", comment="where that index is"),
)

versions = Table(
    "versions",
    metadata,
    Column("collection_id", ForeignKey("collections.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False, comment="UTC, ISO 8601"),
)

documents = Table(
    "documents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("collection_id", ForeignKey("collections.id"), nullable=False),
    Column("document_id", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("valid_from", Integer, nullable=False),
    Column("valid_to", Integer, comment="first version it is no longer in; null = live"),
    Column("text", Text, nullable=False, comment="last, so that the others are read without it"),
    Index(None, "collection_id", "document_id"),
    sqlite_autoincrement=True,
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("space", Text, nullable=False, comment="embedder fingerprint and token format"),
    Column("text_hash", Text, nullable=False, comment="SHA-256 of the text, hex"),
    Column("truncated", Boolean, nullable=False, comment="the text was longer than the model reads"),
    Column("vector", LargeBinary, nullable=False, comment="float32, little endian"),
    Column("tokens", LargeBinary, comment="compressed token vectors"),
    UniqueConstraint("space", "text_hash"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", Integer, primary_key=True, comment="also the point in the index; never used twice"),
    Column("document_row", ForeignKey("documents.id"), nullable=False, index=True),
    Column("embedding_row", ForeignKey("embeddings.id"), nullable=False, index=True),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_autoincrement=True,
)

token_counts = Table(
    "token_counts",
    metadata,
    Column("chunk", ForeignKey("chunks.id"), primary_key=True, autoincrement=False),
    Column("counter", Text, primary_key=True, comment="fingerprint of the generator that counted"),
    Column("tokens", Integer, nullable=False, comment="of the chunk as it stands in a prompt"),
)

fields = Table(
    "fields",
    metadata,
    Column("collection_id", ForeignKey("collections.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, primary_key=True, comment="text, number, boolean or date"),
    Column("documents", Integer, nullable=False, comment="live documents that have it"),
)

failures = Table(
    "failures",
    metadata,
    Column("collection_id", ForeignKey("collections.id"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Text, nullable=False, comment="UTC, ISO 8601"),
    Column("document_id", Text, comment="the document it would have become, where that is known"),
    Column("stale", Integer, nullable=False, server_default="0", comment="documents still served as before"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("finished", Boolean, nullable=False),
    Column("record", LargeBinary, nullable=False),
)

run_cases = Table(
    "run_cases",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False, comment="of the case in its file"),
    Column("record", LargeBinary, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("lane", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("record", Text, nullable=False, comment="the job as JSON"),
    Column("payload", Text, comment="what it works on, as JSON; null when finished"),
    Index(None, "lane", "state"),
)
"""Used where several servers share a PostgreSQL; one server keeps its jobs in files."""

traces = Table(
    "traces",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("collection", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index(None, "status", "at", "id"),
    Index(None, "collection", "at", "id"),
)

finetune_runs = Table(
    "finetune_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("status", Text, nullable=False, comment="training, trained, stopped or failed"),
    Column("record", JSON, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="from 1, per name"),
    Column("at", Text, nullable=False),
    Column("run_id", Text, nullable=False, comment="training run; empty = an adapter from outside"),
    Column("file", Text, nullable=False, comment="GGUF adapter, relative to home/finetune"),
    Column("digest", Text, nullable=False, comment="SHA-256 of that file"),
    Column("base", Text, nullable=False, comment="model that it was trained for"),
    Column("base_digest", Text, nullable=False, comment="of its GGUF header; empty = not known"),
    Column("record", JSON, nullable=False, comment="gate verdicts and what they rest on"),
)

release_log = Table(
    "release_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("number", Integer, nullable=False, comment="release that the name points to since then"),
    Column("at", Text, nullable=False),
    Column("action", Text, nullable=False, comment="release or rollback"),
)

readings = Table(
    "readings",
    metadata,
    Column("trace_id", Text, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("collection", Text, nullable=False),
    Column("model", Text),
    Column("adapter", Text),
    Column("key", Text, comment="id of the API key that asked"),
    Column("record", JSON, nullable=False, comment="what monitoring reads off the trace, by name"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trace_id", Text, nullable=False, index=True),
    Column("at", Text, nullable=False, index=True),
    Column("verdict", Text, nullable=False, comment="up or down"),
    Column("note", Text, nullable=False),
)

review_items = Table(
    "review_items",
    metadata,
    Column("id", Text, primary_key=True, comment="trace id, then the number of the sentence"),
    Column("trace_id", Text, nullable=False, index=True),
    Column("round", Text, nullable=False, index=True, comment="when it was drawn; one draw, one round"),
    Column("collection", Text, nullable=False),
    Column("stratum", Text, nullable=False),
    Column("population", Integer, nullable=False, comment="sentences of the stratum in this round"),
    Column("position", Integer, nullable=False, comment="in the queue of its round"),
    Column("record", JSON, nullable=False, comment="question, sentence, passages, verdict"),
)

review_labels = Table(
    "review_labels",
    metadata,
    Column("item_id", ForeignKey("review_items.id"), primary_key=True),
    Column("reviewer", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Text, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("record", JSON, nullable=False),
)

incident_entries = Table(
    "incident_entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey("incidents.id"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("incident_id", ForeignKey("incidents.id")),
    Column("record", JSON, nullable=False),
)

monitor_state = Table(
    "monitor_state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("record", JSON, nullable=False),
)
