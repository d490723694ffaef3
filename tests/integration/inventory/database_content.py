"""Every row of an inventory's databases, to be compared before and after."""

from collections.abc import Mapping

from sqlalchemy import Engine, select

from kadeploy_inventory.store import schema


def everything(engines: Mapping[str, Engine]) -> list[tuple[str, str]]:
    """Returns table and content of each row, in an order of its own."""
    found: list[tuple[str, str]] = []
    for name, engine in engines.items():
        with engine.connect() as connection:
            for table in schema.METADATA[name].sorted_tables:
                found += [(table.name, repr(row)) for row in connection.execute(select(table))]
    return sorted(found)
