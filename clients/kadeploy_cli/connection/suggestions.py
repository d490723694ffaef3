"""What a user may have meant by a name that is not there: names that look like it."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.status import RemoteError

SECONDS = 2.0
PAGE_SIZE = 500
MOST = 3
# Where the error says which name was not found.
KEYS = ("node", "nodes", "cluster", "environment", "id", "name")

Ask = Callable[[grpc.Channel], Iterable[str]]


def _nodes(channel: grpc.Channel) -> Iterable[str]:
    request = inventory_service_pb2.ListNodesRequest(page_size=PAGE_SIZE)
    stub = inventory_service_pb2_grpc.NodeServiceStub(channel)
    return [node.name for node in stub.ListNodes(request, timeout=SECONDS).nodes]


def _clusters(channel: grpc.Channel) -> Iterable[str]:
    request = inventory_service_pb2.ListClustersRequest(page_size=PAGE_SIZE)
    stub = inventory_service_pb2_grpc.ClusterServiceStub(channel)
    return [cluster.name for cluster in stub.ListClusters(request, timeout=SECONDS).clusters]


def _environments(channel: grpc.Channel) -> Iterable[str]:
    request = inventory_service_pb2.ListEnvironmentsRequest(page_size=PAGE_SIZE)
    stub = inventory_service_pb2_grpc.EnvironmentServiceStub(channel)
    return [environment.name for environment in stub.ListEnvironments(request, timeout=SECONDS).environments]


def _deployments(channel: grpc.Channel) -> Iterable[str]:
    request = deployer_service_pb2.ListDeploymentsRequest(page_size=PAGE_SIZE)
    stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
    return [deployment.id for deployment in stub.ListDeployments(request, timeout=SECONDS).deployments]


SOURCES: dict[str, tuple[str, Ask]] = {
    "NODE_NOT_FOUND": ("inventory", _nodes),
    "CLUSTER_NOT_FOUND": ("inventory", _clusters),
    "ENVIRONMENT_NOT_FOUND": ("inventory", _environments),
    "DEPLOYMENT_NOT_FOUND": ("deployer", _deployments),
}


def source(error: RemoteError) -> str:
    """Returns the service that knows what there is instead; empty if the error is about no name."""
    return SOURCES[error.reason][0] if error.reason in SOURCES else ""


def did_you_mean(error: RemoteError, channel: grpc.Channel) -> str:
    """Returns a question with names that look like the one that was not found; empty if none does."""
    wrong = next((error.metadata[key] for key in KEYS if error.metadata.get(key)), "").split()
    if not wrong:
        return ""
    try:
        names = list(SOURCES[error.reason][1](channel))
    except grpc.RpcError:
        # The error is said without it.
        return ""
    found = get_close_matches(wrong[0], dict.fromkeys(names), n=MOST)
    return f"Did you mean {' or '.join(found)}?" if found else ""
