"""`ka login` from end to end: a real inventory on TLS, a real MUNGE daemon, a real agent, certificates that count."""

import asyncio
import json
import os
import pwd
import re
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_cli.connection.settings import VARIABLE
from kadeploy_cli.ka import ka
from kadeploy_cli.login.agent import LoginAgent
from kadeploy_cli.login.key_files import make_request
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_database.access import SqliteAccess
from kadeploy_edge.channel import open_aio_channel, open_channel, open_login_channel
from kadeploy_edge.delegation import METADATA_KEY, make_delegation
from kadeploy_edge.login_certificate import BACKDATED, USERS, user_subject
from kadeploy_edge.status import RemoteError, from_rpc_error
from kadeploy_edge.tls import TlsFiles
from kadeploy_inventory import bootstrap as inventory
from kadeploy_inventory.app.logins import PAYLOAD_PREFIX
from kadeploy_inventory.settings import LoginSettings
from kadeploy_inventory.settings import Settings as InventorySettings
from kadeploy_inventory.store import schema
from tests.fakes.site_certificates import SiteCertificates
from tests.fakes.threaded_server import start_in_thread
from tests.munge import Munge, running_munge

pytestmark = pytest.mark.integration

USER = pwd.getpwuid(os.geteuid()).pw_name


@dataclass(kw_only=True)
class LoginSite:
    """An inventory that issues certificates, and how a user reaches it."""

    directory: Path
    certificates: SiteCertificates
    munge: Munge
    address: str
    login_address: str
    monkeypatch: pytest.MonkeyPatch

    @property
    def mine(self) -> TlsFiles:
        """Where `ka login` keeps what it gets."""
        home = self.directory / "home"
        return TlsFiles(
            certificate=home / "certificate.pem",
            private_key=home / "private_key.pem",
            ca=self.certificates.authority.certificate_file,
        )

    def login(self, *options: str, place: str | None = None, munge: Path | None = None) -> Result:
        """Runs `ka login`."""
        mine = self.mine
        lines = [f"[login]\n{place or f'address = {json.dumps(self.login_address)}'}", "[tls]"]
        lines += [f'{key} = "{getattr(mine, key)}"' for key in ("certificate", "private_key", "ca")]
        lines += [f'[inventory]\naddress = "{self.address}"']
        file = self.directory / "client.toml"
        file.write_text("\n".join(lines) + "\n")
        self.monkeypatch.setenv(VARIABLE, str(file))
        socket = munge or self.munge.socket
        return CliRunner().invoke(ka, ["login", "--munge-socket", str(socket), *options])

    def call(self, files: TlsFiles) -> None:
        """Makes a call that any user may make."""
        with open_channel(self.address, caller="", tls=files) as channel:
            stub = inventory_service_pb2_grpc.ClusterServiceStub(channel)
            stub.GetCluster(inventory_service_pb2.GetClusterRequest(name="default"), timeout=10)

    def refusal(self, files: TlsFiles) -> RemoteError:
        """Returns what is said against a call that may not be made."""
        with pytest.raises(grpc.RpcError) as caught:
            self.call(files)
        return from_rpc_error(caught.value)

    def issue(self, request: bytes, credential: str, user: str = "") -> RemoteError | None:
        """Asks for a certificate, past the client; returns what is said against it."""
        message = inventory_service_pb2.IssueByMungeRequest(
            certificate_request=request, credential=credential, user=user
        )
        with open_login_channel(self.login_address, ca=self.mine.ca) as channel:
            try:
                inventory_service_pb2_grpc.LoginServiceStub(channel).IssueByMunge(message, timeout=20)
            except grpc.RpcError as error:
                return from_rpc_error(error)
        return None

    def records(self) -> list[dict[str, object]]:
        """Returns the inventory's audit records."""
        return [json.loads(line) for line in (self.directory / "audit.json").read_text().splitlines()]


