"""One deployer process around given ports: store, supervisor, watchers, servicers. Which ports, `bootstrap` says."""

import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy_deployer.domain.host_finding import HostFinding
from kadeploy_deployer.engine.activity_log import ActivityLog
from kadeploy_deployer.engine.console_lease import ConsoleLeases
from kadeploy_deployer.engine.event_log import EventLog
from kadeploy_deployer.engine.history_pruner import HistoryPruner
from kadeploy_deployer.engine.runner import Runner
from kadeploy_deployer.engine.shared_context import RunnerSettings
from kadeploy_deployer.engine.supervisor import Supervisor
from kadeploy_deployer.engine.upload_collector import UploadCollector, named_addresses
from kadeploy_deployer.ports import Console, Inventory
from kadeploy_deployer.ports.activity import ActivityObserver
from kadeploy_deployer.ports.uploads import UploadKeeper
from kadeploy_deployer.requests.deployment_request import LONGEST_WAIT
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.requests.uploads import Uploads
from kadeploy_deployer.rpc.callers import Callers
from kadeploy_deployer.rpc.cluster_state_servicer import ClusterStateServicer
from kadeploy_deployer.rpc.deployment_servicer import DeploymentServicer
from kadeploy_deployer.rpc.node_control_servicer import NodeControlServicer
from kadeploy_deployer.rpc.parts import Parts
from kadeploy_deployer.rpc.upload_servicer import UploadServicer
from kadeploy_deployer.store.consoles import SqlConsoleStore
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.reported_store import ReportedStore

SERVICE = "deployer"
SERVICE_NAMES = tuple(
    deployer_service_pb2.DESCRIPTOR.services_by_name[name].full_name
    for name in ("DeploymentService", "ClusterStateService", "NodeControlService", "ImageUploadService")
)


@asynccontextmanager
async def run_parts(
    database: Database,
    runner_settings: RunnerSettings,
    inventory: Inventory,
    *,
    console: Console,
    lease_seconds: float,
    longest_wait: float = LONGEST_WAIT,
    history_days: float = 0.0,
    uploads: UploadKeeper | None = None,
    keep_upload_hours: float = 24.0,
    observers: Sequence[ActivityObserver] = (),
    check_host: Callable[[], Sequence[HostFinding]] = tuple,
) -> AsyncIterator[Parts]:
    """Yields the parts around given ports, the supervisor at work."""
    clock = runner_settings.ports.clock
    log = EventLog()
    watchers = [ActivityLog(), *observers]
    store = ReportedStore(database, observers=watchers, on_commit=log.wake)

    def say_lost(operation_id: str) -> None:
        for each in watchers:
            each.lost(operation_id)

    supervisor = Supervisor(
        store=store,
        clock=clock,
        make_runner=lambda lease: Runner(
            lease=lease, store=store, log=log, settings=runner_settings, inventory=inventory
        ),
        driver=driver_name(),
        lease_seconds=lease_seconds,
        on_lost=say_lost,
    )
    pruner = HistoryPruner(store=store, clock=clock, days=history_days)
    named = partial(named_addresses, inventory=inventory, store=store)
    collector = None
    if uploads is not None:
        collector = UploadCollector(
            uploads=uploads, named=named, clock=clock, now=time.time, keep_hours=keep_upload_hours
        )
        collector.open()
    supervisor.open()
    pruner.open()
    try:
        yield Parts(
            store=store,
            supervisor=supervisor,
            log=log,
            inventory=inventory,
            clock=clock,
            runner_settings=runner_settings,
            longest_wait=longest_wait,
            uploads=Uploads(keeper=uploads, images=runner_settings.ports.images, named=named),
            check_host=check_host,
            control=ControlParts(
                inventory=inventory,
                store=store,
                supervisor=supervisor,
                log=log,
                consoles=ConsoleLeases(store=SqlConsoleStore(database), clock=clock, lease_seconds=lease_seconds),
                ports=runner_settings.ports,
                channels=runner_settings.channels,
                console=console,
                deployment_host_keys=runner_settings.deployment_host_keys,
            ),
        )
    finally:
        log.close()
        if collector is not None:
            await collector.close()
        await pruner.close()
        await supervisor.close()


def registration(parts: Parts, administrators: frozenset[str]) -> Callable[[grpc.aio.Server], None]:
    """Returns what adds every servicer to a server, whose edge asks first who may call."""
    callers = Callers(administrators)
    servicers: Sequence[object] = (
        DeploymentServicer(parts, callers),
        ClusterStateServicer(parts, callers),
        NodeControlServicer(parts.control, callers),
        UploadServicer(parts.uploads, callers),
    )

    def register(server: grpc.aio.Server) -> None:
        for full_name, servicer in zip(SERVICE_NAMES, servicers, strict=True):
            name = full_name.rpartition(".")[2]
            add = getattr(deployer_service_pb2_grpc, f"add_{name}Servicer_to_server")
            add(servicer, server)

    return register


def driver_name() -> str:
    """Returns a name that no other process has or will have: a restarted deployer is another one."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
