"""How a service gets at its databases: section of the settings, way to the server, accounts, column types, `db` commands.

Shared by the services that have a database. Tables, migrations and queries are each service's own.
"""