@contextmanager
def login_site(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *, administrators: frozenset[str], least_uid: int, on: bool = True
) -> Iterator[LoginSite]:
    certificates = SiteCertificates(directory / "pki")
    tls = certificates.issue("service", "inventory")
    authority = certificates.issue("authority", "login", days=30)
    with ExitStack() as stack:
        # Other users have to reach its socket.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kadeploy-test-munge-")))
        home.chmod(0o711)
        munge = stack.enter_context(running_munge(home))
        login = LoginSettings(
            certificate=authority.certificate,
            private_key=authority.private_key,
            address="127.0.0.1:0",
            hours=12,
            least_uid=least_uid,
            munge_socket=munge.socket,
        )
        settings = InventorySettings(
            deploy_database=SqliteAccess(path=directory / "deploy.db"),
            deploy_right_database=SqliteAccess(path=directory / "deploy_right.db"),
            address="127.0.0.1:0",
            administrators=administrators,
            audit_log=directory / "audit.json",
            tls=tls,
            login=login if on else None,
        )
        engines = inventory.open_engines(settings)
        schema.upgrade(engines)
        for engine in engines.values():
            stack.callback(engine.dispose)
        runtime = inventory.build_runtime(settings, engines)
        server, address = start_in_thread(inventory.registration(runtime), inventory.server_settings(settings))
        stack.callback(server.stop)
        logins = inventory.login_server_settings(settings) or replace(
            inventory.server_settings(settings), callers_prove_themselves=False
        )
        login_server, login_address = start_in_thread(inventory.login_registration(runtime), logins)
        stack.callback(login_server.stop)
        yield LoginSite(
            directory=directory,
            certificates=certificates,
            munge=munge,
            address=address,
            login_address=login_address,
            monkeypatch=monkeypatch,
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginSite]:
    """A site that gives certificates also to whoever runs the tests, root perhaps."""
    with login_site(tmp_path, monkeypatch, administrators=frozenset({"ruth"}), least_uid=0) as made:
        yield made


def test_whom_munge_knows_gets_a_certificate_for_hours_that_counts(site: LoginSite) -> None:
    done = site.login()
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{USER}: logged in until ")
    site.call(site.mine)
    leaf, issuer = x509.load_pem_x509_certificates(site.mine.certificate.read_bytes())
    assert timedelta(hours=11) < leaf.not_valid_after_utc - datetime.now(UTC) <= timedelta(hours=12)
    assert leaf.issuer == issuer.subject
    assert stat.S_IMODE(site.mine.private_key.stat().st_mode) == 0o600
    (record,) = [each for each in site.records() if str(each["method"]).endswith("IssueByMunge")]
    assert record["caller"] == "address:127.0.0.1"
    assert record["result"] == {
        "certificate.user": USER,
        "certificate.known_by": f"munge uid={os.geteuid()} host=localhost",
        "certificate.serial": f"{leaf.serial_number:x}",
    }


def test_a_second_login_keeps_the_key_so_that_commands_that_run_find_a_pair_that_fits(site: LoginSite) -> None:
    assert site.login().exit_code == 0
    key, first = site.mine.private_key.read_bytes(), site.mine.certificate.read_bytes()
    assert site.login().exit_code == 0
    assert site.mine.private_key.read_bytes() == key
    assert site.mine.certificate.read_bytes() != first


def test_a_certificate_that_an_administrator_made_is_not_overwritten(site: LoginSite) -> None:
    long = site.certificates.issue("user", "alice", days=90)
    mine = site.mine
    mine.certificate.parent.mkdir()
    for name in ("certificate", "private_key"):
        getattr(mine, name).write_bytes(getattr(long, name).read_bytes())
    done = site.login()
    assert done.exit_code == ExitCode.REFUSED
    assert "`ka login` did not make it" in done.output
    assert mine.certificate.read_bytes() == long.certificate.read_bytes()
    assert site.login("--replace").exit_code == 0


