"""Starting a service: address, certificates, limits, health, reflection, signals, drain.

`transport.py` says which addresses are served how: TCP by mutual TLS, plain text on Unix sockets, or on loopback when
that was asked for.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from kadeploy_edge.admission import Admission
from kadeploy_edge.audit import AuditLog
from kadeploy_edge.authority_file import AuthorityFile
from kadeploy_edge.call_registry import CallRegistry
from kadeploy_edge.connection_guard import (
    ConnectionGuard,
    acceptable_connections,
    affordable_connections,
    raise_file_limit,
)
from kadeploy_edge.connection_table import ConnectionTable
from kadeploy_edge.dependencies import Dependency
from kadeploy_edge.garbage import settle
from kadeploy_edge.guarded_handlers import GuardedHandlers
from kadeploy_edge.health import Health
from kadeploy_edge.identity import CertifiedCallers, Identity, NamedCallers, UnprovenCallers
from kadeploy_edge.limits import DEFAULTS, Limits
from kadeploy_edge.listening import bind
from kadeploy_edge.metrics import ServiceMetrics, exposed
from kadeploy_edge.requests import largest_of_services
from kadeploy_edge.revocation import RevocationList
from kadeploy_edge.running_call import Edge
from kadeploy_edge.stopping import stop_signal
from kadeploy_edge.systemd_notify import notify_systemd, status_line, watchdog_pause
from kadeploy_edge.tls import TlsFiles, server_credentials
from kadeploy_edge.tracing import Tracer
from kadeploy_edge.transport import Transport, choose_transport
from kadeploy_edge.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 8.0
STATUS_SECONDS = 10.0

OPTIONS = (
    # A second process on the same port must fail, not share it.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients look every few seconds whether the service is still there (channel.py).
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 3_000),
    # A caller whose host is gone is found out, too.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # What nobody has read yet is bounded: 64 KiB a call, whatever the network could carry.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_concurrent_streams", 1_024),
    # Calls that wait until the loop takes them. Beyond gRPC's own 1,000 it cancels calls at random, whoever makes them.
    ("grpc.server.max_pending_requests", 8_192),
    ("grpc.server.max_pending_requests_hard_limit", 16_384),
)

SWITCH_SECONDS = 0.0005
"""How long a thread that computes may keep the loop from running. Each call needs the loop several times; with Python's
own 5 ms it would wait long behind a few threads that answer large calls."""

PROBE_CONTRACTS = ((health_pb2, "Health"), (reflection_pb2, "ServerReflection"))
"""What every server answers besides."""

Register = Callable[[grpc.aio.Server], None]
Look = Callable[[], Awaitable[float]]
"""Looks after something once, and returns the seconds until the next time."""
AFTER_FAULT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a service is served.

    Attributes:
        service: the service's name, as in error domains.
        address: "unix:/path" or "host:port".
        service_names: full names for health and reflection, and of the contracts whose requests are taken.
        administrators: the users who administrate the site.
        maximum_workers: threads that answer calls, where servicers are plain functions.
        limits: what callers can take at once.
        tls: the service's certificates; TCP needs them.
        insecure: plain text on loopback, callers named by themselves.
        callers_prove_themselves: False for a login address, to which callers come without a certificate.
        audit_log: the file of audit records; None for the log.
        metrics_address: where metrics are answered.
        tracing_endpoint: where spans are sent; empty: nowhere.
    """

    service: str
    address: str
    service_names: Sequence[str]
    administrators: frozenset[str] = frozenset({"root"})
    maximum_workers: int = 16
    limits: Limits = DEFAULTS
    tls: TlsFiles | None = None
    insecure: bool = False
    callers_prove_themselves: bool = True
    audit_log: Path | None = None
    metrics_address: str = ""
    tracing_endpoint: str = ""


