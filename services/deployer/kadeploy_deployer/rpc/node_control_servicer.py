"""NodeControlService: everything done to nodes outside a deployment."""

from __future__ import annotations  # grpc's contexts are generic for type checkers alone

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
from typing_extensions import override

from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, operation_pb2
from kadeploy_deployer.domain.control_errors import InvalidControl
from kadeploy_deployer.domain.operation import Operation
from kadeploy_deployer.engine.event_log import Snapshot
from kadeploy_deployer.requests import console, machines, operations, power, reboot, remote_command
from kadeploy_deployer.requests.expansion import expand_aside
from kadeploy_deployer.requests.node_access import ControlParts
from kadeploy_deployer.requests.remote_command import CommandEnd, CommandOutput
from kadeploy_deployer.rpc.callers import Callers
from kadeploy_deployer.rpc.machine_messages import inspection, machine_message
from kadeploy_deployer.rpc.node_control_messages import (
    command_message,
    must_be_named,
    node_power,
    node_result,
    read_action,
    read_level,
    read_reboot,
    read_request,
)
from kadeploy_deployer.rpc.operation_messages import (
    operation_message,
    read_filter,
    snapshot_message,
    watch_message,
)
from kadeploy_deployer.rpc.relay import Relay, accept
from kadeploy_edge import page_token
from kadeploy_edge.errors import DomainError
from kadeploy_edge.page import filled_page

Context = grpc.aio.ServicerContext[Any, Any]


