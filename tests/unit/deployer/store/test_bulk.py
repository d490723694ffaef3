"""Many rows in one statement, on each engine."""

import pytest
from sqlalchemy import select

from kadeploy_deployer.store.bulk import insert_rows, put_rows
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.tables import console_slots

COLUMNS = ("node", "session_id", "owner", "start_time")
ROWS = [
    ("node1", "", 'a "quoted" \\ name', 1764000000.123456),
    ("node2", "é 日本 😀", "' ; -- %s ? :x", -1.5e-9),
    ("node3", "3", "", 0.1),
    ("node4", "4", "", 1e300),
]

pytestmark = pytest.mark.integration


def stored(database: Database) -> list[tuple[object, ...]]:
    with database.engine.begin() as connection:
        return [
            tuple(row)
            for row in connection.execute(
                select(*(console_slots.c[name] for name in COLUMNS)).order_by(console_slots.c.node)
            )
        ]


def test_rows_arrive_as_they_were_given(database: Database) -> None:
    with database.engine.begin() as connection:
        insert_rows(connection, console_slots, COLUMNS, ROWS)

    assert stored(database) == ROWS


def test_what_all_rows_share_is_given_once(database: Database) -> None:
    with database.engine.begin() as connection:
        same = {"owner": ROWS[1][2], "start_time": 2.5}
        insert_rows(connection, console_slots, ("node", "session_id"), [("a", "1"), ("b", "2")], same=same)

    assert stored(database) == [("a", "1", ROWS[1][2], 2.5), ("b", "2", ROWS[1][2], 2.5)]


def test_no_rows_are_no_statement(database: Database) -> None:
    with database.engine.begin() as connection:
        insert_rows(connection, console_slots, COLUMNS, [])

    assert stored(database) == []


def test_rows_of_a_query_take_the_places_of_those_with_their_key(database: Database) -> None:
    slots = console_slots.c
    with database.engine.begin() as connection:
        insert_rows(connection, console_slots, COLUMNS, ROWS)
        source = select(slots.node, slots.node, slots.owner, slots.start_time + 1)
        put_rows(connection, console_slots, COLUMNS, source.where(slots.node == "node1"))

    changed = ("node1", "node1", ROWS[0][2], ROWS[0][3] + 1)
    assert stored(database) == [changed, *ROWS[1:]]