def test_munge_away_on_either_side_is_one_sentence(site: LoginSite, tmp_path: Path) -> None:
    away = tmp_path / "nobody.socket"
    done = site.login(munge=away)
    assert (done.exit_code, done.output.splitlines()[0]) == (
        ExitCode.UNREACHABLE,
        "ka: MUNGE does not answer on this host",
    )
    site.munge.socket.rename(tmp_path / "elsewhere")
    done = site.login(munge=tmp_path / "elsewhere")
    assert done.exit_code == ExitCode.UNREACHABLE
    assert "MUNGE does not answer on the inventory's host" in done.output


def request_of(user: str = USER) -> bytes:
    return make_request(ec.generate_private_key(ec.SECP256R1()), user)


def credential_for(site: LoginSite, request: bytes, *options: str) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(request)
    return site.munge.credential(PAYLOAD_PREFIX + digest.finalize().hex(), *options)


def refused(error: RemoteError | None) -> tuple[str, str]:
    assert error is not None
    return error.reason, error.message


def test_a_credential_counts_once_and_for_one_key_alone(site: LoginSite) -> None:
    request, other = request_of(), request_of()
    credential = credential_for(site, request)
    assert site.issue(request, credential) is None
    reason, message = refused(site.issue(request, credential))
    assert (reason, message) == ("CREDENTIAL_REFUSED", "the MUNGE credential was used before: run `ka login` again")
    reason, message = refused(site.issue(other, credential_for(site, request)))
    assert (reason, message) == (
        "CREDENTIAL_REFUSED",
        f"the MUNGE credential of uid {os.geteuid()} was made for something else",
    )


def test_a_credential_that_is_too_old_names_the_clocks(site: LoginSite) -> None:
    request = request_of()
    credential = credential_for(site, request, "--ttl=1")
    deadline = threading.Event()
    deadline.wait(2.5)
    reason, message = refused(site.issue(request, credential))
    assert reason == "CREDENTIAL_REFUSED"
    assert "s ago by the clock of the inventory's host, and counts 1 s: compare the clocks of localhost" in message


@pytest.mark.parametrize(("ahead", "said"), [(3600, "s in the future by the clock"), (-3600, "s ago by the clock")])
def test_a_host_whose_clock_is_an_hour_off_is_named(site: LoginSite, tmp_path: Path, ahead: int, said: str) -> None:
    request = request_of()
    (tmp_path / "wrong").mkdir()
    with running_munge(tmp_path / "wrong", key=site.munge.key, ahead=ahead) as wrong:
        credential = credential_for(replace(site, munge=wrong), request)
    reason, message = refused(site.issue(request, credential))
    assert reason == "CREDENTIAL_REFUSED"
    assert re.search(rf"was made 3[56]\d\d {said} of the inventory's host, and counts 300 s", message), message
    assert "compare the clocks of localhost and of the inventory's host" in message


def test_a_credential_of_another_site_is_refused(site: LoginSite, tmp_path: Path) -> None:
    request = request_of()
    (tmp_path / "other").mkdir()
    with running_munge(tmp_path / "other") as other:
        digest = hashes.Hash(hashes.SHA256())
        digest.update(request)
        credential = other.credential(PAYLOAD_PREFIX + digest.finalize().hex())
    reason, message = refused(site.issue(request, credential))
    assert reason == "CREDENTIAL_REFUSED"
    assert "both hosts need the same MUNGE key" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_credential_of_another_user_is_refused(site: LoginSite) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    request = request_of()
    reason, message = refused(site.issue(request, credential_for(site, request, f"--uid={nobody}"), user="root"))
    assert (reason, message) == ("LOGIN_REFUSED", f"the MUNGE credential is nobody's (uid {nobody}), not root's")
    unknown = credential_for(site, request, "--uid=54321")
    reason, message = refused(site.issue(request, unknown))
    assert reason == "LOGIN_REFUSED"
    assert "uid 54321, which the MUNGE credential names, has no name on the inventory's host" in message


