"""The way to MariaDB is mutual TLS: who is let in, who is refused, and in which words."""

import logging
import shutil
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest
from cryptography import x509
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from kadeploy_database.channel import last_words
from kadeploy_deployer.__main__ import main as deployer
from kadeploy_deployer.bootstrap import open_database
from kadeploy_deployer.domain.errors import StoreUnreachable
from kadeploy_deployer.settings import Settings as DeployerSettings
from kadeploy_edge.tls import TlsFiles
from kadeploy_inventory.__main__ import main as inventory
from kadeploy_inventory.bootstrap import open_engines
from kadeploy_inventory.settings import Settings as InventorySettings
from tests.fakes.site_certificates import SiteCertificates
from tests.integration.databases.conftest import ADMINISTRATOR, SERVICE_OF, DatabaseSite, tls_context
from tests.mariadb import running_server

pytestmark = [pytest.mark.integration, pytest.mark.mariadb]

ACCESS_DENIED = 1045


@pytest.fixture
def ready(site: DatabaseSite, capsys: pytest.CaptureFixture[str]) -> DatabaseSite:
    """A site whose databases are there, and nothing was said."""
    assert (site.init(inventory, "inventory"), site.init(deployer, "deployer")) == (0, 0)
    capsys.readouterr()
    return site


@pytest.fixture
def foreign(tmp_path: Path) -> TlsFiles:
    """The deployer's certificate of an authority that the server does not know."""
    return SiteCertificates(tmp_path / "foreign").issue("service", "deployer")


def authority(site: DatabaseSite) -> SiteCertificates:
    assert site.server.certificates is not None
    return site.server.certificates


def check(site: DatabaseSite) -> int:
    return deployer(["db", "check", "--config", site.config("deployer")])


