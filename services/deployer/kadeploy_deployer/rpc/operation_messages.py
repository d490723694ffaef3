"""Messages of operations: of domain values to messages, and filters back. Pure."""

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, operation_pb2
from kadeploy_deployer.domain.control_errors import InvalidControl
from kadeploy_deployer.domain.deployment import NodeDeployment
from kadeploy_deployer.domain.events import DeploymentStateChanged, Event, NodeStateChanged
from kadeploy_deployer.domain.operation import Operation
from kadeploy_deployer.domain.states import DeploymentState, NodeState, OperationKind, OperationNodeState
from kadeploy_deployer.engine.event_log import Heartbeat
from kadeploy_deployer.ports.store_values import OperationFilter
from kadeploy_deployer.requests.node_errors import error_of
from kadeploy_deployer.rpc.deployment_messages import event_message, failure_reason, timestamp
from kadeploy_edge.status import ok_status, to_status

DOMAIN = "deployer.kadeploy"

# An operation never waits: it is running from its creation on.
_STATES = {
    DeploymentState.WAITING: operation_pb2.OPERATION_STATE_RUNNING,
    DeploymentState.DEPLOYING: operation_pb2.OPERATION_STATE_RUNNING,
    DeploymentState.TERMINATED: operation_pb2.OPERATION_STATE_TERMINATED,
    DeploymentState.ERROR: operation_pb2.OPERATION_STATE_ERROR,
}
_WANTED_STATES = {
    operation_pb2.OPERATION_STATE_RUNNING: DeploymentState.DEPLOYING,
    operation_pb2.OPERATION_STATE_TERMINATED: DeploymentState.TERMINATED,
    operation_pb2.OPERATION_STATE_ERROR: DeploymentState.ERROR,
}
KINDS = {
    OperationKind.REBOOT: operation_pb2.OPERATION_KIND_REBOOT,
    OperationKind.POWER: operation_pb2.OPERATION_KIND_POWER,
    OperationKind.COMMAND: operation_pb2.OPERATION_KIND_COMMAND,
}
NODE_STATES = {
    OperationNodeState.TO_DO: operation_pb2.OPERATION_NODE_STATE_TO_DO,
    OperationNodeState.DOING: operation_pb2.OPERATION_NODE_STATE_DOING,
    OperationNodeState.DONE: operation_pb2.OPERATION_NODE_STATE_DONE,
    OperationNodeState.ERROR: operation_pb2.OPERATION_NODE_STATE_ERROR,
}


def read_filter(message: deployer_service_pb2.OperationFilter, nodes: tuple[str, ...]) -> OperationFilter:
    """Returns which operations are wanted, on nodes that are read already; or raises InvalidControl."""
    kinds = {value: kind for kind, value in KINDS.items()}
    for field, words, known in (
        ("filter.states", message.states, _WANTED_STATES),
        ("filter.kinds", message.kinds, kinds),
    ):
        for word in words:
            if word not in known:
                raise InvalidControl(field, f"has an unknown value: {word}")
    return OperationFilter(
        owner=message.owner,
        states=tuple(_WANTED_STATES[state] for state in message.states),
        kinds=tuple(kinds[kind] for kind in message.kinds),
        nodes=nodes,
    )


def operation_message(operation: Operation) -> operation_pb2.Operation:
    """Returns an operation with the nodes that it was read with."""
    return operation_pb2.Operation(
        id=operation.id,
        kind=KINDS[operation.spec.kind],
        state=_STATES[operation.state],
        owner=operation.owner,
        nodes=operation.spec.nodes,
        action=operation.spec.action,
        create_time=timestamp(operation.create_time),
        end_time=timestamp(operation.end_time),
        description=operation.description,
        driver=operation.driver,
        node_states=map(_node_message, operation.nodes),
    )


def _node_message(node: NodeDeployment) -> operation_pb2.OperationNode:
    message = operation_pb2.OperationNode(
        node=node.node,
        state=_node_state(node.state),
        step=node.step,
        step_start_time=timestamp(node.step_start_time),
        start_time=timestamp(node.start_time),
        end_time=timestamp(node.end_time),
        reason=failure_reason(node.reason),
        description=node.description,
    )
    if not node.active:
        error = error_of(node.node, node.reason, node.description)
        message.status.CopyFrom(ok_status() if error is None else to_status(error, domain=DOMAIN))
    return message


def _node_state(state: NodeState | None) -> "operation_pb2.OperationNodeState.ValueType":
    """Returns the enum value of a state. A node that was left out is shown as in error: nothing is done to it."""
    known = state if isinstance(state, OperationNodeState) else OperationNodeState.ERROR
    return NODE_STATES[known]


def snapshot_message(operation: Operation) -> deployer_service_pb2.WatchOperationResponse:
    """Returns the first message of a watch."""
    snapshot = deployer_service_pb2.OperationSnapshot(
        operation=operation_message(operation), sequence=operation.last_sequence
    )
    return deployer_service_pb2.WatchOperationResponse(snapshot=snapshot)


def watch_message(message: Event | Heartbeat) -> deployer_service_pb2.WatchOperationResponse:
    """Returns one message of a watch."""
    if isinstance(message, Heartbeat):
        heartbeat = deployer_service_pb2.Heartbeat(time=timestamp(message.time))
        return deployer_service_pb2.WatchOperationResponse(heartbeat=heartbeat)
    return deployer_service_pb2.WatchOperationResponse(event=_event_message(message))


def _event_message(event: Event) -> deployment_event_pb2.DeploymentEvent:
    match event.kind:
        case DeploymentStateChanged(state=state, description=text):
            message = _event_alone(event)
            message.operation_state_changed.state = _STATES[state]
            message.operation_state_changed.description = text
            return message
        case NodeStateChanged(state=changed, reason=reason, description=text):
            message = _event_alone(event)
            message.node_state_changed.state = _node_state(changed)
            message.node_state_changed.reason = failure_reason(reason)
            message.node_state_changed.description = text
            return message
        case _:
            # Steps and remarks are the same in whatever is done.
            return event_message(event)


def _event_alone(event: Event) -> deployment_event_pb2.DeploymentEvent:
    return deployment_event_pb2.DeploymentEvent(sequence=event.sequence, time=timestamp(event.time), node=event.node)
