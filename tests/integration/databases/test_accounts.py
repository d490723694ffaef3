"""`db init`, `db upgrade` and `db check` on a real server: who may do what, and nothing else."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pymysql
import pytest

from kadeploy_deployer.__main__ import main as deployer
from kadeploy_deployer.bootstrap import open_database
from kadeploy_deployer.settings import Settings as DeployerSettings
from kadeploy_deployer.store.deployment_store import SqlDeploymentStore
from kadeploy_inventory.__main__ import main as inventory
from kadeploy_inventory.bootstrap import open_engines
from kadeploy_inventory.domain.partition_table import complete_disk
from kadeploy_inventory.domain.right import Right
from kadeploy_inventory.settings import Settings as InventorySettings
from kadeploy_inventory.store.sql_store import SqlStore
from tests.fakes.deployment_world import new_deployment
from tests.integration.databases.conftest import SERVICE_OF, DatabaseSite
from tests.unit.inventory.builders import disk, node

pytestmark = [pytest.mark.integration, pytest.mark.mariadb]

NODE = "INSERT INTO {deploy}.clusters VALUES ('c', '{{}}', 'e', NOW(6), NOW(6))"
RIGHT = "INSERT INTO {deploy_right}.rights VALUES ('alice', 'node-1', 'sda3', NULL)"
RIGHT_DELETED = "DELETE FROM {deploy_right}.rights"
STATE = "UPDATE {deploy_state}.partition_states SET state = 'deployed'"
_LAST_COLUMN = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = '{}' AND table_name = 'node_records' "
    "AND column_key = '' LIMIT 1"
)
NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
DENIED = (1044, 1142, 1227)


def test_init_makes_everything_once_and_check_is_content(
    site: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (site.init(inventory, "inventory"), site.init(deployer, "deployer")) == (0, 0)
    made = capsys.readouterr().out
    passwords = [path.read_text().strip() for path in (site.directory / "secrets").iterdir()]
    assert len(set(passwords)) == 6
    assert all(len(password) > 30 and password not in made for password in passwords)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (site.directory / "secrets").iterdir()} == {0o600}
    assert made.count("made the database") == 3

    assert (site.init(inventory, "inventory"), site.init(deployer, "deployer")) == (0, 0)
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "the tables are of this release",
        "the database deploy",
        "the database deploy_right",
        "all is as this release needs it",
        "the tables are of this release",
        "the database deploy_state",
        "all is as this release needs it",
    ], "the second time nothing is done"
    assert [path.read_text().strip() for path in (site.directory / "secrets").iterdir()] == passwords


def test_an_owner_who_does_not_exist_is_named_and_no_password_is_made(
    site: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--config", site.config("deployer"), "--admin-defaults-file", str(site.defaults_file)]
    assert deployer(["db", "init", *options, "--owner", "nobody-at-all"]) == 1
    assert capsys.readouterr().err == "kadeploy-deployer: --owner: there is no user nobody-at-all on this host\n"
    assert not (site.directory / "secrets").exists() or not list((site.directory / "secrets").iterdir())


def test_each_account_can_do_its_work_and_nothing_else(site: DatabaseSite) -> None:
    assert (site.init(inventory, "inventory"), site.init(deployer, "deployer")) == (0, 0)

    allowed = [
        ("deploy", "service", NODE),
        ("deploy", "service", "UPDATE {deploy}.clusters SET etag = 'f'"),
        ("deploy", "service", "SELECT * FROM {deploy}.nodes"),
        ("deploy_right", "service", RIGHT),
        ("deploy_right", "service", RIGHT_DELETED),
        ("deploy_state", "service", STATE),
        ("deploy_state", "service", "DELETE FROM {deploy_state}.node_locks"),
        ("deploy", "migration", "ALTER TABLE {deploy}.nodes ADD COLUMN extra INT"),
        ("deploy_right", "migration", "CREATE TABLE {deploy_right}.extra (a INT PRIMARY KEY)"),
        ("deploy_right", "migration", "DROP TABLE {deploy_right}.extra"),
        ("deploy_state", "migration", "CREATE INDEX extra ON {deploy_state}.node_locks (owner)"),
    ]
    for database, kind, statement in allowed:
        site.as_account(database, kind, statement)

    refused = [
        # The deployer cannot write rights, nor read them; the inventory cannot write deployment state.
        ("deploy_state", "service", RIGHT),
        ("deploy_state", "service", RIGHT_DELETED),
        ("deploy_state", "service", "SELECT * FROM {deploy_right}.rights"),
        ("deploy_state", "service", NODE),
        ("deploy_state", "migration", RIGHT),
        ("deploy", "service", STATE),
        ("deploy", "service", "SELECT * FROM {deploy_state}.deployments"),
        ("deploy", "service", RIGHT),
        ("deploy", "migration", RIGHT),
        ("deploy_right", "service", NODE),
        ("deploy_right", "service", STATE),
        # Who serves does not change tables.
        ("deploy", "service", "DROP TABLE {deploy}.nodes"),
        ("deploy", "service", "ALTER TABLE {deploy}.nodes ADD COLUMN more INT"),
        ("deploy", "service", "CREATE TABLE {deploy}.more (a INT)"),
        ("deploy", "service", "TRUNCATE {deploy}.nodes"),
        ("deploy", "service", "DROP DATABASE {deploy}"),
        ("deploy_right", "service", "DROP TABLE {deploy_right}.rights"),
        ("deploy_state", "service", "ALTER TABLE {deploy_state}.deployments DROP CONSTRAINT ck_deployments_state"),
        ("deploy_state", "service", "DROP DATABASE {deploy_state}"),
        # Nobody hands on what he has, or reads what is nobody's.
        ("deploy", "migration", "GRANT SELECT ON {deploy}.* TO PUBLIC"),
        ("deploy", "service", "SELECT * FROM mysql.user"),
        ("deploy", "service", "CREATE USER other"),
    ]
    for database, kind, statement in refused:
        with pytest.raises(pymysql.err.MySQLError) as error:
            site.as_account(database, kind, statement)
        assert error.value.args[0] in DENIED, (database, kind, statement, error.value)


ROWS = frozenset({"select", "insert", "update", "delete"})
TABLES = frozenset({"create", "alter", "index", "references", "drop"})
# Each is tried on a table that the server's administrator makes, and needs no other privilege than its own.
ATTEMPTS = {
    "select": "SELECT a FROM {table}",
    "insert": "INSERT INTO {table} (a) VALUES (2)",
    "update": "UPDATE {table} SET b = 3",
    "delete": "DELETE FROM {table}",
    "create": "CREATE TABLE {table}_more (a INT PRIMARY KEY)",
    "alter": "ALTER TABLE {table} ALTER COLUMN b SET DEFAULT 1",
    "index": "CREATE INDEX another ON {table} (b)",
    "references": "ALTER TABLE {table} ADD FOREIGN KEY (b) REFERENCES {table} (a)",
    "drop": "DROP TABLE {table}",
    "create view": "CREATE VIEW {table}_view AS SELECT 1 AS one",
    "trigger": "CREATE TRIGGER {table}_trigger BEFORE INSERT ON {table} FOR EACH ROW SET NEW.b = 0",
    "lock tables": "LOCK TABLES {table} WRITE",
    "create routine": "CREATE PROCEDURE {database}.routine_of_test() SELECT 1",
    "event": "CREATE EVENT {table}_event ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    "drop database": "DROP DATABASE {database}",
    "grant option": "GRANT SELECT ON {database}.* TO PUBLIC",
    "file": "SELECT 1 INTO OUTFILE '/tmp/no-{table_name}'",
    "process": "SHOW ENGINE INNODB STATUS",
    "create user": "CREATE USER other_of_test",
}
REFUSED = {*DENIED, 1045, 1370}


def attempt(site: DatabaseSite, account: str, kind: str, statement: str) -> int:
    """Runs a statement as an account, and returns the number of the server's error, 0 for none."""
    try:
        site.as_account(account, kind, statement)
    except pymysql.err.MySQLError as error:
        return int(error.args[0])
    return 0


