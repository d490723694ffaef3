"""How a section of the settings says that the way to its database server is protected."""

from pathlib import Path

import pytest

from kadeploy_database.access import DatabaseAccess, MariadbAccess, read_access
from kadeploy_edge.settings_file import BadSettings, Table, load
from kadeploy_edge.tls import TlsFiles

OWN = TlsFiles(certificate=Path("/own/c"), private_key=Path("/own/k"), ca=Path("/own/a"))
NAMED = 'ca = "/a"\ncertificate = "/c"\nprivate_key = "/k"\n'


def read(directory: Path, lines: str, *, tls: TlsFiles | None = None) -> MariadbAccess:
    path = directory / "x.toml"
    path.write_text(f'[database.deploy]\nengine = "mariadb"\npassword_file = "p"\n{lines}')

    def read_settings(table: Table) -> DatabaseAccess:
        return read_access(table.table("database"), "deploy", user="u", tls=tls)

    access = load(path, read_settings)
    assert isinstance(access, MariadbAccess)
    return access


def test_tcp_takes_the_certificates_of_the_section_then_the_services_own(tmp_path: Path) -> None:
    named = TlsFiles(certificate=Path("/c"), private_key=Path("/k"), ca=Path("/a"))
    assert read(tmp_path, NAMED).tls == named
    assert read(tmp_path, 'host = "db.example.org"\n', tls=OWN).tls == OWN
    mixed = read(tmp_path, 'ca = "/a"\n', tls=OWN).tls
    assert mixed == TlsFiles(certificate=OWN.certificate, private_key=OWN.private_key, ca=Path("/a"))


def test_a_socket_and_plain_text_on_loopback_take_none(tmp_path: Path) -> None:
    socket = read(tmp_path, 'socket = "/run/s"\n', tls=OWN)
    assert (socket.tls, socket.channel.insecure) == (None, False)
    for host in ("localhost", "127.0.0.1", "::1"):
        plain = read(tmp_path, f'host = "{host}"\ninsecure = true\n', tls=OWN)
        assert (plain.tls, plain.channel.insecure) == (None, True)


@pytest.mark.parametrize(
    ("lines", "tls", "sentence"),
    [
        ("", None, ":1: database.deploy.ca is missing: TCP needs certificates"),
        ('ca = "/a"\n', None, ":1: database.deploy.certificate is missing: TCP needs certificates"),
        ("insecure = false\n", None, "database.deploy.ca is missing: TCP needs certificates"),
        ('certificate = "/c"\n', OWN, ":4: database.deploy.certificate and database.deploy.private_key belong"),
        ('private_key = "/k"\n', OWN, ":4: database.deploy.certificate and database.deploy.private_key belong"),
        ('host = "db.example.org"\ninsecure = true\n', OWN, ":5: database.deploy.insecure is for loopback alone"),
        (f"{NAMED}insecure = true\n", None, ":7: database.deploy.insecure asks for no database.deploy.ca"),
        ('socket = "/s"\nca = "/a"\n', None, ":5: database.deploy.ca is for TCP, not for a socket"),
        ('socket = "/s"\ninsecure = true\n', None, ":5: database.deploy.insecure is for TCP, not for a socket"),
        ("insecure = 1\n", OWN, "database.deploy.insecure must be true or false"),
    ],
)  # fmt: skip
def test_what_is_missing_or_does_not_go_together_is_told_with_its_line(
    tmp_path: Path, lines: str, tls: TlsFiles | None, sentence: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        read(tmp_path, lines, tls=tls)
    assert sentence in str(caught.value)