def test_accounts_of_the_system_and_administrators_get_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with login_site(tmp_path, monkeypatch, administrators=frozenset({USER}), least_uid=0) as site:
        done = site.login()
        assert done.exit_code == ExitCode.REFUSED
        assert f"{USER} administrates the site: an administrator's certificate comes from" in done.output
    (tmp_path / "second").mkdir()
    with login_site(tmp_path / "second", monkeypatch, administrators=frozenset(), least_uid=os.geteuid() + 1) as site:
        done = site.login()
        assert done.exit_code == ExitCode.REFUSED
        assert f"{USER} is an account of the system (uid {os.geteuid()} is below" in done.output


def test_a_site_that_did_not_switch_it_on_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with login_site(tmp_path, monkeypatch, administrators=frozenset(), least_uid=0, on=False) as site:
        done = site.login()
        assert done.exit_code == ExitCode.REFUSED
        assert "this site issues no certificates by login" in done.output


def test_a_revoked_user_is_refused_at_once_and_can_log_in_again(site: LoginSite) -> None:
    assert site.login().exit_code == 0
    site.call(site.mine)
    # The revocation counts to the second, as certificates do.
    threading.Event().wait(1.1)
    site.certificates.revoke("user", USER)
    assert site.refusal(site.mine).reason == "CERTIFICATE_REVOKED"
    threading.Event().wait(1.1)
    assert site.login().exit_code == 0
    site.call(site.mine)


def test_the_revoked_login_authority_takes_all_its_certificates_with_it(site: LoginSite) -> None:
    assert site.login().exit_code == 0
    site.certificates.revoke("authority", "login")
    assert site.refusal(site.mine).reason == "CERTIFICATE_REVOKED"


def test_what_is_reached_without_a_certificate_is_login_alone(site: LoginSite) -> None:
    with open_login_channel(site.login_address, ca=site.mine.ca) as channel:
        stub = inventory_service_pb2_grpc.ClusterServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetCluster(inventory_service_pb2.GetClusterRequest(name="default"), timeout=10)
        assert from_rpc_error(caught.value).code is grpc.StatusCode.UNIMPLEMENTED
        agents = inventory_service_pb2_grpc.LoginServiceStub(channel)
        message = inventory_service_pb2.IssueByAgentRequest(certificate_request=request_of(), user="alice", uid=1000)
        with pytest.raises(grpc.RpcError) as caught:
            agents.IssueByAgent(message, timeout=10)
        assert from_rpc_error(caught.value).reason == "CALLER_NOT_ALLOWED"
    # And a user cannot speak for others.
    assert site.login().exit_code == 0
    with open_channel(site.address, caller="", tls=site.mine) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            inventory_service_pb2_grpc.LoginServiceStub(channel).IssueByAgent(message, timeout=10)
        assert from_rpc_error(caught.value).reason == "CALLER_NOT_ALLOWED"


@contextmanager
def running_agent(site: LoginSite) -> Iterator[Path]:
    """Yields the socket of an agent, with a certificate of its own."""
    tls = site.certificates.issue("agent", "login-1.example")
    path = site.directory / "agent.socket"
    ready, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with open_aio_channel(site.address, caller="", tls=tls) as channel:
            server = await LoginAgent(channel).start(path)
            ready.set()
            await asyncio.to_thread(ended.wait)
            server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield path
    ended.set()
    thread.join(20)


def test_whom_the_kernel_knows_gets_a_certificate_through_the_agent(site: LoginSite) -> None:
    with running_agent(site) as path:
        done = site.login(place=f'socket = "{path}"')
        assert done.exit_code == 0, done.output
        site.call(site.mine)
        (record,) = [each for each in site.records() if str(each["method"]).endswith("IssueByAgent")]
        assert record["caller"] == "agent:login-1.example"
        result = record["result"]
        assert isinstance(result, dict)
        assert result["certificate.known_by"] == f"agent uid={os.geteuid()} host=login-1.example"
    done = site.login(place=f'socket = "{path}"')
    assert done.exit_code == ExitCode.UNREACHABLE
    assert "the login agent of this host does not answer" in done.output


