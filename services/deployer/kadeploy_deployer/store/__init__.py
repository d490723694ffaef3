"""The database `deploy_state`: the only room where SQL and rows live.

`tables` is the schema, `migrations/` how it came about, `database` the engine and its transactions; the other modules
are repositories: plain functions on a connection. `deployment_store` joins them into what `app.store` asks for.
"""
