"""Health is true: three real services lose what they need, one thing after the other, and say so within ten seconds."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import text
from sqlalchemy.engine import URL

from kadeploy_database.channel import Channel
from kadeploy_database.database_health import DatabaseProbe, DatabaseUnfit
from kadeploy_edge.health import REASON_KEY
from kadeploy_inventory.__main__ import main as inventory
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from tests.mariadb import MariadbServer
from tests.tls_site import TlsSite, tls_site

pytestmark = pytest.mark.integration

IN_TIME = 10.0
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSite]:
    with tls_site(tmp_path_factory.mktemp("health")) as made:
        yield made


def health(site: TlsSite, service: str, name: str = "") -> str:
    """Returns why something does not serve, empty where it does."""
    with site.channel(service, "alice") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer, call = stub.Check.with_call(health_pb2.HealthCheckRequest(service=name), timeout=5)
    if answer.status == SERVING:
        return ""
    return str(dict(call.trailing_metadata())[REASON_KEY])


def until(happened: Callable[[], bool], seconds: float = IN_TIME) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def all_serve(site: TlsSite) -> bool:
    return not any(health(site, service) for service in ("inventory", "deployer", "bootctl"))


def test_a_lost_file_of_a_database_is_said_by_whoever_needs_it_until_it_is_back(site: TlsSite) -> None:
    until(lambda: all_serve(site))
    path = site.directory / "deploy.db"
    away = path.rename(site.directory / "away.db")
    try:
        until(lambda: bool(health(site, "inventory")))
        said = health(site, "inventory", "deploy")
        assert said == f"the database deploy is not there: {path} is missing or empty"
        assert health(site, "inventory", "kadeploy.inventory.v1.NodeService") == said
        assert health(site, "inventory", "deploy_right") == ""
        until(lambda: said in health(site, "deployer", "inventory"))
        # It drives on what it began, and can be asked.
        assert health(site, "deployer") == ""
    finally:
        away.rename(path)
    until(lambda: health(site, "inventory") == health(site, "deployer", "inventory") == "")
    assert "dependency=deploy is lost: the database deploy is not there" in site.log("inventory")
    assert "dependency=deploy is back" in site.log("inventory")


def test_a_lost_tree_is_said(site: TlsSite) -> None:
    until(lambda: all_serve(site))
    place = site.directory / "tftp"
    away = place.rename(site.directory / "tftp-away")
    try:
        until(lambda: bool(health(site, "bootctl")))
        assert "is missing" in health(site, "bootctl", "tree")
        until(lambda: "the bootctl service" in health(site, "deployer", "bootctl"))
    finally:
        away.rename(place)
    until(lambda: all_serve(site))


def test_a_service_that_is_gone_is_said_by_the_one_that_needs_it(site: TlsSite) -> None:
    until(lambda: all_serve(site))
    process = site.processes["bootctl"]
    process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: "does not answer" in health(site, "deployer", "bootctl"))
        assert health(site, "deployer") == ""
    finally:
        process.send_signal(signal.SIGCONT)
    until(lambda: health(site, "deployer", "bootctl") == "")


def test_a_lost_table_is_named(site: TlsSite) -> None:
    with closing(sqlite3.connect(site.directory / "deploy_state.db", timeout=20)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("ALTER TABLE node_locks RENAME TO elsewhere")
        database.commit()
        try:
            until(lambda: bool(health(site, "deployer")))
            said = health(site, "deployer", "deploy_state")
            assert said == "the database deploy_state lacks the table node_locks: restore it from a backup"
        finally:
            database.execute("ALTER TABLE elsewhere RENAME TO node_locks")
            database.commit()
    until(lambda: all_serve(site))


def test_a_watcher_is_told_that_the_service_drains(site: TlsSite) -> None:
    states: list[int] = []
    with site.channel("bootctl", "alice") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)

        def follow() -> None:
            states.extend(answer.status for answer in watch)

        thread = threading.Thread(target=follow)
        thread.start()
        until(lambda: site.log("bootctl").count("listening on") == 1)
        time.sleep(1)
        site.processes["bootctl"].send_signal(signal.SIGTERM)
        thread.join(IN_TIME)
    assert states == [SERVING, NOT_SERVING]


def test_a_start_without_a_table_names_it(site: TlsSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("deploy.db", "deploy_right.db"):
        with (
            closing(sqlite3.connect(site.directory / name)) as source,
            closing(sqlite3.connect(tmp_path / name)) as copy,
        ):
            source.backup(copy)
    with closing(sqlite3.connect(tmp_path / "deploy.db")) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("DROP TABLE environments")
        database.commit()
    settings = tmp_path / "inventory.toml"
    settings.write_text(
        f'address = "unix:{tmp_path}/socket"\n[database]\ndeploy = "deploy.db"\ndeploy_right = "deploy_right.db"\n'
    )
    assert inventory(["serve", "--config", str(settings)]) == 1
    assert "the database deploy lacks the table environments: restore it from a backup" in capsys.readouterr().err


def test_systemd_is_told_that_the_service_is_ready_lives_and_stops(tmp_path: Path) -> None:
    settings = tmp_path / "inventory.toml"
    settings.write_text(
        f'address = "unix:{tmp_path}/socket"\n[database]\ndeploy = "deploy.db"\ndeploy_right = "deploy_right.db"\n'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        program = Path(sys.executable).parent / "kadeploy-inventory"
        process = subprocess.Popen(
            [program, "serve", "--config", settings],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "500000"},
            stderr=subprocess.DEVNULL,
        )
        try:
            assert systemd.recv(4096) == b"READY=1\nSTATUS=serving"
            assert [systemd.recv(4096) for _ in range(2)] == [b"WATCHDOG=1\nSTATUS=serving"] * 2
            (tmp_path / "deploy.db").unlink()
            until(lambda: b"STATUS=not serving: the database deploy is not there" in systemd.recv(4096))
            # A process that stands still gives no sign of life: systemd would start it anew.
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            systemd.settimeout(2)
            with pytest.raises(TimeoutError):  # noqa: PT012 - what it said before is read first
                while systemd.recv(4096):
                    pass
            process.send_signal(signal.SIGCONT)
            systemd.settimeout(30)
            process.terminate()
            until(lambda: systemd.recv(4096).startswith(b"STOPPING=1"))
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(30)


@pytest.mark.mariadb
def test_a_server_that_lost_a_table_or_has_another_version_or_is_away_is_said(mariadb_server: MariadbServer) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Administrator:
        """Reaches the database as the administrator of the server."""

        url: URL
        channel: Channel | None = None

    def probe_of(url: URL) -> DatabaseProbe:
        access: Any = Administrator(url=url)
        return DatabaseProbe("deploy", access, open_engine, schema.METADATA["deploy"], wanted=schema.newest)

    with mariadb_server.database() as name:
        url = mariadb_server.url(name)
        engine = open_engine(url)
        schema.upgrade({"deploy": engine})
        probe = probe_of(url)
        probe.check()
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE environments"))
        with pytest.raises(DatabaseUnfit, match="lacks the table environments"):
            probe.check()
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        with pytest.raises(DatabaseUnfit, match="is at 0000, and this release needs"):
            probe.check()
        probe.close()
        engine.dispose()
        away = probe_of(url.set(database="nothing"))
        with pytest.raises(DatabaseUnfit, match="the database deploy does not answer: Unknown database 'nothing'"):
            away.check()
        away.close()
