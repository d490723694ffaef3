"""The history of both databases' tables, run by Alembic."""
