"""Inventory through its contract: one call that resolves a whole deployment."""

import grpc

from kadeploy.inventory.v1 import environment_pb2, inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_deployer.adapters.inventory_messages import resolution
from kadeploy_deployer.app.ports import Resolution
from kadeploy_deployer.domain.snapshot import DeploymentSpec
from kadeploy_rpckit.channel import open_aio_channel
from kadeploy_rpckit.errors import DomainError, Unreachable
from kadeploy_rpckit.status import RemoteError, from_rpc_error
from kadeploy_rpckit.tls import TlsFiles

CALL_SECONDS = 30.0


class InventoryUnreachable(Unreachable):
    """The inventory does not answer."""

    reason = "INVENTORY_UNREACHABLE"


class GrpcInventory:
    """Speaks to one inventory."""

    def __init__(
        self, address: str, *, call_seconds: float = CALL_SECONDS, tls: TlsFiles | None = None, insecure: bool = False
    ) -> None:
        """Opens the channel; nothing is sent yet.

        Args:
            address: of the inventory, "host:port" or "unix:/path".
            call_seconds: deadline of a call.
            tls: the deployer's own certificate, for TCP.
            insecure: plain text on loopback.
        """
        self._address = address
        self._call_seconds = call_seconds
        self._channel = open_aio_channel(address, caller="deployer", tls=tls, insecure=insecure)
        self._stub = inventory_service_pb2_grpc.ResolutionServiceStub(self._channel)

    async def resolve(self, spec: DeploymentSpec, *, user: str) -> Resolution:
        """As in the port."""
        request = inventory_service_pb2.ResolveDeploymentRequest(
            user=user,
            nodes=spec.nodes,
            environment=environment_pb2.EnvironmentReference(
                name=spec.environment_name, version=spec.environment_version, owner=spec.environment_owner
            ),
            device=spec.device,
            partition=spec.partition,
        )
        try:
            response = await self._stub.ResolveDeployment(request, timeout=self._call_seconds)
        except grpc.RpcError as error:
            raise _word(from_rpc_error(error), self._address) from error
        return resolution(response)

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