@pytest.mark.parametrize(
    ("account", "kind"), [(name, kind) for name in SERVICE_OF for kind in ("service", "migration")]
)
def test_every_privilege_is_tried_by_each_account_on_each_database(site: DatabaseSite, account: str, kind: str) -> None:
    assert (site.init(inventory, "inventory"), site.init(deployer, "deployer")) == (0, 0)
    wrong = []
    for database, name in site.names.items():
        own = database == account
        wanted = (ROWS | TABLES if kind == "migration" else ROWS) if own else frozenset[str]()
        # A database is dropped by whoever may drop its tables: tried last, and on one that is made again.
        for privilege, statement in ATTEMPTS.items():
            table = f"{name}.attempt"
            site.server.run(
                f"CREATE DATABASE IF NOT EXISTS {name}",
                f"DROP TABLE IF EXISTS {table}, {table}_more",
                f"CREATE TABLE {table} (a INT PRIMARY KEY, b INT)",
            )
            expected = privilege in wanted or (privilege == "drop database" and "drop" in wanted)
            said = attempt(site, account, kind, statement.format(table=table, database=name, table_name=name))
            if said not in ({0} if expected else REFUSED):
                wrong.append(f"{account}'s {kind} account on {database}: {privilege} ends with {said}")
    assert wrong == []


