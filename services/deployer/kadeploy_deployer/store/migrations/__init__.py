"""How the schema came about: one file per change, in `versions/`, run by Alembic."""
