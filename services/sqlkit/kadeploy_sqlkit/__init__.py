"""How a service gets at its databases: the section of the settings, the accounts on MariaDB, their privileges.

Shared by the services that have a database. Tables, migrations and queries are each service's own.
"""
