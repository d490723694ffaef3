"""Thousands of words that a statement asks for: they travel as one JSON document, which the database takes apart.

A value of its own for each word costs the driver and the engine more than the rows that are found. Join it to a column
with an index of its own, and restrict the query by nothing else: an engine that thinks that it has a better way in
would go through the whole document for every row.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import TableValuedAlias, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Elements(FunctionElement[Any]):
    """The elements of a JSON array, as a table with the column `value`."""

    inherit_cache = True


@compiles(_Elements, "sqlite")
def _on_sqlite(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each{compiler.process(element.clause_expr, **options)}"


@compiles(_Elements, "mysql")
@compiles(_Elements, "mariadb")
def _on_mariadb(element: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    # In the collation of the columns that are looked up (`column_types.word`): otherwise no index would serve.
    document = compiler.process(element.clauses, **options)
    kind = "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    return f"JSON_TABLE({document}, '$[*]' COLUMNS (value {kind} PATH '$'))"


def listed(words: Iterable[str]) -> TableValuedAlias:
    """Returns words as a table with the column `value`, each of them once; they must not be longer than 255."""
    document = json.dumps(sorted(set(words)), ensure_ascii=False)
    return _Elements(bindparam(None, document, type_=Text)).table_valued("value", name="listed")
