"""Inventory through its contract: one call that resolves a whole deployment, or its nodes alone, and the rights."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import grpc
from typing_extensions import override

from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_deployer.adapters.inventory_messages import node_resolution, resolution
from kadeploy_deployer.adapters.inventory_nodes import NodeReader
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_deployer.ports import Inventory, NodeResolution, Resolution
from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.errors import DomainError, Unreachable
from kadeploy_edge.status import RemoteError, from_rpc_error
from kadeploy_edge.tls import TlsFiles

CALL_SECONDS = 30.0
ENVIRONMENTS_PAGE = 500

_log = logging.getLogger(__name__)


class InventoryUnreachable(Unreachable):
    """The inventory does not answer."""

    reason = "INVENTORY_UNREACHABLE"


class GrpcInventory(Inventory):
    """Speaks to one inventory."""

    def __init__(
        self,
        address: str,
        *,
        call_seconds: float = CALL_SECONDS,
        tls: TlsFiles | None = None,
        insecure: bool = False,
        http_proxy: bool = False,
    ) -> None:
        """Opens the channel; nothing is sent yet.

        Args:
            address: of the inventory, "host:port" or "unix:/path".
            call_seconds: deadline of a call.
            tls: the deployer's own certificate, for TCP.
            insecure: plain text on loopback.
            http_proxy: go through the proxy of the environment.
        """
        self._address = address
        self._call_seconds = call_seconds
        self._channel = open_aio_channel(address, caller="deployer", tls=tls, insecure=insecure, http_proxy=http_proxy)
        self._environments = inventory_service_pb2_grpc.EnvironmentServiceStub(self._channel)
        self._stub = inventory_service_pb2_grpc.ResolutionServiceStub(self._channel)
        self._nodes = NodeReader()
        self._rights = inventory_service_pb2_grpc.RightServiceStub(self._channel)

    @override
    async def resolve(self, spec: DeploymentSpec, *, user: str, described: bytes = b"") -> Resolution:
        request = inventory_service_pb2.ResolveDeploymentRequest(
            user=user,
            nodes=spec.nodes,
            environment=environment_pb2.EnvironmentReference(
                name=spec.environment_name, version=spec.environment_version, owner=spec.environment_owner
            ),
            device=spec.device,
            partition=spec.partition,
        )
        if described:
            request.ClearField("environment")
            request.described_environment.MergeFromString(described)
        try:
            response = await self._stub.ResolveDeployment(request, timeout=self._call_seconds)
        except grpc.RpcError as error:
            raise _word(from_rpc_error(error), self._address) from error
        found = resolution(response, self._nodes.read(response), await self._defaults(response))
        return replace(found, environment=replace(found.environment, described=bool(described)))

    async def _defaults(
        self, response: inventory_service_pb2.ResolveDeploymentResponse
    ) -> Mapping[str, environment_pb2.Environment]:
        """Returns the default environment of each cluster that has one. One that is gone stops no deployment."""
        found = {}
        for cluster in response.clusters:
            if not cluster.profile.HasField("default_environment"):
                continue
            reference = cluster.profile.default_environment.environment
            request = inventory_service_pb2.GetEnvironmentRequest(environment=reference)
            try:
                found[cluster.name] = await self._environments.GetEnvironment(request, timeout=self._call_seconds)
            except grpc.RpcError as error:
                problem = from_rpc_error(error)
                _log.warning("cluster=%s no default environment %s: %s", cluster.name, reference.name, problem.message)
        return found

    @override
    async def resolve_nodes(self, nodes: str, *, user: str, device: str = "", partition: int = 0) -> NodeResolution:
        request = inventory_service_pb2.ResolveDeploymentRequest(
            user=user, nodes=nodes, device=device, partition=partition
        )
        try:
            response = await self._stub.ResolveDeployment(request, timeout=self._call_seconds)
        except grpc.RpcError as error:
            raise _word(from_rpc_error(error), self._address) from error
        return node_resolution(response, self._nodes.read(response))

    @override
    async def file_addresses(self) -> frozenset[str]:
        found: set[str] = set()
        request = inventory_service_pb2.ListEnvironmentsRequest(page_size=ENVIRONMENTS_PAGE)
        while True:
            try:
                page = await self._environments.ListEnvironments(request, timeout=self._call_seconds)
            except grpc.RpcError as error:
                raise _word(from_rpc_error(error), self._address) from error
            for environment in page.environments:
                found.add(environment.image.uri)
                found.update(each.uri for each in (environment.preinstall, *environment.postinstalls))
            if not page.next_page_token:
                return frozenset(found)
            request.page_token = page.next_page_token

    @override
    async def check_rights(self, nodes: str, *, user: str, partition: str = "") -> Mapping[str, bool]:
        request = inventory_service_pb2.CheckRightsRequest(user=user, nodes=nodes, partition=partition)
        try:
            response = await self._rights.CheckRights(request, timeout=self._call_seconds)
        except grpc.RpcError as error:
            raise _word(from_rpc_error(error), self._address) from error
        return {check.node: check.allowed for check in response.checks}

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()


def _word(error: RemoteError, address: str) -> DomainError:
    """Returns the inventory's word for what is wrong, to be handed on as it is; or that it does not answer."""
    if error.kind is None:
        message = f"the inventory does not answer on {address}: {error.code.name}"
        return InventoryUnreachable(message, metadata={"address": address, "code": error.code.name})
    kind = type(error.reason, (error.kind,), {"reason": error.reason, "__doc__": "Said by the inventory."})
    word: DomainError = kind(error.message, metadata=error.metadata, violations=error.violations)
    return word
