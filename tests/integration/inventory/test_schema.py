from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from kadeploy_inventory.domain.errors import DatabaseUnreachable
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from kadeploy_inventory.store.sql_store import SqlStore

pytestmark = pytest.mark.integration


def test_the_migrations_make_the_tables_that_the_program_knows(engines: dict[str, Engine]) -> None:
    for name, engine in engines.items():
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, schema.METADATA[name]) == []


def test_upgrading_again_keeps_what_is_there(engines: dict[str, Engine], store: SqlStore) -> None:
    before = store.read(lambda work: work.clusters.named(["default"]))
    schema.upgrade(engines)
    assert store.read(lambda work: work.clusters.named(["default"])) == before
    assert all(standing.is_current for standing in schema.standings(engines))


def test_an_empty_and_a_later_database_are_told_apart(tmp_path: Path) -> None:
    engines = {name: open_engine(f"sqlite:///{tmp_path}/{name}") for name in schema.METADATA}
    assert [(each.is_current, each.is_newer) for each in schema.standings(engines)] == [(False, False)] * 2
    schema.upgrade(engines)
    with engines["deploy"].begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    found = {each.database: (each.is_current, each.is_newer) for each in schema.standings(engines)}
    assert found == {"deploy": (False, True), "deploy_right": (True, False)}
    for engine in engines.values():
        engine.dispose()


def test_a_file_that_is_no_database_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no database, but a text that is long enough to be looked at" * 20)
    engine = open_engine(f"sqlite:///{tmp_path}/x")
    with pytest.raises(DatabaseUnreachable, match="does not answer"):
        schema.upgrade({"deploy": engine})
    engine.dispose()
