"""How a service gets at its databases: settings, the way to the server, accounts, column types, the `db` commands.

Shared by the services that have a database. Tables, migrations and queries are each service's own.
"""
