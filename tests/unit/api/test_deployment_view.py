"""A deployment folded from a snapshot and events is what the service itself says of it."""

from typing import Any

from kadeploy.deployer.v1 import deployer_service_pb2, deployment_event_pb2, deployment_pb2
from kadeploy_api import DeploymentView


def event(sequence: int, node: str = "", **kind: Any) -> deployer_service_pb2.WatchDeploymentResponse:
    made = deployment_event_pb2.DeploymentEvent(sequence=sequence, node=node, **kind)
    made.time.FromSeconds(1000 + sequence)
    return deployer_service_pb2.WatchDeploymentResponse(event=made)


def view_of(*nodes: str) -> DeploymentView:
    view = DeploymentView()
    deployment = deployment_pb2.Deployment(
        id="d",
        state=deployment_pb2.DEPLOYMENT_STATE_WAITING,
        nodes=[deployment_pb2.NodeDeployment(node=name) for name in nodes],
    )
    snapshot = deployer_service_pb2.Snapshot(deployment=deployment, sequence=10)
    changed = view.apply(deployer_service_pb2.WatchDeploymentResponse(snapshot=snapshot))
    assert changed == set(nodes)
    return view


def test_a_step_has_its_progress_while_it_runs_and_its_duration_afterwards() -> None:
    view = view_of("node-1")
    view.apply(event(11, "node-1", step_started=deployment_event_pb2.StepStarted(step="format", attempt=1)))
    view.apply(event(11, "node-1", step_progressed=deployment_event_pb2.StepProgressed(step="format", done=1, total=4)))
    assert view.progress == {"node-1": (1, 4)}
    assert view.apply(
        event(15, "node-1", step_ended=deployment_event_pb2.StepEnded(step="format", succeeded=True))
    ) == {"node-1"}
    node = view.node("node-1")
    assert node is not None
    assert [(one.step, one.duration.seconds) for one in node.step_durations] == [("format", 4)]
    assert view.progress == {}
    view.apply(event(15, "node-1", step_progressed=deployment_event_pb2.StepProgressed(step="format", done=4, total=4)))
    assert view.progress == {}


def test_a_failure_has_its_reason_and_its_end() -> None:
    view = view_of("node-1", "node-2")
    failed = deployment_event_pb2.PartitionStateChanged(
        state=deployment_pb2.PARTITION_STATE_ERROR, reason=deployment_pb2.FAILURE_REASON_FORMAT_FAILED, description="no"
    )
    assert view.apply(event(11, "node-2", partition_state_changed=failed)) == {"node-2"}
    node = view.node("node-2")
    assert node is not None
    assert (node.reason, node.description, node.end_time.seconds) == (failed.reason, "no", 1011)
    assert not view.finished


def test_an_event_that_was_seen_or_of_an_unknown_node_changes_nothing() -> None:
    view = view_of("node-1")
    ended = deployment_event_pb2.DeploymentStateChanged(state=deployment_pb2.DEPLOYMENT_STATE_ERROR)
    assert view.apply(event(10, deployment_state_changed=ended)) == set()
    assert view.deployment.state == deployment_pb2.DEPLOYMENT_STATE_WAITING
    assert view.apply(event(11, "node-9", step_started=deployment_event_pb2.StepStarted(step="format"))) == set()
    assert view.apply(deployer_service_pb2.WatchDeploymentResponse(heartbeat=deployer_service_pb2.Heartbeat())) == set()
    assert view.sequence == 11


def test_the_end_of_the_deployment_is_its_own() -> None:
    view = view_of("node-1")
    for sequence, state in enumerate((2, 3), 11):
        changed = deployment_event_pb2.DeploymentStateChanged(
            state=deployment_pb2.DeploymentState.ValueType(state), description="all"
        )
        view.apply(event(sequence, deployment_state_changed=changed))
    assert view.finished
    assert (view.deployment.start_time.seconds, view.deployment.end_time.seconds) == (1011, 1012)
