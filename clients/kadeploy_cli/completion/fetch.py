"""Asks the services for names and writes them into the cache: a process of its own, which `names` starts."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy.inventory.v1 import inventory_service_pb2
from kadeploy_cli.completion import cache
from kadeploy_cli.completion.names import names_file
from kadeploy_cli.connection.session import Session
from kadeploy_cli.terminal.failures import Failure
from kadeploy_cli.terminal.output import Format
from kadeploy_nodeset import natural_order

SECONDS = 20
MOST_DEPLOYMENTS = 200
NODES_WITH_PARTITIONS = 500


def main() -> int:
    """Writes the names of one kind. Arguments: the kind, and the settings.

    Services that cannot be asked leave the old names, which count as new again.
    """
    kind, config = sys.argv[1:3]
    # Nobody sees this process; it must not stay.
    signal.alarm(SECONDS)
    session = Session(config=Path(config) if config else None, form=Format.NAME)
    try:
        found = sorted(set(SOURCES[kind](session)), key=natural_order)
    except Failure:
        old, _ = cache.read(names_file(kind, config))
        found = old if isinstance(old, list) else []
    finally:
        session.close()
    try:
        cache.write(names_file(kind, config), found)
    except OSError:
        return os.EX_CANTCREAT
    return 0


def nodes(session: Session) -> Iterable[str]:
    """Returns the registered nodes."""
    request = inventory_service_pb2.ListNodesRequest()
    rows = session.inventory.pages(session.inventory.nodes.ListNodes, request, lambda page: page.nodes)
    return [node.name for node in rows]


def partitions(session: Session) -> Iterable[str]:
    """Returns the partitions of the first nodes: those of a site are much alike."""
    request = inventory_service_pb2.ListNodesRequest(page_size=NODES_WITH_PARTITIONS)
    answer = session.inventory.call(session.inventory.nodes.ListNodes, request)
    disks = [disk for node in answer.nodes for disk in node.disks]
    return [f"{disk.device}{partition.number}" for disk in disks for partition in disk.partitions]


def environments(session: Session) -> Iterable[str]:
    """Returns the environments that the user may use."""
    request = inventory_service_pb2.ListEnvironmentsRequest()
    inventory = session.inventory
    rows = inventory.pages(inventory.environments.ListEnvironments, request, lambda page: page.environments)
    return [environment.name for environment in rows]


def clusters(session: Session) -> Iterable[str]:
    """Returns the clusters."""
    request = inventory_service_pb2.ListClustersRequest()
    rows = session.inventory.pages(session.inventory.clusters.ListClusters, request, lambda page: page.clusters)
    return [cluster.name for cluster in rows]


def deployments(session: Session) -> Iterable[str]:
    """Returns the latest deployments."""
    request = deployer_service_pb2.ListDeploymentsRequest(page_size=MOST_DEPLOYMENTS)
    answer = session.deployer.call(session.deployer.deployments.ListDeployments, request)
    return [deployment.id for deployment in answer.deployments]


def operations(session: Session) -> Iterable[str]:
    """Returns the latest operations."""
    request = deployer_service_pb2.ListOperationsRequest(page_size=MOST_DEPLOYMENTS)
    answer = session.deployer.call(session.deployer.control.ListOperations, request)
    return [operation.id for operation in answer.operations]


def users(session: Session) -> Iterable[str]:
    """Returns the users who own environments or have deployed lately."""
    request = inventory_service_pb2.ListEnvironmentsRequest()
    inventory = session.inventory
    rows = inventory.pages(inventory.environments.ListEnvironments, request, lambda page: page.environments)
    latest = deployer_service_pb2.ListDeploymentsRequest(page_size=MOST_DEPLOYMENTS)
    answer = session.deployer.call(session.deployer.deployments.ListDeployments, latest)
    return [*(environment.owner for environment in rows), *(deployment.owner for deployment in answer.deployments)]


SOURCES: dict[str, Callable[[Session], Iterable[str]]] = {
    "node": nodes,
    "environment": environments,
    "partition": partitions,
    "deployment": deployments,
    "operation": operations,
    "user": users,
    "cluster": clusters,
}
