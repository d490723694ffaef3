"""A deployer that does nothing to nodes and says what the test wrote: for tests of the commands."""

import asyncio
from collections.abc import AsyncIterator
from threading import Event
from typing import Any

import grpc

from kadeploy.deployer.v1 import (
    deployer_service_pb2,
    deployer_service_pb2_grpc,
    deployment_event_pb2,
    machine_pb2,
    operation_pb2,
)
from kadeploy_edge.errors import Conflict, Denied, DomainError, Missing, NotInState, Unreachable
from kadeploy_edge.status import ok_status, to_status
from kadeploy_nodeset import expand

PATIENCE = 60.0
START = 1_700_000_000
SERVICE = "kadeploy.deployer.v1.NodeControlService"


class NodeBusy(NotInState):
    reason = "NODE_BUSY"


class NodeUnreachable(Unreachable):
    reason = "NODE_UNREACHABLE"


class OperationNotFound(Missing):
    reason = "OPERATION_NOT_FOUND"


class OperationStopped(Conflict):
    reason = "OPERATION_STOPPED"


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
        breaks: so many requests for a reboot break off without an answer.
        watch_breaks: so many watches break off after a node has ended.
        hold: whether an operation stands after its first node until it is cancelled.
        operations: by id.
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
        self.watch_breaks = 0
        self.operations: dict[str, operation_pb2.Operation] = {}
        self.names: dict[str, str] = {}
        self.hold = False
        self.waiting, self.stopped = Event(), Event()
        self.typed = b""
        self.requests: list[Any] = []

    async def RebootNodes(self, request: Any, context: Any) -> AsyncIterator[Any]:
        nodes = self._nodes(request)
        if self.breaks:
            self.breaks -= 1
            # As gRPC itself says it; an `abort` would be taken for a fault of ours.
            context.set_code(grpc.StatusCode.UNAVAILABLE)
            context.set_details("Socket closed")
            return
        made = self._made(request, operation_pb2.OPERATION_KIND_REBOOT, "reboot", nodes)
        yield deployer_service_pb2.RebootNodesResponse(operation_id=made.id)

    async def SetPower(self, request: Any, context: Any) -> AsyncIterator[Any]:
        nodes = self._nodes(request)
        made = self._made(request, operation_pb2.OPERATION_KIND_POWER, "power cycle", nodes)
        yield deployer_service_pb2.SetPowerResponse(operation_id=made.id)

    def _made(self, request: Any, kind: Any, action: str, nodes: list[str]) -> operation_pb2.Operation:
        """Returns the operation of a request, the same for the same."""
        assert request.detached
        for one in self.operations.values():
            if self.names[one.id] == request.request_id:
                return one
        states = [
            operation_pb2.OperationNode(node=node, state=operation_pb2.OPERATION_NODE_STATE_TO_DO) for node in nodes
        ]
        made = operation_pb2.Operation(
            id=f"op-{len(self.operations) + 1}",
            kind=kind,
            state=operation_pb2.OPERATION_STATE_RUNNING,
            owner="alice",
            nodes=request.nodes,
            action=action,
            node_states=states,
        )
        made.create_time.FromSeconds(START)
        self.operations[made.id], self.names[made.id] = made, request.request_id
        for node in made.node_states:
            if node.node in self.busy:
                self._end(node, self._result(node.node).status)
        return made

    def GetOperation(self, request: Any, context: Any) -> Any:
        for one in self.operations.values():
            if request.id in (one.id, self.names[one.id]):
                return one
        raise OperationNotFound(f"no operation {request.id} is known")

    def ListOperations(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        found = [
            one for one in self.operations.values() if not request.filter.kinds or one.kind in request.filter.kinds
        ]
        return deployer_service_pb2.ListOperationsResponse(operations=reversed(found))

    async def WatchOperation(self, request: Any, context: Any) -> AsyncIterator[Any]:
        made = self.GetOperation(request, context)
        if not request.after_sequence:
            snapshot = deployer_service_pb2.OperationSnapshot(operation=made, sequence=1)
            yield deployer_service_pb2.WatchOperationResponse(snapshot=snapshot)
        for number, node in enumerate(made.node_states):
            if node.HasField("status"):
                continue
            if number and self.hold:
                self.waiting.set()
                await asyncio.to_thread(self.stopped.wait, PATIENCE)
            started = self._event(2 + 2 * number, node.node)
            started.step_started.step, started.step_started.attempt = "reboot", 1
            yield deployer_service_pb2.WatchOperationResponse(event=started)
            error = OperationStopped(f"{node.node} was left alone") if number and self.stopped.is_set() else None
            self._end(node, to_status(error, domain="deployer.kadeploy") if error else ok_status())
            changed = self._event(3 + 2 * number, node.node)
            changed.node_state_changed.state = node.state
            changed.node_state_changed.description = node.status.message
            yield deployer_service_pb2.WatchOperationResponse(event=changed)
            if self.watch_breaks:
                self.watch_breaks -= 1
                context.set_code(grpc.StatusCode.UNAVAILABLE)
                context.set_details("Socket closed")
                return
        good = all(node.state == operation_pb2.OPERATION_NODE_STATE_DONE for node in made.node_states)
        made.state = operation_pb2.OPERATION_STATE_TERMINATED if good else operation_pb2.OPERATION_STATE_ERROR
        made.end_time.FromSeconds(START + 60)
        ended = self._event(2 + 2 * len(made.node_states), "")
        ended.operation_state_changed.state = made.state
        yield deployer_service_pb2.WatchOperationResponse(event=ended)

    def CancelOperation(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        made = self.GetOperation(request, context)
        self.hold = False
        self.stopped.set()
        return made

    def _end(self, node: operation_pb2.OperationNode, status: Any) -> None:
        states = operation_pb2
        node.state = states.OPERATION_NODE_STATE_ERROR if status.code else states.OPERATION_NODE_STATE_DONE
        node.description = status.message
        node.status.CopyFrom(status)

    def _event(self, sequence: int, node: str) -> deployment_event_pb2.DeploymentEvent:
        event = deployment_event_pb2.DeploymentEvent(sequence=sequence, node=node)
        event.time.FromSeconds(START + sequence)
        return event

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
