"""What drivers say of a full disk and of damage, in words of ours."""

from pathlib import Path

import pymysql
import pytest
from sqlalchemy.engine import URL

from kadeploy_database.access import SqliteAccess
from kadeploy_database.failures import DatabaseDamaged, DatabaseFull, has_room, is_damaged, is_full, sqlite_path
from kadeploy_database.space_reserve import SpaceReserve
from kadeploy_database.sqlite_engine import open_sqlite
from kadeploy_database.sqlite_file import prepare

FULL = [
    (1021, "Disk full (/var/lib/mysql); waiting for someone to free some space... (errno: 28)"),
    (1114, "The table 'events' is full"),
    (3, "Error writing file '/var/lib/mysql/binlog.000001' (Errcode: 28 \"No space left on device\")"),
    (1030, 'Got error 28 "No space left on device" from storage engine InnoDB'),
    (1026, "Error writing file 'x' (Errcode: 122 \"Disk quota exceeded\")"),
]
DAMAGED = [
    (1712, "Index PRIMARY is corrupted"),
    (1932, "Table 'deploy.nodes' doesn't exist in engine"),
]
OTHERS = [
    (1205, "Lock wait timeout exceeded; try restarting transaction"),
    (2013, "Lost connection to MySQL server during query"),
    (1030, "Got error 281 from storage engine InnoDB"),
]


@pytest.mark.parametrize("said", FULL, ids=lambda said: str(said[0]))
def test_a_server_whose_disk_is_full(said: tuple[int, str]) -> None:
    error = pymysql.err.OperationalError(*said)
    assert is_full(error, None)
    assert not is_damaged(error)


@pytest.mark.parametrize("said", DAMAGED, ids=lambda said: str(said[0]))
def test_a_server_whose_tables_are_damaged(said: tuple[int, str]) -> None:
    error = pymysql.err.OperationalError(*said)
    assert is_damaged(error)
    assert not is_full(error, None)


@pytest.mark.parametrize("said", OTHERS, ids=lambda said: str(said[0]))
def test_what_is_neither(said: tuple[int, str]) -> None:
    error = pymysql.err.OperationalError(*said)
    assert not is_damaged(error)
    assert not is_full(error, None)


def test_the_sentence_names_where_room_is_needed() -> None:
    server = URL.create("mysql+pymysql", host="db.example.org", port=3306, database="deploy", password="s3cret")
    assert str(DatabaseFull.of(server)) == (
        "the disk of the server at db.example.org:3306 is full, so nothing was written to its database deploy: "
        "make room there"
    )
    file = SqliteAccess(path=Path("/srv/a b/deploy%.db")).url
    assert sqlite_path(file) == Path("/srv/a b/deploy%.db")
    assert "the disk of /srv/a b is full" in str(DatabaseFull.of(file))
    assert "/srv/a b/deploy%.db is damaged (pages)" in str(DatabaseDamaged.of(file, "pages"))


def test_a_database_that_may_not_grow_is_full(tmp_path: Path) -> None:
    path = tmp_path / "deploy.db"
    prepare(path, program="p")
    engine = open_sqlite(SqliteAccess(path=path).url, busy_seconds=1, writes=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x TEXT)")
        connection.exec_driver_sql("PRAGMA max_page_count = 3")
        with pytest.raises(DatabaseFull, match=f"the disk of {tmp_path} is full"):
            connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(100000))")
    engine.dispose()


def test_a_directory_with_room_has_room(tmp_path: Path) -> None:
    assert has_room(tmp_path)
    assert has_room(tmp_path / "missing"), "what is missing is not full"


def test_the_reserve_is_given_up_once_and_put_back_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "deploy.db"
    prepare(path, program="p")
    engine = open_sqlite(SqliteAccess(path=path).url, busy_seconds=1, writes=True)
    reserve = SpaceReserve(engine)
    file = tmp_path / "deploy.db.reserve"
    assert (file.stat().st_size, file.stat().st_mode & 0o777) == (8 << 20, 0o600)
    assert file.stat().st_blocks * 512 >= 8 << 20, "a hole would reserve nothing"
    assert len(list(reserve.make_room())) == 2
    assert not file.exists()
    assert len(list(reserve.make_room())) == 1
    reserve.admit_growth()
    assert file.exists()
    engine.dispose()
