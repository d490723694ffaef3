"""Where real adapters are chosen and servicers are put on a server. The one module that knows all the others."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import grpc
from sqlalchemy import Engine

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_database.access import DatabaseAccess
from kadeploy_database.database_commands import prepare_files
from kadeploy_database.database_health import DatabaseProbe
from kadeploy_edge.dependencies import Dependency
from kadeploy_edge.metrics import ServiceMetrics, certificates_of
from kadeploy_edge.server import ServerSettings
from kadeploy_inventory.adapters.login_authority import FileLoginAuthority
from kadeploy_inventory.adapters.munge import MungeCredentials
from kadeploy_inventory.app.ports import Login, Runtime
from kadeploy_inventory.domain.login import LoginPolicy
from kadeploy_inventory.rpc.cluster_servicer import ClusterServicer
from kadeploy_inventory.rpc.environment_servicer import EnvironmentServicer
from kadeploy_inventory.rpc.login_servicer import LoginServicer
from kadeploy_inventory.rpc.node_servicer import NodeServicer
from kadeploy_inventory.rpc.resolution_servicer import ResolutionServicer
from kadeploy_inventory.rpc.right_servicer import RightServicer
from kadeploy_inventory.settings import LoginSettings, Settings
from kadeploy_inventory.store import schema
from kadeploy_inventory.store.engine import open_engine
from kadeploy_inventory.store.sql_store import SqlStore

SERVICE = "inventory"
PROGRAM = "kadeploy-inventory"
_SERVICERS = {
    "NodeService": NodeServicer,
    "ClusterService": ClusterServicer,
    "EnvironmentService": EnvironmentServicer,
    "RightService": RightServicer,
    "ResolutionService": ResolutionServicer,
    "LoginService": LoginServicer,
}
SERVICE_NAMES = tuple(inventory_service_pb2.DESCRIPTOR.services_by_name[name].full_name for name in _SERVICERS)


def open_engines(settings: Settings) -> dict[str, Engine]:
    """Returns the engines of the two databases by their names. SQLite's files are made at a first start."""
    accesses: dict[str, DatabaseAccess] = {
        "deploy": settings.deploy_database,
        "deploy_right": settings.deploy_right_database,
    }
    prepare_files(accesses, program=PROGRAM)
    return {name: open_engine(access.url, access.channel) for name, access in accesses.items()}


def dependencies(settings: Settings) -> Sequence[Dependency]:
    """Returns what the health of the service depends on: its two databases, each by its name."""

    def probe(name: str, access: DatabaseAccess) -> Dependency:
        return Dependency(
            name=name, check=DatabaseProbe(name, access, open_engine, schema.METADATA[name], wanted=schema.newest).check
        )

    return [probe("deploy", settings.deploy_database), probe("deploy_right", settings.deploy_right_database)]


def build_runtime(settings: Settings, engines: Mapping[str, Engine], *, reserve_space: bool = False) -> Runtime:
    """Returns what the use cases are run with. `reserve_space`: as SqlStore."""
    return Runtime(
        store=SqlStore(deploy=engines["deploy"], deploy_right=engines["deploy_right"], reserve_space=reserve_space),
        clock=lambda: datetime.now(UTC),
        make_id=lambda: uuid.uuid4().hex,
        administrators=settings.administrators,
        environment_quota=settings.environment_quota,
        login=None if settings.login is None else _login(settings.login),
    )


def _login(settings: LoginSettings) -> Login:
    authority = FileLoginAuthority(settings.certificate, settings.private_key)
    # What is wrong with it is said at the start.
    authority.read()
    return Login(
        credentials=MungeCredentials(settings.munge_socket),
        authority=authority,
        policy=LoginPolicy(hours=settings.hours, least_uid=settings.least_uid),
    )


def registration(runtime: Runtime) -> Callable[[grpc.aio.Server], None]:
    """Returns what adds every servicer to a server, whose edge asks first who may call."""

    def register(server: grpc.aio.Server) -> None:
        for name, servicer in _SERVICERS.items():
            add = getattr(inventory_service_pb2_grpc, f"add_{name}Servicer_to_server")
            add(servicer(runtime), server)

    return register


def login_registration(runtime: Runtime) -> Callable[[grpc.aio.Server], None]:
    """Returns what adds the one servicer that is reached without a certificate."""

    def register(server: grpc.aio.Server) -> None:
        inventory_service_pb2_grpc.add_LoginServiceServicer_to_server(LoginServicer(runtime), server)

    return register


def login_server_settings(settings: Settings) -> ServerSettings | None:
    """Returns how logins by MUNGE are served; None where they are not."""
    if settings.login is None or not settings.login.address:
        return None
    return replace(
        server_settings(settings),
        address=settings.login.address,
        service_names=(inventory_service_pb2.DESCRIPTOR.services_by_name["LoginService"].full_name,),
        callers_prove_themselves=False,
    )


def make_metrics(settings: Settings) -> ServiceMetrics | None:
    """Returns what measures the service; None where the settings want no metrics."""
    if not settings.metrics_address:
        return None
    certificates = certificates_of(settings.tls)
    if settings.login is not None:
        certificates["login_authority"] = settings.login.certificate
    return ServiceMetrics(SERVICE, certificates=certificates)


def server_settings(settings: Settings) -> ServerSettings:
    """Returns how the service is served."""
    return ServerSettings(
        service=SERVICE,
        address=settings.address,
        service_names=SERVICE_NAMES,
        administrators=settings.administrators,
        maximum_workers=settings.maximum_workers,
        limits=settings.limits,
        tls=settings.tls,
        insecure=settings.insecure,
        audit_log=settings.audit_log,
        metrics_address=settings.metrics_address,
        tracing_endpoint=settings.tracing_endpoint,
    )
