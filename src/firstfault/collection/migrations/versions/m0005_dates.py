"""Dates are counted as a kind of their own, and an index that holds some is made anew with them."""

import json
from collections import Counter

import sqlalchemy as sa
from alembic import op

from firstfault.collection.dates import moment

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Count the dates of live documents, and ask for a new index where any document has one."""
    connection = op.get_bind()
    counts: Counter[tuple[int, str]] = Counter()
    query = sa.text(
        "SELECT collection_id, CAST(metadata AS TEXT), valid_to FROM documents "
        "WHERE CAST(metadata AS TEXT) LIKE '%____-__-__%'"
    )
    collections = set()
    for collection, metadata, valid_to in connection.execute(query):
        for name, value in json.loads(metadata).items():
            values = value if isinstance(value, list) else [value]
            if any(isinstance(one, str) and moment(one) is not None for one in values):
                collections.add(collection)
                counts[collection, name] += valid_to is None
    insert = sa.text(
        "INSERT INTO fields (collection_id, name, kind, documents) VALUES (:c, :name, 'date', :n)"
    )
    for (collection, name), number in counts.items():
        connection.execute(insert, {"c": collection, "name": name, "n": number})
    for collection in collections:
        connection.execute(sa.text("UPDATE collections SET indexed = -2 WHERE id = :c"), {"c": collection})


def downgrade() -> None:
    """Forget the counts."""
    op.execute("DELETE FROM fields WHERE kind = 'date'")