def test_an_agent_that_is_refused_says_why(site: LoginSite) -> None:
    with running_agent(site) as path:
        site.certificates.revoke("agent", "login-1.example")
        done = site.login(place=f'socket = "{path}"')
        assert done.exit_code == ExitCode.REFUSED
        assert "was revoked" in done.output


Forge = Callable[[x509.Name, timedelta], TlsFiles]


@pytest.fixture
def forge(site: LoginSite, tmp_path: Path) -> Forge:
    """Somebody who has the login authority's key, and issues whatever they like."""
    authority = site.certificates.files("authority", "login")
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    signing = load_pem_private_key(authority.private_key.read_bytes(), password=None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)

    def make(subject: x509.Name, life: timedelta) -> TlsFiles:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + life)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DirectoryName(subject)]), critical=False)
            .sign(signing, hashes.SHA256())
        )
        files = TlsFiles(certificate=tmp_path / "forged.pem", private_key=tmp_path / "forged.key", ca=site.mine.ca)
        files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM) + issuer.public_bytes(Encoding.PEM))
        files.private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files

    return make


def test_tls_itself_refuses_a_service_that_the_login_authority_names(site: LoginSite, forge: Forge) -> None:
    deployer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "deployer")])
    error = site.refusal(forge(deployer, timedelta(hours=1)))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "")


@pytest.mark.parametrize(
    ("name", "hours", "said"),
    [
        ("deployer", 1, "names no user"),
        ("agent:login-1", 1, "names no user"),
        ("user:alice", 30, "lives longer than 24 hours"),
        ("user:ruth", 1, "ruth administrates the site"),
    ],
)
def test_the_services_refuse_what_x509_lets_the_login_authority_sign(
    site: LoginSite, forge: Forge, name: str, hours: int, said: str
) -> None:
    subject = x509.Name([*USERS, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    error = site.refusal(forge(subject, timedelta(hours=hours)))
    assert error.reason == "CERTIFICATE_NOT_BELIEVED"
    assert said in error.message


def test_what_the_login_authority_forges_in_time_and_name_would_count(site: LoginSite, forge: Forge) -> None:
    # The forger of the tests above is refused for what it says, and for nothing else.
    site.call(forge(user_subject("alice"), timedelta(hours=1)))


def delegated(site: LoginSite, files: TlsFiles) -> str:
    """Returns the reason why a delegation of a certificate's holder is refused; empty when it is not."""
    site.certificates.issue("user", "web")
    token = make_delegation(files, presenter="user:web", lifetime=timedelta(hours=1), may_change=True)
    with open_channel(site.address, caller="", tls=site.certificates.files("user", "web")) as channel:
        stub = inventory_service_pb2_grpc.ClusterServiceStub(channel)
        request = inventory_service_pb2.GetClusterRequest(name="default")
        try:
            stub.GetCluster(request, timeout=10, metadata=((METADATA_KEY, token),))
        except grpc.RpcError as error:
            return from_rpc_error(error).reason
        return ""


def test_a_delegation_of_a_login_certificate_counts_as_the_certificate_does(site: LoginSite, forge: Forge) -> None:
    assert delegated(site, forge(user_subject("alice"), timedelta(hours=1))) == ""


@pytest.mark.parametrize(
    ("name", "hours"), [("deployer", 1), ("agent:login-1", 1), ("user:alice", 30), ("user:ruth", 1)]
)
def test_what_a_login_authority_may_not_sign_delegates_nothing(
    site: LoginSite, forge: Forge, name: str, hours: int
) -> None:
    subject = x509.Name([*USERS, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    assert delegated(site, forge(subject, timedelta(hours=hours))) == "INVALID_DELEGATION"
