"""ResolutionService: convert, call, convert."""

import grpc

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_inventory.app.ports import Runtime
from kadeploy_inventory.app.resolution import ResolvedNode, resolve_deployment
from kadeploy_inventory.rpc.cluster_messages import cluster_to_message
from kadeploy_inventory.rpc.environment_messages import (
    environment_to_message,
    reference_from_message,
)
from kadeploy_inventory.rpc.node_messages import KnownDisks, node_to_message


class ResolutionServicer(inventory_service_pb2_grpc.ResolutionServiceServicer):
    """What the deployer needs, in one call and one transaction."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def ResolveDeployment(
        self,
        request: inventory_service_pb2.ResolveDeploymentRequest,
        context: grpc.ServicerContext,
    ) -> inventory_service_pb2.ResolveDeploymentResponse:
        """Resolves nodes, environment, targets and rights on a user's behalf."""
        named = request.HasField("environment")
        reference = reference_from_message(request.environment) if named else None
        resolution = self._runtime.store.read(
            lambda work: resolve_deployment(
                user=request.user,
                nodes=request.nodes,
                reference=reference,
                device=request.device,
                partition=request.partition,
                work=work,
                clock=self._runtime.clock,
            )
        )
        environment = resolution.environment
        disks: KnownDisks = {}
        return inventory_service_pb2.ResolveDeploymentResponse(
            nodes=[_resolved_to_message(each, disks) for each in resolution.nodes],
            environment=None if environment is None else environment_to_message(environment),
            clusters=[cluster_to_message(cluster) for cluster in resolution.clusters],
        )


def _resolved_to_message(resolved: ResolvedNode, disks: KnownDisks) -> inventory_service_pb2.ResolvedNode:
    node = resolved.node
    message = inventory_service_pb2.ResolvedNode(
        name=resolved.name,
        node=None if node is None else node_to_message(node, disks),
        allowed=resolved.allowed,
        device=resolved.device,
        partition=resolved.partition,
    )
    if node is not None:
        message.node.bmc_address = node.controller
    return message
