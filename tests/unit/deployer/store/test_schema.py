"""The migrations and the tables."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database, InvalidDatabaseUrl, make_engine
from kadeploy_deployer.store.schema import SchemaOutdated
from kadeploy_deployer.store.tables import metadata
from tests.fakes.deployment_world import make_database


def test_the_migrations_make_the_tables_of_this_release(database: Database) -> None:
    with database.engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_migrations_make_the_same_checks(tmp_path: Path) -> None:
    database = make_database(tmp_path)
    other = make_engine(f"sqlite:///{tmp_path / 'other.sqlite'}")
    with other.begin() as connection:
        metadata.create_all(connection)
    found = []
    for engine in (database.engine, other):
        with engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql LIKE '%CHECK%'").all()
        found.append({row.name: sorted(" ".join(line.split()) for line in _checks(row.sql)) for row in rows})
    other.dispose()
    database.close()

    assert found[0] == found[1]
    assert "deployments" in found[0]


def _checks(sql: str) -> list[str]:
    return [line.rstrip(", ") for line in sql.splitlines() if "CHECK" in line]


def test_upgrading_twice_does_nothing_the_second_time(database: Database) -> None:
    assert schema.upgrade(database.engine) == schema.present(database.engine) == schema.newest()


def test_a_database_without_tables_is_refused_with_advice(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(SchemaOutdated, match="kadeploy-deployer db upgrade"):
        schema.check(engine)
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://somewhere/x", "no url"])
def test_a_database_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrl):
        make_engine(url)
