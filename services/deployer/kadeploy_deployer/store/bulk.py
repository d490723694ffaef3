"""Many rows in one statement, as fast as the driver takes them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table


def insert_rows(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Inserts rows whose values stand in the order of the columns and are what the driver takes: no conversion."""
    if rows:
        place = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        places = ", ".join([place] * len(columns))
        # Names are ours and need no quoting; every value is bound.
        statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608
        connection.exec_driver_sql(statement, list(rows))
