"""A private MariaDB server in memory, for the tests that are marked `mariadb`. It takes Debian's mariadb-server.

It speaks TLS with a certificate of an authority of its own, and leaves it to each account whether plain text will do.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql
from sqlalchemy.engine import URL

from kadeploy_edge.tls import TlsFiles
from tests.fakes.site_certificates import SiteCertificates

START_SECONDS = 30
STOP_SECONDS = 10
STARTS = 3
PREFIX = "kadeploy-test-mariadb-"
SERVER_USER = "mysql"
# The kernel has few places for it, which many servers at once would use up.
NO_NATIVE_IO = "--innodb-use-native-aio=0"
SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True, kw_only=True)
class MariadbServer:
    """A server that runs, with an administrator `root` who needs no password on the socket.

    Attributes:
        socket: its Unix socket.
        port: its port on 127.0.0.1, which is also the one host that its certificate names.
        certificates: the authority that it believes; None for one that speaks no TLS.
    """

    socket: Path
    port: int
    certificates: SiteCertificates | None

    def url(self, database: str) -> URL:
        """Returns the URL of a database, as the administrator."""
        return URL.create(
            "mysql+pymysql",
            username="root",
            database=database,
            query={"unix_socket": str(self.socket), "ssl_disabled": "true"},
        )

    def run(self, *statements: str) -> Sequence[Sequence[object]]:
        """Runs statements as the administrator and returns the rows of the last."""
        connection = pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True, ssl_disabled=True)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            rows: Sequence[Sequence[object]] = cursor.fetchall()
            return rows

    @contextmanager
    def database(self) -> Iterator[str]:
        """Yields the name of an empty database, which is gone at the end."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.run(f"DROP DATABASE IF EXISTS {name}")

    @contextmanager
    def showing(self, files: TlsFiles) -> Iterator[None]:
        """Shows another certificate for a while; and reads the revocation list again."""
        self._show(files)
        try:
            yield
        finally:
            self._show(self._authority.files("service", "mariadb"))

    def _show(self, files: TlsFiles) -> None:
        _lay_out(files, self._authority, self.socket.parent / "tls")
        self.run("FLUSH SSL")

    @property
    def _authority(self) -> SiteCertificates:
        assert self.certificates is not None, "this server speaks no TLS"
        return self.certificates


@contextmanager
def running_server(*, tls: bool = True) -> Iterator[MariadbServer]:
    """Yields a server, and ends it, whatever happens. Its files go with it, or with the next run after a kill."""
    memory = Path("/dev/shm")  # noqa: S108 - the directory made there is ours alone
    place = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    _sweep(place)
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, SERVER_USER, SERVER_USER)
        certificates = _certificates(home) if tls else None
        system_tables(home)
        yield from _serving(home, certificates)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def killed(server: MariadbServer, *, seconds: float) -> Iterator[None]:
    """Ends a server without warning, and yields when it has started again after a while, on the same files."""
    home = server.socket.parent
    pid = int((home / "pid").read_text())
    command = Path("/proc", str(pid), "cmdline").read_text().split("\0")[:-1]
    os.kill(pid, signal.SIGKILL)
    time.sleep(seconds)
    with subprocess.Popen(_as_server(command), cwd=home, stdin=subprocess.DEVNULL) as process:
        try:
            if not _answers(server, process):
                raise RuntimeError(f"mariadbd does not start again: {(home / 'log').read_text(errors='replace')}")
            yield
        finally:
            _stop(process)


def _program(name: str) -> str:
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        raise RuntimeError(f"{name} not found: install Debian's mariadb-server (lab/setup-host does it)")
    return path


def system_tables(home: Path, *flags: str) -> None:
    """Makes the system tables. The server that does it gives up on a starved machine, so it gets another try."""
    data, program = home / "data", _program("mariadb-install-db")
    command = [program, "--no-defaults", f"--datadir={data}", f"--log-error={home / 'install.log'}", NO_NATIVE_IO]
    command += flags
    command += ["--skip-test-db", "--auth-root-authentication-method=normal", "--skip-name-resolve"]
    said = ""
    for _ in range(STARTS):
        shutil.rmtree(data, ignore_errors=True)
        done = subprocess.run(
            _as_server(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False, cwd=home
        )
        if done.returncode == 0:
            return
        log = home / "install.log"
        said = (done.stdout + done.stderr).decode(errors="replace")
        said += log.read_text(errors="replace") if log.exists() else ""
    raise RuntimeError(f"mariadb-install-db failed: {said}")


def _certificates(home: Path) -> SiteCertificates:
    """Makes an authority that outlives no test, and lays out what the server reads."""
    certificates = SiteCertificates(home / "pki")
    _lay_out(certificates.issue("service", "mariadb"), certificates, home / "tls")
    return certificates


def _lay_out(files: TlsFiles, authority: SiteCertificates, place: Path) -> None:
    place.mkdir(exist_ok=True)
    for source, name in (
        (files.certificate, "certificate.pem"),
        (files.private_key, "private_key.pem"),
        (authority.authority.certificate_file, "ca.pem"),
        (authority.revocation_list, "revoked.pem"),
    ):
        shutil.copy(source, place / name)
        if os.geteuid() == 0:
            shutil.chown(place / name, SERVER_USER)


def server_command(
    home: Path, *more: str, certificates: SiteCertificates | None = None
) -> tuple[MariadbServer, list[str]]:
    """Returns a server on the tables in a directory, and the command that starts it."""
    tls = {"ssl-cert": "certificate", "ssl-key": "private_key", "ssl-ca": "ca", "ssl-crl": "revoked"}
    server = MariadbServer(socket=home / "s", port=_free_port(), certificates=certificates)
    flags = {
        "datadir": home / "data",
        "socket": server.socket,
        "port": server.port,
        "bind-address": "127.0.0.1",
        "pid-file": home / "pid",
        "log-error": home / "log",
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-doublewrite": 0,
        "innodb-buffer-pool-size": "64M",
        "character-set-server": "utf8mb4",
        **({key: home / "tls" / f"{name}.pem" for key, name in tls.items()} if certificates else {}),
    }
    command = [
        _program("mariadbd"),
        "--no-defaults",
        NO_NATIVE_IO,
        "--skip-name-resolve",
        *(f"--{key}={value}" for key, value in flags.items()),
        *more,
    ]
    return server, _as_server(command)


def _serving(home: Path, certificates: SiteCertificates | None) -> Iterator[MariadbServer]:
    for _ in range(STARTS):
        server, command = server_command(home, certificates=certificates)
        with subprocess.Popen(command, cwd=home, stdin=subprocess.DEVNULL) as process:
            try:
                if _answers(server, process):
                    yield server
                    return
            finally:
                _stop(process)
    log = home / "log"
    raise RuntimeError(f"mariadbd does not start: {log.read_text(errors='replace') if log.exists() else 'no log'}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _as_server(command: list[str]) -> list[str]:
    """Returns the command as it runs without root's rights, and ends with the tests even when they are killed."""
    user = [f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *user, "--pdeathsig=KILL", *command]


def _answers(server: MariadbServer, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        # The driver would leave its socket open when nobody listens yet.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(server.socket)) == 0:
                return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _sweep(place: Path) -> None:
    """Removes what killed runs have left."""
    for left in place.glob(f"{PREFIX}*"):
        process = left.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", process).exists():
            shutil.rmtree(left, ignore_errors=True)
