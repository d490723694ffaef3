"""How the services are: whether they serve, which version they have, and until when their certificates count."""

import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy_cli.connection.connect import Peer
from kadeploy_cli.connection.session import Session
from kadeploy_cli.connection.settings import SERVICES, Settings
from kadeploy_cli.terminal.failures import Failure
from kadeploy_edge.health import REASON_KEY, TIME_KEY, VERSION_KEY
from kadeploy_edge.status import from_rpc_error
from kadeploy_edge.tls import TlsFiles, UnusableCertificate, read_material

SECONDS = 5.0
SERVES = "serves"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """One service.

    Attributes:
        service: its name.
        address: as the settings have it; empty if they do not name it.
        state: "serves", or what is wrong in one sentence.
        version: of its program; empty if it did not say.
        certificate_end: until when its certificate counts; None without TLS.
        seconds_ahead: by how much the clock of its host is ahead of this one's; None if it did not say.
    """

    service: str
    address: str
    state: str
    version: str = ""
    certificate_end: datetime | None = None
    seconds_ahead: float | None = None

    @property
    def answers(self) -> bool:
        """Whether it could be asked for its health."""
        return bool(self.version)

    @property
    def serves(self) -> bool:
        """Whether it takes calls."""
        return self.state == SERVES


def look_at_services(session: Session) -> list[ServiceState]:
    """Asks all services at once, each for at most 5 s."""
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        return list(pool.map(lambda service: _look(session, service), SERVICES))


def own_certificate_end(settings: Settings) -> datetime | None:
    """Returns until when the user's certificate counts; None without one, or with one that cannot be used."""
    if settings.tls is None:
        return None
    try:
        return read_material(settings.tls).leaf.not_valid_after_utc
    except UnusableCertificate:
        return None


def _look(session: Session, service: str) -> ServiceState:
    settings = session.settings
    address = settings.addresses.get(service, "")
    if not address:
        return ServiceState(service=service, address="", state="client.toml does not say where it is")
    try:
        peer = Peer(service, settings)
    except Failure as failure:
        return ServiceState(service=service, address=address, state=failure.message)
    end = certificate_end(address, settings.tls) if settings.tls is not None and peer.has_tls else None
    try:
        return _asked(peer, service, end)
    finally:
        peer.close()


def _asked(peer: Peer, service: str, end: datetime | None) -> ServiceState:
    stub = health_pb2_grpc.HealthStub(peer.channel)
    begin = time.time()
    try:
        answer, call = stub.Check.with_call(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    except grpc.RpcError as error:
        state = peer.failure(from_rpc_error(error)).message
        return ServiceState(service=service, address=peer.address, state=state, certificate_end=end)
    version = next((str(value) for key, value in _metadata(call) if key == VERSION_KEY), "")
    middle = (begin + time.time()) / 2
    reasons = [str(value) for key, value in call.trailing_metadata() or () if key == REASON_KEY]
    state = SERVES
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        state = ": ".join(("answers, but does not serve", *reasons))
    return ServiceState(
        service=service,
        address=peer.address,
        state=state,
        version=version,
        certificate_end=end,
        seconds_ahead=_seconds_ahead(call, middle),
    )


def _seconds_ahead(call: grpc.Call, now: float) -> float | None:
    clock = next((value for key, value in _metadata(call) if key == TIME_KEY), None)
    try:
        return None if clock is None else float(clock) - now
    except ValueError:
        return None


def _metadata(call: grpc.Call) -> Sequence[tuple[str, str | bytes]]:
    return tuple(call.initial_metadata() or ())


def certificate_end(address: str, files: TlsFiles) -> datetime | None:
    """Returns until when the certificate of a service counts, whoever issued it; None if it shows none."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=str(files.ca))
    # gRPC has checked the certificate where it matters. Here one that has ended is to be seen, too.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        context.load_cert_chain(files.certificate, files.private_key)
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host.strip("[]")) as wrapped,
        ):
            shown = wrapped.getpeercert(binary_form=True)
    except (OSError, ValueError):
        return None
    return x509.load_der_x509_certificate(shown).not_valid_after_utc.astimezone(UTC) if shown else None
