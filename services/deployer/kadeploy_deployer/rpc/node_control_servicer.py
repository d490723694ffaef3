"""NodeControlService: everything done to nodes outside a deployment. The contract stands; the work comes later."""

from __future__ import annotations  # grpc's contexts are generic for type checkers alone

from collections.abc import AsyncIterator
from typing import Any

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc

NOTHING: tuple[Any, ...] = ()
"""What a stream yields that yields nothing."""

Context = grpc.aio.ServicerContext[Any, Any]


def not_yet(context: Context, sentence: str) -> None:
    """Lets the call end as UNIMPLEMENTED. Not by `abort`: that raises what the interceptor would take for a fault."""
    context.set_code(grpc.StatusCode.UNIMPLEMENTED)
    context.set_details(sentence)


class NodeControlServicer(deployer_service_pb2_grpc.NodeControlServiceServicer):
    """Says of every call that it is not there yet."""

    async def RebootNodes(
        self, request: deployer_service_pb2.RebootNodesRequest, context: Context
    ) -> AsyncIterator[deployer_service_pb2.RebootNodesResponse]:
        """Not there yet."""
        not_yet(context, "this release reboots nodes in deployments only")
        for response in NOTHING:
            yield response

    async def SetPower(
        self, request: deployer_service_pb2.SetPowerRequest, context: Context
    ) -> AsyncIterator[deployer_service_pb2.SetPowerResponse]:
        """Not there yet."""
        not_yet(context, "this release switches power in deployments only")
        for response in NOTHING:
            yield response

    async def GetPower(
        self, request: deployer_service_pb2.GetPowerRequest, context: Context
    ) -> deployer_service_pb2.GetPowerResponse:
        """Not there yet."""
        not_yet(context, "this release does not ask for the power of nodes yet")
        return deployer_service_pb2.GetPowerResponse()

    async def RunCommand(
        self, request: deployer_service_pb2.RunCommandRequest, context: Context
    ) -> AsyncIterator[deployer_service_pb2.RunCommandResponse]:
        """Not there yet."""
        not_yet(context, "this release runs no commands of users on nodes yet")
        for response in NOTHING:
            yield response

    async def AttachConsole(
        self, request_iterator: AsyncIterator[deployer_service_pb2.AttachConsoleRequest], context: Context
    ) -> AsyncIterator[deployer_service_pb2.AttachConsoleResponse]:
        """Not there yet."""
        not_yet(context, "this release attaches no consoles yet")
        for response in NOTHING:
            yield response
