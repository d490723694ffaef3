"""A deployer that does nothing to nodes and says what the test wrote: for tests of the commands."""

import asyncio
from collections.abc import AsyncIterator
from threading import Event
from typing import Any

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, machine_pb2
from kadeploy_edge.errors import Denied, DomainError, NotInState, Unreachable
from kadeploy_edge.status import ok_status, to_status
from kadeploy_nodeset import expand

PATIENCE = 60.0
SERVICE = "kadeploy.deployer.v1.NodeControlService"


class NodeBusy(NotInState):
    reason = "NODE_BUSY"


class NodeUnreachable(Unreachable):
    reason = "NODE_UNREACHABLE"


class RightMissing(Denied):
    reason = "RIGHT_MISSING"


class NodeControlServices(deployer_service_pb2_grpc.NodeControlServiceServicer):
    """Answers for every node of the set.

    Attributes:
        busy: nodes that a deployment holds.
        exits: exit statuses of commands, by node; 0 for the others.
        off: nodes without power.
        elsewhere: nodes that run something else until they are rebooted.
        machines: what nodes are made of.
        differences: in what they differ from the inventory.
        denied: whether the caller has no right.
        breaks: so many answers break off after their first result.
        hold: whether a reboot goes on after its first node until it is stopped.
        typed: what was typed on the console so far; the console echoes it and ends at Ctrl-D.
    """

    def __init__(self) -> None:
        self.busy: set[str] = set()
        self.exits: dict[str, int] = {}
        self.off: set[str] = set()
        self.elsewhere: set[str] = set()
        self.machines: dict[str, machine_pb2.Machine] = {}
        self.differences: dict[str, tuple[str, ...]] = {}
        self.denied = False
        self.breaks = 0
        self.hold = False
        self.waiting, self.stopped = Event(), Event()
        self.typed = b""
        self.requests: list[Any] = []

    async def RebootNodes(self, request: Any, context: Any) -> AsyncIterator[Any]:
        nodes = self._nodes(request)
        await context.send_initial_metadata((("kadeploy-accepted", "yes"),))
        for number, node in enumerate(nodes):
            if number and self.hold:
                self.waiting.set()
                await asyncio.to_thread(self.stopped.wait, PATIENCE)
            yield deployer_service_pb2.RebootNodesResponse(result=self._result(node))
            if self.breaks:
                self.breaks -= 1
                # As gRPC itself says it; an `abort` would be taken for a fault of ours.
                context.set_code(grpc.StatusCode.UNAVAILABLE)
                context.set_details("Socket closed")
                return

    async def SetPower(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for node in self._nodes(request):
            yield deployer_service_pb2.SetPowerResponse(result=self._result(node))

    def GetPower(self, request: Any, context: Any) -> Any:
        states = deployer_service_pb2
        nodes = [
            states.NodePower(
                node=node,
                status=self._result(node).status,
                state=states.POWER_STATE_OFF if node in self.off else states.POWER_STATE_ON,
            )
            for node in self._nodes(request)
        ]
        return deployer_service_pb2.GetPowerResponse(nodes=nodes)

    def InspectNodes(self, request: Any, context: Any) -> Any:
        inspected = [
            machine_pb2.NodeInspection(node=node, status=self._result(node).status) for node in self._nodes(request)
        ]
        for one in inspected:
            if one.node in self.elsewhere and not any("Reboot" in type(asked).__name__ for asked in self.requests):
                problem = NodeUnreachable(f"{one.node} does not run the deployment environment: another system answers")
                one.status.CopyFrom(to_status(problem, domain="deployer.kadeploy"))
            if not one.status.code and one.node in self.machines:
                one.machine.CopyFrom(self.machines[one.node])
                one.differences.extend(self.differences.get(one.node, ()))
        return deployer_service_pb2.InspectNodesResponse(nodes=inspected)

    def DiscoverMachines(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        return deployer_service_pb2.DiscoverMachinesResponse(machines=self.machines.values())

    async def RunCommand(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for node in self._nodes(request):
            status = self._result(node).status
            if not status.code:
                for part in (b"first of ", node.encode(), b"\nlast"):
                    yield deployer_service_pb2.RunCommandResponse(node=node, output=part)
                yield deployer_service_pb2.RunCommandResponse(node=node, error_output=b"warning\n")
            ended = deployer_service_pb2.CommandEnded(status=status, exit_status=self.exits.get(node, 0))
            yield deployer_service_pb2.RunCommandResponse(node=node, ended=ended)

    def StopOperation(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        self.hold = False
        self.stopped.set()
        return deployer_service_pb2.StopOperationResponse()

    async def AttachConsole(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        self.requests.append(await anext(requests))
        if self.denied:
            raise RightMissing("alice has no right to attach the console of node-1")
        yield deployer_service_pb2.AttachConsoleResponse(output=b"login: ")
        async for request in requests:
            self.typed += request.input
            if request.input == b"\x04":
                return
            yield deployer_service_pb2.AttachConsoleResponse(output=request.input)

    def _nodes(self, request: Any) -> list[str]:
        self.requests.append(request)
        if self.denied:
            raise RightMissing("alice has no right to work on node-1", metadata={"nodes": "node-1"})
        return list(expand(request.nodes))

    def _result(self, node: str) -> deployer_service_pb2.NodeResult:
        error: DomainError | None = NodeBusy(f"{node} is held by deployment D-0") if node in self.busy else None
        status = to_status(error, domain="deployer.kadeploy") if error else ok_status()
        return deployer_service_pb2.NodeResult(node=node, status=status)
