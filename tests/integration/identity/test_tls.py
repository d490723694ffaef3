"""What mutual TLS holds and what the edge adds: names, hosts, renewal without a restart, revocation at every call."""

import shutil
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_edge.authority_file import AuthorityFile
from kadeploy_edge.caller import current_caller
from kadeploy_edge.channel import OPTIONS, open_channel
from kadeploy_edge.identity import CertificateExpired, CertifiedCallers
from kadeploy_edge.revocation import RevocationList, UnusableRevocationList
from kadeploy_edge.server import ServerSettings
from kadeploy_edge.status import RemoteError, from_rpc_error
from kadeploy_edge.tls import TlsFiles, UnusableCertificate, read_material
from tests.fakes.site_certificates import SiteCertificates
from tests.fakes.threaded_server import ThreadedServer, start_in_thread
from tests.integration.identity.conftest import connect

pytestmark = pytest.mark.integration


class WhoCalls(bootctl_service_pb2_grpc.TreeServiceServicer):
    """Answers with the name of the caller."""

    def ListLabels(self, request: Any, context: Any) -> bootctl_service_pb2.ListLabelsResponse:
        label = bootctl_service_pb2.KernelLabel(name=current_caller.get().name)
        return bootctl_service_pb2.ListLabelsResponse(labels=[label])


def ask(channel: grpc.Channel, **options: Any) -> str:
    stub = bootctl_service_pb2_grpc.TreeServiceStub(channel)
    return stub.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=10, **options).labels[0].name


def refused(channel: grpc.Channel) -> RemoteError:
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel)
    return from_rpc_error(caught.value)


@pytest.fixture
def own(tmp_path: Path) -> SiteCertificates:
    """An authority for this test alone, with one service and two users."""
    made = SiteCertificates(tmp_path / "pki")
    made.issue("service", "bootctl")
    made.issue("user", "alice")
    made.issue("user", "bob")
    return made


@pytest.fixture
def serve() -> Iterator[Callable[[TlsFiles], str]]:
    servers: list[ThreadedServer] = []

    def register(server: grpc.aio.Server) -> None:
        bootctl_service_pb2_grpc.add_TreeServiceServicer_to_server(WhoCalls(), server)  # type: ignore[abstract]

    def begin(files: TlsFiles) -> str:
        # The method is one for administrators.
        administrators = frozenset({"alice", "bob", "carol"})
        settings = ServerSettings(
            service="bootctl", address="127.0.0.1:0", service_names=(), administrators=administrators, tls=files
        )
        server, address = start_in_thread(register, settings)
        servers.append(server)
        return address

    yield begin
    for server in servers:
        server.stop()


def test_the_certificate_names_the_caller_and_the_metadata_does_not(
    own: SiteCertificates, serve: Callable[[TlsFiles], str]
) -> None:
    address = serve(own.files("service", "bootctl"))
    with open_channel(address, caller="user:root", tls=own.files("user", "alice")) as channel:
        assert ask(channel) == "user:alice"
        assert ask(channel, metadata=(("kadeploy-caller", "user:root"),)) == "user:alice"


def test_a_service_at_a_host_that_its_certificate_does_not_name_is_not_believed(
    own: SiteCertificates, serve: Callable[[TlsFiles], str]
) -> None:
    address = serve(own.issue("service", "deployer", hosts=("elsewhere.example",)))
    with open_channel(address, caller="", tls=own.files("user", "alice")) as channel:
        assert refused(channel).code is grpc.StatusCode.UNAVAILABLE


def test_a_user_cannot_pose_as_a_service(own: SiteCertificates, serve: Callable[[TlsFiles], str]) -> None:
    address = serve(own.files("user", "bob"))
    credentials = grpc.ssl_channel_credentials(own.authority.certificate_file.read_bytes())
    # Even where the client is told not to mind the host, the certificate is for clients alone.
    options = (*OPTIONS, ("grpc.ssl_target_name_override", "bob"))
    with grpc.secure_channel(address, credentials, options=options) as channel:
        assert refused(channel).code is grpc.StatusCode.UNAVAILABLE


def served_serial(address: str, files: TlsFiles) -> int:
    """Returns the serial number of what a server shows on a new connection."""
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(files.certificate, files.private_key)
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"").serial_number


def test_a_renewed_certificate_is_shown_without_a_restart_and_a_damaged_one_never(
    own: SiteCertificates, serve: Callable[[TlsFiles], str]
) -> None:
    files, alice = own.files("service", "bootctl"), own.files("user", "alice")
    address = serve(files)
    first = served_serial(address, alice)
    renewed = own.renew("service", "bootctl").certificate.serial_number
    assert renewed != first
    assert served_serial(address, alice) == renewed
    files.certificate.write_text("half a file")
    assert served_serial(address, alice) == renewed