async def test_the_services_work_as_their_own_accounts(site: DatabaseSite) -> None:
    site.init(inventory, "inventory")
    site.init(deployer, "deployer")
    settings = InventorySettings.load(Path(site.config("inventory")))
    engines = open_engines(settings)
    store = SqlStore(deploy=engines["deploy"], deploy_right=engines["deploy_right"])
    right = Right(user="alice", node="*", partition="*", expire_time=None)
    stored = node(1, disks=(complete_disk(disk()),), uid="u", etag="e", create_time=NOW, update_time=NOW)
    store.change_deploy(lambda work: work.nodes.add([stored]))
    store.change_rights(lambda work: work.rights.put([right]))
    assert store.read(lambda work: work.nodes.named(["node-1"])) == {"node-1": stored}
    store.change_deploy(lambda work: work.nodes.remove(["node-1"]))
    for engine in engines.values():
        engine.dispose()

    with open_database(DeployerSettings.load(Path(site.config("deployer")))) as database:
        deployments = SqlDeploymentStore(database)
        await deployments.create(new_deployment("one", ["node1", "node2"]))
        assert set(await deployments.holders(["node1", "node2"])) == {"node1", "node2"}


def test_init_repairs_and_check_tells_what_somebody_changed(
    site: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    site.init(deployer, "deployer")
    name, user = site.names["deploy_state"], site.names["deploy_state"].replace("test_", "u_")
    pattern = name.replace("_", "\\_")
    site.server.run(
        f"GRANT DROP ON `{pattern}`.* TO '{user}'@'127.0.0.1'",
        f"REVOKE INSERT ON `{pattern}`.* FROM '{user}'@'127.0.0.1'",
    )
    check = ["db", "check", "--config", site.config("deployer")]
    capsys.readouterr()
    assert deployer(check) == 1
    told = capsys.readouterr().err
    assert f"{user} may not INSERT on {name}: run `kadeploy-deployer db init`" in told
    assert f"{user} may also DROP on {name}" in told

    assert site.init(deployer, "deployer") == 0
    assert deployer(check) == 0

    site.as_account("deploy_state", "migration", "UPDATE {deploy_state}.alembic_version SET version_num = '0000'")
    capsys.readouterr()
    assert deployer(check) == 1
    assert "run kadeploy-deployer db upgrade" in capsys.readouterr().err


def test_check_tells_what_is_missing_in_the_tables(site: DatabaseSite, capsys: pytest.CaptureFixture[str]) -> None:
    """As a careless administrator may leave them; the number of the version says nothing of it."""
    assert (site.init(inventory, "inventory"), site.init(deployer, "deployer")) == (0, 0)
    deploy, state = site.names["deploy"], site.names["deploy_state"]
    site.server.run(
        f"DROP TABLE {deploy}.partitions",
        f"ALTER TABLE {deploy}.nodes DROP COLUMN labels",
        f"ALTER TABLE {state}.node_records DROP COLUMN {site.server.run(_LAST_COLUMN.format(state))[0][0]}",
    )
    capsys.readouterr()
    assert inventory(["db", "check", "--config", site.config("inventory")]) == 1
    told = capsys.readouterr().err
    assert "the database deploy: the table partitions is missing: somebody changed it" in told
    assert "the database deploy: the column nodes.labels is missing" in told
    assert deployer(["db", "check", "--config", site.config("deployer")]) == 1
    assert "the database deploy_state: the column node_records." in capsys.readouterr().err
    site.server.run(f"DROP DATABASE {deploy}")
    assert inventory(["db", "check", "--config", site.config("inventory")]) == 1
    assert "`db init` makes it" in capsys.readouterr().err


def test_before_init_the_way_to_it_is_told(site: DatabaseSite, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["db", "check"], ["serve"]):
        assert inventory([*command, "--config", site.config("inventory")]) == 1
        assert "secrets/deploy is not there: `db init` makes the account" in capsys.readouterr().err


def test_what_goes_wrong_is_told_in_one_sentence_without_a_password(
    site: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> str:
        assert deployer(["db", *arguments, "--config", site.config("deployer")]) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    with_file = ("--admin-defaults-file", str(site.defaults_file))
    assert "deploy_state is not there: `db init` makes" in refused("check")
    site.defaults_file.write_text("[client]\nuser=site_admin\npassword=wrong-secret\n")
    assert "--admin-defaults-file" in refused("init", *with_file)
    site.defaults_file.chmod(0o644)
    assert "chmod 600" in refused("init", *with_file)
    secret = site.directory / "secrets" / "deploy_state"
    assert "Access denied for user" in refused("check")
    secret.chmod(0o644)
    told = refused("check")
    assert "holds a secret but has mode 0644" in told
    assert secret.read_text().strip() not in told
