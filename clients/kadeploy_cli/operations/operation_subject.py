"""An operation as the views of deployments show it: the same message, with other words for the states."""

from dataclasses import dataclass
from typing import Any

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2, operation_pb2
from kadeploy_cli.connection.connect import Deployer
from kadeploy_cli.deployments.watching.subject import Watch
from kadeploy_cli.deployments.watching.words import OPERATION_WORDS, Words

_STATES = {
    operation_pb2.OPERATION_STATE_RUNNING: deployment_pb2.DEPLOYMENT_STATE_DEPLOYING,
    operation_pb2.OPERATION_STATE_TERMINATED: deployment_pb2.DEPLOYMENT_STATE_TERMINATED,
    operation_pb2.OPERATION_STATE_ERROR: deployment_pb2.DEPLOYMENT_STATE_ERROR,
}
_NODE_STATES = {
    operation_pb2.OPERATION_NODE_STATE_TO_DO: deployment_pb2.PARTITION_STATE_TO_DEPLOY,
    operation_pb2.OPERATION_NODE_STATE_DOING: deployment_pb2.PARTITION_STATE_DEPLOYING,
    operation_pb2.OPERATION_NODE_STATE_DONE: deployment_pb2.PARTITION_STATE_DEPLOYED,
    operation_pb2.OPERATION_NODE_STATE_ERROR: deployment_pb2.PARTITION_STATE_ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSubject:
    """An operation. Implements `deployments.watching.subject.Subject`."""

    deployer: Deployer
    id: str
    words: Words = OPERATION_WORDS
    cancelling: str = "nodes that are not begun are left alone"

    def open_watch(self, after_sequence: int) -> Watch:
        """Begins to watch it. No deadline: an operation takes what it takes."""
        request = deployer_service_pb2.WatchOperationRequest(id=self.id, after_sequence=after_sequence)
        watch: Watch = self.deployer.control.WatchOperation(request)
        return watch

    def read(self, answer: Any) -> deployer_service_pb2.WatchDeploymentResponse:
        """Returns an answer of the watch as one of a deployment."""
        kind = answer.WhichOneof("kind")
        if kind == "snapshot":
            snapshot = deployer_service_pb2.Snapshot(
                deployment=as_deployment(answer.snapshot.operation), sequence=answer.snapshot.sequence
            )
            return deployer_service_pb2.WatchDeploymentResponse(snapshot=snapshot)
        if kind == "heartbeat":
            return deployer_service_pb2.WatchDeploymentResponse(heartbeat=answer.heartbeat)
        return deployer_service_pb2.WatchDeploymentResponse(event=_as_deployment_event(answer.event))

    def get(self) -> deployment_pb2.Deployment:
        """Returns it as it is now. Raises Failure."""
        return as_deployment(self.get_operation())

    def get_operation(self) -> operation_pb2.Operation:
        """Returns it as it is now. Raises Failure."""
        request = deployer_service_pb2.GetOperationRequest(id=self.id)
        return self.deployer.call(self.deployer.control.GetOperation, request)

    def cancel(self, reason: str) -> None:
        """Asks for its end. Raises Failure."""
        request = deployer_service_pb2.CancelOperationRequest(id=self.id, reason=reason)
        self.deployer.call(self.deployer.control.CancelOperation, request)


def as_deployment(operation: operation_pb2.Operation) -> deployment_pb2.Deployment:
    """Returns an operation in the form of a deployment."""
    deployment = deployment_pb2.Deployment(
        id=operation.id,
        state=_STATES.get(operation.state, deployment_pb2.DEPLOYMENT_STATE_UNSPECIFIED),
        owner=operation.owner,
        spec=deployment_pb2.DeploymentSpec(nodes=operation.nodes),
        create_time=operation.create_time,
        description=operation.description,
        driver=operation.driver,
        nodes=map(_as_node, operation.node_states),
    )
    if operation.HasField("end_time"):
        deployment.end_time.CopyFrom(operation.end_time)
    return deployment


def _as_node(node: operation_pb2.OperationNode) -> deployment_pb2.NodeDeployment:
    found = deployment_pb2.NodeDeployment(
        node=node.node,
        state=_NODE_STATES.get(node.state, deployment_pb2.PARTITION_STATE_UNSPECIFIED),
        step=node.step,
        reason=node.reason,
        description=node.description,
    )
    if node.HasField("step_start_time"):
        found.start_time.CopyFrom(node.step_start_time)
    if node.HasField("end_time"):
        found.end_time.CopyFrom(node.end_time)
    return found


def _as_deployment_event(event: deployment_event_pb2.DeploymentEvent) -> deployment_event_pb2.DeploymentEvent:
    kind = event.WhichOneof("kind")
    if kind not in ("operation_state_changed", "node_state_changed"):
        return event
    found = deployment_event_pb2.DeploymentEvent(sequence=event.sequence, time=event.time, node=event.node)
    if kind == "operation_state_changed":
        whole = event.operation_state_changed
        found.deployment_state_changed.state = _STATES.get(whole.state, deployment_pb2.DEPLOYMENT_STATE_UNSPECIFIED)
        found.deployment_state_changed.description = whole.description
    else:
        changed = event.node_state_changed
        found.partition_state_changed.state = _NODE_STATES.get(
            changed.state, deployment_pb2.PARTITION_STATE_UNSPECIFIED
        )
        found.partition_state_changed.reason = changed.reason
        found.partition_state_changed.description = changed.description
    return found