def test_a_revocation_ends_a_connection_that_stands(own: SiteCertificates, serve: Callable[[TlsFiles], str]) -> None:
    files = own.files("service", "bootctl")
    address = serve(files)
    with (
        open_channel(address, caller="", tls=own.files("user", "alice")) as alice,
        open_channel(address, caller="", tls=own.files("user", "bob")) as bob,
    ):
        assert (ask(alice), ask(bob)) == ("user:alice", "user:bob")
        own.revoke("user", "alice")
        assert refused(alice).reason == "CERTIFICATE_REVOKED"
        assert ask(bob) == "user:bob"
        own.revocation_list.write_text("damaged")
        assert refused(alice).reason == "CERTIFICATE_REVOKED"
        assert ask(bob) == "user:bob"


def test_a_revocation_list_of_another_authority_is_refused_at_the_start(
    own: SiteCertificates, serve: Callable[[TlsFiles], str], tmp_path: Path
) -> None:
    foreign = SiteCertificates(tmp_path / "foreign")
    with pytest.raises(UnusableRevocationList, match="was not signed by an authority"):
        serve(replace(own.files("service", "bootctl"), revocation_list=foreign.revocation_list))
    with pytest.raises(UnusableRevocationList, match="cannot be read"):
        RevocationList(tmp_path / "absent.pem", ca=own.authority.certificate_file)


def test_a_certificate_that_ends_while_the_connection_stands_is_refused(own: SiteCertificates) -> None:
    class Context:
        def invocation_metadata(self) -> tuple[()]:
            return ()

        def auth_context(self) -> dict[str, list[bytes]]:
            return {"x509_pem_cert": [own.files("user", "alice").certificate.read_bytes()]}

    now = [datetime.now(UTC)]
    authorities = AuthorityFile(own.authority.certificate_file)
    callers = CertifiedCallers(None, authorities=authorities, clock=lambda: now[0])
    callers.admit(Context())
    now[0] += timedelta(days=2)
    with pytest.raises(CertificateExpired):
        callers.admit(Context())


@pytest.mark.parametrize(("version", "spoken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_nothing_older_than_tls_1_2_is_spoken(
    own: SiteCertificates, serve: Callable[[TlsFiles], str], version: str, spoken: bool
) -> None:
    address, alice = serve(own.files("service", "bootctl")), own.files("user", "alice")
    context = ssl.create_default_context(cafile=str(alice.ca))
    context.load_cert_chain(alice.certificate, alice.private_key)
    context.set_alpn_protocols(["h2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as secured:
                assert spoken, secured.version()
        except OSError:
            assert not spoken


def broken(own: SiteCertificates, tmp_path: Path, how: str) -> TlsFiles:
    alice, bob = own.files("user", "alice"), own.files("user", "bob")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing")
    return {
        "missing": replace(alice, certificate=tmp_path / "absent.pem"),
        "garbage": replace(alice, certificate=garbage),
        "garbage key": replace(alice, private_key=garbage),
        "another's key": replace(alice, private_key=bob.private_key),
        "another authority": replace(alice, ca=SiteCertificates(tmp_path / "foreign").authority.certificate_file),
        "expired": SiteCertificates(own.directory, age=timedelta(days=100)).issue("user", "oscar"),
    }[how]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("missing", "absent.pem cannot be read: No such file or directory"),
        ("garbage", "garbage.pem holds no certificate in PEM form"),
        ("garbage key", "garbage.pem is not a private key in PEM form"),
        ("another's key", "private_key.pem is not the key of"),
        ("another authority", "was not issued by an authority in"),
        ("expired", "have it renewed"),
    ],
)
def test_files_that_do_not_fit_are_told_in_one_sentence(
    own: SiteCertificates, tmp_path: Path, how: str, sentence: str
) -> None:
    with pytest.raises(UnusableCertificate) as caught:
        read_material(broken(own, tmp_path, how))
    assert sentence in caught.value.message


def test_two_authorities_are_believed_while_a_site_changes_from_one_to_the_other(
    own: SiteCertificates, serve: Callable[[TlsFiles], str], tmp_path: Path
) -> None:
    new = SiteCertificates(tmp_path / "new")
    carol = new.issue("user", "carol")
    both = tmp_path / "both.pem"
    with both.open("wb") as target:
        for each in (own, new):
            with each.authority.certificate_file.open("rb") as source:
                shutil.copyfileobj(source, target)
    address = serve(replace(own.files("service", "bootctl"), ca=both))
    with connect(address, carol, own) as channel:
        assert ask(channel) == "user:carol"
