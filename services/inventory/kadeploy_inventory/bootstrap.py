"""Where real adapters are chosen and servicers are put on a server. The one module that knows all the others."""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import grpc
from sqlalchemy import Engine

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.access import Guarded
from kadeploy_edge.caller import Caller
from kadeploy_inventory.app.ports import Runtime
from kadeploy_inventory.rpc.cluster_servicer import ClusterServicer
from kadeploy_inventory.rpc.environment_servicer import EnvironmentServicer
from kadeploy_inventory.rpc.node_servicer import NodeServicer
from kadeploy_inventory.rpc.resolution_servicer import ResolutionServicer
from kadeploy_inventory.rpc.right_servicer import RightServicer
from kadeploy_inventory.settings import Settings
from kadeploy_inventory.store.engine import open_engine
from kadeploy_inventory.store.sql_store import SqlStore

SERVICE = "inventory"
_SERVICERS = {
    "NodeService": NodeServicer,
    "ClusterService": ClusterServicer,
    "EnvironmentService": EnvironmentServicer,
    "RightService": RightServicer,
    "ResolutionService": ResolutionServicer,
}
SERVICE_NAMES = tuple(inventory_service_pb2.DESCRIPTOR.services_by_name[name].full_name for name in _SERVICERS)


def open_engines(settings: Settings) -> dict[str, Engine]:
    """Returns the engines of the two databases by the databases' names."""
    return {
        "deploy": open_engine(settings.deploy_database.url, settings.deploy_database.channel),
        "deploy_right": open_engine(settings.deploy_right_database.url, settings.deploy_right_database.channel),
    }


def build_runtime(settings: Settings, engines: Mapping[str, Engine]) -> Runtime:
    """Returns what the use cases are run with."""
    return Runtime(
        store=SqlStore(deploy=engines["deploy"], deploy_right=engines["deploy_right"]),
        clock=lambda: datetime.now(UTC),
        make_id=lambda: uuid.uuid4().hex,
        administrators=settings.administrators,
    )


def registration(runtime: Runtime) -> Callable[[grpc.Server], None]:
    """Returns what adds every servicer, each behind the question who may call, to a server."""

    def is_administrator(caller: Caller) -> bool:
        return caller.user in runtime.administrators

    def register(server: grpc.Server) -> None:
        for name, full_name in zip(_SERVICERS, SERVICE_NAMES, strict=True):
            servicer = Guarded(_SERVICERS[name](runtime), service=full_name, is_administrator=is_administrator)
            add = getattr(inventory_service_pb2_grpc, f"add_{name}Servicer_to_server")
            add(servicer, server)

    return register
