"""Many rows in one statement: they travel as one JSON document, which the database itself takes apart.

The drivers' `executemany` takes each value in hand, which costs more than all that the database does with it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Select, Table
from sqlalchemy.dialects import mysql, sqlite


def insert_rows(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    same: Mapping[str, Any] | None = None,
) -> None:
    """Inserts rows whose values stand in the order of the columns.

    Args:
        connection: of the transaction.
        table: where; its types must be ones that JSON knows.
        columns: in which the rows differ.
        rows: their values. Sorted by the primary key they are written fastest.
        same: the values of the columns in which they do not.
    """
    if not rows:
        return
    same = same or {}
    place = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    values = [place] * len(same) + [f"element.c{number}" for number in range(len(columns))]
    # Names are ours and need no quoting; every value is bound.
    statement = (
        f"INSERT INTO {table.name} ({', '.join((*same, *columns))}) "  # noqa: S608
        f"SELECT {', '.join(values)} FROM {_elements(connection.dialect, table, columns, place)} element"
    )
    document = json.dumps(rows, ensure_ascii=False, separators=(",", ":"), check_circular=False)
    connection.exec_driver_sql(statement, (*same.values(), document))


def put_rows(connection: Connection, table: Table, columns: Sequence[str], source: Select[Any]) -> None:
    """Inserts the rows of a query, each in the place of one with the same primary key if there is one.

    The table must have no other unique key.
    """
    written = [name for name in columns if name not in table.primary_key.columns]
    if connection.dialect.name == "sqlite" and set(columns) == set(table.c.keys()):
        # Nothing of the old row stays, so it need not be read.
        connection.execute(sqlite.insert(table).prefix_with("OR REPLACE").from_select(columns, source))
        return
    if connection.dialect.name == "sqlite":
        new = sqlite.insert(table).from_select(columns, source)
        put = new.on_conflict_do_update(
            index_elements=table.primary_key.columns, set_={name: new.excluded[name] for name in written}
        )
        connection.execute(put)
        return
    row = mysql.insert(table).from_select(columns, source)
    connection.execute(row.on_duplicate_key_update({name: row.inserted[name] for name in written}))


def _elements(dialect: Dialect, table: Table, columns: Sequence[str], place: str) -> str:
    """Returns the document as a table with the columns c0, c1 and so on."""
    if dialect.name == "sqlite":
        picked = ", ".join(f"value ->> {number} AS c{number}" for number in range(len(columns)))
        return f"(SELECT {picked} FROM json_each({place}))"  # noqa: S608
    picked = ", ".join(
        f"c{number} {table.c[name].type.compile(dialect)} PATH '$[{number}]'" for number, name in enumerate(columns)
    )
    return f"JSON_TABLE({place}, '$[*]' COLUMNS ({picked}))"
