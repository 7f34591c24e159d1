"""Alembic migrations of the database; run by `collection.database.connect` when the schema is behind."""
