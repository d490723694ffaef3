"""The commands over mutual TLS, and `ka pki`."""

import contextlib
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from kadeploy_cli.ka import ka
from kadeploy_cli.nodes.classic_commands import kanodes
from kadeploy_edge.tls import TlsFiles, read_material
from tests.fakes.site_certificates import SiteCertificates
from tests.integration.identity.conftest import TlsSite

pytestmark = pytest.mark.integration


def settings(directory: Path, address: str, files: TlsFiles | None, more: str = "") -> str:
    lines = [more, "[inventory]", f'address = "{address}"']
    if files is not None:
        lines.append("[tls]")
        lines += [f'{key} = "{getattr(files, key)}"' for key in ("certificate", "private_key", "ca")]
    path = directory / "client.toml"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def listed(config: str, *options: str) -> Result:
    return CliRunner().invoke(kanodes, ["-listnode", "-o", "name", "--config", config, *options])


@pytest.mark.parametrize(
    ("caller", "status", "words"),
    [
        ("administrator", 0, ""),
        ("without right", 0, ""),
        ("revoked", 5, "was revoked (CERTIFICATE_REVOKED)"),
        ("expired", 2, "have it renewed"),
        ("nobody", 2, "TCP needs certificates"),
    ],
)
def test_a_command_shows_its_certificate(  # noqa: PLR0917 - fixtures and cases
    tls_site: TlsSite,
    callers: Mapping[str, TlsFiles | None],
    tmp_path: Path,
    caller: str,
    status: int,
    words: str,
) -> None:
    result = listed(settings(tmp_path, tls_site.addresses["inventory"], callers[caller]))
    assert result.exit_code == status, result.output
    assert words in result.stderr
    assert status != 0 or result.stdout.split() == ["node-1", "node-2"]


def test_a_service_that_is_not_the_site_s_is_not_believed(tls_site: TlsSite, tmp_path: Path) -> None:
    foreign = SiteCertificates(tmp_path / "foreign").issue("user", "alice")
    result = listed(settings(tmp_path, tls_site.addresses["inventory"], foreign))
    assert result.exit_code == 3
    assert "the certificate of the inventory service at 127.0.0.1" in result.stderr
    assert "is not trusted" in result.stderr


