"""The health of another service, as a dependency of this one."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy_edge.channel import open_aio_channel
from kadeploy_edge.errors import Unreachable
from kadeploy_edge.health import REASON_KEY
from kadeploy_edge.status import from_rpc_error
from kadeploy_edge.tls import TlsFiles

SECONDS = 3.0


class NotServing(Unreachable):
    """The other service does not answer, or says that it does not serve."""

    reason = "NOT_SERVING"


class RemoteHealth:
    """Asks another service for its health, over a channel of its own."""

    def __init__(self, service: str, address: str, *, caller: str, tls: TlsFiles | None, insecure: bool) -> None:
        """Opens the channel; nothing is sent yet.

        Args:
            service: the other service's name.
            address: where it answers.
            caller: this service's name, where no certificate says it.
            tls: this service's certificates.
            insecure: plain text on loopback.
        """
        self._where = f"the {service} service at {address}"
        self._channel = open_aio_channel(address, caller=caller, tls=tls, insecure=insecure)
        self._stub = health_pb2_grpc.HealthStub(self._channel)

    async def check(self) -> None:
        """Raises NotServing unless the other service serves."""
        call = self._stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        try:
            answer = await call
        except grpc.RpcError as error:
            remote = from_rpc_error(error)
            raise NotServing(f"{self._where} does not answer: {remote.message or remote.code.name}") from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            trailing = await call.trailing_metadata() or ()
            reason = next((str(value) for key, value in trailing if key == REASON_KEY), "no reason given")
            raise NotServing(f"{self._where} does not serve: {reason}")

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()
