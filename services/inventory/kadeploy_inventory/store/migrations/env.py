"""Runs the migrations on one database; `schema.py` opens the connection and says which database it is."""

from alembic import context

_attributes = context.config.attributes
context.configure(
    connection=_attributes["connection"],
    target_metadata=_attributes["metadata"],
    transactional_ddl=_attributes["connection"].dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations(database=_attributes["database"])
