"""Both services with an SQLite database that was lost or damaged, and on a host with a careless umask."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from kadeploy_database.sqlite_file import prepare
from kadeploy_deployer.__main__ import main as deployer
from kadeploy_inventory.__main__ import main as inventory

pytestmark = pytest.mark.integration

PATIENCE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One of the services: its name, its command line, its settings and its first database."""

    name: str
    run: Callable[[list[str]], int]
    config: Path
    database: Path

    def __call__(self, *arguments: str) -> int:
        return self.run([*arguments, "--config", str(self.config)])


@pytest.fixture(params=["inventory", "deployer"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Program:
    config = tmp_path / "settings.toml"
    directory = tmp_path / "data"
    text = f'address = "unix:{tmp_path}/s"\naudit_log = "{tmp_path}/audit.log"\n'
    if request.param == "inventory":
        names, main = ["deploy", "deploy_right"], inventory
    else:
        names, main = ["deploy_state"], deployer
        text += f'cache_directory = "{tmp_path}/cache"\n'
        text += f'inventory_address = "unix:{tmp_path}/i"\nbootctl_address = "unix:{tmp_path}/b"\n'
        text += f'ssh_private_key = "{tmp_path}/key"\ndeployment_host_keys = "{tmp_path}/hosts.pub"\n'
    text += "[database]\n" + "".join(f'{name} = "{directory}/{name}.db"\n' for name in names)
    config.write_text(text)
    return Program(name=f"kadeploy-{request.param}", run=main, config=config, database=directory / f"{names[0]}.db")


@pytest.fixture
def made(program: Program) -> Program:
    """A service whose databases were made."""
    assert program("db", "upgrade") == 0
    return program


def test_a_fresh_site_needs_nothing_and_is_checked(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert program("db", "check") == 1
    assert (
        f"is not there yet: the first start makes it, and so does `{program.name} db upgrade`"
        in capsys.readouterr().err
    )
    assert not program.database.exists(), "a check makes nothing"
    assert program("db", "upgrade") == 0
    assert program("db", "check") == 0


@pytest.mark.parametrize("loss", ["missing", "empty"])
def test_a_lost_database_is_refused_until_somebody_wants_a_new_one(
    made: Program, loss: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if loss == "missing":
        made.database.unlink()
    else:
        os.truncate(made.database, 0)
    for command in (["serve"], ["db", "upgrade"], ["db", "check"]):
        assert made(*command) == 1
        said = capsys.readouterr().err
        assert str(made.database) in said
        assert "restore it from a backup" in said
        assert f"`{made.name} db init`" in said
        assert "Traceback" not in said
        assert len(said.splitlines()) == 1
    assert not made.database.exists() or made.database.stat().st_size == 0
    assert made("db", "init") == 0
    assert made("db", "check") == 0


def test_damaged_pages_are_refused_and_named(made: Program, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(made.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with made.database.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(os.urandom(4096 * 4))
    for command in (["serve"], ["db", "upgrade"], ["db", "check"], ["db", "init"]):
        assert made(*command) == 1
        said = capsys.readouterr().err
        assert str(made.database) in said or "the database deploy" in said
        assert "restore" in said
        assert "Traceback" not in said


def test_a_text_in_place_of_a_database_is_refused_and_kept(made: Program, capsys: pytest.CaptureFixture[str]) -> None:
    made.database.write_text("no database\n" * 1000)
    for command in (["serve"], ["db", "init"]):
        assert made(*command) == 1
        assert "is damaged (the file is no SQLite database)" in capsys.readouterr().err
    assert made.database.read_text().startswith("no database\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_database_that_root_left_behind_is_named() -> None:
    code = (
        "import sys; from pathlib import Path; from kadeploy_database.sqlite_file import prepare\n"
        "try: prepare(Path(sys.argv[1]), program='p')\nexcept Exception as error: print(error)"
    )
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-c", code]
    with tempfile.TemporaryDirectory(prefix="kadeploy-kadeploy_database-") as directory:
        Path(directory).chmod(0o755)
        database = Path(directory) / "deploy.db"
        prepare(database, program="p")
        done = subprocess.run([*drop, database], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"the database {database} belongs to user 0, and this one may not read and write it\n"


@pytest.fixture
def careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("careless_umask")
def test_nothing_that_a_service_writes_is_open_to_others(program: Program) -> None:
    directory = program.config.parent
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(directory / "key"))
    for name in ("key.pub", "hosts.pub"):
        key.write_public_key(str(directory / name))
    given = {program.config, *directory.iterdir()}
    command = [sys.executable, "-m", program.name.replace("-", "_"), "serve", "--config", str(program.config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not (directory / "s").exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            written = [path for path in directory.rglob("*") if path not in given]
            sides = {f"{program.database.name}{suffix}" for suffix in ("", "-wal", "-shm", ".marker", ".reserve")}
            assert {path.name for path in written} >= {*sides, "audit.log", "s"}
            assert [f"{path} {path.stat().st_mode:o}" for path in written if path.stat().st_mode & 0o007] == []
        finally:
            process.terminate()


@pytest.mark.usefixtures("careless_umask")
def test_databases_that_the_commands_make_are_closed_too(made: Program) -> None:
    found = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in made.database.parent.iterdir()}
    assert set(found.values()) == {"600"}
    assert f"{made.database.parent.stat().st_mode & 0o777:o}" == "750"
