"""Called by Alembic. The connection is handed over by `schema.py`, which has opened the transaction."""

from alembic import context

from kadeploy_deployer.store.tables import metadata

# DDL is part of the transaction where the engine can do that: of two processes that start at once, one migrates.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
