"""The inventory's migrations: from nothing, again, from the first version; files that cannot be upgraded."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from kadeploy_database.failures import DatabaseDamaged
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import WRITES, open_engine
from kadeploy_inventory.store.sql_store import SqlStore
from tests.mariadb import MariadbServer
from tests.unit.inventory.builders import node

pytestmark = pytest.mark.integration

UUID = "b8945908-d6a6-41a9-611d-74a6ab80b83d"


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
    with pytest.raises(DatabaseDamaged, match="file is not a database"):
        schema.upgrade({"deploy": engine})
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without tables, on each engine."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path}/old.db")
        yield engine
        engine.dispose()
        return
    server: MariadbServer = request.getfixturevalue("mariadb_server")
    with server.database() as name:
        engine = open_engine(server.url(name))
        yield engine
        engine.dispose()


def test_the_nodes_of_the_first_version_are_there_after_the_upgrade_and_their_uuids_are_not_known(
    empty: Engine,
) -> None:
    bring_to(empty, "0001")
    with empty.begin() as connection:
        for number in (1, 2):
            connection.execute(
                text(
                    "INSERT INTO nodes (uid, name, sort_key, mac_address, ip_address, cluster, firmware, bmc_address,"
                    " commands, labels, etag, create_time, update_time) VALUES (:uid, :name, :name, :mac, :ip,"
                    " 'default', 'bios', '', '{}', '{}', 'e', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
                ),
                {
                    "uid": f"u{number}",
                    "name": f"node-{number}",
                    "mac": f"52:54:00:00:00:0{number}",
                    "ip": f"10.0.0.{number}",
                },
            )
    schema.upgrade({"deploy": empty})
    store = SqlStore(deploy=empty, deploy_right=empty)
    found = store.read(lambda work: work.nodes.named(["node-1", "node-2"]))
    assert {name: each.uuid for name, each in found.items()} == {"node-1": "", "node-2": ""}
    known = node(
        1,
        uid="u1",
        etag="f",
        uuid=UUID,
        create_time=found["node-1"].create_time,
        update_time=found["node-1"].update_time,
    )
    assert store.change_deploy(lambda work: work.nodes.replace(known, etag="e"))
    assert store.read(lambda work: work.nodes.with_uuids([UUID])) == {UUID: "node-1"}
    with pytest.raises(IntegrityError), empty.begin() as connection:
        connection.execute(text("UPDATE nodes SET uuid = :uuid WHERE uid = 'u2'"), {"uuid": UUID})


def bring_to(engine: Engine, revision: str) -> None:
    """Brings the database `deploy` to an older version."""
    config = Config()
    config.set_main_option("script_location", str(files("kadeploy_inventory.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        config.attributes |= {"connection": connection, "database": "deploy", "metadata": schema.METADATA["deploy"]}
        command.upgrade(config, revision)
