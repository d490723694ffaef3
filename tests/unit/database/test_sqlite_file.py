"""The file of an SQLite database at a start: made once, never silently made anew, closed to others."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from kadeploy_database import sqlite_file
from kadeploy_database.access import SqliteAccess
from kadeploy_database.failures import DatabaseDamaged
from kadeploy_database.sqlite_engine import WRITES, open_sqlite
from kadeploy_database.sqlite_file import DatabaseLost, UnusableDatabase, mark, narrow, prepare, problems

PROGRAM = "kadeploy-inventory"
ROWS = 400


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The umask of a careless start."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "deploy.db"


@pytest.fixture
def filled(path: Path) -> Path:
    """A database that served before, of many pages."""
    prepare(path, program=PROGRAM)
    fill(path)
    mark(path)
    return path


def fill(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE things (number INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO things VALUES (?, ?)", [(n, "x" * 500) for n in range(ROWS)])
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def lose_tables(path: Path) -> None:
    path.unlink()
    sqlite_file._make(path)


def rows(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM things").fetchone()[0])


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:04o}"


def test_a_first_start_makes_the_database_and_nobody_else_gets_at_it(path: Path) -> None:
    prepare(path, program=PROGRAM)
    assert (mode(path), mode(path.parent)) == ("0600", "0750")
    assert [each.name for each in path.parent.iterdir()] == ["deploy.db"]
    mark(path)
    assert mode(path.with_name("deploy.db.marker")) == "0600"


def test_a_first_start_that_was_cut_off_is_tried_again(path: Path) -> None:
    prepare(path, program=PROGRAM)
    prepare(path, program=PROGRAM)
    fill(path)
    mark(path)
    prepare(path, program=PROGRAM)
    assert rows(path) == ROWS


def test_a_database_of_an_earlier_release_has_no_marker_and_is_served(filled: Path) -> None:
    filled.with_name("deploy.db.marker").unlink()
    prepare(filled, program=PROGRAM)
    mark(filled)
    assert filled.with_name("deploy.db.marker").exists()


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda path: path.unlink(), "was here and is missing"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lose_tables, "has lost its tables"),
    ],
    ids=["missing", "empty", "without tables"],
)
def test_a_database_that_is_lost_is_not_made_anew_but_by_db_init(filled: Path, loss, said: str) -> None:  # type: ignore[no-untyped-def]
    loss(filled)
    with pytest.raises(DatabaseLost, match=f"{filled} {said}.*backup.*kadeploy-inventory db init"):
        prepare(filled, program=PROGRAM)
    prepare(filled, program=PROGRAM, anew=True)
    assert filled.stat().st_size > 0
    assert mode(filled) == "0600"


def test_an_empty_file_is_no_first_start(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(DatabaseLost, match="is empty"):
        prepare(path, program=PROGRAM)


def test_changes_that_were_left_behind_are_never_dropped(filled: Path) -> None:
    filled.write_bytes(b"")
    filled.with_name("deploy.db-wal").write_bytes(b"pages of committed changes")
    with pytest.raises(UnusableDatabase, match=r"deploy\.db-wal has changes of it"):
        prepare(filled, program=PROGRAM, anew=True)
    assert filled.with_name("deploy.db-wal").read_bytes() == b"pages of committed changes"


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("a shopping list\n" * 100)
    for anew in (False, True):
        with pytest.raises(DatabaseDamaged, match=r"the file is no SQLite database.*restore"):
            prepare(path, program=PROGRAM, anew=anew)
    assert path.read_text().startswith("a shopping list")
    assert "not a database" in problems(path, program=PROGRAM)[0]


def test_damaged_pages_are_refused_at_the_start_and_listed_by_the_check(filled: Path) -> None:
    with filled.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(os.urandom(4096 * 3))
    with pytest.raises(DatabaseDamaged, match=r"is damaged .*restore the database from a backup"):
        prepare(filled, program=PROGRAM)
    assert problems(filled, program=PROGRAM)


def test_a_directory_and_a_closed_path_are_refused_in_a_sentence(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(UnusableDatabase, match="is no file"):
        prepare(path, program=PROGRAM)
    with pytest.raises(UnusableDatabase, match="Not a directory"):
        prepare(Path("/dev/null/deploy.db"), program=PROGRAM)


def test_what_was_open_to_others_is_closed_at_the_next_start(filled: Path, caplog: pytest.LogCaptureFixture) -> None:
    beside = [filled.with_name(f"deploy.db{suffix}") for suffix in ("-wal", "-shm", ".reserve", ".marker")]
    for each in (filled, *beside):
        each.touch()
        each.chmod(0o666)
    narrow(filled)
    assert {mode(each) for each in (filled, *beside)} == {"0640"}
    assert "had mode 0666, which let others in; it has 0640 now" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_makes_belongs_to_the_owner_of_the_directory_and_no_link_is_followed(
    path: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    victim.chmod(0o644)
    path.parent.mkdir()
    os.chown(path.parent, 65534, 65534)
    path.with_name("deploy.db.reserve").symlink_to(victim)
    path.with_name("deploy.db.marker").symlink_to(tmp_path / "made by a link")
    prepare(path, program=PROGRAM)
    mark(path)
    assert not (tmp_path / "made by a link").exists()
    path.with_name("deploy.db.marker").unlink()
    mark(path)
    for each in (path, path.with_name("deploy.db.marker")):
        assert (each.stat().st_uid, each.stat().st_gid) == (65534, 65534)
    status = victim.stat()
    assert (victim.read_text(), status.st_uid, status.st_mode & 0o777) == ("untouched", 0, 0o644)


def test_the_log_that_sqlite_writes_beside_it_is_closed_too(path: Path) -> None:
    prepare(path, program=PROGRAM)
    engine = open_sqlite(SqliteAccess(path=path).url, busy_seconds=1, writes=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        assert {each.name: mode(each) for each in path.parent.iterdir()} == {
            "deploy.db": "0600",
            "deploy.db-wal": "0600",
            "deploy.db-shm": "0600",
        }
    engine.dispose()


def test_opening_makes_nothing_and_the_check_neither(path: Path) -> None:
    engine = open_sqlite(SqliteAccess(path=path).url, busy_seconds=1, writes=True)
    with pytest.raises(Exception, match="unable to open"):
        engine.connect()
    engine.dispose()
    assert "not there yet" in problems(path, program=PROGRAM)[0]
    assert not path.exists()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "was removed while it was in use"),
        (lambda path: path.write_bytes(b""), "was emptied while it was in use"),
        (lambda path: (path.rename(f"{path}.old"), path.write_bytes(b"another")), "was replaced while it was in use"),
    ],
    ids=["removed", "emptied", "replaced"],
)
def test_nothing_is_written_to_a_file_that_went_away_under_us(filled: Path, harm, said: str) -> None:  # type: ignore[no-untyped-def]
    engine = open_sqlite(SqliteAccess(path=filled).url, busy_seconds=1, writes=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM things WHERE number = 1")
    harm(filled)
    for writes in (True, False):
        with (
            pytest.raises(DatabaseDamaged, match=said),
            engine.execution_options(**{WRITES: writes}).begin() as connection,
        ):
            connection.exec_driver_sql("SELECT 1")
    engine.dispose()


def test_a_connection_that_is_opened_later_begins_no_new_database(filled: Path) -> None:
    engine = open_sqlite(SqliteAccess(path=filled).url, busy_seconds=1, writes=True)
    filled.write_bytes(b"")
    with pytest.raises(DatabaseDamaged, match="the file is empty"):
        engine.connect()
    assert filled.stat().st_size == 0
    engine.dispose()


def test_damage_that_is_found_later_is_told_as_such(filled: Path) -> None:
    engine = open_sqlite(SqliteAccess(path=filled).url, busy_seconds=1, writes=False)
    with filled.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 40))
    with pytest.raises(DatabaseDamaged, match="is damaged"), engine.begin() as connection:
        connection.exec_driver_sql("SELECT sum(length(text)) FROM things").all()
    engine.dispose()


def test_a_table_that_is_gone_is_damage(filled: Path) -> None:
    engine = open_sqlite(SqliteAccess(path=filled).url, busy_seconds=1, writes=True)
    with pytest.raises(DatabaseDamaged, match="no such table: others"), engine.begin() as connection:
        connection.exec_driver_sql("SELECT * FROM others")
    engine.dispose()


def test_values_of_a_statement_that_fails_are_in_no_message(filled: Path) -> None:
    engine = open_sqlite(SqliteAccess(path=filled).url, busy_seconds=1, writes=True)
    with engine.begin() as connection, pytest.raises(IntegrityError) as failure:
        connection.exec_driver_sql("INSERT INTO things VALUES (?, ?)", (1, "a secret token"))
    assert "a secret token" not in str(failure.value)
    engine.dispose()


def test_every_connection_is_set_up_alike(filled: Path) -> None:
    engine = open_sqlite(SqliteAccess(path=filled).url, busy_seconds=3, writes=False)
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "busy_timeout": 3000}
    with engine.begin() as first, engine.begin() as second:
        for connection in (first, second):
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted}
            assert found == wanted
    engine.dispose()
