"""Runs migrations on the connection that `collection.database` hands over."""

from alembic import context

from firstfault.collection.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
