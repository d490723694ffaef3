"""The bench of the inventory can be run: with a few nodes, and without anybody looking at how long it takes."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from tests.bench import inventory as bench
from tests.mariadb import MariadbServer

pytestmark = [pytest.mark.integration, pytest.mark.mariadb]

NODES = 20


def test_both_databases_get_as_many_rows_from_the_inventory_as_from_the_plain_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mariadb_server: MariadbServer
) -> None:
    monkeypatch.setattr(bench, "NODES", NODES)
    monkeypatch.setattr(bench, "ROUNDS", 1)
    on_sqlite = bench.measure(
        "sqlite", lambda number, name: URL.create("sqlite", database=f"{tmp_path}/{name}{number}"), tmp_path
    )
    with ExitStack() as stack:
        names = iter([stack.enter_context(mariadb_server.database()) for _ in range(4)])
        on_mariadb = bench.measure("mariadb", lambda _number, _name: mariadb_server.url(next(names)), tmp_path)
    assert (on_sqlite.nodes, on_mariadb.nodes) == (NODES, NODES)
    # A node, its disk and its partitions.
    assert on_sqlite.rows == on_mariadb.rows
    assert on_sqlite.rows > 2 * NODES
