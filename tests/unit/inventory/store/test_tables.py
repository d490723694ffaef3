"""The tables as both databases make them."""

import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateTable

from kadeploy_inventory.store.tables import DEPLOY, DEPLOY_RIGHT

TABLES = [*DEPLOY.sorted_tables, *DEPLOY_RIGHT.sorted_tables]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_can_be_written_for_both_engines(table: Table) -> None:
    for dialect in (sqlite.dialect(), mysql.dialect()):
        assert str(CreateTable(table).compile(dialect=dialect))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_keys_compare_letter_by_letter_on_mariadb(table: Table) -> None:
    ddl = str(CreateTable(table).compile(dialect=mysql.dialect()))
    assert "utf8mb4_bin" in ddl