class NodeControlServicer(deployer_service_pb2_grpc.NodeControlServiceServicer):
    """Answers for what is done to nodes."""

    def __init__(self, parts: ControlParts, callers: Callers) -> None:
        self._parts = parts
        self._callers = callers

    @override
    async def RebootNodes(
        self, request: deployer_service_pb2.RebootNodesRequest, context: Context
    ) -> AsyncIterator[deployer_service_pb2.RebootNodesResponse]:
        relay: Relay[deployer_service_pb2.RebootNodesResponse] = Relay()
        wanted, actor, parts = read_reboot(request), self._callers.actor(), self._parts
        named = read_request(request, actor.user)
        prepare = reboot.reboot(request.nodes, wanted, force=request.force, actor=actor, parts=parts, request=named)
        if request.detached:
            operation_id = await operations.start(must_be_named(named), prepare, actor=actor, parts=parts)
            yield deployer_service_pb2.RebootNodesResponse(operation_id=operation_id)
            return

        def tell(node: str, error: DomainError | None) -> None:
            relay.push(deployer_service_pb2.RebootNodesResponse(result=node_result(node, error)))

        await accept(context)
        work = partial(operations.carry_out, named, prepare, tell, actor=actor, parts=parts)
        async for response in relay.run(work, context):
            yield response

    @override
    async def SetPower(
        self, request: deployer_service_pb2.SetPowerRequest, context: Context
    ) -> AsyncIterator[deployer_service_pb2.SetPowerResponse]:
        relay: Relay[deployer_service_pb2.SetPowerResponse] = Relay()
        action, level, actor, parts = (
            read_action(request.action),
            read_level(request.level),
            self._callers.actor(),
            self._parts,
        )
        named = read_request(request, actor.user)
        prepare = power.power_change(
            request.nodes, action, level, force=request.force, actor=actor, parts=parts, request=named
        )
        if request.detached:
            operation_id = await operations.start(must_be_named(named), prepare, actor=actor, parts=parts)
            yield deployer_service_pb2.SetPowerResponse(operation_id=operation_id)
            return

        def tell(node: str, error: DomainError | None) -> None:
            relay.push(deployer_service_pb2.SetPowerResponse(result=node_result(node, error)))

        await accept(context)
        work = partial(operations.carry_out, named, prepare, tell, actor=actor, parts=parts)
        async for response in relay.run(work, context):
            yield response

    @override
    async def GetPower(
        self, request: deployer_service_pb2.GetPowerRequest, context: Context
    ) -> deployer_service_pb2.GetPowerResponse:
        found = await power.get_power(request.nodes, actor=self._callers.actor(), parts=self._parts)
        names = await expand_aside(request.nodes)
        return deployer_service_pb2.GetPowerResponse(nodes=[node_power(name, found[name]) for name in names])

    @override
    async def InspectNodes(
        self, request: deployer_service_pb2.InspectNodesRequest, context: Context
    ) -> deployer_service_pb2.InspectNodesResponse:
        found = await machines.inspect_nodes(request.nodes, actor=self._callers.actor(), parts=self._parts)
        names = await expand_aside(request.nodes)
        return deployer_service_pb2.InspectNodesResponse(nodes=[inspection(name, found[name]) for name in names])

    @override
    async def DiscoverMachines(
        self, request: deployer_service_pb2.DiscoverMachinesRequest, context: Context
    ) -> deployer_service_pb2.DiscoverMachinesResponse:
        found = await machines.discover_machines(request.network, parts=self._parts)
        return deployer_service_pb2.DiscoverMachinesResponse(machines=[machine_message(each) for each in found])

    @override
    async def RunCommand(
        self, request: deployer_service_pb2.RunCommandRequest, context: Context
    ) -> AsyncIterator[deployer_service_pb2.RunCommandResponse]:
        relay: Relay[deployer_service_pb2.RunCommandResponse] = Relay()
        # Not ToTimedelta, which has no room for every Duration; the use case says what is too long.
        actor, timeout = self._callers.actor(), request.timeout.seconds + request.timeout.nanos / 1e9

        async def show(output: CommandOutput) -> None:
            await relay.send(command_message(output), size=len(output.content))

        def tell(end: CommandEnd) -> None:
            relay.push(command_message(end))

        work = partial(
            remote_command.run_command,
            request.nodes,
            list(request.arguments),
            timeout=timeout,
            stdin=request.input,
            actor=actor,
            parts=self._parts,
            show=show,
            tell=tell,
        )
        async for response in relay.run(work, context):
            yield response

    @override
    async def StopOperation(
        self, request: deployer_service_pb2.StopOperationRequest, context: Context
    ) -> deployer_service_pb2.StopOperationResponse:
        await operations.stop_operation(request.request_id, actor=self._callers.actor(), parts=self._parts)
        return deployer_service_pb2.StopOperationResponse()

    @override
    async def GetOperation(
        self, request: deployer_service_pb2.GetOperationRequest, context: Context
    ) -> operation_pb2.Operation:
        actor = self._callers.actor()
        return operation_message(await operations.find_operation(request.id, actor=actor, parts=self._parts))

    @override
    async def ListOperations(
        self, request: deployer_service_pb2.ListOperationsRequest, context: Context
    ) -> deployer_service_pb2.ListOperationsResponse:
        names = await expand_aside(request.filter.nodes) if request.filter.nodes else ()
        wanted = read_filter(request.filter, names)
        binding = f"operations {request.filter.SerializeToString(deterministic=True).hex()}"
        key = page_token.decode(request.page_token, binding=binding)
        limit = page_token.page_size(request.page_size)
        after = None if key is None else (float.fromhex(str(key[0])), str(key[1]))
        rows = await self._parts.store.list_operations(wanted, after=after, limit=limit + 1)
        page = filled_page(map(operation_message, rows), limit=limit)
        response = deployer_service_pb2.ListOperationsResponse(operations=page)
        if len(page) < len(rows):
            last = rows[len(page) - 1]
            response.next_page_token = page_token.encode((last.create_time.hex(), last.id), binding=binding)
        return response

    @override
    async def WatchOperation(
        self, request: deployer_service_pb2.WatchOperationRequest, context: Context
    ) -> AsyncIterator[deployer_service_pb2.WatchOperationResponse]:
        parts = self._parts
        found = await operations.find_operation(request.id, actor=self._callers.actor(), parts=parts)
        messages = parts.log.watch(found.id, after=request.after_sequence, store=parts.store, clock=parts.ports.clock)
        async for message in messages:
            if not isinstance(message, Snapshot):
                yield watch_message(message)
            elif isinstance(message.deployment, Operation):
                yield snapshot_message(message.deployment)

    @override
    async def CancelOperation(
        self, request: deployer_service_pb2.CancelOperationRequest, context: Context
    ) -> operation_pb2.Operation:
        actor = self._callers.actor()
        return operation_message(
            await operations.cancel_operation(request.id, reason=request.reason, actor=actor, parts=self._parts)
        )

    @override
    async def AttachConsole(
        self, request_iterator: AsyncIterator[deployer_service_pb2.AttachConsoleRequest], context: Context
    ) -> AsyncIterator[deployer_service_pb2.AttachConsoleResponse]:
        relay: Relay[deployer_service_pb2.AttachConsoleResponse] = Relay()
        actor = self._callers.actor()

        async def show(part: bytes) -> None:
            await relay.send(deployer_service_pb2.AttachConsoleResponse(output=part), size=len(part))

        async def work() -> None:
            requests = aiter(request_iterator)
            first = await anext(requests, None)
            if first is None or not first.HasField("target"):
                raise InvalidControl("target", "must come first: which node's console is meant")
            typed = (request.input async for request in requests)
            await console.attach_console(first.target.node, typed, actor=actor, parts=self._parts, show=show)

        async for response in relay.run(work, context):
            yield response
