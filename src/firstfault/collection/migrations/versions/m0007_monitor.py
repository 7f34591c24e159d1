"""Readings of traces, feedback, spot checks, alerts and incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables, empty: readings of stored traces are made when monitoring first looks."""
    op.create_table(
        "readings",
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("adapter", sa.Text()),
        sa.Column("key", sa.Text(), comment="id of the API key that asked"),
        sa.Column(
            "record", sa.JSON(), nullable=False, comment="what monitoring reads off the trace, by name"
        ),
        sa.PrimaryKeyConstraint("trace_id", name="pk_readings"),
    )
    op.create_index("ix_readings_at", "readings", ["at"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False, comment="up or down"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_trace_id", "feedback", ["trace_id"])
    op.create_index("ix_feedback_at", "feedback", ["at"])
    op.create_table(
        "review_items",
        sa.Column("id", sa.Text(), nullable=False, comment="trace id, then the number of the sentence"),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("round", sa.Text(), nullable=False, comment="when it was drawn; one draw, one round"),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column(
            "population", sa.Integer(), nullable=False, comment="sentences of the stratum in this round"
        ),
        sa.Column("position", sa.Integer(), nullable=False, comment="in the queue of its round"),
        sa.Column("record", sa.JSON(), nullable=False, comment="question, sentence, passages, verdict"),
        sa.PrimaryKeyConstraint("id", name="pk_review_items"),
    )
    op.create_index("ix_review_items_trace_id", "review_items", ["trace_id"])
    op.create_index("ix_review_items_round", "review_items", ["round"])
    op.create_table(
        "review_labels",
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["review_items.id"], name="fk_review_labels_item_id"),
        sa.PrimaryKeyConstraint("item_id", "reviewer", name="pk_review_labels"),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
    )
    op.create_index("ix_incidents_at", "incidents", ["at"])
    op.create_table(
        "incident_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_incident_entries_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_incident_entries"),
    )
    op.create_index("ix_incident_entries_incident_id", "incident_entries", ["incident_id"])
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Text()),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_alerts_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_at", "alerts", ["at"])
    op.create_table(
        "monitor_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_monitor_state"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in (
        "monitor_state",
        "alerts",
        "incident_entries",
        "incidents",
        "review_labels",
        "review_items",
        "feedback",
        "readings",
    ):
        op.drop_table(name)
