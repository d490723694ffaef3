"""Starting a service: address, certificates, health, reflection, signals, drain.

`transport.py` says which addresses are served how: TCP by mutual TLS, plain text on Unix sockets, or on loopback when
that was asked for.
"""

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kadeploy_edge.audit import AuditLog
from kadeploy_edge.errors import Exhausted
from kadeploy_edge.garbage import settle
from kadeploy_edge.identity import CertifiedCallers, Identity, NamedCallers
from kadeploy_edge.interceptors import AioEdgeInterceptor, Edge, EdgeInterceptor
from kadeploy_edge.revocation import RevocationList
from kadeploy_edge.tls import TlsFiles, server_credentials
from kadeploy_edge.transport import Transport, choose_transport

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0

# A second process on the same port must fail, not share it.
OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # 10,000 nodes with long kernel arguments in one message.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


class AddressInUse(Exhausted):
    """Another process listens there."""

    reason = "ADDRESS_IN_USE"


class _Door:
    """How one server is reached: its address, its transport, and what its edge knows of its callers."""

    def __init__(
        self, service: str, address: str, *, tls: TlsFiles | None, insecure: bool, audit_log: Path | None
    ) -> None:
        transport = choose_transport(address, tls=tls, insecure=insecure)
        identity: Identity = NamedCallers()
        self._address = address
        self._credentials: grpc.ServerCredentials | None = None
        if transport is Transport.TLS and tls is not None:
            self._credentials = server_credentials(tls)
            revocations = RevocationList(tls.revocation_list, ca=tls.ca) if tls.revocation_list else None
            identity = CertifiedCallers(revocations)
        if transport is Transport.PLAIN:
            warning = f"INSECURE: {service} listens on {address} in plain text and believes every process of this host"
            logger.warning(warning)
            sys.stderr.write(f"kadeploy-{service}: {warning}\n")
        self.edge = Edge(service=service, identity=identity, audit=AuditLog(service, audit_log))

    def open(self, server: "grpc.Server | grpc.aio.Server") -> str:
        """Binds and returns the address with its real port."""
        if self._credentials is None:
            return _bound(lambda: server.add_insecure_port(self._address), self._address)
        credentials = self._credentials
        return _bound(lambda: server.add_secure_port(self._address, credentials), self._address)


def start_sync(
    register: Callable[[grpc.Server], None],
    *,
    service: str,
    address: str,
    service_names: Sequence[str],
    maximum_workers: int = 16,
    tls: TlsFiles | None = None,
    insecure: bool = False,
    audit_log: Path | None = None,
) -> tuple[grpc.Server, str]:
    """Starts a sync server and returns it with its address (the real port where 0 was asked for).

    Args:
        register: adds the servicers.
        service: the service's name, as in error domains.
        address: "unix:/path" or "host:port".
        service_names: full names for health and reflection.
        maximum_workers: threads that answer calls.
        tls: the service's certificates; TCP needs them.
        insecure: plain text on loopback, callers named by themselves.
        audit_log: the file of audit records; None for the log.

    Raises:
        UnsafeAddress: TCP without certificates, or no address at all.
        UnusableCertificate, UnusableRevocationList, UnusableAuditLog: a file cannot be used.
        AddressInUse: the address is taken.
    """
    door = _Door(service, address, tls=tls, insecure=insecure, audit_log=audit_log)
    pool = ThreadPoolExecutor(max_workers=maximum_workers, thread_name_prefix="rpc")
    server = grpc.server(pool, interceptors=[EdgeInterceptor(door.edge)], options=OPTIONS)
    register(server)
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    names = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    for name in ("", *service_names):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    bound = door.open(server)
    server.start()
    return server, bound


def serve_sync(
    register: Callable[[grpc.Server], None],
    *,
    service: str,
    address: str,
    service_names: Sequence[str],
    maximum_workers: int = 16,
    tls: TlsFiles | None = None,
    insecure: bool = False,
    audit_log: Path | None = None,
) -> int:
    """Serves until SIGTERM or SIGINT, lets running calls end within DRAIN_SECONDS, and returns the exit status."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server, bound = start_sync(
        register,
        service=service,
        address=address,
        service_names=service_names,
        maximum_workers=maximum_workers,
        tls=tls,
        insecure=insecure,
        audit_log=audit_log,
    )
    settle()
    logger.info("service=%s listening on %s", service, bound)
    ended.wait()
    logger.info("service=%s draining for at most %.0f s", service, DRAIN_SECONDS)
    server.stop(grace=DRAIN_SECONDS).wait(DRAIN_SECONDS + 1)
    return 0


async def start_aio(
    register: Callable[[grpc.aio.Server], None],
    *,
    service: str,
    address: str,
    service_names: Sequence[str],
    tls: TlsFiles | None = None,
    insecure: bool = False,
    audit_log: Path | None = None,
) -> tuple[grpc.aio.Server, str]:
    """Starts an aio server and returns it with its address. Arguments and errors as for start_sync."""
    door = _Door(service, address, tls=tls, insecure=insecure, audit_log=audit_log)
    server = grpc.aio.server(interceptors=[AioEdgeInterceptor(door.edge)], options=OPTIONS)
    register(server)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    names = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    for name in ("", *service_names):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    bound = door.open(server)
    await server.start()
    return server, bound


async def serve_aio(
    register: Callable[[grpc.aio.Server], None],
    *,
    service: str,
    address: str,
    service_names: Sequence[str],
    on_drain: Callable[[], None] = lambda: None,
    tls: TlsFiles | None = None,
    insecure: bool = False,
    audit_log: Path | None = None,
) -> int:
    """Serves until SIGTERM or SIGINT, as serve_sync does; `on_drain` is called then, to end calls that never end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server, bound = await start_aio(
        register,
        service=service,
        address=address,
        service_names=service_names,
        tls=tls,
        insecure=insecure,
        audit_log=audit_log,
    )
    settle()
    logger.info("service=%s listening on %s", service, bound)
    await ended.wait()
    logger.info("service=%s draining for at most %.0f s", service, DRAIN_SECONDS)
    on_drain()
    await server.stop(grace=DRAIN_SECONDS)
    return 0


def _bound(bind: Callable[[], int], address: str) -> str:
    """Binds and returns the address with its real port; frees the socket file of a dead process first."""
    _remove_dead_socket(address)
    try:
        port = bind()
    except RuntimeError as error:
        raise _in_use(address) from error
    if port == 0:
        raise _in_use(address)
    if address.startswith("unix:"):
        # Who may open the socket is whom we believe: the owner and the group, nobody else.
        Path(address.removeprefix("unix:")).chmod(0o660)
        return address
    host, _, _ = address.rpartition(":")
    return f"{host}:{port}"


def _in_use(address: str) -> AddressInUse:
    return AddressInUse(
        f"{address} is in use or cannot be bound: stop the process that holds it, or choose another address",
        metadata={"address": address},
    )


def _remove_dead_socket(address: str) -> None:
    """Removes a socket file nobody listens on, as a killed process leaves it; grpc would steal a living one."""
    if not address.startswith("unix:"):
        return
    path = Path(address.removeprefix("unix:"))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise _in_use(address)
