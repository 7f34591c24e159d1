"""How many tokens a chunk takes in a prompt, by the generator that counted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table, empty: it fills as questions are asked."""
    op.create_table(
        "token_counts",
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counter", sa.Text(), nullable=False, comment="fingerprint of the generator that counted"),
        sa.Column("tokens", sa.Integer(), nullable=False, comment="of the chunk as it stands in a prompt"),
        sa.ForeignKeyConstraint(["chunk"], ["chunks.id"], name="fk_token_counts_chunk"),
        sa.PrimaryKeyConstraint("chunk", "counter", name="pk_token_counts"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("token_counts")
