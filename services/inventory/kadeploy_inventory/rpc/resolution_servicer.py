"""ResolutionService: convert, call, convert."""

import grpc

from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_inventory.app.ports import Runtime
from kadeploy_inventory.app.resolution import resolve_deployment
from kadeploy_inventory.rpc.cluster_messages import cluster_to_message
from kadeploy_inventory.rpc.environment_messages import (
    environment_from_message,
    environment_to_message,
    reference_from_message,
)
from kadeploy_inventory.rpc.resolved_messages import ResolvedMessages


class ResolutionServicer(inventory_service_pb2_grpc.ResolutionServiceServicer):
    """What the deployer needs, in one call and one transaction."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._messages = ResolvedMessages()

    def ResolveDeployment(
        self,
        request: inventory_service_pb2.ResolveDeploymentRequest,
        context: grpc.ServicerContext,
    ) -> inventory_service_pb2.ResolveDeploymentResponse:
        """Resolves nodes, environment, targets and rights on a user's behalf."""
        named = request.HasField("environment")
        reference = reference_from_message(request.environment) if named else None
        described = None
        if request.HasField("described_environment"):
            described = environment_from_message(request.described_environment)
        resolution = self._runtime.store.read(
            lambda work: resolve_deployment(
                user=request.user,
                nodes=request.nodes,
                reference=reference,
                description=described,
                device=request.device,
                partition=request.partition,
                work=work,
                clock=self._runtime.clock,
            )
        )
        environment = resolution.environment
        response = inventory_service_pb2.ResolveDeploymentResponse(
            environment=None if environment is None else environment_to_message(environment),
            clusters=[cluster_to_message(cluster) for cluster in resolution.clusters],
        )
        response.MergeFromString(self._messages.of(resolution.nodes))
        return response