class RunningServer:
    """A server that answers, and the tasks that look after its calls and connections."""

    def __init__(self, server: grpc.aio.Server, health: Health, workers: WorkerPool, looks: Sequence[Look]) -> None:
        self._server = server
        self.health = health
        self._workers = workers
        self._tasks = [asyncio.create_task(_repeat(look)) for look in looks]

    async def stop(self, grace: float | None) -> None:
        """Takes no more calls, and ends those that still run after `grace` seconds; at once where it is None."""
        self.health.stop()
        await self._server.stop(grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._workers.close()
        self.health.dependencies.close()


async def start_server(
    register: Register,
    settings: ServerSettings,
    dependencies: Sequence[Dependency] = (),
    metrics: ServiceMetrics | None = None,
    tracer: Tracer | None = None,
) -> tuple[RunningServer, str]:
    """Starts a server and returns it with its address (the real port where 0 was asked for).

    Args:
        register: adds the servicers: coroutines, asynchronous generators, or plain functions.
        settings: of the service.
        dependencies: what the service depends on, for its health.
    `metrics`: of the service, answered at `settings.metrics_address`; None where there are none.
        metrics: count its calls; None: nothing does.
        tracer: makes spans of its calls; None: nobody traces.

    Raises:
        UnsafeAddress: TCP without certificates, or no address at all.
        UnusableCertificate, UnusableRevocationList, UnusableAuditLog: a file cannot be used.
        AddressInUse: the address is taken.
    """
    limits = settings.limits
    transport = choose_transport(settings.address, tls=settings.tls, insecure=settings.insecure)
    identity, credentials = _identity(settings, transport)
    edge = Edge(
        service=settings.service,
        identity=identity,
        audit=AuditLog(settings.service, settings.audit_log),
        administrators=settings.administrators,
        tracer=tracer,
        on_end=_count_nothing if metrics is None else metrics.call_ended,
    )
    connections = ConnectionTable(
        most=affordable_connections(limits.connections), most_per_address=limits.connections_per_address
    )
    calls = CallRegistry(
        Admission(limits, is_trusted=edge.is_trusted), connections, answer_seconds=limits.answer_seconds
    )
    workers = WorkerPool(settings.maximum_workers)
    handlers = GuardedHandlers(edge, limits=limits, calls=calls, workers=workers)
    # It takes servicers as a server does.
    register(cast("grpc.aio.Server", handlers))
    health = _add_probes(handlers, settings.service_names, dependencies)
    server = grpc.aio.server(handlers=[handlers], options=_options(settings))
    bound = bind(server, settings.address, credentials)
    await server.start()
    looks: list[Look] = [calls.look, health.dependencies.look]
    if transport is not Transport.SOCKET:
        looks.append(ConnectionGuard(connections, int(bound.rpartition(":")[2])).look)
    return RunningServer(server, health, workers, looks), bound


async def serve(
    register: Register,
    settings: ServerSettings,
    *,
    on_drain: Callable[[], None] = lambda: None,
    beside: Sequence[tuple[Register, ServerSettings]] = (),
    dependencies: Sequence[Dependency] = (),
    metrics: ServiceMetrics | None = None,
) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit status.

    `beside`: what is served at further addresses. `dependencies`: what the service depends on, for its health.
    Running calls may end within DRAIN_SECONDS; `on_drain` is called at their beginning, to end calls that never end.
    A process that has not ended STOP_SECONDS after the signal ends all the same (`stopping.py`).
    """
    raise_file_limit()
    sys.setswitchinterval(SWITCH_SECONDS)
    stopped = stop_signal()
    tracer = Tracer(settings.service, settings.tracing_endpoint) if settings.tracing_endpoint else None
    servers = []
    for each, its_settings in ((register, settings), *beside):
        server, bound = await start_server(each, its_settings, dependencies, metrics, tracer)
        servers.append(server)
        what = "listening" if its_settings.callers_prove_themselves else "listening for logins"
        logger.info("service=%s %s on %s", settings.service, what, bound)
    exposing = ExitStack()
    if metrics is not None:
        metrics.watch_dependencies(servers[0].health.problem_of, [each.name for each in dependencies])
        where = exposing.enter_context(exposed(metrics, settings.metrics_address))
        logger.info("service=%s metrics at http://%s/metrics", settings.service, where)
    settle()
    notify_systemd("READY=1", status_line(""))
    signs = asyncio.create_task(_give_signs_of_life(servers[0].health))
    await stopped.wait()
    signs.cancel()
    notify_systemd("STOPPING=1", "STATUS=draining")
    logger.info("service=%s draining for at most %.0f s", settings.service, DRAIN_SECONDS)
    on_drain()
    await asyncio.gather(*(server.stop(grace=DRAIN_SECONDS) for server in servers))
    await asyncio.to_thread(exposing.close)
    if tracer is not None:
        await asyncio.to_thread(tracer.close)
    return 0


async def _give_signs_of_life(health: Health) -> None:
    """Tells systemd again and again how the service is. A loop that turns no more gives none, and is started anew."""
    pause = watchdog_pause()
    while True:
        await asyncio.sleep(pause or STATUS_SECONDS)
        notify_systemd(*(["WATCHDOG=1"] if pause else []), status_line(health.problem))


async def _repeat(look: Look) -> None:
    """Looks again and again. What goes wrong once is logged, and is no reason to look no more."""
    while True:
        try:
            pause = await look()
        except Exception:
            logger.exception("looking after calls or connections failed")
            pause = AFTER_FAULT_SECONDS
        await asyncio.sleep(pause)


def _count_nothing(_method: str, _code: str, _seconds: float) -> None:
    """Is told of each call where nobody measures."""


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    limits = settings.limits
    return [
        *OPTIONS,
        ("grpc.max_receive_message_length", largest_of_services(settings.service_names)),
        ("grpc.max_allowed_incoming_connections", acceptable_connections()),
        ("grpc.server_handshake_timeout_ms", int(limits.handshake_seconds * 1000)),
        ("grpc.max_connection_idle_ms", int(limits.idle_seconds * 1000)),
    ]


def _identity(settings: ServerSettings, transport: Transport) -> tuple[Identity, grpc.ServerCredentials | None]:
    """Returns what says who calls, and the credentials of a server that proves who it is."""
    if transport is Transport.TLS and settings.tls is not None:
        tls = settings.tls
        if not settings.callers_prove_themselves:
            return UnprovenCallers(), server_credentials(tls, of_proven_clients=False)
        callers = CertifiedCallers(
            RevocationList(tls.revocation_list, ca=tls.ca) if tls.revocation_list else None,
            authorities=AuthorityFile(tls.ca),
            administrators=settings.administrators,
        )
        return callers, server_credentials(tls)
    if transport is Transport.PLAIN:
        where = f"{settings.service} listens on {settings.address}"
        warning = f"INSECURE: {where} in plain text and believes every process of this host"
        logger.warning(warning)
        sys.stderr.write(f"kadeploy-{settings.service}: {warning}\n")
    return (NamedCallers() if settings.callers_prove_themselves else UnprovenCallers()), None


def _add_probes(handlers: GuardedHandlers, service_names: Sequence[str], dependencies: Sequence[Dependency]) -> Health:
    """Adds health, which it returns, and reflection."""
    probes = [one.DESCRIPTOR.services_by_name[name].full_name for one, name in PROBE_CONTRACTS]
    health = Health(service_names, dependencies)
    health_pb2_grpc.add_HealthServicer_to_server(health, handlers)
    contracts = reflection.aio.ReflectionServicer((*service_names, *probes))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(contracts, handlers)
    return health