def test_the_terminal_shows_our_sentences_alone(tls_site: TlsSite, tmp_path: Path) -> None:
    foreign = SiteCertificates(tmp_path / "foreign").issue("user", "alice")
    config = settings(tmp_path, tls_site.addresses["inventory"], foreign)
    asked = subprocess.run(
        [sys.executable, "-m", "kadeploy_cli", "node", "list", "--config", config],
        env={name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first, second = asked.stderr.splitlines()
    assert (asked.returncode, asked.stdout) == (3, "")
    assert first.endswith("is not trusted")
    assert second.startswith("  It must come from the authority")


def test_insecure_is_loud_and_for_loopback_alone(tls_site: TlsSite, tmp_path: Path) -> None:
    loud = listed(settings(tmp_path, tls_site.addresses["inventory"], None), "--insecure")
    assert loud.exit_code == 3
    assert "INSECURE" in loud.stderr
    elsewhere = listed(settings(tmp_path, "192.0.2.1:7401", None, "insecure = true"))
    assert elsewhere.exit_code == 2
    assert "insecure is for loopback alone" in elsewhere.stderr


class Pki:
    """`ka pki` on one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str, status: int = 0) -> Result:
        result = CliRunner().invoke(ka, ["pki", *arguments, "--directory", str(self.directory)])
        assert result.exit_code == status, result.output
        return result

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for each in json.loads(self("list", "-o", "json").stdout):
            found.setdefault(f"{each['kind']} {each['name']}", []).append(each["state"])
        return found


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "pki")


def test_a_site_is_set_up_renewed_and_revoked(pki: Pki) -> None:
    pki("init", "--name", "site")
    pki("issue", "user", "alice")
    pki("issue", "service", "bootctl", "--host", "tftp.example", "--host", "192.0.2.1")
    place = pki.directory / "services" / "bootctl"
    files = TlsFiles(certificate=place / "certificate.pem", private_key=place / "private_key.pem", ca=place / "ca.pem")
    before = read_material(files).leaf
    pki("renew", "service", "bootctl")
    after = read_material(files).leaf
    assert before.public_key() != after.public_key()
    assert "tftp.example,192.0.2.1" in pki("list").stdout
    pki("revoke", "user", "alice")
    assert pki.states() == {"service bootctl": ["valid", "valid"], "user alice": ["revoked"]}
    assert (place / "revoked.pem").read_bytes() == (pki.directory / "revoked.pem").read_bytes()
    pki("issue", "user", "alice")
    assert sorted(pki.states()["user alice"]) == ["revoked", "valid"]


def test_the_database_servers_certificate_is_for_a_server_alone(pki: Pki) -> None:
    pki("init")
    pki("issue", "service", "mariadb", "--host", "db.example", "--host", "192.0.2.1")
    pki("issue", "service", "inventory", "--host", "inventory.example")

    def uses(name: str) -> set[x509.ObjectIdentifier]:
        content = (pki.directory / "services" / name / "certificate.pem").read_bytes()
        extensions = x509.load_pem_x509_certificate(content).extensions
        return set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    # With it nobody can call a service; with theirs the services are let in by the database.
    assert (uses("mariadb"), uses("inventory")) == ({server}, {server, client})
    assert "db.example,192.0.2.1" in pki("list").stdout
    pki("renew", "service", "mariadb")
    pki("revoke", "service", "mariadb")
    assert pki.states()["service mariadb"] == ["revoked", "revoked"]


def test_private_keys_are_for_their_owner_alone(pki: Pki) -> None:
    pki("init")
    pki("issue", "user", "alice")
    for key in (pki.directory / "ca.key", pki.directory / "users" / "alice" / "private_key.pem"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(pki.directory.stat().st_mode) == 0o700


def test_nothing_is_overwritten_silently(pki: Pki) -> None:
    pki("init")
    authority = (pki.directory / "ca.pem").read_bytes()
    assert "is there already" in pki("init", status=5).stderr
    pki("issue", "user", "alice")
    key = (pki.directory / "users" / "alice" / "private_key.pem").read_bytes()
    assert "`ka pki renew user alice`" in pki("issue", "user", "alice", status=5).stderr
    assert (pki.directory / "ca.pem").read_bytes() == authority
    assert (pki.directory / "users" / "alice" / "private_key.pem").read_bytes() == key


def test_an_encrypted_authority_opens_with_its_passphrase_alone(pki: Pki, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse\n")
    wrong.write_text("battery staple\n")
    pki("init", "--passphrase-file", str(right))
    assert "ENCRYPTED" in (pki.directory / "ca.key").read_text()
    assert "give --passphrase-file" in pki("issue", "user", "alice", status=2).stderr
    assert (
        "is the passphrase the right one?"
        in pki("issue", "user", "alice", "--passphrase-file", str(wrong), status=2).stderr
    )
    pki("issue", "user", "alice", "--passphrase-file", str(right))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("issue", "user", "a b"), 2, "cannot be a user's name"),
        (("issue", "user", "../x"), 2, "cannot be a user's name"),
        (("issue", "user", "a" * 59), 2, "cannot be a user's name"),
        (("issue", "user", "alice", "--host", "h"), 2, "--host is for services"),
        (("issue", "service", "tftp", "--host", "h"), 2, "there is no service 'tftp'"),
        (("issue", "service", "bootctl"), 2, "needs --host"),
        (("issue", "service", "bootctl", "--host", "a_b!"), 2, "neither a host name nor an IP address"),
        (("issue", "service", "bootctl", "--host", "h", "--passphrase-file", "/absent"), 2, "cannot be read"),
        (("renew", "user", "alice"), 4, "`ka pki issue user alice`"),
        (("revoke", "user", "alice"), 4, "has no certificate that counts"),
    ],
)
def test_a_mistake_is_one_sentence(pki: Pki, arguments: tuple[str, ...], status: int, words: str) -> None:
    pki("init")
    assert words in pki(*arguments, status=status).stderr
    assert pki.states() == {}


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("ca.pem", b"garbage", "ca.pem is not a certificate"),
        ("ca.key", b"garbage", "ca.key cannot be opened"),
        ("ca.key", None, "ca.key cannot be used: No such file"),
        ("revoked.pem", b"garbage", "revoked.pem is not a revocation list"),
        ("revoked.pem", None, "revoked.pem cannot be used: No such file"),
        ("issued/0.pem", b"", "0.pem is not a certificate"),
    ],
)
def test_a_damaged_file_of_the_authority_is_named_and_nothing_is_issued(
    pki: Pki, file: str, content: bytes | None, words: str
) -> None:
    pki("init")
    damaged = pki.directory / file
    damaged.unlink() if content is None else damaged.write_bytes(content)
    assert words in pki("issue", "user", "alice", status=2).stderr
    assert not (pki.directory / "users").exists()


def test_an_authority_that_lost_its_records_issues_nothing_that_could_not_be_revoked(pki: Pki) -> None:
    pki("init")
    (pki.directory / "issued").rmdir()
    for arguments in (("issue", "user", "alice"), ("list",)):
        assert "issued is not a directory with the certificates" in pki(*arguments, status=2).stderr


def test_a_place_that_cannot_hold_an_authority_and_a_name_of_two_lines_are_told(pki: Pki) -> None:
    assert "printable characters" in pki("init", "--name", "a\nb", status=2).stderr
    pki.directory.write_text("a file")
    assert "pki cannot be used: File exists" in pki("init", status=2).stderr


def test_without_an_authority_the_way_to_one_is_told(pki: Pki) -> None:
    assert "`ka pki init` makes one" in pki("issue", "user", "alice", status=4).stderr
    assert "`ka pki init` makes one" in pki("list", status=4).stderr


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_hours_off_is_named(
    tls_site: TlsSite, certificates: SiteCertificates, tmp_path: Path, hours: int
) -> None:
    # Seen from this host, a certificate of an authority whose clock is ahead begins in the future.
    of_an_hour = SiteCertificates(certificates.directory, age=timedelta(hours=hours))
    files = of_an_hour.issue("user", f"late{hours + 2}", days=1 / 24)
    result = listed(settings(tmp_path, tls_site.addresses["inventory"], files))
    assert result.exit_code in {2, 3}
    assert "clock" in result.stderr
    assert "certificate" in result.stderr


@contextmanager
def presenting(files: TlsFiles) -> Iterator[str]:
    """Yields the address of a server that shows a certificate, and says nothing after it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.private_key)
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(10)
                        context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=15)


def test_a_service_whose_clock_is_hours_off_is_named(
    certificates: SiteCertificates, callers: Mapping[str, TlsFiles | None], tmp_path: Path
) -> None:
    theirs = SiteCertificates(certificates.directory, age=timedelta(hours=-2)).issue("service", "mariadb")
    with presenting(theirs) as address:
        result = listed(settings(tmp_path, address, callers["administrator"]))
    assert result.exit_code == 3
    assert f"the certificate of the inventory service at {address} is not trusted" in result.stderr
    assert "compare `date` on both hosts" in result.stderr
