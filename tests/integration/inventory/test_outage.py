"""A MariaDB that says nothing, or lost a connection: a call is refused in time, and the next one works."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from kadeploy_database import mariadb_session
from kadeploy_inventory.domain.errors import DatabaseUnreachable
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from kadeploy_inventory.store.sql_store import SqlStore
from tests.mariadb import MariadbServer

pytestmark = [pytest.mark.integration, pytest.mark.mariadb]

SHORT = 1


@pytest.fixture
def engine(mariadb_server: MariadbServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Both databases in one, whose connections wait a second at most."""
    monkeypatch.setattr(mariadb_session, "SILENCE_SECONDS", SHORT)
    monkeypatch.setattr(mariadb_session, "IDLE_SECONDS", SHORT)
    with mariadb_server.database() as name:
        opened = open_engine(mariadb_server.url(name))
        schema.upgrade({"deploy": opened})
        yield opened
        opened.dispose()


@pytest.fixture
def store(engine: Engine) -> SqlStore:
    return SqlStore(deploy=engine, deploy_right=engine)


def ask(store: SqlStore, statement: str) -> Any:
    """Runs a statement as a use case that reads."""
    return store.read(lambda work: work._deploy.exec_driver_sql(statement).scalar_one())  # type: ignore[attr-defined]


def test_a_server_that_says_nothing_is_away_and_not_waited_for(store: SqlStore) -> None:
    with pytest.raises(DatabaseUnreachable):
        ask(store, "SELECT SLEEP(60)")
    assert ask(store, "SELECT 1") == 1


def test_a_migration_may_take_longer_than_a_call(engine: Engine) -> None:
    patient = open_engine(engine.url, migrating=True)
    with patient.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT SLEEP({SHORT * 2})").scalar_one() == 0
    patient.dispose()


def test_a_process_that_stands_still_in_a_transaction_holds_up_nobody_for_long(engine: Engine, store: SqlStore) -> None:
    with engine.connect() as stopped:
        stopped.exec_driver_sql("SELECT * FROM clusters FOR UPDATE")
        store.change_deploy(
            lambda work: work._deploy.exec_driver_sql("SELECT * FROM clusters FOR UPDATE")  # type: ignore[attr-defined]
        )
        stopped.invalidate()


def test_a_connection_that_broke_unheard_is_no_fault_of_ours(store: SqlStore) -> None:
    def breaks(work: Any) -> None:
        work._deploy.connection.driver_connection._force_close()
        work._deploy.exec_driver_sql("SELECT 1")

    with pytest.raises(DatabaseUnreachable, match="broke"):
        store.read(breaks)
    assert ask(store, "SELECT 1") == 1