def refusal(site: DatabaseSite, capsys: pytest.CaptureFixture[str]) -> str:
    """Returns the one sentence with which the deployer ends instead of serving."""
    assert deployer(["serve", "--config", site.config("deployer")]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_check_says_what_encrypts_and_what_the_accounts_demand(
    ready: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inventory(["db", "check", "--config", ready.config("inventory")]) == 0
    told = capsys.readouterr().out
    for database in ("deploy", "deploy_right"):
        place = f"127.0.0.1:{ready.server.port}"
        assert f"the database {database}: reached at {place}, encrypted with TLSv1.3 TLS_" in told
        assert f"{ready.user(database)} demands the certificate of /CN=inventory\n" in told
    certificate = x509.load_pem_x509_certificate(authority(ready).files("service", "mariadb").certificate.read_bytes())
    end = certificate.not_valid_after_utc
    assert told.count(f"ends on {end:%b} {end.day:2} {end:%H:%M:%S %Y} GMT; ") == 2


def test_what_the_services_open_is_encrypted(ready: DatabaseSite) -> None:
    settings = InventorySettings.load(Path(ready.config("inventory")))
    for engine in open_engines(settings).values():
        with engine.connect() as connection:
            assert connection.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).one()[1]
        engine.dispose()


@pytest.mark.parametrize("database", SERVICE_OF)
@pytest.mark.parametrize("kind", ["service", "migration"])
def test_the_right_password_alone_opens_no_account(ready: DatabaseSite, database: str, kind: str) -> None:
    own = ready.files[SERVICE_OF[database]]
    (other,) = [files for name, files in ready.files.items() if name != SERVICE_OF[database]]
    ways: dict[str, dict[str, Any]] = {
        "plain text": {"ssl_disabled": True},
        "TLS without a certificate": {"ssl": tls_context(own, certificate=False)},
        "the other service's certificate": {"ssl": tls_context(other)},
    }
    for way, options in ways.items():
        with pytest.raises(pymysql.err.OperationalError) as refused:
            ready.connect(database, kind, **options).close()
        assert refused.value.args[0] == ACCESS_DENIED, way
    ready.connect(database, kind, ssl=tls_context(own)).close()


def test_the_administrators_connection_shows_the_certificate_too(ready: DatabaseSite) -> None:
    # `db init` has just worked as this administrator, whom the server lets in with a certificate alone.
    user, password = ADMINISTRATOR
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(
            host="127.0.0.1", port=ready.server.port, user=user, password=password, ssl_disabled=True
        ).close()


def test_a_server_of_a_foreign_authority_is_not_believed(
    ready: DatabaseSite, foreign: TlsFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.write("deployer", tls=foreign)
    told = refusal(ready, capsys)
    assert f"database.deploy_state.ca: the certificate of the server at 127.0.0.1:{ready.server.port}" in told
    assert f"was not issued by an authority in {foreign.ca}" in told


def test_a_server_under_another_name_than_its_certificates_is_not_believed(
    ready: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.write("deployer", tls=ready.files["deployer"], host="localhost")
    assert "database.deploy_state.host: the certificate of the server at localhost" in refusal(ready, capsys)


def test_a_certificate_of_a_foreign_authority_opens_nothing(
    ready: DatabaseSite, foreign: TlsFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(foreign.ca.read_bytes() + ready.files["deployer"].ca.read_bytes())
    ready.write("deployer", tls=replace(foreign, ca=both))
    told = refusal(ready, capsys)
    assert "database.deploy_state.certificate: the server at" in told
    assert str(foreign.certificate) in told


def test_another_services_certificate_opens_nothing(ready: DatabaseSite, capsys: pytest.CaptureFixture[str]) -> None:
    ready.write("deployer", tls=ready.files["inventory"])
    told = refusal(ready, capsys)
    assert "Access denied for user" in told
    assert "database.deploy_state.certificate" in told


def test_an_ended_certificate_is_told_at_the_start(ready: DatabaseSite, capsys: pytest.CaptureFixture[str]) -> None:
    old = SiteCertificates(authority(ready).directory, age=timedelta(days=100))
    ready.write("deployer", tls=old.issue("user", f"old-{ready.names['deploy']}"))
    told = refusal(ready, capsys)
    assert "database.deploy_state.certificate: " in told
    assert "ended on" in told


def test_a_file_that_is_not_there_or_does_not_fit_is_told(
    ready: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ready.files["deployer"]
    ready.write("deployer", tls=replace(files, certificate=Path("/nowhere/c.pem")))
    assert "database.deploy_state.certificate: /nowhere/c.pem cannot be read" in refusal(ready, capsys)
    ready.write("deployer", tls=replace(files, private_key=ready.files["inventory"].private_key))
    assert "database.deploy_state.private_key: " in refusal(ready, capsys)


def test_a_server_whose_certificate_has_ended_is_not_believed(
    ready: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = authority(ready)
    old = SiteCertificates(certificates.directory, age=timedelta(days=100))
    with ExitStack() as later:
        # What the server shows afterwards.
        later.callback(certificates.renew, "service", "mariadb")
        old.renew("service", "mariadb")
        later.enter_context(ready.server.showing(old.files("service", "mariadb")))
        told = refusal(ready, capsys)
    assert "database.deploy_state: the certificate of the server at" in told
    assert "has ended" in told
    with ready.server.showing(certificates.files("service", "mariadb")):
        assert check(ready) == 0


def test_a_revoked_certificate_opens_nothing(site: DatabaseSite, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"mallory-{site.names['deploy']}"
    mallory = authority(site).issue("user", name)
    site.write("deployer", tls=mallory)
    assert site.init(deployer, "deployer") == 0
    authority(site).revoke("user", name)
    capsys.readouterr()
    with site.server.showing(authority(site).files("service", "mariadb")):
        assert f"hung up: does its ssl_ca hold the authority of {mallory.certificate}" in refusal(site, capsys)


def test_a_server_without_encryption_is_never_given_a_password(
    ready: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_server(tls=False) as plain:
        ready.write("deployer", tls=ready.files["deployer"], port=plain.port)
        assert f"database.deploy_state: the server at 127.0.0.1:{plain.port} offers no encryption" in refusal(
            ready, capsys
        )


def test_tcp_without_certificates_is_refused_before_anything_is_opened(
    ready: DatabaseSite, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.write("deployer", tls=None)
    assert deployer(["serve", "--config", ready.config("deployer")]) == 2
    told = capsys.readouterr().err
    assert "database.deploy_state.ca is missing: TCP needs certificates" in told
    assert told.count("\n") == 1


def test_plain_text_on_loopback_has_to_be_asked_for_and_is_told_aloud(
    ready: DatabaseSite, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    user, password = ADMINISTRATOR
    ready.server.run(f"ALTER USER '{user}'@'%' IDENTIFIED BY '{password}' REQUIRE NONE")
    ready.write("deployer", tls=ready.files["deployer"], more="insecure = true\n")
    with caplog.at_level(logging.WARNING):
        assert ready.init(deployer, "deployer") == 0
    told = capsys.readouterr().out
    assert f"{ready.user('deploy_state')}@127.0.0.1 demands no certificate any more" in told
    assert f"the database deploy_state: reached at 127.0.0.1:{ready.server.port} in PLAIN TEXT" in told
    assert f"INSECURE: database.deploy_state is reached at 127.0.0.1:{ready.server.port}" in caplog.text

    ready.write("deployer", tls=ready.files["deployer"])
    assert check(ready) == 1
    told = capsys.readouterr().err
    for kind in ("service", "migration"):
        assert f"{ready.user('deploy_state', kind)} does not demand the certificate of /CN=deployer" in told
    assert ready.init(deployer, "deployer") == 0


def test_a_socket_needs_no_certificates(site: DatabaseSite, capsys: pytest.CaptureFixture[str]) -> None:
    section = site.section("deploy_state").replace('host = "127.0.0.1"\n', "").splitlines()
    lines = [line for line in section if not line.startswith("port")]
    more = [f'socket = "{site.server.socket}"', *lines[1:]]
    head = 'ssh_private_key = "k"\ndeployment_host_keys = "h"\ncache_directory = "c"\n'
    Path(site.config("deployer")).write_text(head + "\n".join([lines[0], *more]))
    site.defaults_file.write_text("[client]\nuser=root\n")
    assert site.init(deployer, "deployer") == 0
    assert f"reached by the socket {site.server.socket}" in capsys.readouterr().out


@pytest.fixture
def copied(ready: DatabaseSite, tmp_path: Path) -> TlsFiles:
    """The deployer's files where this test may change them, in its settings."""
    names = {"certificate": tmp_path / "c.pem", "private_key": tmp_path / "k.pem"}
    for key, path in names.items():
        shutil.copy(getattr(ready.files["deployer"], key), path)
    files = replace(ready.files["deployer"], **names)
    ready.write("deployer", tls=files)
    return files


async def test_renewed_files_count_from_the_next_connection_on(
    ready: DatabaseSite, copied: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    other = ready.files["inventory"]
    with open_database(DeployerSettings.load(Path(ready.config("deployer")))) as database:
        await database.read(lambda connection: connection.execute(text("SELECT 1")))

        # Half of a change: the files before stay in use.
        shutil.copy(other.certificate, copied.certificate)
        database.engine.dispose()
        await database.read(lambda connection: connection.execute(text("SELECT 1")))
        assert "database.deploy_state.private_key" in caplog.text
        assert "the one before stays" in caplog.text

        # The whole of it: what is shown now is no certificate of this account.
        shutil.copy(other.private_key, copied.private_key)
        database.engine.dispose()
        with pytest.raises(StoreUnreachable, match=r"Access denied.*database\.deploy_state\.certificate"):
            await database.read(lambda connection: connection.execute(text("SELECT 1")))


def test_a_server_that_is_away_is_not_blamed_on_certificates(ready: DatabaseSite) -> None:
    ready.write("inventory", tls=ready.files["inventory"], port=1)
    engines = open_engines(InventorySettings.load(Path(ready.config("inventory"))))
    with pytest.raises(OperationalError) as caught, engines["deploy"].connect():
        pass
    assert "Connection refused" in last_words(caught.value.orig)
