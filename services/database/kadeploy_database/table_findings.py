"""What is missing or different in the tables of a database that says it is of the present version."""

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData


def table_findings(connection: Connection, database: str, metadata: MetaData) -> Sequence[str]:
    """Returns a sentence for each table, column, key or index that is missing or different. What is too much is let be.

    Args:
        connection: one that may look at the tables.
        database: its name, for the sentences.
        metadata: the tables as the program knows them.
    """
    context = MigrationContext.configure(connection, opts={"compare_type": False})
    return list(
        dict.fromkeys(f"the database {database}: {each}" for each in _sentences(compare_metadata(context, metadata)))
    )


def _sentences(differences: Sequence[Any]) -> Iterator[str]:
    for each in differences:
        # What differs in a column comes as a list of its own.
        kind, *rest = each[0] if isinstance(each, list) else each
        if kind == "add_table":
            yield f"the table {rest[0].name} is missing"
        elif kind == "add_column":
            yield f"the column {rest[1]}.{rest[2].name} is missing"
        elif kind in {"add_constraint", "add_fk"}:
            columns = ", ".join(column.name for column in rest[0].columns)
            what = "foreign key" if kind == "add_fk" else "unique key"
            yield f"the {what} of {rest[0].table.name} ({columns}) is missing"
        elif kind == "add_index":
            yield f"the index {rest[0].name} of {rest[0].table.name} is missing"
        elif kind.startswith("modify_"):
            yield f"the column {rest[1]}.{rest[2]} is not as this release makes it"
